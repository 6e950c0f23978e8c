"""Reads what the simulated phones show: texts both ways, what comes next, and why. Changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.domain.delivery import ON_ITS_WAY, STOPPABLE, MessageState
from service.domain.phone import PhoneNumber, find_e164, is_fictional
from service.store.conversations import find_open_conversation
from service.store.inbound import InboundMessage
from service.store.messages import Message, MessageEvent
from service.store.participants import Participant, find_participant
from service.usecases.context import Context

MAX_PHONES = 8
_MAX_BUBBLES = 40
_MAX_TRAILS = 5
_CANDIDATES = 200
_NOT_SENT_SHOWN_FOR = timedelta(hours=48)
_SHOWN = ON_ITS_WAY | {MessageState.UNDELIVERED}
_NOT_SENT = frozenset({MessageState.EXPIRED, MessageState.CANCELED, MessageState.FAILED})


@dataclass(frozen=True, slots=True)
class Bubble:
    """One text of a thread. `state` is None for what the person texted."""

    at: datetime
    body: str
    state: MessageState | None = None


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A text that waits, or that was left out lately, with the reason word."""

    at: datetime
    kind: str
    state: MessageState
    reason: str | None

    @property
    def is_waiting(self) -> bool:
        return self.state in STOPPABLE


@dataclass(frozen=True, slots=True)
class TrailStep:
    at: datetime
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Trail:
    """What happened to one text and why. `source` and `step` say what it comes from."""

    message_id: int
    kind: str
    source: str
    step: str
    planned_at: datetime
    steps: tuple[TrailStep, ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """What the service knows about the phone's owner."""

    id: int
    name: str | None
    status: str
    language: str
    timezone: str
    is_zone_confirmed: bool
    paused_until: datetime | None
    next_plan_at: datetime | None
    has_open_question: bool


@dataclass(frozen=True, slots=True)
class PhoneThread:
    """One phone. `key` is opaque, the same before and after the number joins, and goes into forms."""

    key: str
    phone: PhoneNumber
    owner: Owner | None
    bubbles: tuple[Bubble, ...]
    upcoming: tuple[Upcoming, ...]
    trails: tuple[Trail, ...]


def phone_key(context: Context, phone: PhoneNumber) -> str:
    """A name for a phone that does not tell its number."""
    return context.keyring.hash_newest("phone page:" + phone.e164).value[:16]


def list_threads(context: Context, added: Sequence[PhoneNumber], now: datetime) -> list[PhoneThread]:
    """The phones `added` by hand, and beside them the participants with the newest activity, eight in all.

    They stand in a fixed order, oldest participant first, so that a phone never moves away under a hand.
    """
    with context.database.read() as session:
        threads = [_read(context, session, phone, now) for phone in _list_shown(session, added)]
    last = max((thread.owner.id for thread in threads if thread.owner), default=0) + 1
    return sorted(threads, key=lambda thread: thread.owner.id if thread.owner else last)


def find_shown_phone(context: Context, added: Sequence[PhoneNumber], key: str) -> PhoneNumber | None:
    """The number behind a key, of a phone that the page shows."""
    with context.database.read() as session:
        shown = _list_shown(session, added)
    return next((phone for phone in shown if phone_key(context, phone) == key), None)


def _list_shown(session: Session, added: Sequence[PhoneNumber]) -> list[PhoneNumber]:
    numbers = list(added[-MAX_PHONES:])
    others = (phone for phone in _list_most_active(session) if phone not in numbers)
    return numbers + list(islice(others, MAX_PHONES - len(numbers)))


def _list_most_active(session: Session) -> list[PhoneNumber]:
    people = session.execute(
        select(Participant.id, Participant.phone, Participant.created_at)
        .where(Participant.phone.is_not(None))
        .order_by(Participant.id.desc())
        .limit(_CANDIDATES)
    ).all()
    ids = [person.id for person in people]
    heard = _newest(session, ids, InboundMessage.participant_id, InboundMessage.received_at)
    told = _newest(session, ids, Message.participant_id, Message.accepted_at)
    found = []
    for person in people:
        phone = find_e164(person.phone)
        if phone is not None and is_fictional(phone):
            times = (person.created_at, heard.get(person.id), told.get(person.id))
            found.append((max(at for at in times if at is not None), -person.id, phone))
    return [phone for _, _, phone in sorted(found, key=lambda entry: entry[:2], reverse=True)]


def _newest(
    session: Session,
    ids: Sequence[int],
    owner: InstrumentedAttribute[int | None],
    at: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
) -> dict[int, datetime]:
    query = select(owner, func.max(at)).where(owner.in_(ids), at.is_not(None)).group_by(owner)
    rows = session.execute(query)
    return {row[0]: row[1] for row in rows if row[0] is not None and row[1] is not None}


def _read(context: Context, session: Session, phone: PhoneNumber, now: datetime) -> PhoneThread:
    person = find_participant(session, phone, context.keyring)
    heard = session.scalars(
        select(InboundMessage)
        .where(InboundMessage.sender_hash.in_(context.keyring.hash_all(phone.e164)))
        .order_by(InboundMessage.id.desc())
        .limit(_MAX_BUBBLES)
    ).all()
    answered = Message.inbound_id.in_([row.id for row in heard])
    mine = or_(answered, Message.participant_id == person.id) if person else answered
    messages = session.scalars(
        select(Message).where(mine).order_by(Message.id.desc()).limit(3 * _MAX_BUBBLES)
    ).all()
    return PhoneThread(
        key=phone_key(context, phone),
        phone=phone,
        owner=_owner(session, person) if person else None,
        bubbles=_bubbles(heard, messages),
        upcoming=_upcoming(messages, now),
        trails=_trails(session, messages),
    )


def _owner(session: Session, person: Participant) -> Owner:
    return Owner(
        id=person.id,
        name=person.name,
        status=person.status,
        language=person.language,
        timezone=person.timezone,
        is_zone_confirmed=person.zone_is_confirmed,
        paused_until=person.paused_until,
        next_plan_at=person.next_plan_at,
        has_open_question=find_open_conversation(session, person.id) is not None,
    )


def _bubbles(heard: Sequence[InboundMessage], messages: Sequence[Message]) -> tuple[Bubble, ...]:
    """Both directions by time; an answer stands behind its own question even at the same instant."""
    entries = [((row.received_at, row.id, 0), Bubble(row.received_at, row.body or "")) for row in heard]
    for row in messages:
        if row.body and row.state in _SHOWN:
            at = row.created_at if row.inbound_id else (row.accepted_at or row.due_at)
            order = (at, row.inbound_id or 0, row.id)
            entries.append((order, Bubble(at, row.body, MessageState(row.state))))
    entries.sort(key=lambda entry: entry[0])
    return tuple(bubble for _, bubble in entries[-_MAX_BUBBLES:])


def _upcoming(messages: Sequence[Message], now: datetime) -> tuple[Upcoming, ...]:
    found = []
    for row in messages:
        is_recent = row.final_at is not None and row.final_at > now - _NOT_SENT_SHOWN_FOR
        if row.state in STOPPABLE or (row.state in _NOT_SENT and is_recent):
            found.append(Upcoming(row.due_at, row.kind, MessageState(row.state), row.reason))
    return tuple(sorted(found, key=lambda entry: entry.at))


def _trails(session: Session, messages: Sequence[Message]) -> tuple[Trail, ...]:
    moved = [row for row in messages if row.state not in STOPPABLE or row.reason][:_MAX_TRAILS]
    steps: dict[int, list[TrailStep]] = defaultdict(list)
    query = select(MessageEvent).where(MessageEvent.message_id.in_([row.id for row in moved]))
    for event in session.scalars(query.order_by(MessageEvent.id)):
        steps[event.message_id].append(TrailStep(event.at, event.to_state, event.reason))
    return tuple(
        Trail(
            message_id=row.id,
            kind=row.kind,
            source=row.source[:1],
            step=row.dedupe_key.rpartition(":")[2],
            planned_at=row.created_at,
            steps=tuple(steps[row.id]) or (TrailStep(row.created_at, row.state, row.reason),),
        )
        for row in moved
    )
