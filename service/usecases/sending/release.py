"""The transaction in which a text may leave: consent is read under lock; who commits first decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session, load_only

from service.domain.delivery import MessageState
from service.domain.pacing import CONSENT_HOLDS_FOR
from service.domain.release import Cancel, Expire, Hold, Release, Verdict, decide_release
from service.domain.segments import count_segments
from service.gateways.sms.protocol import OutgoingSms
from service.store.base import table_of
from service.store.bulk import ForMany
from service.store.clock import elapsed_seconds
from service.store.conversations import Conversation
from service.store.database import DATABASE_AWAY, real_now
from service.store.inbound import TaskKind, add_task
from service.store.messages import Message
from service.store.outbox import Departure, depart, give_back
from service.store.pacing import reserve_sending_times
from service.store.participants import Participant
from service.usecases.context import Context, new_reference
from service.usecases.sending.due_people import planned_on
from service.usecases.sending.facts import EDITED, BatchFacts, load_facts
from service.usecases.sending.rendering import RenderedText, render_message
from service.usecases.sending.steps import Step, take_step
from service.usecases.sending.void import plan_again

log = structlog.get_logger(__name__)

SENDING_LEASE = timedelta(seconds=90)
"""Longer than the longest HTTP call with its time-outs; past it the text's fate is unknown."""


@dataclass(frozen=True, slots=True)
class ReadyText:
    """A text committed as `sending`: only the HTTP call is missing.

    `released_at` is by `elapsed_seconds`, in seconds, when the locks under which consent was read were taken;
    `start_after` how many seconds later the sender has time for it.
    """

    message_id: int
    attempt_id: int
    claim_token: str
    sms: OutgoingSms
    start_after: float
    released_at: float

    @property
    def wait_seconds(self) -> float:
        """How long the sender still has no time for it."""
        return self.released_at + self.start_after - elapsed_seconds()

    @property
    def is_stale(self) -> bool:
        """Whether so much time went by since consent was read that it must be read again."""
        return elapsed_seconds() - self.released_at > CONSENT_HOLDS_FOR.total_seconds()


@dataclass(slots=True)
class Released:
    """What became of claimed texts: those that may leave, and the state each was left in.

    `lacked_time`: some were given back because the sender is booked.
    """

    ready: list[ReadyText] = field(default_factory=list)
    states: list[MessageState] = field(default_factory=list)
    lacked_time: bool = False

    def extend(self, other: Released) -> None:
        self.lacked_time |= other.lacked_time
        self.ready += other.ready
        self.states += other.states


@dataclass(frozen=True, slots=True)
class _Going:
    """A text that may go, if the sender has time for it."""

    message: Message
    person: Participant | None
    rendered: RenderedText
    verdict: Release
    segments: int


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
    released, told_at = Released(), elapsed_seconds()
    with context.database.begin() as session:
        people, messages = _lock(session, claim_token, ids)
        released_at = elapsed_seconds()
        if released_at - told_at > CONSENT_HOLDS_FOR.total_seconds():
            # Others held the locks, or the machine slept: what was told to be now is so no longer.
            now += timedelta(seconds=released_at - told_at)
        facts = load_facts(context, session, people, messages, now)
        going = []
        for message in messages:
            person = people.get(message.participant_id) if message.participant_id else None
            one = _decide(context, session, message, person, facts, now)
            if isinstance(one, _Going):
                going.append(one)
            else:
                released.states.append(one)
        released.ready = _let_go(context, session, going, released_at, now)
        released.states += [MessageState.SENDING] * len(released.ready)
        released.lacked_time = len(released.ready) < len(going)
    return released


def _set_aside(context: Context, claim_token: str, message_id: int, now: datetime) -> Released:
    released = Released()
    with context.database.begin() as session:
        step = Step(message_id, MessageState.CLAIMED, MessageState.FAILED, "release_fault")
        if take_step(session, step, now, claim_token=claim_token):
            add_task(session, TaskKind.FAILED_TEXT, "release_fault", now, message_id=message_id)
            released.states.append(MessageState.FAILED)
    return released


# Only what deciding and rendering look at: every encrypted column that is loaded is also opened.
_OF_PEOPLE = load_only(
    Participant.phone,
    Participant.phone_hash,
    Participant.status,
    Participant.timezone,
    Participant.zone_is_confirmed,
    Participant.area_timezones,
    Participant.language,
    Participant.country,
    Participant.wants_plain,
    Participant.window_opens,
    Participant.window_closes,
    Participant.window_opens_sunday,
    Participant.paused_until,
)
_OF_MESSAGES = load_only(
    Message.participant_id,
    Message.inbound_id,
    Message.dedupe_key,
    Message.source,
    Message.source_version,
    Message.kind,
    Message.text_id,
    Message.check_in_id,
    Message.fields,
    Message.recipient,
    Message.local_on,
    Message.send_before,
    Message.reason,
    Message.claim_token,
    Message.tries,
)


_PEOPLE = ForMany(
    lambda one_of: (
        select(Participant)
        .where(Participant.id.in_(select(Message.participant_id).where(one_of(Message.id))))
        .order_by(Participant.id)
        .with_for_update(key_share=True)
        .options(_OF_PEOPLE)
    )
)
_CLAIMED = ForMany(
    lambda one_of: (
        select(Message)
        .where(
            one_of(Message.id),
            Message.claim_token == bindparam("claim_token"),
            Message.state == MessageState.CLAIMED,
        )
        .order_by(Message.lane, Message.due_at, Message.id)
        .with_for_update()
        .options(_OF_MESSAGES)
    )
)


