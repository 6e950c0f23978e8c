"""Meetings a person wants to be reminded of: choose, change, drop. Called by staff with the person's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.phone import PhoneNumber
from service.store.meetings import ChosenMeeting, Meeting
from service.store.participants import Participant, find_participant
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.meetings.reminders import replan_reminders
from service.usecases.people.show_participant import NobodyError, list_chosen_meetings

MAX_LABEL = 40
"""A reminder with the longest label still fits one segment (messages/texts/reminders.yaml)."""


class MeetingChoiceError(Exception):
    """The meeting cannot be chosen; the message says why in one line."""


class ChoiceOutcome(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class MeetingChoice:
    """What is to be reminded of: the meeting's id, a label only the person understands, and how early."""

    meeting_id: int
    label: str | None = None
    minutes_before: int = 120


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, and when (aware UTC)."""

    by: str
    now: datetime


def choose_meeting(
    context: Context, phone: PhoneNumber, choice: MeetingChoice, operator: Operator
) -> ChoiceOutcome:
    """Add a meeting, or change its label or lead time. Commits once; safe to repeat.

    Raises NobodyError, and MeetingChoiceError for a meeting that does not exist or is no longer held.
    """
    label = " ".join((choice.label or "").split()) or None
    if label and len(label) > MAX_LABEL:
        raise MeetingChoiceError(f"the label is longer than {MAX_LABEL} characters; shorten it")
    with context.database.begin() as session:
        participant = _get_person(context, session, phone)
        _check_meeting(session, choice.meeting_id)
        chosen = _find_current(session, participant.id, choice.meeting_id)
        outcome = ChoiceOutcome.CHANGED
        if chosen is None:
            outcome = ChoiceOutcome.ADDED
            chosen = ChosenMeeting(
                participant_id=participant.id, meeting_id=choice.meeting_id, created_at=operator.now
            )
            session.add(chosen)
        elif (chosen.label, chosen.minutes_before) == (label, choice.minutes_before):
            return ChoiceOutcome.UNCHANGED
        else:
            chosen.version += 1
        chosen.label, chosen.minutes_before = label, choice.minutes_before
        session.flush()
        replan_reminders(session, [participant], [chosen.id], "meeting_choice_changed", operator.now)
        _record(session, participant, operator, f"meeting_{outcome}")
    return outcome


def drop_meeting(context: Context, phone: PhoneNumber, meeting_id: int, operator: Operator) -> ChoiceOutcome:
    """No more reminders of a meeting; what is planned is canceled. Commits once; safe to repeat.

    Raises NobodyError.
    """
    with context.database.begin() as session:
        participant = _get_person(context, session, phone)
        chosen = _find_current(session, participant.id, meeting_id)
        if chosen is None:
            return ChoiceOutcome.UNCHANGED
        chosen.ended_at = operator.now
        replan_reminders(session, [participant], [chosen.id], "meeting_dropped", operator.now)
        _record(session, participant, operator, f"meeting_{ChoiceOutcome.REMOVED}")
    return ChoiceOutcome.REMOVED


def list_meetings_of(context: Context, phone: PhoneNumber, operator: Operator) -> list[dict[str, Any]]:
    """What a person chose. Commits the record of having looked. Raises NobodyError."""
    with context.database.begin() as session:
        participant = _get_person(context, session, phone)
        _record(session, participant, operator, "participant_meetings_shown")
        return list_chosen_meetings(session, participant.id)


def _get_person(context: Context, session: Session, phone: PhoneNumber) -> Participant:
    participant = find_participant(session, phone, context.keyring, lock=True)
    if participant is None:
        raise NobodyError
    return participant


def _check_meeting(session: Session, meeting_id: int) -> None:
    meeting = session.get(Meeting, meeting_id)
    if meeting is None:
        raise MeetingChoiceError(f"there is no meeting {meeting_id}; see `aftercare meetings list`")
    if meeting.vanished_at is not None or meeting.is_closed or not meeting.is_published:
        raise MeetingChoiceError(f"meeting {meeting_id} is no longer held; choose another")


def _find_current(session: Session, participant_id: int, meeting_id: int) -> ChosenMeeting | None:
    query = select(ChosenMeeting).where(
        ChosenMeeting.participant_id == participant_id,
        ChosenMeeting.meeting_id == meeting_id,
        ChosenMeeting.ended_at.is_(None),
    )
    return session.scalars(query).first()


def _record(session: Session, participant: Participant, operator: Operator, action: str) -> None:
    session.add(
        AuditEvent(at=operator.now, actor=operator.by, action=action, subject=f"participant {participant.id}")
    )
    session.flush()
