"""Figures for monitoring, read from the database that all processes share. No number, no name, no text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from service.domain.delivery import WAITING, MessageState
from service.store.consent import Suppression
from service.store.inbound import Task
from service.store.messages import Message
from service.store.service_state import ServiceSetting
from service.usecases.context import Context

RECENT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Measures:
    """One reading. Ages are in seconds; None where there is nothing to measure."""

    texts_by_state: dict[str, int]
    segments_last_day: int
    oldest_due_age: float
    unknown: int
    open_tasks: int
    suppressed: int
    tick_age: float | None


def read_measures(context: Context, now: datetime) -> Measures:
    """Read every figure in one transaction. Counts of texts cover those created in the last day."""
    with context.database.read() as session:
        since = now - RECENT
        states = session.execute(
            select(Message.state, func.count()).where(Message.due_at >= since).group_by(Message.state)
        )
        by_state = {str(state): count for state, count in states}
        segments = session.execute(
            select(func.coalesce(func.sum(Message.segments), 0)).where(
                Message.due_at >= since, Message.accepted_at.is_not(None)
            )
        ).scalar_one()
        oldest = session.execute(
            select(func.min(Message.due_at)).where(Message.state.in_(WAITING), Message.due_at <= now)
        ).scalar()
        unknown = session.execute(
            select(func.count()).select_from(Message).where(Message.state == MessageState.UNKNOWN)
        ).scalar_one()
        tasks = session.execute(
            select(func.count()).select_from(Task).where(Task.closed_at.is_(None))
        ).scalar_one()
        suppressed = session.execute(
            select(func.count()).select_from(Suppression).where(Suppression.lifted_at.is_(None))
        ).scalar_one()
        tick = session.scalars(
            select(ServiceSetting.changed_at).where(ServiceSetting.name == "last_tick")
        ).first()
    return Measures(
        texts_by_state=by_state,
        segments_last_day=segments or 0,
        oldest_due_age=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        unknown=unknown,
        open_tasks=tasks,
        suppressed=suppressed,
        tick_age=(now - tick).total_seconds() if tick else None,
    )
