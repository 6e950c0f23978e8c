"""Leases on texts that have left: one worker asks the provider about a text, and a dead one's are free."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, TextClause, func, or_, select, text, update
from sqlalchemy.orm import Session

from service.store.bulk import is_one_of
from service.store.database import real_now
from service.store.messages import Attempt, Message

UNKNOWN = text("messages.state = 'unknown'")
SILENT = text("messages.state IN ('accepted', 'sent') AND messages.final_at IS NULL")
"""Written out as the partial indexes have it, so that they serve prepared statements, too."""


def last_tries(message_ids: Sequence[int]) -> Select[int]:
    """Ids of the newest try of each of these texts."""
    tries = select(func.max(Attempt.id)).where(Attempt.message_id.in_(message_ids))
    return tries.group_by(Attempt.message_id)


def end_lease(session: Session, message_id: int, **changes: Any) -> None:
    """Let a text go again, which its caller holds locked, with these further columns changed."""
    session.execute(
        update(Message)
        .where(Message.id == message_id)
        .values(claim_token=None, lease_until=None, **changes)
        .execution_options(synchronize_session=False)
    )


def lease_texts(
    session: Session, which: TextClause, due_at: datetime, claim_token: str, size: int, lease: timedelta
) -> list[int]:
    """Take a lease, by the database's clock, on up to `size` texts due at `due_at`, oldest first.

    Rows that another worker holds or has a lease on are skipped.
    """
    real = real_now(session)
    query = (
        select(Message.id)
        .where(which, Message.due_at <= due_at)
        .where(or_(Message.lease_until.is_(None), Message.lease_until < real))
        .order_by(Message.due_at)
        .limit(size)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(query))
    if ids:
        session.execute(
            update(Message)
            .where(is_one_of(session, Message.id, ids))
            .values(claim_token=claim_token, lease_until=real + lease)
            .execution_options(synchronize_session=False)
        )
    return ids
