"""Texts that the provider has and says nothing more about are asked for, one by one, by its id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.delivery import MessageState, find_receipt_state
from service.domain.look_ups import ASK_AFTER, next_asking_at
from service.gateways.sms.protocol import LookupFailedError, ProviderRecords, ProviderText
from service.store.inbound import TaskKind, add_task
from service.store.keyring import DecryptionError
from service.store.leases import SILENT, end_lease, last_tries, lease_texts
from service.store.messages import Attempt, Message
from service.usecases.context import Context, new_reference
from service.usecases.sending.receipts import Receipt, apply_news, lock_message
from service.usecases.sending.set_aside import set_aside
from service.usecases.sending.steps import Step, record_steps

log = structlog.get_logger(__name__)

BATCH = 20
ASKED_AT_ONCE = 8
MAX_BATCHES = 25
LEASE = timedelta(minutes=3)
_STILL_WAITING = frozenset({MessageState.ACCEPTED, MessageState.SENT})
_NO_LAST_WORD = "no_last_word"
_NEVER_LEFT = "never_left_provider"


@dataclass(slots=True)
class PollCounts:
    """How many texts were asked about, how many had moved, and how many are left as they are."""

    asked: int = 0
    moved: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class _Leased:
    message_id: int
    participant_id: int | None
    attempt_id: int
    provider_message_id: str | None
    accepted_at: datetime
    claim_token: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the provider said: the text, None if it has none, or nothing at all (`is_silent`)."""

    text: ProviderText | None
    is_silent: bool = False


def poll_silent(context: Context, records: ProviderRecords | None, now: datetime) -> PollCounts:
    """Ask about texts that were taken or sent twelve hours ago and have no last word yet.

    Bounded in one run; commits once a text. Any number of workers may run it at once; it stops early when the
    provider cannot be asked. After three days a text is left as it is, and the trail says so.
    """
    counts = PollCounts()
    if records is None:
        return counts
    for _ in range(MAX_BATCHES):
        leased = _take(context, now)
        if not leased:
            break
        due = [one for one in leased if one.accepted_at <= now - ASK_AFTER]
        answers = _ask_all(records, due)
        for one in leased:
            try:
                _settle(context, one, answers.get(one.message_id), now, counts)
            except DecryptionError:
                if set_aside(context, one.message_id, one.participant_id, one.claim_token, now):
                    counts.left += 1
            except Exception as fault:  # its lease runs out, and it is asked about again
                log.exception("poll_fault", exc_info=False, fault=type(fault).__name__)
        if answers and all(answer.is_silent for answer in answers.values()):
            break
    return counts


def _take(context: Context, now: datetime) -> list[_Leased]:
    """Lease the texts that were due twelve hours ago; who was asked about gets a later `due_at`."""
    token = new_reference()
    with context.database.begin() as session:
        ids = lease_texts(session, SILENT, now - ASK_AFTER, token, BATCH, LEASE)
        columns = (
            *(Message.id, Message.participant_id, Message.accepted_at, Message.due_at),
            *(Attempt.id.label("attempt_id"), Attempt.provider_message_id),
        )
        rows = session.execute(
            select(*columns)
            .join(Attempt, Attempt.message_id == Message.id)
            .where(Attempt.id.in_(last_tries(ids)))
        )
        return [
            _Leased(
                message_id=row.id,
                participant_id=row.participant_id,
                attempt_id=row.attempt_id,
                provider_message_id=row.provider_message_id,
                accepted_at=row.accepted_at or row.due_at,
                claim_token=token,
            )
            for row in rows
        ]


def _ask_all(records: ProviderRecords, due: list[_Leased]) -> dict[int, _Answer]:
    if not due:
        return {}
    with ThreadPoolExecutor(min(ASKED_AT_ONCE, len(due))) as pool:
        answers = pool.map(lambda one: _ask(records, one), due)
        return {one.message_id: answer for one, answer in zip(due, answers, strict=True)}


def _ask(records: ProviderRecords, leased: _Leased) -> _Answer:
    if leased.provider_message_id is None:
        return _Answer(None)
    try:
        return _Answer(records.fetch(leased.provider_message_id))
    except LookupFailedError as error:
        log.warning("poll_failed", why=str(error))
        return _Answer(None, is_silent=True)


def _settle(
    context: Context, leased: _Leased, answer: _Answer | None, now: datetime, counts: PollCounts
) -> None:
    """Write down what the provider said, if the text still waits under our lease. Commits once."""
    with context.database.begin() as session:
        message = lock_message(session, leased.message_id, leased.participant_id)
        if message.state not in _STILL_WAITING or message.claim_token != leased.claim_token:
            return
        if answer is None:  # it was due long before it was taken, and has not been silent long enough
            _ask_again(session, message, leased.accepted_at + ASK_AFTER)
            return
        counts.asked += 1
        before = message.state
        if answer.text is not None:
            attempt = session.scalars(select(Attempt).where(Attempt.id == leased.attempt_id)).one()
            _apply(context, session, message, attempt, answer.text, now)
            session.refresh(message)
        if message.state is not before:
            counts.moved += 1
        if message.state not in _STILL_WAITING:
            return
        again = next_asking_at(leased.accepted_at, now)
        if again is not None:
            _ask_again(session, message, again)
        else:
            _leave(session, message, now)
            counts.left += 1


def _apply(
    context: Context,
    session: Session,
    message: Message,
    attempt: Attempt,
    text: ProviderText,
    now: datetime,
) -> None:
    if find_receipt_state(text.status) is None:
        return
    news = Receipt(attempt.reference, text.sid, text.status, text.error_code, was_asked=True)
    apply_news(context, session, message, attempt, news, now)


def _ask_again(session: Session, message: Message, at: datetime) -> None:
    """Ask at this time: a text is looked at when it has been due for twelve hours."""
    end_lease(session, message.id, due_at=at - ASK_AFTER)


def _leave(session: Session, message: Message, now: datetime) -> None:
    """Expect no more news. That it was sent is a fine last word; that it never left is one for staff."""
    reason = _NO_LAST_WORD if message.state is MessageState.SENT else _NEVER_LEFT
    end_lease(session, message.id, final_at=now, reason=reason)
    record_steps(session, [Step(message.id, message.state, message.state, reason)], now)
    if message.state is MessageState.ACCEPTED:
        add_task(
            session,
            TaskKind.UNRESOLVED_TEXT,
            reason,
            now,
            participant_id=message.participant_id,
            message_id=message.id,
        )
