"""What changes, and what is recorded, when somebody says yes or no. Called inside a transaction of others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session, object_session

from service.domain.consent import ConsentFacts, Standing
from service.domain.delivery import STOPPABLE, MessageState
from service.domain.local_time import local_date
from service.domain.phone import PhoneNumber, area_timezones, country_of
from service.store.base import table_of
from service.store.consent import (
    ConsentChannel,
    ConsentEvent,
    ConsentKind,
    Suppression,
    find_suppression,
    is_suppressed,
)
from service.store.conversations import Conversation
from service.store.keyring import Keyring
from service.store.messages import Message, MessageEvent
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    list_open_enrollments,
)
from service.store.service_state import list_missing_key_ids, record_key_use
from service.store.wake import wake_workers


@dataclass(frozen=True, slots=True)
class Evidence:
    """Who said it, through what, where the proof is, and when (aware UTC)."""

    channel: ConsentChannel
    actor: str
    source_id: str
    expressed_at: datetime


@dataclass(frozen=True, slots=True)
class Wording:
    """The exact words the person saw when they were asked."""

    text_id: str
    version: int
    body: str


_STANDINGS = {
    ParticipantStatus.LISTED: Standing.LISTED,
    ParticipantStatus.ASKED: Standing.ASKED,
    ParticipantStatus.ACTIVE: Standing.ACTIVE,
    ParticipantStatus.OPTED_OUT: Standing.OPTED_OUT,
    ParticipantStatus.ERASED: Standing.UNKNOWN,
}


def read_standing(
    participant: Participant | None, suppression: Suppression | None, *, is_enrolled: bool = False
) -> ConsentFacts:
    """Put together how a number stands. A suppression beats whatever the person's row says."""
    opted_out_at = suppression.opted_out_at if suppression else None
    if is_suppressed(suppression):
        return ConsentFacts(Standing.OPTED_OUT, opted_out_at, is_enrolled)
    standing = _STANDINGS[participant.status] if participant else Standing.UNKNOWN
    return ConsentFacts(standing, opted_out_at, is_enrolled)


class KeysMissingError(Exception):
    """A look-up key that rows depend on is not configured, so nobody can be said to be unknown."""

    def __init__(self) -> None:
        super().__init__("a look-up key in use is missing from LOOKUP_KEYS; see `aftercare doctor`")


@dataclass(frozen=True, slots=True)
class NewParticipant:
    """What is known about somebody when they are first listed."""

    phone: PhoneNumber
    timezone: str
    is_zone_confirmed: bool
    language: str = "en"
    name: str | None = None


def add_participant(session: Session, keyring: Keyring, new: NewParticipant, now: datetime) -> Participant:
    """Insert a participant who has agreed to nothing yet.

    Raises KeysMissingError while a look-up key that rows depend on is not configured: the number may be known
    under it, and stopped.
    """
    if list_missing_key_ids(session, keyring.lookup_key_ids):
        raise KeysMissingError
    lookup = keyring.hash_newest(new.phone.e164)
    record_key_use(session, lookup.key_id, now)
    participant = Participant(
        phone=new.phone.e164,
        phone_hash=lookup.value,
        phone_key_id=lookup.key_id,
        name=new.name,
        status=ParticipantStatus.LISTED,
        timezone=new.timezone,
        zone_is_confirmed=new.is_zone_confirmed,
        area_timezones="" if new.is_zone_confirmed else ",".join(area_timezones(new.phone)),
        language=new.language,
        country=country_of(new.phone),
        created_at=now,
    )
    session.add(participant)
    session.flush()
    return participant


def add_enrollment(session: Session, participant: Participant, program_id: str, now: datetime) -> Enrollment:
    """Return the open enrollment in a program, made if there is none. It waits for consent."""
    for enrollment in list_open_enrollments(session, participant.id):
        if enrollment.program_id == program_id:
            return enrollment
    enrollment = Enrollment(
        participant_id=participant.id,
        program_id=program_id,
        status=EnrollmentStatus.WAITING,
        created_at=now,
    )
    session.add(enrollment)
    session.flush()
    return enrollment


