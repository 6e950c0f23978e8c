"""Forget a person: everything readable goes, the promise not to text the number stays."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from service.domain.phone import PhoneNumber
from service.store.consent import ConsentChannel, ConsentKind, find_suppression, is_suppressed
from service.store.conversations import Answer
from service.store.inbound import InboundMessage, Task
from service.store.meetings import ChosenMeeting
from service.store.messages import Message
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    ParticipantTag,
    find_participant,
)
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.people.consent_changes import (
    Evidence,
    cancel_waiting,
    close_conversation,
    opt_out,
    record_consent_event,
)

REASON = "erased"


class Erasure(StrEnum):
    """What erasing a number found."""

    ERASED = "erased"
    NOTHING_STORED = "nothing_stored"


def erase_participant(context: Context, phone: PhoneNumber, by: str, now: datetime) -> Erasure:
    """Erase everything readable about a number and keep it from being texted. Commits once; safe to repeat.

    Locks the person, then their texts, as sending does: what has not left is canceled. An erasure counts as
    an opt-out, so bringing the number in again texts nobody without a newer consent. Consent events stay:
    they hold our words and times, and the person's row stays as a stone without a name.
    """
    with context.database.begin() as session:
        participant = find_participant(session, phone, context.keyring, lock=True)
        suppression = find_suppression(session, phone, context.keyring)
        evidence = Evidence(ConsentChannel.STAFF, by, "erase", now)
        if not is_suppressed(suppression):
            opt_out(session, context.keyring, phone, participant, evidence, now, reason=REASON)
        inbound = _forget_inbound(context, session, phone, participant)
        if participant is not None:
            _record_erasure(context, session, phone, participant, evidence)
            _forget_person(session, participant, now)
        _forget_texts(session, participant, inbound)
        found = Erasure.ERASED if participant is not None or inbound else Erasure.NOTHING_STORED
        subject = f"participant {participant.id}" if participant is not None else None
        session.add(
            AuditEvent(
                at=now,
                actor=by,
                action="participant_erased",
                subject=subject,
                detail={"result": str(found), "texts_received": len(inbound)},
            )
        )
    return found


def _record_erasure(
    context: Context, session: Session, phone: PhoneNumber, participant: Participant, evidence: Evidence
) -> None:
    record_consent_event(
        session,
        ConsentKind.ERASED,
        evidence,
        evidence.expressed_at,
        participant=participant,
        suppression=find_suppression(session, phone, context.keyring),
    )


def _forget_inbound(
    context: Context, session: Session, phone: PhoneNumber, participant: Participant | None
) -> list[int]:
    """Blank the texts the number sent us, also those from before it had a row; returns their ids."""
    theirs: list[ColumnElement[bool]] = [InboundMessage.sender_hash.in_(context.keyring.hash_all(phone.e164))]
    if participant is not None:
        theirs.append(InboundMessage.participant_id == participant.id)
    ids = list(session.scalars(select(InboundMessage.id).where(or_(*theirs))))
    session.execute(
        update(InboundMessage)
        .where(or_(*theirs))
        .values(sender=None, sender_hash=None, sender_key_id=None, body=None, raw=None, answer=None)
    )
    return ids


def _forget_person(session: Session, participant: Participant, now: datetime) -> None:
    cancel_waiting(session, participant.id, REASON, now)
    close_conversation(session, participant.id, REASON, now)
    session.execute(delete(Answer).where(Answer.participant_id == participant.id))
    session.execute(delete(ParticipantTag).where(ParticipantTag.participant_id == participant.id))
    theirs = ChosenMeeting.participant_id == participant.id
    session.execute(update(ChosenMeeting).where(theirs).values(label=None))
    session.execute(
        update(ChosenMeeting).where(theirs, ChosenMeeting.ended_at.is_(None)).values(ended_at=now)
    )
    open_states = (EnrollmentStatus.WAITING, EnrollmentStatus.ACTIVE)
    session.execute(
        update(Enrollment)
        .where(Enrollment.participant_id == participant.id, Enrollment.status.in_(open_states))
        .values(status=EnrollmentStatus.ENDED, ended_at=now)
    )
    # How often somebody was texted tells how they were.
    rhythm = {
        "cadence_shift": 0,
        "stepped_up_on": None,
        "stepped_up_until": None,
        "less_at": None,
        "kept_on": None,
    }
    session.execute(update(Enrollment).where(Enrollment.participant_id == participant.id).values(rhythm))
    session.execute(
        update(Task)
        .where(Task.participant_id == participant.id, Task.closed_at.is_(None))
        .values(closed_at=now, closed_by="erasure", outcome=REASON)
    )
    participant.phone = participant.phone_hash = participant.phone_key_id = participant.name = None
    participant.area_timezones, participant.time_of_day = "", None
    participant.next_plan_at = participant.paused_until = participant.opt_in_asked_at = None
    participant.status, participant.erased_at = ParticipantStatus.ERASED, now
    session.flush()


def _forget_texts(session: Session, participant: Participant | None, inbound: list[int]) -> None:
    """Blank what we wrote, also answers to a number that never became a person."""
    blank = {"body": None, "fields": None, "recipient": None}
    if participant is not None:
        session.execute(update(Message).where(Message.participant_id == participant.id).values(blank))
    if inbound:
        session.execute(update(Message).where(Message.inbound_id.in_(inbound)).values(blank))
