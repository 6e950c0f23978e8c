"""Take back reminders that were planned for a meeting's old time or wording."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.delivery import STOPPABLE, MessageState
from service.store.messages import Message
from service.usecases.sending.steps import Step, record_steps


def cancel_reminders(session: Session, chosen_ids: Sequence[int], reason: str, now: datetime) -> int:
    """Cancel what is planned for these choices of meetings and has not left; returns how many.

    The caller has locked the people: people first, then texts, is the order that sending keeps too.
    """
    rows = session.execute(
        select(Message.id, Message.state)
        .where(Message.source.in_([f"m{one}" for one in chosen_ids]), Message.state.in_(STOPPABLE))
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
    steps = [Step(row.id, MessageState(row.state), MessageState.CANCELED, reason) for row in rows]
    record_steps(session, steps, now)
    return len(rows)