def _lock(
    session: Session, claim_token: str, ids: Sequence[int]
) -> tuple[dict[int, Participant], list[Message]]:
    people = {person.id: person for person in _PEOPLE.load(session, ids)}
    return people, list(_CLAIMED.load(session, ids, claim_token=claim_token))


def _decide(
    context: Context,
    session: Session,
    message: Message,
    person: Participant | None,
    facts: BatchFacts,
    now: datetime,
) -> _Going | MessageState:
    """Decide one text: it may go, or it takes its other step at once and the state it is left in is told."""
    rendered = render_message(context, session, message, person, facts.programs, now)
    verdict = decide_release(facts.of(message, person, rendered), now)
    if isinstance(verdict, Release) and isinstance(rendered, RenderedText):
        facts.count_released(message, now)
        if rendered.opens_check_in is not None and person is not None:
            facts.note_question(person.id, now + timedelta(hours=rendered.opens_check_in.window_hours))
        return _Going(message, person, rendered, verdict, count_segments(rendered.body).segments)
    if isinstance(verdict, Cancel) and verdict.reason == EDITED and person is not None:
        # At the edit it was under way, so the planner left it alone: its day is planned anew now.
        plan_again(person, now, planned_on(message.dedupe_key, message.local_on))
    return _keep(session, message, verdict, now)


def _keep(session: Session, message: Message, verdict: Verdict, now: datetime) -> MessageState:
    after, changes = _aftermath(verdict)
    reason = "render_fault" if isinstance(verdict, Release) else verdict.reason
    if isinstance(verdict, Release):
        add_task(session, TaskKind.FAILED_TEXT, reason, now, message_id=message.id)
    step = Step(message.id, MessageState.CLAIMED, after, reason, changes=changes)
    # Held again for the same reason: the trail has it, and need not say so every few minutes.
    take_step(session, step, now, is_told=not (after is MessageState.HELD and message.reason == reason))
    return after


def _aftermath(verdict: Verdict) -> tuple[MessageState, dict[str, datetime] | None]:
    if isinstance(verdict, Hold):
        later = {"send_before": verdict.send_before} if verdict.send_before else {}
        return MessageState.HELD, {"due_at": verdict.until} | later
    if isinstance(verdict, Cancel):
        return MessageState.CANCELED, None
    if isinstance(verdict, Expire):
        return MessageState.EXPIRED, None
    return MessageState.FAILED, None


def _let_go(
    context: Context, session: Session, going: list[_Going], released_at: float, now: datetime
) -> list[ReadyText]:
    """Commit as `sending` the texts for which the sender has time; give the others back."""
    if not going:
        return []
    real = real_now(session)
    since_locked = elapsed_seconds() - released_at
    rate = context.settings.segments_per_second
    starts = [real] * len(going)
    if rate is not None:
        starts = reserve_sending_times(session, [one.segments for one in going], rate, real)
    if len(starts) < len(going):
        give_back(session, [one.message.id for one in going[len(starts) :]])
    departures = [
        Departure(
            message_id=one.message.id,
            body=one.rendered.body,
            text_id=one.rendered.text_id,
            text_version=one.rendered.text_version,
            segments=one.segments,
            number=one.message.tries + 1,
            reference=new_reference(),
            lease_until=start + SENDING_LEASE,
        )
        for one, start in zip(going, starts, strict=False)
    ]
    attempts = depart(session, departures, now)
    _open_conversations(session, going[: len(departures)], now)
    ready = []
    for one, departure, start in zip(going, departures, starts, strict=False):
        sms = OutgoingSms(
            to=one.rendered.recipient,
            body=departure.body,
            reference=departure.reference,
            status_callback=context.status_callback(departure.reference),
            validity_seconds=one.verdict.validity_seconds,
        )
        start_after = since_locked + (start - real).total_seconds()
        claim_token = one.message.claim_token or ""
        attempt_id = attempts[departure.message_id]
        ready.append(ReadyText(departure.message_id, attempt_id, claim_token, sms, start_after, released_at))
    return ready


_CONVERSATIONS = table_of(Conversation)
_CLOSE_OPEN = (
    update(_CONVERSATIONS)
    .where(
        _CONVERSATIONS.c.participant_id == bindparam("b_participant_id"), _CONVERSATIONS.c.closed_at.is_(None)
    )
    .values(closed_at=bindparam("b_now"), close_reason="expired")
)
_OPEN = insert(_CONVERSATIONS)


def _open_conversations(session: Session, gone: Sequence[_Going], now: datetime) -> None:
    """Open what was asked, and close what the same people left open before."""
    opened = [
        {
            "participant_id": one.person.id,
            "message_id": one.message.id,
            "check_in_id": one.rendered.opens_check_in.id,
            "check_in_version": one.rendered.opens_check_in.version,
            "question_id": one.rendered.opens_check_in.questions[0].id,
            "reasks": 0,
            "opened_at": now,
            "expires_at": now + timedelta(hours=one.rendered.opens_check_in.window_hours),
        }
        for one in gone
        if one.rendered.opens_check_in is not None and one.person is not None
    ]
    if opened:
        connection = session.connection()
        owners = [{"b_participant_id": one["participant_id"], "b_now": now} for one in opened]
        connection.execute(_CLOSE_OPEN, owners)
        connection.execute(_OPEN, opened)
