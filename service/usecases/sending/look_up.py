"""Texts whose fate nobody knows are looked up in the provider's records, and settled by what these say.

Steps: (1) take a lease on those that are due; (2) read them, each by itself: one that no key opens is set
aside; (3) ask the provider, with no transaction open; (4) one transaction a text: adopt what was found, count
what was not, or look again later. A worker that dies leaves a lease that runs out, and one that wakes up late
changes nothing: every write names its claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.delivery import MessageState, find_receipt_state
from service.domain.kinds import MessageKind
from service.domain.look_ups import (
    ABSENT_AFTER,
    LOOK_AGAIN_AFTER,
    AbsentDecision,
    AbsentText,
    ListedText,
    LostTry,
    NotFound,
    decide_absent,
    is_from_us,
    match_try,
    next_look_at,
)
from service.domain.phone import PhoneNumber, find_e164
from service.gateways.sms.protocol import LookupFailedError, ProviderRecords, ProviderText
from service.store.inbound import TaskKind, add_task
from service.store.keyring import DecryptionError
from service.store.leases import UNKNOWN, end_lease, last_tries, lease_texts
from service.store.messages import Attempt, Message
from service.usecases.context import Context, new_reference
from service.usecases.sending.receipts import Receipt, apply_news, lock_message
from service.usecases.sending.set_aside import set_aside
from service.usecases.sending.steps import Step, take_step

log = structlog.get_logger(__name__)

BATCH = 8
MAX_BATCHES = 50
LEASE = timedelta(minutes=3)
_ABSENT = "looked_up_absent"
_NEVER_TOLD = "no_receipt"


@dataclass(slots=True)
class LookUpCounts:
    """What one run found out, by what became of each text."""

    looked_up: int = 0
    found: int = 0
    resent: int = 0
    given_up: int = 0
    failed_look_ups: int = 0


@dataclass(frozen=True, slots=True)
class _Leased:
    """A text of unknown fate under our lease. Nothing of it that is encrypted was read yet."""

    message_id: int
    participant_id: int | None
    attempt_id: int
    claim_token: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the provider is asked about a text: no number is left of an erased person."""

    leased: _Leased
    recipient: PhoneNumber | None
    listed_from: datetime


def look_up_due(context: Context, records: ProviderRecords | None, now: datetime) -> LookUpCounts:
    """Look up every text of unknown fate that is due, batch by batch; commits once a text.

    Stops early when the provider cannot be asked. Any number of workers may run it at once. Without records
    there is nothing to ask: such texts wait for their receipt.
    """
    counts = LookUpCounts()
    if records is None:
        return counts
    for _ in range(MAX_BATCHES):
        leased = _take(context, now)
        if not leased:
            break
        asked = [one for one in (_read(context, row, now, counts) for row in leased) if one is not None]
        if not asked:
            continue
        with ThreadPoolExecutor(len(asked)) as pool:
            listings = list(pool.map(lambda one: _ask(records, one), asked))
        for one, listed in zip(asked, listings, strict=True):
            try:
                _settle(context, one.leased, listed, now, counts)
            except DecryptionError:
                _set_aside(context, one.leased, now, counts)
            except Exception as fault:  # its lease runs out, and it is looked up again
                log.exception("look_up_fault", exc_info=False, fault=type(fault).__name__)
        if all(listed is None for listed in listings):
            break
    return counts


def _take(context: Context, now: datetime) -> list[_Leased]:
    token = new_reference()
    with context.database.begin() as session:
        ids = lease_texts(session, UNKNOWN, now, token, BATCH, LEASE)
        rows = session.execute(
            select(Message.id, Message.participant_id, Attempt.id.label("attempt_id"))
            .join(Attempt, Attempt.message_id == Message.id)
            .where(Attempt.id.in_(last_tries(ids)))
            .order_by(Message.due_at)
        )
        return [
            _Leased(
                message_id=row.id,
                participant_id=row.participant_id,
                attempt_id=row.attempt_id,
                claim_token=token,
            )
            for row in rows
        ]


def _read(context: Context, leased: _Leased, now: datetime, counts: LookUpCounts) -> _Asked | None:
    """What to ask about a text; None if no key opens it, which ends its look-ups."""
    try:
        with context.database.read() as session:
            query = select(Message, Attempt).join(Attempt, Attempt.message_id == Message.id)
            message, attempt = session.execute(query.where(Attempt.id == leased.attempt_id)).one()
    except DecryptionError:
        _set_aside(context, leased, now, counts)
        return None
    recipient = find_e164(message.recipient or "")
    return _Asked(leased, recipient, _lost_try(message, attempt).listed_from)


def _set_aside(context: Context, leased: _Leased, now: datetime, counts: LookUpCounts) -> None:
    if set_aside(context, leased.message_id, leased.participant_id, leased.claim_token, now):
        counts.given_up += 1


def _lost_try(message: Message, attempt: Attempt) -> LostTry:
    return LostTry(
        channel=attempt.channel,
        body=message.body or "",
        started_at=attempt.started_at,
        ended_at=attempt.finished_at,
        provider_message_id=attempt.provider_message_id,
    )


