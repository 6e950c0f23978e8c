"""Receipts: the provider tells the fate of a try. Late, doubled and out of order is normal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.domain.delivery import FINAL, MessageState, next_state_on_receipt
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.look_ups import ABSENT_AFTER
from service.domain.provider_answers import AnswerClass, classify_receipt, known_code
from service.domain.retry import next_try_after_receipt
from service.store.database import real_now
from service.store.inbound import TaskKind, add_task
from service.store.messages import Attempt, Message
from service.store.pacing import charge_sender
from service.store.participants import get_participant
from service.usecases.context import Context
from service.usecases.sending.consequences import (
    close_question_of,
    heed_limits,
    record_provider_opt_out,
    stop_sender,
)
from service.usecases.sending.outcomes import is_last_try
from service.usecases.sending.steps import Step, take_step

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider says about one try: a status callback, or (`was_asked`) its records."""

    reference: str
    provider_message_id: str | None
    status: str
    error_code: int | None
    was_asked: bool = False

    @property
    def reason(self) -> str:
        """The word for the trail."""
        return f"{'found' if self.was_asked else 'receipt'}_{self.status}"[:40]

    @property
    def answer(self) -> AnswerClass | None:
        """What is to be done about it; None where nothing went wrong."""
        return classify_receipt(self.status, self.error_code)


@dataclass(frozen=True, slots=True)
class _Case:
    context: Context
    session: Session
    message: Message
    attempt: Attempt
    receipt: Receipt
    now: datetime
    is_stopped: bool = False


def record_receipt(context: Context, receipt: Receipt, now: datetime) -> bool:
    """Apply one receipt; False when its reference is not ours. Commits once; repeats change nothing.

    A receipt of an older try is kept with that try and no longer moves the text.
    """
    with context.database.begin() as session:
        found = session.execute(
            select(Attempt.id, Attempt.message_id, Message.participant_id)
            .join(Message, Message.id == Attempt.message_id)
            .where(Attempt.reference == receipt.reference.replace("\0", ""))
        ).first()
        if found is None:
            log.warning("receipt_without_attempt", status=receipt.status[:20])
            return False
        message = lock_message(session, found.message_id, found.participant_id)
        attempt = session.scalars(select(Attempt).where(Attempt.id == found.id)).one()
        apply_news(context, session, message, attempt, receipt, now)
    return True


def lock_message(session: Session, message_id: int, participant_id: int | None) -> Message:
    """The message's row, locked after its person's: the order that everybody keeps."""
    if participant_id is not None:
        get_participant(session, participant_id, lock=True)
    query = select(Message).where(Message.id == message_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def apply_news(
    context: Context, session: Session, message: Message, attempt: Attempt, receipt: Receipt, now: datetime
) -> None:
    """Do what the provider's word about a try asks for. The person and the message are locked already."""
    receipt = replace(receipt, error_code=known_code(receipt.error_code))
    is_stopped = receipt.answer is AnswerClass.CONSENT and record_provider_opt_out(
        context, session, message, attempt.started_at, now
    )
    is_first = attempt.finished_at is None
    _keep_facts(session, attempt, receipt, now)
    if is_last_try(session, message.id, attempt.id):
        _move(_Case(context, session, message, attempt, receipt, now, is_stopped))
    # Our number's pace comes last: it is one row for everybody, and the last lock that anybody takes.
    rate = context.settings.segments_per_second
    if is_first and attempt.channel == "twiml" and rate is not None:
        # An answer in a webhook's response left without asking for the sender's time: it is booked now.
        charge_sender(session, message.segments or 1, rate, real_now(session))
    if receipt.error_code is not None:
        heed_limits(session, message, receipt.error_code, None, now)


def _keep_facts(session: Session, attempt: Attempt, receipt: Receipt, now: datetime) -> None:
    """Write what a receipt tells to its try: the first word of each kind stays."""
    values: dict[str, Any] = {
        "finished_at": func.coalesce(Attempt.finished_at, now),
        "error_code": func.coalesce(Attempt.error_code, receipt.error_code),
    }
    session.execute(update(Attempt).where(Attempt.id == attempt.id).values(values))
    provider_message_id = (receipt.provider_message_id or "").replace("\0", "")[:40]
    if not provider_message_id:
        return
    query = select(Attempt.id).where(Attempt.provider_message_id == provider_message_id)
    if session.scalars(query).first() not in (None, attempt.id):
        log.warning("receipt_with_id_of_another_try")
        return
    session.execute(
        update(Attempt)
        .where(Attempt.id == attempt.id, Attempt.provider_message_id.is_(None))
        .values(provider_message_id=provider_message_id)
    )


def _move(case: _Case) -> None:
    message, receipt, now = case.message, case.receipt, case.now
    before = message.state
    was_absent = case.attempt.absences >= ABSENT_AFTER
    after = next_state_on_receipt(before, receipt.status, was_absent=was_absent)
    if after is None:
        return
    changes: dict[str, Any] = {}
    if message.accepted_at is None:
        changes["accepted_at"] = now
    if after in (MessageState.SENT, MessageState.DELIVERED) and message.sent_at is None:
        changes["sent_at"] = now
    if message.final_at is not None and after not in FINAL:
        changes["final_at"] = None
    detail = f"code {receipt.error_code}" if receipt.error_code else None
    step = Step(message.id, before, after, receipt.reason, detail, changes)
    take_step(case.session, step, now)
    if after in (MessageState.FAILED, MessageState.UNDELIVERED):
        _after_failure(case, after)


def _after_failure(case: _Case, state: MessageState) -> None:
    message, receipt = case.message, case.receipt
    close_question_of(case.session, message.id, case.now)
    if case.is_stopped:
        return
    if receipt.answer is AnswerClass.CONFIGURATION:
        stop_sender(case.session, message, receipt.error_code, case.now)
    if _try_again(case, state):
        return
    add_task(
        case.session,
        TaskKind.FAILED_TEXT,
        receipt.status[:40],
        case.now,
        participant_id=message.participant_id,
        message_id=message.id,
    )


def _try_again(case: _Case, state: MessageState) -> bool:
    """Plan a text again that surely did not arrive, if its kind and the reason allow it; False if not.

    Never a question, because two answers to it could not be told apart, and never what rode in a webhook's
    response: its moment has passed.
    """
    message, answer = case.message, case.receipt.answer
    if (
        answer is None
        or case.attempt.channel != "api"
        or not KIND_RULES[MessageKind(message.kind)].may_resend
    ):
        return False
    again = next_try_after_receipt(
        message.tries, answer, case.now, message.send_before, case.receipt.error_code
    )
    if again is None:
        return False
    changes = {"due_at": again, "final_at": None, "accepted_at": None, "sent_at": None}
    step = Step(message.id, state, MessageState.PLANNED, f"{answer}", changes=changes)
    take_step(case.session, step, case.now)
    return True
