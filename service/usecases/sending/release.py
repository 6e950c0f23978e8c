"""The transaction in which a text may leave: consent is read under lock; who commits first decides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from service.domain.delivery import MessageState
from service.domain.phone import PhoneNumber
from service.domain.release import Cancel, Expire, Hold, Release, decide_release
from service.domain.segments import count_segments
from service.gateways.sms.protocol import OutgoingSms
from service.store.conversations import Conversation
from service.store.database import DATABASE_AWAY, real_now
from service.store.inbound import TaskKind, add_task
from service.store.messages import Attempt, Message
from service.store.participants import Participant
from service.store.service_state import reserve_sending_time
from service.usecases.context import Context, new_reference
from service.usecases.sending.facts import BatchFacts, load_facts
from service.usecases.sending.rendering import RenderedText, render_message
from service.usecases.sending.steps import Step, take_step

log = structlog.get_logger(__name__)

SENDING_LEASE = timedelta(seconds=90)
"""Longer than the longest HTTP call with its time-outs; past it the text's fate is unknown."""

SENDER = "default"

STALE_AFTER_SECONDS = 2.0


def elapsed_clock() -> float:
    """Seconds that go on while the process or the machine sleeps, where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class ReadyText:
    """A text committed as `sending`: only the HTTP call is missing."""

    message_id: int
    attempt_id: int
    claim_token: str
    sms: OutgoingSms
    wait_seconds: float
    released_at: float
    """By `elapsed_clock`, in seconds."""

    @property
    def is_stale(self) -> bool:
        """Whether so much time went by since consent was read that it must be read again."""
        return elapsed_clock() - self.released_at > self.wait_seconds + STALE_AFTER_SECONDS


@dataclass(slots=True)
class Released:
    """What became of claimed texts: those that may leave, and the state each was left in."""

    ready: list[ReadyText] = field(default_factory=list)
    states: list[MessageState] = field(default_factory=list)

    def extend(self, other: Released) -> None:
        self.ready += other.ready
        self.states += other.states


def release_claimed(context: Context, claim_token: str, ids: Sequence[int], now: datetime) -> Released:
    """Decide the claimed texts, commit those that may go. Locks people, then messages, as STOP does.

    A text that breaks the deciding (a row that no key opens, say) must not hold up the others: the batch is
    tried again one by one, and what breaks alone fails with a task for staff. Raises what the database
    raises when it is not there.
    """
    try:
        return _release(context, claim_token, ids, now)
    except DATABASE_AWAY:
        raise
    except Exception as fault:
        log.exception("release_fault", exc_info=False, fault=type(fault).__name__, texts=len(ids))
        if len(ids) == 1:
            return _set_aside(context, claim_token, ids[0], now)
    released = Released()
    for one in ids:
        try:
            released.extend(release_claimed(context, claim_token, [one], now))
        except DATABASE_AWAY:
            if not released.ready:
                raise
            break  # what was let go must be sent; the leases of the others run out
    return released


def _release(context: Context, claim_token: str, ids: Sequence[int], now: datetime) -> Released:
    released = Released()
    with context.database.begin() as session:
        people, messages = _lock(session, claim_token, ids)
        facts = load_facts(context, session, people, messages, now)
        for position, message in enumerate(messages):
            if not _decide(context, session, message, people, facts, now, released):
                _give_back(session, messages[position:])
                break
    return released


def _give_back(session: Session, messages: Sequence[Message]) -> None:
    """Undo the claim of texts for which the sender has no time yet. Nothing happened, so no trail."""
    session.execute(
        update(Message)
        .where(Message.id.in_([message.id for message in messages]))
        .values(state=MessageState.PLANNED, claim_token=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )


def _set_aside(context: Context, claim_token: str, message_id: int, now: datetime) -> Released:
    released = Released()
    with context.database.begin() as session:
        step = Step(message_id, MessageState.CLAIMED, MessageState.FAILED, "release_fault")
        if take_step(session, step, now, claim_token=claim_token):
            add_task(session, TaskKind.FAILED_TEXT, "release_fault", now, message_id=message_id)
            released.states.append(MessageState.FAILED)
    return released


def _lock(
    session: Session, claim_token: str, ids: Sequence[int]
) -> tuple[dict[int, Participant], list[Message]]:
    owners = session.scalars(select(Message.participant_id).where(Message.id.in_(ids)).distinct())
    people = session.scalars(
        select(Participant)
        .where(Participant.id.in_([owner for owner in owners if owner is not None]))
        .order_by(Participant.id)
        .with_for_update(key_share=True)
    )
    by_id = {person.id: person for person in people}
    messages = session.scalars(
        select(Message)
        .where(
            Message.id.in_(ids),
            Message.claim_token == claim_token,
            Message.state == MessageState.CLAIMED,
        )
        .order_by(Message.lane, Message.due_at, Message.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return by_id, list(messages)


def _decide(
    context: Context,
    session: Session,
    message: Message,
    people: dict[int, Participant],
    facts: BatchFacts,
    now: datetime,
    released: Released,
) -> bool:
    """Decide one text; False when it may go but the sender has no time for it yet."""
    person = people.get(message.participant_id) if message.participant_id else None
    rendered = render_message(context, session, message, person, facts.programs, now)
    verdict = decide_release(facts.of(message, person, rendered), now)
    if isinstance(verdict, Release) and isinstance(rendered, RenderedText):
        ready = _let_go(context, session, message, person, rendered, verdict, now)
        if ready is None:
            return False
        facts.count_released(message, now)
        released.ready.append(ready)
        released.states.append(MessageState.SENDING)
        return True
    after, until = _aftermath(verdict)
    reason = "render_fault" if isinstance(verdict, Release) else verdict.reason
    if isinstance(verdict, Release):
        add_task(session, TaskKind.FAILED_TEXT, reason, now, message_id=message.id)
    changes = {"due_at": until} if until else None
    take_step(session, Step(message.id, MessageState.CLAIMED, after, reason, changes=changes), now)
    released.states.append(after)
    return True


def _aftermath(verdict: Release | Hold | Cancel | Expire) -> tuple[MessageState, datetime | None]:
    if isinstance(verdict, Hold):
        return MessageState.HELD, verdict.until
    if isinstance(verdict, Cancel):
        return MessageState.CANCELED, None
    if isinstance(verdict, Expire):
        return MessageState.EXPIRED, None
    return MessageState.FAILED, None


def _let_go(
    context: Context,
    session: Session,
    message: Message,
    person: Participant | None,
    rendered: RenderedText,
    verdict: Release,
    now: datetime,
) -> ReadyText | None:
    segments = count_segments(rendered.body).segments
    real = real_now(session)
    rate = context.settings.segments_per_second
    start = real if rate is None else reserve_sending_time(session, SENDER, segments, rate, real)
    if start is None:
        return None
    reference = new_reference()
    number = message.tries + 1
    changes = {
        "body": rendered.body,
        "recipient": rendered.recipient.e164,
        "text_id": rendered.text_id,
        "text_version": rendered.text_version,
        "segments": segments,
        "tries": number,
        "lease_until": start + SENDING_LEASE,
    }
    take_step(session, Step(message.id, MessageState.CLAIMED, MessageState.SENDING, changes=changes), now)
    attempt_id = session.execute(
        insert(Attempt)
        .values(message_id=message.id, number=number, channel="api", reference=reference, started_at=now)
        .returning(Attempt.id)
    ).scalar_one()
    if rendered.opens_check_in is not None and person is not None:
        _open_conversation(session, message, person, rendered, now)
    sms = OutgoingSms(
        to=PhoneNumber(rendered.recipient.e164),
        body=rendered.body,
        reference=reference,
        status_callback=context.status_callback(reference),
        validity_seconds=verdict.validity_seconds,
    )
    wait = (start - real).total_seconds()
    return ReadyText(message.id, attempt_id, message.claim_token or "", sms, wait, elapsed_clock())


def _open_conversation(
    session: Session, message: Message, person: Participant, rendered: RenderedText, now: datetime
) -> None:
    check_in = rendered.opens_check_in
    if check_in is None:
        return
    session.execute(
        update(Conversation)
        .where(Conversation.participant_id == person.id, Conversation.closed_at.is_(None))
        .values(closed_at=now, close_reason="expired")
    )
    session.add(
        Conversation(
            participant_id=person.id,
            message_id=message.id,
            check_in_id=check_in.id,
            check_in_version=check_in.version,
            question_id=check_in.questions[0].id,
            opened_at=now,
            expires_at=now + timedelta(hours=check_in.window_hours),
        )
    )
    session.flush()
