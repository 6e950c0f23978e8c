"""People whose day is to be planned: claimed under lock, with all that may speak on it and already does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.delivery import ON_ITS_WAY, STOPPABLE, MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.store.bulk import is_one_of
from service.store.meetings import ChosenMeeting, Meeting
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant, ParticipantStatus
from service.usecases.sending.candidates import DueMeeting, DuePerson, DueProgram, person_hours

COUNTED = STOPPABLE | ON_ITS_WAY
"""Texts that count toward a day's and a week's limit: still to go, or surely or possibly gone."""


@dataclass(slots=True)
class ExistingTexts:
    """What a person's days already hold: keys of texts, and the local dates of capped ones."""

    keys: set[str] = field(default_factory=set)
    capped: list[date] = field(default_factory=list)


def claim_people(
    session: Session,
    now: datetime,
    size: int,
    claimed: list[int] | None = None,
    *,
    only_id: int | None = None,
) -> dict[int, DuePerson]:
    """Lock up to `size` people who are due, skipping those that others hold, and read how they live.

    Their ids are put into `claimed` before anything of theirs is read that could be wrong.
    """
    query = (
        select(
            Participant.id,
            Participant.timezone,
            Participant.zone_is_confirmed,
            Participant.area_timezones,
            Participant.window_opens,
            Participant.window_closes,
            Participant.window_opens_sunday,
            Participant.planned_through,
            Participant.status,
        )
        .where(Participant.next_plan_at <= now)
        .order_by(Participant.next_plan_at)
        .limit(size)
        .with_for_update(skip_locked=True, key_share=True)
    )
    if only_id is not None:
        query = query.where(Participant.id == only_id)
    rows = session.execute(query).all()
    if claimed is not None:
        claimed += [row.id for row in rows]
    people = {}
    for row in rows:
        zones, window = person_hours(row)
        people[row.id] = DuePerson(
            id=row.id,
            hours_zones=zones,
            window=window,
            planned_through=row.planned_through,
            is_active=row.status == ParticipantStatus.ACTIVE,
        )
    return people


def load_sources(session: Session, people: dict[int, DuePerson]) -> None:
    enrollments = session.execute(
        select(
            Enrollment.id,
            Enrollment.participant_id,
            Enrollment.program_id,
            Enrollment.anchor_on,
            Enrollment.started_on,
            Enrollment.started_at,
        ).where(
            is_one_of(session, Enrollment.participant_id, people),
            Enrollment.status == EnrollmentStatus.ACTIVE,
        )
    )
    for row in enrollments:
        people[row.participant_id].programs.append(
            DueProgram(row.id, row.program_id, row.anchor_on, row.started_on, row.started_at)
        )
    meetings = session.execute(
        select(
            ChosenMeeting.id,
            ChosenMeeting.participant_id,
            ChosenMeeting.minutes_before,
            ChosenMeeting.version,
            ChosenMeeting.created_at,
            Meeting.weekday,
            Meeting.starts_at,
            Meeting.timezone,
        )
        .join(Meeting, Meeting.id == ChosenMeeting.meeting_id)
        .where(is_one_of(session, ChosenMeeting.participant_id, people), ChosenMeeting.ended_at.is_(None))
    )
    for listed in meetings:
        people[listed.participant_id].meetings.append(
            DueMeeting(
                listed.id,
                listed.version,
                listed.weekday,
                listed.starts_at,
                listed.timezone,
                listed.minutes_before,
                listed.created_at,
            )
        )


def load_existing(session: Session, people: dict[int, DuePerson]) -> dict[int, ExistingTexts]:
    existing: dict[int, ExistingTexts] = defaultdict(ExistingTexts)
    oldest = min((person.planned_through or date.max) for person in people.values())
    since = oldest - timedelta(days=8) if oldest != date.max else None
    query = select(
        Message.participant_id, Message.dedupe_key, Message.kind, Message.state, Message.local_on
    ).where(is_one_of(session, Message.participant_id, people), Message.state != MessageState.CANCELED)
    if since is not None:
        query = query.where(Message.local_on >= since)
    for row in session.execute(query):
        mine = existing[row.participant_id]
        mine.keys.add(row.dedupe_key)
        if row.state in COUNTED and KIND_RULES[MessageKind(row.kind)].is_capped and row.local_on:
            mine.capped.append(row.local_on)
    return existing
