"""Figures for monitoring, read from the database that all processes share. No number, no name, no text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.logs import describe_fault
from service.store.database import real_now
from service.store.figures import (
    count_attempts,
    count_held,
    count_opt_outs,
    count_segments,
    count_texts,
    find_open_tasks,
    find_unknown,
    list_due_by_lane,
    list_waits,
    time_limit,
)
from service.store.inbound import TaskKind
from service.store.pacing import SENDER, Sender
from service.store.service_state import ServiceSetting
from service.usecases.context import Context

log = structlog.get_logger(__name__)

RECENT = timedelta(days=1)
LATELY = timedelta(hours=1)
MOST_WAITS = 10_000
FIGURE_SECONDS = 1.0
ALL_SECONDS = 5.0
QUANTILES = (0.5, 0.95, 0.99)

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value; `labels` are pairs of name and value from closed sets of ours."""

    value: float
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured, with its unit in its name, and its samples (none: nothing to measure)."""

    name: str
    what: str
    samples: tuple[Sample, ...]


Reader = Callable[[Context, Session, datetime], list[Figure]]


def read_figures(context: Context, now: datetime) -> list[Figure]:
    """Read every figure, each group in a transaction of its own with a limit of its own.

    A group that fails or takes longer than a second is left out, and `unread_figures` says so; after five
    seconds what is left is left out too. Raises what the database raises when it is away.
    """
    until = monotonic() + ALL_SECONDS
    figures = _read(_tick, context, now)  # the smallest: if this cannot be read, nothing can
    failed = []
    for name, reader in _READERS.items():
        if monotonic() > until:
            failed.append(Sample(1, (("figure", name),)))
            continue
        try:
            figures += _read(reader, context, now)
            failed.append(Sample(0, (("figure", name),)))
        except Exception as error:
            log.warning("figure_unread", figure=name, **describe_fault(error))
            failed.append(Sample(1, (("figure", name),)))
    return [*figures, Figure("unread_figures", "Whether a group of figures could not be read", tuple(failed))]


def _read(reader: Reader, context: Context, now: datetime) -> list[Figure]:
    with context.database.read() as session, time_limit(session, FIGURE_SECONDS):
        return reader(context, session, now)


def _tick(_context: Context, session: Session, now: datetime) -> list[Figure]:
    tick = session.scalars(
        select(ServiceSetting.changed_at).where(ServiceSetting.name == "last_tick")
    ).first()
    return [_age("tick_age_seconds", "Time since a worker was last seen", tick, now)]


def _due(_context: Context, session: Session, now: datetime) -> list[Figure]:
    lanes = list_due_by_lane(session, now)
    oldest = min((lane.oldest_at for lane in lanes.values() if lane.oldest_at), default=now)
    ages, counts = [], []
    for lane, backlog in lanes.items():
        labels = (("lane", lane.name.lower()),)
        ages.append(Sample(_seconds(now - (backlog.oldest_at or now)), labels))
        counts.append(Sample(backlog.count, labels))
    return [
        _one("oldest_due_seconds", "Age of the oldest text that is due", _seconds(now - oldest)),
        Figure("oldest_due_by_lane_seconds", "Age of the oldest text that is due, by lane", tuple(ages)),
        Figure("due_texts", "Texts that are due and wait, by lane; stops at 50,000", tuple(counts)),
    ]


def _states(_context: Context, session: Session, now: datetime) -> list[Figure]:
    counts = count_texts(session, now - RECENT, now)
    return [_by("texts", "Texts due in the last day, by state", "state", counts)]


def _segments(_context: Context, session: Session, now: datetime) -> list[Figure]:
    return [_one("segments", "Segments sent in the last day", count_segments(session, now - RECENT, now))]


def _held(_context: Context, session: Session, now: datetime) -> list[Figure]:
    held = count_held(session, now)
    return [_by("held_texts", "Texts held for now, by reason", "reason", held)]


def _unknown(_context: Context, session: Session, now: datetime) -> list[Figure]:
    unknown = find_unknown(session)
    return [
        _one("unknown_texts", "Texts whose fate is not known", unknown.count),
        _age(
            "oldest_unknown_seconds", "Age of the oldest try whose fate is not known", unknown.oldest_at, now
        ),
    ]


def _tasks(_context: Context, session: Session, now: datetime) -> list[Figure]:
    tasks = find_open_tasks(session)
    unresolved = find_open_tasks(session, TaskKind.UNRESOLVED_TEXT)
    return [
        _one("open_tasks", "What waits for a human", tasks.count),
        _age("oldest_open_task_seconds", "Age of what waits longest for a human", tasks.oldest_at, now),
        _one("unresolved_texts", "Texts nobody could tell the fate of, not yet looked at", unresolved.count),
    ]


def _opt_outs(_context: Context, session: Session, now: datetime) -> list[Figure]:
    total, recent = count_opt_outs(session, now - RECENT)
    return [
        _one("opted_out_numbers", "Numbers that must not be texted", total),
        _one("opt_outs_last_day", "Numbers opted out in the last day", recent),
    ]


def _attempts(_context: Context, session: Session, now: datetime) -> list[Figure]:
    counts = count_attempts(session, now - RECENT)
    return [_by("attempts", "Attempts of the last day, by outcome; the newest 200,000", "outcome", counts)]


def _waits(_context: Context, session: Session, now: datetime) -> list[Figure]:
    waits = list_waits(session, now - LATELY, MOST_WAITS)
    samples = tuple(
        Sample(waits[min(len(waits) - 1, int(quantile * len(waits)))], (("quantile", f"{quantile}"),))
        for quantile in QUANTILES
        if waits
    )
    longest = (Sample(waits[-1]),) if waits else ()
    what = "Time from due to accepted in the last hour, the newest 10,000 attempts"
    return [
        Figure("due_to_accepted_seconds", what, samples),
        Figure("due_to_accepted_longest_seconds", f"{what}: the longest", longest),
    ]


def _sender(context: Context, session: Session, _now: datetime) -> list[Figure]:
    row = session.execute(
        select(Sender.next_at, Sender.backoff_step, Sender.blocked_until).where(Sender.name == SENDER)
    ).first()
    now = real_now(session)
    rate = context.settings.segments_per_second
    pace = (Sample(rate),) if rate is not None else ()
    ahead = _seconds(row.next_at - now) if row else 0.0
    blocked = _seconds(row.blocked_until - now) if row and row.blocked_until else 0.0
    return [
        Figure("sender_segments_per_second", "Pace of the sender; absent when it is unlimited", pace),
        _one("sender_booked_seconds", "How far ahead the sender is booked or backing off", ahead),
        _one(
            "sender_backoff_step", "How often in a row we were told to wait", row.backoff_step if row else 0
        ),
        _one("sender_blocked_seconds", "How long nothing unprompted leaves, by the provider's word", blocked),
    ]


_READERS: Mapping[str, Reader] = {
    "due": _due,
    "unknown": _unknown,
    "tasks": _tasks,
    "sender": _sender,
    "opt_outs": _opt_outs,
    "held": _held,
    "states": _states,
    "segments": _segments,
    "attempts": _attempts,
    "due_to_accepted": _waits,
}


def _one(name: str, what: str, value: float) -> Figure:
    return Figure(name, what, (Sample(value),))


def _age(name: str, what: str, since: datetime | None, now: datetime) -> Figure:
    return Figure(name, what, (Sample(_seconds(now - since)),) if since else ())


def _by(name: str, what: str, label: str, counts: Mapping[str, int]) -> Figure:
    return Figure(name, what, tuple(Sample(counts[key], ((label, key),)) for key in sorted(counts)))


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())
