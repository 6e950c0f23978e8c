"""Rows for the tests of what is looked at from outside: the check-up and the metrics."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert

from service.domain.delivery import MessageState
from service.domain.kinds import Lane
from service.store.database import Database
from service.store.inbound import Task, TaskKind
from service.store.messages import Attempt, Message
from tests.conftest import NOW

PRIVATE_BODY = "purple umbrella"
PRIVATE_NUMBER = "+12025550147"


def add_text(
    database: Database,
    key: str,
    state: MessageState,
    due: timedelta = timedelta(0),
    *,
    lane: Lane = Lane.REST,
    reason: str | None = None,
    segments: int | None = None,
    accepted: timedelta | None = None,
    lease_until: datetime | None = None,
) -> int:
    """One text, due and accepted so long after NOW; it carries a number and a body."""
    values = {
        "dedupe_key": key,
        "source": "t1",
        "kind": "tip",
        "lane": int(lane),
        "text_id": "admin/welcome",
        "body": PRIVATE_BODY,
        "recipient": PRIVATE_NUMBER,
        "send_after": NOW,
        "send_before": NOW + timedelta(days=1),
        "due_at": NOW + due,
        "state": state,
        "reason": reason,
        "segments": segments,
        "created_at": NOW,
        "accepted_at": None if accepted is None else NOW + accepted,
        "lease_until": lease_until,
    }
    with database.begin() as session:
        return session.execute(insert(Message).values(values).returning(Message.id)).scalar_one()


def add_attempt(
    database: Database, message_id: int, outcome: str | None, started: timedelta, number: int = 1
) -> None:
    with database.begin() as session:
        session.add(
            Attempt(
                message_id=message_id,
                number=number,
                channel="api",
                reference=f"r{message_id}-{number}",
                outcome=outcome,
                started_at=NOW + started,
            )
        )


def add_task(database: Database, kind: TaskKind, age: timedelta, *, is_closed: bool = False) -> None:
    with database.begin() as session:
        closed = NOW if is_closed else None
        session.add(Task(kind=kind, reason="test", created_at=NOW - age, closed_at=closed))
