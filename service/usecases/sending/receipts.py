"""Receipts: the provider tells the fate of a try. Late, doubled and out of order is normal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.delivery import MessageState, next_state_on_receipt
from service.domain.provider_answers import AnswerClass, classify_receipt
from service.store.inbound import TaskKind, add_task
from service.store.messages import Attempt, Message
from service.store.participants import get_participant
from service.usecases.context import Context
from service.usecases.sending.outcomes import close_question_of, record_provider_opt_out
from service.usecases.sending.steps import Step, take_step

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One status callback."""

    reference: str
    provider_message_id: str | None
    status: str
    error_code: int | None


def record_receipt(context: Context, receipt: Receipt, now: datetime) -> bool:
    """Apply one receipt; False when its reference is not ours. Commits once; repeats change nothing."""
    with context.database.begin() as session:
        found = session.execute(
            select(Attempt.id, Attempt.message_id, Message.participant_id)
            .join(Message, Message.id == Attempt.message_id)
            .where(Attempt.reference == receipt.reference.replace("\0", ""))
        ).first()
        if found is None:
            log.warning("receipt_without_attempt", status=receipt.status[:20])
            return False
        if found.participant_id is not None:
            get_participant(session, found.participant_id, lock=True)
        message = session.scalars(
            select(Message).where(Message.id == found.message_id).with_for_update()
        ).one()
        _keep_provider_id(session, found.id, receipt, now)
        _move(context, session, message, receipt, now)
    return True


def _keep_provider_id(session: Session, attempt_id: int, receipt: Receipt, now: datetime) -> None:
    values: dict[str, Any] = {"finished_at": now}
    if receipt.error_code is not None:
        values["error_code"] = receipt.error_code
    session.execute(update(Attempt).where(Attempt.id == attempt_id).values(values))
    provider_message_id = (receipt.provider_message_id or "").replace("\0", "")[:40]
    if not provider_message_id:
        return
    query = select(Attempt.id).where(Attempt.provider_message_id == provider_message_id)
    if session.scalars(query).first() not in (None, attempt_id):
        log.warning("receipt_with_id_of_another_try")
        return
    session.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.provider_message_id.is_(None))
        .values(provider_message_id=provider_message_id)
    )


def _move(context: Context, session: Session, message: Message, receipt: Receipt, now: datetime) -> None:
    before = message.state
    after = next_state_on_receipt(before, receipt.status)
    if after is None:
        return
    changes: dict[str, Any] = {}
    if message.accepted_at is None:
        changes["accepted_at"] = now
    if after in (MessageState.SENT, MessageState.DELIVERED) and message.sent_at is None:
        changes["sent_at"] = now
    detail = f"code {receipt.error_code}" if receipt.error_code else None
    take_step(
        session, Step(message.id, before, after, f"receipt_{receipt.status}"[:40], detail, changes), now
    )
    if after in (MessageState.FAILED, MessageState.UNDELIVERED):
        _after_failure(context, session, message, receipt, now)


def _after_failure(
    context: Context, session: Session, message: Message, receipt: Receipt, now: datetime
) -> None:
    close_question_of(session, message.id, now)
    if classify_receipt(receipt.status, receipt.error_code) is AnswerClass.CONSENT:
        record_provider_opt_out(context, session, message, now)
        return
    add_task(
        session,
        TaskKind.FAILED_TEXT,
        receipt.status[:40],
        now,
        participant_id=message.participant_id,
        message_id=message.id,
    )
