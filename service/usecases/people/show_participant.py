"""Everything staff may see of one person, put together for reading. Looking is recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.delivery import STOPPABLE
from service.domain.phone import PhoneNumber
from service.store.consent import find_suppression, is_suppressed, list_consent_events
from service.store.inbound import Task
from service.store.meetings import list_chosen
from service.store.messages import Message
from service.store.participants import Enrollment, Participant, find_participant, list_tags
from service.store.staff import AuditEvent
from service.usecases.context import Context

LAST_TEXTS = 10
NEXT_TEXTS = 10
Data = dict[str, Any]


class NobodyError(Exception):
    """Nobody with this number is known; the message does not repeat it."""

    def __init__(self) -> None:
        super().__init__("nobody with this number is known; see `aftercare participants import`")


def mask(phone: str | None) -> str | None:
    """A number with only its last two digits left."""
    return None if phone is None else f"...{phone[-2:]}"


def show_participant(context: Context, phone: PhoneNumber, by: str, now: datetime) -> Data:
    """Read one person's standing, texts and open tasks. Commits the record of having looked.

    Raises NobodyError.
    """
    with context.database.begin() as session:
        participant = find_participant(session, phone, context.keyring)
        if participant is None:
            raise NobodyError
        suppression = find_suppression(session, phone, context.keyring)
        session.add(
            AuditEvent(at=now, actor=by, action="participant_shown", subject=f"participant {participant.id}")
        )
        return _profile(participant) | {
            "is_suppressed": is_suppressed(suppression),
            "opted_out_at": suppression.opted_out_at if suppression else None,
            "tags": list_tags(session, participant.id),
            "enrollments": _enrollments(session, participant.id),
            "consent_events": _consent(session, participant.id),
            "next_texts": _texts(session, participant, is_waiting=True),
            "last_texts": _texts(session, participant, is_waiting=False),
            "meetings": list_chosen_meetings(session, participant.id),
            "tasks": _tasks(session, participant.id),
        }


def _profile(participant: Participant) -> Data:
    return {
        "id": participant.id,
        "phone": mask(participant.phone),
        "name": participant.name,
        "status": str(participant.status),
        "timezone": participant.timezone,
        "timezone_is_confirmed": participant.zone_is_confirmed,
        "language": participant.language,
        "wants_plain": participant.wants_plain,
        "time_of_day": str(participant.time_of_day) if participant.time_of_day else None,
        "paused_until": participant.paused_until,
        "next_plan_at": participant.next_plan_at,
        "created_at": participant.created_at,
    }


def _enrollments(session: Session, participant_id: int) -> list[Data]:
    query = select(Enrollment).where(Enrollment.participant_id == participant_id).order_by(Enrollment.id)
    return [
        {
            "id": row.id,
            "program": row.program_id,
            "status": str(row.status),
            "discharge_on": row.discharge_on,
            "day_zero_on": row.anchor_on,
            "started_on": row.started_on,
            "rows_sparser": row.cadence_shift,
            "stepped_up_on": row.stepped_up_on,
            "stepped_up_until": row.stepped_up_until,
            "less_at": row.less_at,
            "kept_on": row.kept_on,
        }
        for row in session.scalars(query)
    ]


def _consent(session: Session, participant_id: int) -> list[Data]:
    return [
        {
            "kind": str(row.kind),
            "channel": str(row.channel),
            "by": row.actor,
            "source": row.source_id,
            "program": row.program_id,
            "expressed_at": row.expressed_at,
            "recorded_at": row.recorded_at,
            "wording_id": row.wording_id,
            "wording_version": row.wording_version,
            "wording": row.wording,
        }
        for row in list_consent_events(session, participant_id)
    ]


def _texts(session: Session, participant: Participant, *, is_waiting: bool) -> list[Data]:
    zone = ZoneInfo(participant.timezone)
    query = select(Message).where(Message.participant_id == participant.id)
    if is_waiting:
        query = query.where(Message.state.in_(STOPPABLE)).order_by(Message.due_at, Message.id)
        query = query.limit(NEXT_TEXTS)
    else:
        query = query.where(Message.state.not_in(STOPPABLE)).order_by(Message.id.desc())
        query = query.limit(LAST_TEXTS)
    return [
        {
            "id": row.id,
            "kind": str(row.kind),
            "text": row.text_id,
            "state": str(row.state),
            "reason": row.reason,
            "due_at": row.due_at,
            "due_local": row.due_at.astimezone(zone).isoformat(timespec="minutes"),
        }
        for row in session.scalars(query)
    ]


def list_chosen_meetings(session: Session, participant_id: int) -> list[Data]:
    """The meetings a person wants to be reminded of, for people and for `--json`."""
    return [
        {
            "id": meeting.id,
            "name": meeting.name,
            "weekday": meeting.weekday,
            "starts_at": meeting.starts_at.isoformat("minutes"),
            "timezone": meeting.timezone,
            "label": chosen.label,
            "minutes_before": chosen.minutes_before,
            "is_gone": meeting.vanished_at is not None or meeting.is_closed,
        }
        for chosen, meeting in list_chosen(session, participant_id)
    ]


def _tasks(session: Session, participant_id: int) -> list[Data]:
    query = select(Task).where(Task.participant_id == participant_id, Task.closed_at.is_(None))
    return [
        {"id": row.id, "kind": str(row.kind), "reason": row.reason, "created_at": row.created_at}
        for row in session.scalars(query.order_by(Task.id))
    ]
