"""The staff list: what waits for a human, and closing it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.domain.phone import may_hold_number
from service.store.inbound import Task, list_open_tasks
from service.store.staff import AuditEvent
from service.usecases.context import Context

MAX_OUTCOME = 40


class TaskError(Exception):
    """The task cannot be closed as asked; the message says why in one line."""


def list_tasks(context: Context, now: datetime) -> list[dict[str, Any]]:
    """Open tasks, oldest first: ids and reason words, no numbers and no texts."""
    with context.database.read() as session:
        return [
            {
                "id": row.id,
                "kind": str(row.kind),
                "reason": row.reason,
                "age_minutes": max(0, int((now - row.created_at).total_seconds() // 60)),
                "participant_id": row.participant_id,
                "inbound_id": row.inbound_id,
                "message_id": row.message_id,
                "created_at": row.created_at,
            }
            for row in list_open_tasks(session)
        ]


def close_task(context: Context, task_id: int, outcome: str, by: str, now: datetime) -> bool:
    """Close a task; False if it was closed before. Commits once. Raises TaskError."""
    words = " ".join(outcome.split())
    if not 1 <= len(words) <= MAX_OUTCOME:
        raise TaskError(f"the outcome needs 1 to {MAX_OUTCOME} characters, such as called")
    if may_hold_number(words):
        raise TaskError("the outcome must not hold a telephone number; say what was done")
    with context.database.begin() as session:
        task = session.get(Task, task_id, with_for_update=True)
        if task is None:
            raise TaskError(f"there is no task {task_id}; see `aftercare tasks list`")
        if task.closed_at is not None:
            return False
        task.closed_at, task.closed_by, task.outcome = now, by, words
        session.add(AuditEvent(at=now, actor=by, action="task_closed", subject=f"task {task_id}"))
    return True
