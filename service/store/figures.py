"""Figures for monitoring and for the check-up: counts and ages, served by an index or bounded.

None reads a number, a name or a text. Conditions in SQL repeat a partial index word for word: with parameters
a prepared plan could not use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import ColumnElement, Text, func, select, text, type_coerce
from sqlalchemy.orm import Session

from service.domain.delivery import MessageState
from service.domain.kinds import Lane
from service.store.base import table_of
from service.store.consent import Suppression
from service.store.inbound import InboundMessage, Task, TaskKind
from service.store.keyring import DecryptionError, Keyring
from service.store.messages import Attempt, Message
from service.store.participants import Participant

MOST_WAITING = 50_000
"""So many of the texts that wait in a lane are looked at, those due first."""

MOST_ATTEMPTS = 200_000
"""So many of the newest tries are looked at."""

_HELD_AHEAD = timedelta(days=2)
_PROBED_ROWS = 50
_CHECK_EVERY_STEPS = 10_000

_MESSAGES, _ATTEMPTS, _TASKS = table_of(Message), table_of(Attempt), table_of(Task)
_SUPPRESSIONS, _INBOUND = table_of(Suppression), table_of(InboundMessage)
_PARTICIPANTS = table_of(Participant)
_IS_WAITING = text("messages.state IN ('planned', 'held')")
_IS_LEASED = text("messages.state IN ('claimed', 'sending')")
_IS_UNKNOWN = text("messages.state = 'unknown'")


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many there are, and since when the oldest."""

    count: int
    oldest_at: datetime | None


@contextmanager
def time_limit(session: Session, seconds: float) -> Iterator[None]:
    """Let no statement of this transaction run for longer. Past it OperationalError is raised."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
        yield
        return
    until = monotonic() + seconds
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(lambda: monotonic() > until, _CHECK_EVERY_STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def list_due_by_lane(session: Session, now: datetime) -> dict[Lane, Backlog]:
    """What is due and waits, by lane. A count stops at MOST_WAITING."""
    found = {}
    for lane in Lane:
        due = select(_MESSAGES.c.due_at).where(
            _IS_WAITING, _MESSAGES.c.lane == lane, _MESSAGES.c.due_at <= now
        )
        first = due.order_by(_MESSAGES.c.due_at).limit(MOST_WAITING).subquery()
        found[lane] = Backlog(*session.execute(select(func.count(), func.min(first.c.due_at))).one())
    return found


def count_held(session: Session, now: datetime) -> dict[str, int]:
    """Held texts by their reason, among the first MOST_WAITING of each lane that are due within two days."""
    counts: dict[str, int] = {}
    for lane in Lane:
        waiting = (
            select(_MESSAGES.c.state, _MESSAGES.c.reason)
            .where(_IS_WAITING, _MESSAGES.c.lane == lane, _MESSAGES.c.due_at <= now + _HELD_AHEAD)
            .order_by(_MESSAGES.c.due_at)
            .limit(MOST_WAITING)
            .subquery()
        )
        held = select(waiting.c.reason, func.count()).where(waiting.c.state == MessageState.HELD)
        for reason, count in session.execute(held.group_by(waiting.c.reason)):
            counts[reason or "none"] = counts.get(reason or "none", 0) + count
    return counts


def count_lost_leases(session: Session, before: datetime) -> int:
    """Texts whose lease ran out before an instant of the database's real time, and nobody took them back."""
    query = select(func.count()).select_from(_MESSAGES).where(_IS_LEASED, _MESSAGES.c.lease_until < before)
    return session.execute(query).scalar_one()


def find_unknown(session: Session) -> Backlog:
    """Texts whose fate is not known, and when the oldest of their tries began."""
    counted = select(func.count()).select_from(_MESSAGES).where(_IS_UNKNOWN)
    started = (
        select(func.min(_ATTEMPTS.c.started_at))
        .join(_MESSAGES, _MESSAGES.c.id == _ATTEMPTS.c.message_id)
        .where(_IS_UNKNOWN)
    )
    count = session.execute(counted).scalar_one()
    return Backlog(count, session.execute(started).scalar() if count else None)


