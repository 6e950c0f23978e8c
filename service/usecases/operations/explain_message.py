"""The trail of one text: what it was for, every step with its reason, every try with its outcome."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.delivery import MessageState
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Participant
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.operations.reason_words import explain

Data = dict[str, Any]


class NoMessageError(Exception):
    """There is no message with this id."""

    def __init__(self, message_id: int) -> None:
        super().__init__(f"there is no message {message_id}; `aftercare participants show PHONE` lists some")


def explain_message(
    context: Context, message_id: int, by: str, now: datetime, *, show_text: bool = False
) -> Data:
    """Read the trail of a text. It holds no number; the words only with `show_text`, which is recorded.

    Raises NoMessageError.
    """
    with context.database.begin() as session:
        message = session.get(Message, message_id)
        if message is None:
            raise NoMessageError(message_id)
        zone = _zone_of(context, session, message)
        trail = _purpose(message, zone) | {
            "events": _events(session, message, zone),
            "attempts": _attempts(session, message, zone),
        }
        if show_text:
            trail["body"] = message.body
            session.add(AuditEvent(at=now, actor=by, action="text_shown", subject=f"message {message_id}"))
    return trail


def _zone_of(context: Context, session: Session, message: Message) -> ZoneInfo:
    person = session.get(Participant, message.participant_id) if message.participant_id else None
    return ZoneInfo(person.timezone if person else context.settings.org_timezone)


def _purpose(message: Message, zone: ZoneInfo) -> Data:
    return {
        "id": message.id,
        "participant_id": message.participant_id,
        "kind": str(message.kind),
        "text": message.text_id,
        "text_version": message.text_version,
        "source": message.source,
        "planned_for": message.dedupe_key,
        "timezone": zone.key,
        "planned": _time(message.created_at, zone),
        "not_before": _time(message.send_after, zone),
        "not_after": _time(message.send_before, zone),
        "due": _time(message.due_at, zone),
        "state": str(message.state),
        "reason": message.reason,
        "explanation": explain(str(message.state), message.reason),
        "tries": message.tries,
        "segments": message.segments,
    }


def _events(session: Session, message: Message, zone: ZoneInfo) -> list[Data]:
    query = select(MessageEvent).where(MessageEvent.message_id == message.id).order_by(MessageEvent.id)
    events = [
        _line(row.at, row.from_state, row.to_state, row.reason, row.detail, zone)
        for row in session.scalars(query)
    ]
    if events and events[0]["from"] is None:
        return events
    # What a plan makes is plain: that it was made, and when, stands in its row.
    return [_line(message.created_at, None, MessageState.PLANNED, None, None, zone), *events]


def _line(
    at: datetime, before: str | None, after: str, reason: str | None, detail: str | None, zone: ZoneInfo
) -> Data:
    return {
        "at": _time(at, zone),
        "from": before,
        "to": str(after),
        "reason": reason,
        "detail": detail,
        "explanation": explain(str(after), reason),
    }


def _attempts(session: Session, message: Message, zone: ZoneInfo) -> list[Data]:
    query = select(Attempt).where(Attempt.message_id == message.id).order_by(Attempt.number)
    return [
        {
            "number": row.number,
            "channel": row.channel,
            "started": _time(row.started_at, zone),
            "finished": _time(row.finished_at, zone),
            "outcome": row.outcome or "open",
            "provider_message_id": row.provider_message_id,
            "error_code": row.error_code,
            "http_status": row.http_status,
            "looked_up_and_absent": row.absences,
        }
        for row in session.scalars(query)
    ]


def _time(at: datetime | None, zone: ZoneInfo) -> Data | None:
    """An instant as UTC and as the person's wall clock."""
    if at is None:
        return None
    return {
        "utc": at.isoformat(timespec="seconds"),
        "local": at.astimezone(zone).isoformat(timespec="seconds"),
    }