def record_consent_event(
    session: Session,
    kind: ConsentKind,
    evidence: Evidence,
    now: datetime,
    *,
    participant: Participant | None = None,
    suppression: Suppression | None = None,
    program_id: str | None = None,
    wording: Wording | None = None,
) -> None:
    """Append one declaration. Nothing ever changes or deletes it."""
    session.execute(
        insert(ConsentEvent).values(
            participant_id=participant.id if participant else None,
            suppression_id=suppression.id if suppression else None,
            kind=kind,
            channel=evidence.channel,
            actor=evidence.actor,
            source_id=evidence.source_id,
            program_id=program_id,
            wording_id=wording.text_id if wording else None,
            wording_version=wording.version if wording else None,
            wording=wording.body if wording else None,
            expressed_at=evidence.expressed_at,
            recorded_at=now,
        )
    )


def ask_for_consent(
    session: Session,
    participant: Participant,
    program_id: str,
    evidence: Evidence,
    wording: Wording,
    now: datetime,
) -> None:
    """Record that the person was asked, with the words they are shown."""
    if participant.status is not ParticipantStatus.ACTIVE:
        participant.status = ParticipantStatus.ASKED
    participant.opt_in_asked_at = now
    record_consent_event(
        session,
        ConsentKind.ASKED,
        evidence,
        now,
        participant=participant,
        program_id=program_id,
        wording=wording,
    )


def confirm_consent(
    session: Session,
    participant: Participant,
    kind: ConsentKind,
    evidence: Evidence,
    now: datetime,
    wording: Wording | None = None,
) -> None:
    """Make the person active and start every enrollment that waited.

    Day 0 is the discharge date when one is known, else the day they confirm. Nothing before today is
    ever planned.
    """
    participant.status = ParticipantStatus.ACTIVE
    participant.opt_in_asked_at = None
    today = local_date(now, ZoneInfo(participant.timezone))
    enrollments = list_open_enrollments(session, participant.id)
    waiting = [one for one in enrollments if one.status is EnrollmentStatus.WAITING]
    for enrollment in waiting:
        enrollment.status = EnrollmentStatus.ACTIVE
        enrollment.anchor_on = enrollment.discharge_on or today
        enrollment.started_on = today
        enrollment.started_at = now
    for enrollment in waiting or enrollments:  # what runs already was agreed to before
        record_consent_event(
            session,
            kind,
            evidence,
            now,
            participant=participant,
            program_id=enrollment.program_id,
            wording=wording or _wording_last_shown(session, participant.id),
        )
    plan_from(participant, now)


def plan_from(participant: Participant, now: datetime) -> None:
    """Have the planner look at this person's current day again, as soon as this is committed."""
    today = local_date(now, ZoneInfo(participant.timezone))
    if participant.planned_through is None or participant.planned_through < today:
        participant.planned_through = today - timedelta(days=1)
    participant.next_plan_at = now
    if session := object_session(participant):
        wake_workers(session)


def _wording_last_shown(session: Session, participant_id: int) -> Wording | None:
    query = (
        select(ConsentEvent)
        .where(ConsentEvent.participant_id == participant_id, ConsentEvent.kind == ConsentKind.ASKED)
        .order_by(ConsentEvent.id.desc())
    )
    event = session.scalars(query.limit(1)).first()
    if event is None or event.wording_id is None:
        return None
    return Wording(event.wording_id, event.wording_version or 1, event.wording or "")