def _ask(records: ProviderRecords, asked: _Asked) -> list[ProviderText] | None:
    """What the provider lists for the number; None when it could not be asked."""
    if asked.recipient is None:
        return []
    try:
        return records.list_texts_to(asked.recipient, asked.listed_from)
    except LookupFailedError as error:
        log.warning("look_up_failed", why=str(error))
        return None


@dataclass(frozen=True, slots=True)
class _Case:
    context: Context
    session: Session
    message: Message
    attempt: Attempt
    now: datetime
    counts: LookUpCounts


def _settle(
    context: Context,
    leased: _Leased,
    listed: Sequence[ProviderText] | None,
    now: datetime,
    counts: LookUpCounts,
) -> None:
    """Write down what a look-up found, if the text is still ours. Commits once."""
    with context.database.begin() as session:
        message = lock_message(session, leased.message_id, leased.participant_id)
        if message.state is not MessageState.UNKNOWN or message.claim_token != leased.claim_token:
            return
        attempt = session.scalars(select(Attempt).where(Attempt.id == leased.attempt_id)).one()
        case = _Case(context, session, message, attempt, now, counts)
        counts.looked_up += 1
        if find_e164(message.recipient or "") is None:
            # Erased: there is no number left to ask about, and nobody left to phone.
            take_step(
                session,
                Step(message.id, MessageState.UNKNOWN, MessageState.UNRESOLVED, "erased"),
                now,
            )
        elif listed is None:
            counts.failed_look_ups += 1
            _look_again_or_give_up(case)
        else:
            _conclude(case, listed)


def _conclude(case: _Case, listed: Sequence[ProviderText]) -> None:
    owned = _list_owned(case.session, [text.sid for text in listed], case.attempt.id)
    texts = [_as_listed(case.context, text) for text in listed]
    match = match_try(_lost_try(case.message, case.attempt), texts, owned)
    if match is NotFound.AMBIGUOUS:
        _look_again_or_give_up(case)
    elif match is NotFound.ABSENT:
        _count_absence(case)
    else:
        _adopt(case, next(text for text in listed if text.sid == match))


def _as_listed(context: Context, text: ProviderText) -> ListedText:
    is_ours = is_from_us(
        text.sender,
        text.service_sid,
        our_number=context.settings.twilio_from,
        our_service=context.settings.twilio_messaging_service_sid,
    )
    return ListedText(text.sid, text.direction, text.body, text.created_at, is_ours)


def _list_owned(session: Session, sids: Sequence[str], attempt_id: int) -> set[str]:
    query = select(Attempt.provider_message_id).where(
        Attempt.provider_message_id.in_(sids), Attempt.id != attempt_id
    )
    return {sid for sid in session.scalars(query) if sid is not None}


def _adopt(case: _Case, text: ProviderText) -> None:
    """The provider has it: the same as a receipt with the try's reference would do."""
    status = text.status if find_receipt_state(text.status) else "accepted"
    news = Receipt(case.attempt.reference, text.sid, status, text.error_code, was_asked=True)
    apply_news(case.context, case.session, case.message, case.attempt, news, case.now)
    case.counts.found += 1


def _count_absence(case: _Case) -> None:
    message, attempt, session, now = case.message, case.attempt, case.session, case.now
    absences = attempt.absences + 1
    session.execute(update(Attempt).where(Attempt.id == attempt.id).values(absences=absences))
    earlier = select(Attempt.id).where(
        Attempt.message_id == message.id, Attempt.id != attempt.id, Attempt.absences >= ABSENT_AFTER
    )
    text = AbsentText(
        kind=MessageKind(message.kind),
        channel=attempt.channel,
        absences=absences,
        was_absent_before=session.scalars(earlier.limit(1)).first() is not None,
        send_before=message.send_before,
    )
    decision = decide_absent(text, now)
    if decision is AbsentDecision.LOOK_AGAIN:
        _look_again(case, now + LOOK_AGAIN_AFTER)
    elif decision is AbsentDecision.RESEND:
        step = Step(message.id, MessageState.UNKNOWN, MessageState.PLANNED, _ABSENT, changes={"due_at": now})
        take_step(session, step, now)
        case.counts.resent += 1
    elif decision is AbsentDecision.FAIL:
        _hand_over(case, MessageState.FAILED, TaskKind.FAILED_TEXT, _ABSENT)
    else:
        _hand_over(case, MessageState.UNRESOLVED, TaskKind.UNRESOLVED_TEXT, _ABSENT)


def _look_again_or_give_up(case: _Case) -> None:
    again = next_look_at(case.attempt.started_at, case.now)
    if again is None:
        _hand_over(case, MessageState.UNRESOLVED, TaskKind.UNRESOLVED_TEXT, _NEVER_TOLD)
    else:
        _look_again(case, again)


def _look_again(case: _Case, at: datetime) -> None:
    end_lease(case.session, case.message.id, due_at=at)


def _hand_over(case: _Case, after: MessageState, kind: TaskKind, reason: str) -> None:
    """Nobody will know by itself any more: the text is for staff."""
    message = case.message
    take_step(case.session, Step(message.id, MessageState.UNKNOWN, after, reason), case.now)
    add_task(
        case.session,
        kind,
        reason,
        case.now,
        participant_id=message.participant_id,
        message_id=message.id,
    )
    case.counts.given_up += 1
