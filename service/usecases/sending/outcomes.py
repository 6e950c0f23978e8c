"""What a provider's answer does to a text. One table; a new answer is a new row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.delivery import STOPPABLE, MessageState
from service.domain.look_ups import ABSENT_AFTER
from service.domain.provider_answers import AnswerClass
from service.domain.retry import next_try_at
from service.gateways.sms.protocol import Accepted, Rejected, SendOutcome
from service.store.database import DATABASE_AWAY
from service.store.inbound import TaskKind, add_task
from service.store.messages import Attempt, Message
from service.store.outbox import Arrival, arrive
from service.store.pacing import end_backoff
from service.store.participants import get_participant
from service.usecases.context import Context
from service.usecases.sending.consequences import (
    close_question_of,
    heed_limits,
    record_provider_opt_out,
    stop_sender,
)
from service.usecases.sending.steps import Step, take_step

log = structlog.get_logger(__name__)

LOOK_UP_AFTER = timedelta(minutes=15)
INSIST_SECONDS = 45.0
"""How long to go on trying to write an answer down. Past the lease the text is `unknown` and looked up."""

T = TypeVar("T")


class SentText(Protocol):
    """What is needed to find the row again."""

    @property
    def message_id(self) -> int: ...

    @property
    def attempt_id(self) -> int: ...

    @property
    def claim_token(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Case:
    context: Context
    session: Session
    message: Message
    attempt_id: int
    outcome: Rejected
    now: datetime


def record_outcomes(
    context: Context, results: Sequence[tuple[SentText, SendOutcome | None]], now: datetime
) -> list[str]:
    """Write down what became of several tries (None: not handed over); returns each text's state.

    Those the provider simply took are one transaction together, every other one of its own. A database that
    is away is asked again for a while: what is lost here must be looked up at the provider. Raises what the
    database raises when it stays away; any other fault leaves that one text to its lease.
    """
    taken = [
        Arrival(
            text.message_id, text.attempt_id, text.claim_token, outcome.provider_message_id, outcome.segments
        )
        for text, outcome in results
        if isinstance(outcome, Accepted)
    ]
    give_up_at = time.monotonic() + INSIST_SECONDS
    settled = _insist(lambda: _record_taken(context, taken, now), give_up_at)
    states: list[str] = [MessageState.ACCEPTED] * len(settled)
    for text, outcome in results:
        if text.message_id in settled:
            continue
        try:
            states.append(_insist(partial(_record_one, context, text, outcome, now), give_up_at))
        except DATABASE_AWAY:
            raise
        except Exception as fault:
            log.exception(
                "outcome_fault", exc_info=False, fault=type(fault).__name__, message_id=text.message_id
            )
    return states


def _record_one(context: Context, text: SentText, outcome: SendOutcome | None, now: datetime) -> str:
    if outcome is None:
        return take_back(context, text, now)
    return record_outcome(context, text, outcome, now)


def _record_taken(context: Context, taken: Sequence[Arrival], now: datetime) -> set[int]:
    if not taken:
        return set()
    try:
        with context.database.begin() as session:
            settled = arrive(session, taken, now)
            if settled:
                end_backoff(session)
            return settled
    except DATABASE_AWAY:
        raise
    except Exception as fault:  # one of them cannot be written: each is written by itself
        log.exception("outcome_fault", exc_info=False, fault=type(fault).__name__, texts=len(taken))
        return set()


def _insist(write: Callable[[], T], give_up_at: float) -> T:
    """Write it down, again and again while the database is away, but not longer than leases last."""
    gap = 0.1
    while True:
        try:
            return write()
        except DATABASE_AWAY:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(gap)
            gap = min(2 * gap, 2.0)


def record_outcome(context: Context, text: SentText, outcome: SendOutcome, now: datetime) -> str:
    """Write down what the provider said about one try. Commits once; returns the state the text is left in.

    A receipt may have come first and moved the text on, or the lease ran out and somebody else has it: then
    only what is a fact whoever tells it is kept.
    """
    with context.database.begin() as session:
        # People first, then messages: the order every transaction that may opt somebody out keeps.
        owner = session.scalars(select(Message.participant_id).where(Message.id == text.message_id)).one()
        if owner is not None and isinstance(outcome, Rejected):
            get_participant(session, owner, lock=True)
        message = session.scalars(
            select(Message).where(Message.id == text.message_id).with_for_update()
        ).one()
        _finish_attempt(session, text.attempt_id, outcome, now)
        if message.state is not MessageState.SENDING or message.claim_token != text.claim_token:
            return _record_late(context, session, message, text, outcome, now)
        if isinstance(outcome, Accepted):
            changes = {"accepted_at": now, "segments": outcome.segments or message.segments}
            take_step(
                session, Step(message.id, MessageState.SENDING, MessageState.ACCEPTED, changes=changes), now
            )
            return MessageState.ACCEPTED
        if isinstance(outcome, Rejected):
            state = _reject(_Case(context, session, message, text.attempt_id, outcome, now))
            heed_limits(session, message, outcome.code, outcome.http_status, now)
            return state
        detail = outcome.detail
        take_step(
            session,
            Step(
                message.id,
                MessageState.SENDING,
                MessageState.UNKNOWN,
                "no_clear_answer",
                detail,
                {"due_at": now + LOOK_UP_AFTER},
            ),
            now,
        )
        return MessageState.UNKNOWN


def _record_late(
    context: Context, session: Session, message: Message, text: SentText, outcome: SendOutcome, now: datetime
) -> str:
    """An answer for a text that moved on meanwhile overwrites nothing, but settles what nobody could tell."""
    if isinstance(outcome, Rejected) and outcome.answer is AnswerClass.CONSENT:
        record_provider_opt_out(context, session, message, _tried_at(session, text.attempt_id), now)
    if not isinstance(outcome, Accepted) or not is_last_try(session, message.id, text.attempt_id):
        return message.state
    was_absent = session.scalars(select(Attempt.absences).where(Attempt.id == text.attempt_id)).one()
    is_taken_for_lost = message.state in STOPPABLE and was_absent >= ABSENT_AFTER
    if message.state is not MessageState.UNKNOWN and not is_taken_for_lost:
        return message.state
    step = Step(
        message.id,
        message.state,
        MessageState.ACCEPTED,
        "accepted_by_provider",
        changes={"accepted_at": now, "segments": outcome.segments or message.segments},
    )
    take_step(session, step, now)
    return MessageState.ACCEPTED


def _tried_at(session: Session, attempt_id: int) -> datetime:
    return session.scalars(select(Attempt.started_at).where(Attempt.id == attempt_id)).one()


def is_last_try(session: Session, message_id: int, attempt_id: int) -> bool:
    """Whether nobody has tried this text again since. What an older try tells no longer moves the text."""
    newer = select(Attempt.id).where(Attempt.message_id == message_id, Attempt.id > attempt_id)
    return session.scalars(newer.limit(1)).first() is None


def take_back(context: Context, text: SentText, now: datetime) -> str:
    """Plan a text again that was let go but never handed over: the worker slept meanwhile. Commits once.

    It surely did not leave, so the try does not count, and consent is read anew. Returns its state; a text
    that somebody else has taken charge of meanwhile is left as it is.
    """
    with context.database.begin() as session:
        message = session.scalars(
            select(Message).where(Message.id == text.message_id).with_for_update()
        ).one()
        if message.state is not MessageState.SENDING or message.claim_token != text.claim_token:
            return message.state
        session.execute(
            update(Attempt)
            .where(Attempt.id == text.attempt_id)
            .values(outcome="not_handed_over", finished_at=now)
        )
        reason = "not_handed_over"
        take_step(session, Step(message.id, MessageState.SENDING, MessageState.REJECTED, reason), now)
        again = {"tries": message.tries - 1, "due_at": now}
        take_step(
            session,
            Step(message.id, MessageState.REJECTED, MessageState.PLANNED, reason, changes=again),
            now,
        )
        close_question_of(session, message.id, now)
    return MessageState.PLANNED


def _finish_attempt(session: Session, attempt_id: int, outcome: SendOutcome, now: datetime) -> None:
    values: dict[str, object] = {"outcome": type(outcome).__name__.lower(), "finished_at": now}
    if isinstance(outcome, Accepted):
        if _is_free(session, outcome.provider_message_id, attempt_id):
            values["provider_message_id"] = outcome.provider_message_id
    else:
        values["http_status"] = outcome.http_status
    if isinstance(outcome, Rejected):
        values["error_code"] = outcome.code
    session.execute(update(Attempt).where(Attempt.id == attempt_id).values(values))


def _is_free(session: Session, provider_message_id: str, attempt_id: int) -> bool:
    """Whether no other try owns this id: one that looked alike may have been given it at a look-up."""
    query = select(Attempt.id).where(
        Attempt.provider_message_id == provider_message_id, Attempt.id != attempt_id
    )
    if session.scalars(query).first() is None:
        return True
    log.warning("answer_with_id_of_another_try")
    return False


def _reject(case: _Case) -> str:
    """Surely not sent: first `rejected`, then what its class asks for, both in this transaction."""
    reason = f"{case.outcome.answer}"
    detail = f"code {case.outcome.code}" if case.outcome.code else None
    take_step(
        case.session,
        Step(case.message.id, MessageState.SENDING, MessageState.REJECTED, reason, detail),
        case.now,
    )
    return _AFTER_REJECTION[case.outcome.answer](case)


def _retry(case: _Case) -> str:
    message, outcome = case.message, case.outcome
    again = next_try_at(message.tries, outcome.answer, case.now, message.send_before, outcome.code)
    if again is None:
        return _fail(case)
    take_step(
        case.session,
        Step(
            case.message.id,
            MessageState.REJECTED,
            MessageState.PLANNED,
            f"{case.outcome.answer}",
            changes={"due_at": again},
        ),
        case.now,
    )
    _close_question(case)
    return MessageState.PLANNED


def _fail(case: _Case) -> str:
    add_task(
        case.session,
        TaskKind.FAILED_TEXT,
        f"{case.outcome.answer}",
        case.now,
        participant_id=case.message.participant_id,
        message_id=case.message.id,
    )
    take_step(
        case.session,
        Step(case.message.id, MessageState.REJECTED, MessageState.FAILED, f"{case.outcome.answer}"),
        case.now,
    )
    _close_question(case)
    return MessageState.FAILED


def _stop_person(case: _Case) -> str:
    """The provider says the person opted out (21610): believe it, at once."""
    take_step(
        case.session,
        Step(case.message.id, MessageState.REJECTED, MessageState.CANCELED, "opted_out_at_provider"),
        case.now,
    )
    tried_at = _tried_at(case.session, case.attempt_id)
    record_provider_opt_out(case.context, case.session, case.message, tried_at, case.now)
    return MessageState.CANCELED


def _stop_sender(case: _Case) -> str:
    """Our own set-up is at fault: stop unprompted sending until somebody looks, and keep the text."""
    stop_sender(case.session, case.message, case.outcome.code, case.now)
    return _retry(case)


_AFTER_REJECTION: dict[AnswerClass, Callable[[_Case], str]] = {
    answer: {
        AnswerClass.RETRY: _retry,
        AnswerClass.RETRY_LATER: _retry,
        AnswerClass.CONSENT: _stop_person,
        AnswerClass.CONFIGURATION: _stop_sender,
    }.get(answer, _fail)
    for answer in AnswerClass
}


def _close_question(case: _Case) -> None:
    close_question_of(case.session, case.message.id, case.now)
