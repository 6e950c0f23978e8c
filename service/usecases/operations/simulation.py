"""Steps the simulator's clock, stopping wherever something is due: each text leaves at its own time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from service.domain.delivery import WAITING, MessageState
from service.gateways.sms.protocol import SmsTransport
from service.store.clock import ClockError, SimulatedClock
from service.store.conversations import Conversation
from service.store.messages import Attempt, Message
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.sending.work import work_once

MAX_STOPS = 1000
LONGEST_WAIT_FOR_A_TEXT = timedelta(days=40)
WORK_SECONDS = 30.0
"""Real time after which the clock rests where it is, so that whoever asked gets an answer."""
FLUSH_SECONDS = 10.0
SETTLE_SECONDS = 1.0
_POLL_SECONDS = 0.02


@runtime_checkable
class _Flushing(Protocol):
    """A transport that can wait for its receipts."""

    def flush(self, timeout: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Simulation:
    """What stepping the clock works with."""

    context: Context
    transport: SmsTransport
    clock: SimulatedClock


@dataclass(frozen=True, slots=True)
class Advanced:
    """What happened on the way. `is_complete` is False when the clock stopped before its goal."""

    at: datetime
    stops: int
    sent: int
    held: int
    expired: int
    canceled: int
    is_complete: bool


@dataclass(slots=True)
class _Way:
    held: int = 0
    expired: int = 0
    canceled: int = 0
    stops: int = 0

    def add(self, counts: dict[str, int]) -> None:
        self.held += counts.get("held_by_plan", 0) + counts.get("now_held", 0)
        self.expired += counts.get("expired_by_plan", 0) + counts.get("now_expired", 0)
        self.canceled += counts.get("now_canceled", 0)


def advance(simulation: Simulation, until: datetime) -> Advanced:
    """Move the clock to `until` (aware UTC), doing all work that falls due on the way at its own time.

    Raises ClockError when `until` is in the past: the simulator's clock only moves forward.
    """
    return _advance(simulation, until, is_one_text_enough=False)


def advance_to_next_text(simulation: Simulation) -> Advanced:
    """Move the clock until a text went out unprompted, at most forty days."""
    return _advance(simulation, simulation.clock() + LONGEST_WAIT_FOR_A_TEXT, is_one_text_enough=True)


def _advance(simulation: Simulation, until: datetime, *, is_one_text_enough: bool) -> Advanced:
    clock, way = simulation.clock, _Way()
    stop = clock()
    if until < clock():
        raise ClockError("the simulator's clock only moves forward")
    first = _count_tries(simulation)
    rests_at = time.monotonic() + WORK_SECONDS
    while way.stops < MAX_STOPS and time.monotonic() < rests_at:
        way.stops += 1
        _work(simulation, way)
        if is_one_text_enough and _count_tries(simulation) > first:
            return _report(simulation, way, first, is_complete=True)
        if stop >= until:
            return _report(simulation, way, first, is_complete=not is_one_text_enough)
        stop = _find_next_due(simulation, after=stop, until=until)
        _advance_clock(clock, stop)
    return _report(simulation, way, first, is_complete=False)


def _report(simulation: Simulation, way: _Way, first: int, *, is_complete: bool) -> Advanced:
    return Advanced(
        at=simulation.clock(),
        stops=way.stops,
        sent=_count_tries(simulation) - first,
        held=way.held,
        expired=way.expired,
        canceled=way.canceled,
        is_complete=is_complete,
    )


def _work(simulation: Simulation, way: _Way) -> None:
    way.add(work_once(simulation.context, simulation.transport, simulation.clock))
    if isinstance(simulation.transport, _Flushing):
        simulation.transport.flush(FLUSH_SECONDS)
    _settle(simulation)


def _settle(simulation: Simulation) -> None:
    """Wait for another worker that is just sending: the clock must not jump past its text's time."""
    give_up_at = time.monotonic() + SETTLE_SECONDS
    under_way = select(func.count()).where(
        Message.state.in_((MessageState.CLAIMED, MessageState.SENDING)), Message.claim_token.is_not(None)
    )
    while time.monotonic() < give_up_at:
        with simulation.context.database.read() as session:
            if session.scalars(under_way).one() == 0:
                return
        time.sleep(_POLL_SECONDS)


def _advance_clock(clock: SimulatedClock, instant: datetime) -> None:
    if instant > clock():
        clock.advance_to(instant)


def _find_next_due(simulation: Simulation, *, after: datetime, until: datetime) -> datetime:
    """The next instant at which a text is due, a day is to be planned or a question ends; at most `until`.

    Strictly later than `after`: what stays due there (a row that another worker holds) cannot stop the clock.
    """
    waiting = select(func.min(Message.due_at)).where(Message.state.in_(WAITING), Message.due_at > after)
    planning = select(func.min(Participant.next_plan_at)).where(Participant.next_plan_at > after)
    asking = select(func.min(Conversation.expires_at)).where(
        Conversation.closed_at.is_(None), Conversation.expires_at > after
    )
    with simulation.context.database.read() as session:
        found = [_earliest(session, query) for query in (waiting, planning, asking)]
    return min([until, *(instant for instant in found if instant is not None)])


def _earliest(session: Session, query: Select[datetime | None]) -> datetime | None:
    return session.scalars(query).one()


def _count_tries(simulation: Simulation) -> int:
    """Texts handed to the carrier so far. Counted in the database: another worker may have sent them."""
    with simulation.context.database.read() as session:
        return session.scalars(select(func.count(Attempt.id)).where(Attempt.channel == "api")).one()
