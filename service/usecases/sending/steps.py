"""One step in a message's life: the state change and its line in the trail, always together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from service.domain.delivery import FINAL, MessageState, check_transition
from service.store.messages import Message, MessageEvent

_CLAIM_ENDS = {"claim_token": None, "lease_until": None}


@dataclass(frozen=True, slots=True)
class Step:
    """Move message `message_id` from one state to another. `changes` are further columns to set."""

    message_id: int
    before: MessageState
    after: MessageState
    reason: str | None = None
    detail: str | None = None
    changes: dict[str, Any] | None = None


def take_step(
    session: Session, step: Step, now: datetime, *, claim_token: str | None = None, is_told: bool = True
) -> bool:
    """Take one step if the message still stands where we think it does; False if it moved on meanwhile.

    With `claim_token` the step is only taken by the worker that owns the claim, so one that woke up late
    cannot overwrite a newer owner. `is_told` is False for a step that the trail holds already. Raises
    IllegalTransitionError for a step that no message may take.
    """
    check_transition(step.before, step.after)
    values: dict[str, Any] = {"state": step.after, "reason": step.reason} | (step.changes or {})
    if step.after in FINAL:
        values["final_at"] = now
    if step.after not in (MessageState.CLAIMED, MessageState.SENDING):
        values |= _CLAIM_ENDS
    query = update(Message).where(Message.id == step.message_id, Message.state == step.before).values(values)
    if claim_token is not None:
        query = query.where(Message.claim_token == claim_token)
    if session.execute(query.execution_options(synchronize_session=False)).rowcount != 1:  # type: ignore[attr-defined]
        return False
    if is_told:
        record_steps(session, [step], now)
    return True


def record_steps(session: Session, steps: Sequence[Step], now: datetime) -> None:
    """Append the trail of steps already taken."""
    if steps:
        session.execute(
            insert(MessageEvent),
            [
                {
                    "message_id": step.message_id,
                    "at": now,
                    "from_state": step.before,
                    "to_state": step.after,
                    "reason": step.reason,
                    "detail": step.detail,
                }
                for step in steps
            ],
        )