def find_open_tasks(session: Session, kind: TaskKind | None = None) -> Backlog:
    """What waits for a human, all of it or of one kind."""
    query = select(func.count(), func.min(_TASKS.c.created_at)).where(_TASKS.c.closed_at.is_(None))
    if kind is not None:
        query = query.where(_TASKS.c.kind == kind)
    return Backlog(*session.execute(query).one())


def count_opt_outs(session: Session, since: datetime) -> tuple[int, int]:
    """Numbers that must not be texted: all of them, and those since an instant."""
    is_open = _SUPPRESSIONS.c.lifted_at.is_(None)
    recent = func.count().filter(_SUPPRESSIONS.c.opted_out_at >= since)
    total, last = session.execute(select(func.count(), recent).where(is_open)).one()
    return total, last


def count_texts(session: Session, since: datetime, until: datetime) -> dict[str, int]:
    """Texts by state, of those due between two instants."""
    query = select(_MESSAGES.c.state, func.count()).where(*_due_between(since, until))
    return {str(state): count for state, count in session.execute(query.group_by(_MESSAGES.c.state))}


def count_segments(session: Session, since: datetime, until: datetime) -> int:
    """Segments of the texts due between two instants that the provider took."""
    query = select(func.coalesce(func.sum(_MESSAGES.c.segments), 0)).where(
        *_due_between(since, until), _MESSAGES.c.accepted_at.is_not(None)
    )
    return int(session.execute(query).scalar_one())


def _due_between(since: datetime, until: datetime) -> tuple[ColumnElement[bool], ...]:
    # Asking the provider about a text moves its `due_at` to a later day, on which it did not leave.
    left_at = func.coalesce(_MESSAGES.c.accepted_at, _MESSAGES.c.due_at)
    return _MESSAGES.c.due_at >= since, _MESSAGES.c.due_at <= until, left_at >= since


def count_attempts(session: Session, since: datetime) -> dict[str, int]:
    """Tries by outcome since an instant, among the newest MOST_ATTEMPTS. One that has none yet is `none`."""
    newest = (
        select(_ATTEMPTS.c.outcome, _ATTEMPTS.c.started_at)
        .order_by(_ATTEMPTS.c.id.desc())
        .limit(MOST_ATTEMPTS)
        .subquery()
    )
    query = select(newest.c.outcome, func.count()).where(newest.c.started_at >= since)
    return {outcome or "none": count for outcome, count in session.execute(query.group_by(newest.c.outcome))}


def list_waits(session: Session, since: datetime, most: int) -> list[float]:
    """Seconds from due to accepted by the provider, shortest first.

    Of the texts that the provider took at the first try since an instant, among the newest `most` tries.
    """
    newest = select(_ATTEMPTS).order_by(_ATTEMPTS.c.id.desc()).limit(most).subquery()
    query = (
        select(_MESSAGES.c.due_at, _MESSAGES.c.accepted_at)
        .join(newest, newest.c.message_id == _MESSAGES.c.id)
        .where(newest.c.channel == "api", newest.c.number == 1, newest.c.started_at >= since)
        .where(_MESSAGES.c.accepted_at.is_not(None))
    )
    # A text whose fate was unclear was looked at again later: what it was due at first is not kept.
    return sorted((taken - due).total_seconds() for due, taken in session.execute(query) if taken >= due)


def count_unreadable(session: Session, keyring: Keyring) -> tuple[int, int]:
    """How many of the oldest and newest stored values no encryption key opens, and how many were tried."""
    unreadable = total = 0
    for table, column in (
        (_PARTICIPANTS, _PARTICIPANTS.c.phone),
        (_MESSAGES, _MESSAGES.c.recipient),
        (_INBOUND, _INBOUND.c.raw),
    ):
        stored = type_coerce(column, Text).label("stored")
        for order in (table.c.id.asc(), table.c.id.desc()):
            rows = select(stored).order_by(order).limit(_PROBED_ROWS)
            for value in session.scalars(rows):
                if value is not None:
                    total += 1
                    unreadable += not _opens(keyring, value)
    return unreadable, total


def _opens(keyring: Keyring, value: str) -> bool:
    try:
        keyring.decrypt(value)
    except DecryptionError:
        return False
    return True