def opt_out(
    session: Session,
    keyring: Keyring,
    phone: PhoneNumber,
    participant: Participant | None,
    evidence: Evidence,
    now: datetime,
    *,
    reason: str = "stop",
) -> bool:
    """Stop everything for a number, at once and in this transaction. Returns False if it already was.

    Locks the participant (already done by the caller), then the messages: the order that sending uses
    too, so that whoever commits first decides. What has not left is canceled; the open question ends.
    """
    suppression = find_suppression(session, phone, keyring)
    was_suppressed = is_suppressed(suppression)
    suppression = _suppress(session, keyring, phone, suppression, evidence, now, reason)
    if participant is not None:
        participant.status = ParticipantStatus.OPTED_OUT
        participant.next_plan_at = None
        participant.paused_until = None
        participant.opt_in_asked_at = None
        cancel_waiting(session, participant.id, "opted_out", now)
        close_conversation(session, participant.id, "opted_out", now)
    record_consent_event(
        session, ConsentKind.OPTED_OUT, evidence, now, participant=participant, suppression=suppression
    )
    return not was_suppressed


def opt_out_unread(session: Session, participant_id: int, now: datetime) -> None:
    """The person's side of an opt-out when their row cannot be read. The suppression is the caller's."""
    people = table_of(Participant)
    session.execute(
        update(people)
        .where(people.c.id == participant_id)
        .values(
            status=ParticipantStatus.OPTED_OUT, next_plan_at=None, paused_until=None, opt_in_asked_at=None
        )
    )
    cancel_waiting(session, participant_id, "opted_out", now)
    close_conversation(session, participant_id, "opted_out", now)


def _suppress(
    session: Session,
    keyring: Keyring,
    phone: PhoneNumber,
    suppression: Suppression | None,
    evidence: Evidence,
    now: datetime,
    reason: str,
) -> Suppression:
    if suppression is None:
        lookup = keyring.hash_newest(phone.e164)
        record_key_use(session, lookup.key_id, now)
        suppression = Suppression(
            phone_hash=lookup.value,
            phone_key_id=lookup.key_id,
            opted_out_at=evidence.expressed_at,
            reason=reason,
        )
        session.add(suppression)
        session.flush()
    elif suppression.lifted_at is not None:
        suppression.lifted_at = None
        suppression.opted_out_at = evidence.expressed_at
        suppression.reason = reason
    return suppression


def lift_suppression(suppression: Suppression | None, now: datetime) -> None:
    """Reopen a number: only after START words or a newer documented opt-in."""
    if suppression is not None and suppression.lifted_at is None:
        suppression.lifted_at = now


def cancel_waiting(session: Session, participant_id: int, reason: str, now: datetime) -> int:
    """Cancel every text of a person that has not left yet; returns how many."""
    rows = session.execute(
        select(Message.id, Message.state)
        .where(Message.participant_id == participant_id, Message.state.in_(STOPPABLE))
        .order_by(Message.id)
        .with_for_update()
    ).all()
    if not rows:
        return 0
    session.execute(
        update(Message)
        .where(Message.id.in_([row.id for row in rows]))
        .values(state=MessageState.CANCELED, reason=reason, claim_token=None, lease_until=None, final_at=now)
    )
    session.execute(
        insert(MessageEvent),
        [
            {
                "message_id": row.id,
                "at": now,
                "from_state": row.state,
                "to_state": MessageState.CANCELED,
                "reason": reason,
            }
            for row in rows
        ],
    )
    return len(rows)


def close_conversation(session: Session, participant_id: int, reason: str, now: datetime) -> None:
    session.execute(
        update(Conversation)
        .where(Conversation.participant_id == participant_id, Conversation.closed_at.is_(None))
        .values(closed_at=now, close_reason=reason)
    )


def days_in_program(session: Session, participant: Participant, now: datetime) -> int | None:
    """The highest day number over the person's running enrollments, None when nothing runs."""
    anchors = session.scalars(
        select(func.min(Enrollment.anchor_on)).where(
            Enrollment.participant_id == participant.id, Enrollment.status == EnrollmentStatus.ACTIVE
        )
    ).first()
    if anchors is None:
        return None
    return (local_date(now, ZoneInfo(participant.timezone)) - anchors).days
