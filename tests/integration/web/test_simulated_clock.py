"""Stepping the simulated clock: each text leaves at its own time, at the hours it would in real life."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.domain.phone import PhoneNumber
from service.gateways.sms.recording import RecordingTransport
from service.store.clock import ClockError, SimulatedClock
from service.store.messages import Message
from service.store.participants import Participant, get_participant
from service.usecases.operations.demo import seed_demo
from service.usecases.operations.simulation import Simulation, advance, advance_to_next_text
from service.usecases.people.consent_changes import NewParticipant, add_participant
from service.wiring import Runtime
from tests.conftest import NOW, FakeClock
from tests.integration.web.conftest import list_messages, list_sent

PHONE = PhoneNumber("+12025550123")


@pytest.fixture
def simulation(runtime: Runtime, clock: FakeClock) -> Simulation:
    return Simulation(runtime.context, RecordingTransport(), SimulatedClock(runtime.database, clock))


def test_each_text_leaves_at_its_own_time_never_in_a_burst(runtime: Runtime, simulation: Simulation) -> None:
    seed_demo(runtime.context, NOW)

    advanced = advance(simulation, NOW + timedelta(days=7))

    sent = list_sent(runtime)
    assert advanced.is_complete
    assert advanced.at == NOW + timedelta(days=7)
    assert advanced.sent == len(sent) > 10
    assert all(message.accepted_at == message.due_at for message in sent)


def test_no_text_of_a_simulated_month_leaves_at_night(runtime: Runtime, simulation: Simulation) -> None:
    seed_demo(runtime.context, NOW)

    advance(simulation, NOW + timedelta(days=30))

    with runtime.database.read() as session:
        zones = {person.id: ZoneInfo(person.timezone) for person in session.scalars(select(Participant))}
    hours = [local_hour(message, zones) for message in list_sent(runtime)]
    assert hours
    assert all(9 <= hour < 20 for hour in hours)


def local_hour(message: Message, zones: dict[int, ZoneInfo]) -> int:
    assert message.accepted_at is not None
    assert message.participant_id is not None
    return message.accepted_at.astimezone(zones[message.participant_id]).hour


def test_the_next_text_is_the_first_that_is_due(runtime: Runtime, simulation: Simulation) -> None:
    seed_demo(runtime.context, NOW)

    advanced = advance_to_next_text(simulation)

    first = min(message.due_at for message in list_sent(runtime))
    assert advanced.is_complete
    assert advanced.at == first
    waiting = [m.due_at for m in list_messages(runtime) if m.state == MessageState.PLANNED]
    assert all(due > first for due in waiting)


def test_the_clock_never_moves_back(simulation: Simulation) -> None:
    with pytest.raises(ClockError):
        advance(simulation, NOW - timedelta(seconds=1))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_row_that_another_worker_holds_cannot_stop_the_clock(
    runtime: Runtime, simulation: Simulation
) -> None:
    new = NewParticipant(PHONE, "America/New_York", is_zone_confirmed=True)
    with runtime.database.begin() as session:
        person = add_participant(session, runtime.context.keyring, new, NOW)
        person.next_plan_at = NOW + timedelta(hours=1)

    with runtime.database.begin() as other:
        get_participant(other, person.id, lock=True)
        advanced = advance(simulation, NOW + timedelta(hours=3))

    assert advanced.is_complete
    assert advanced.at == NOW + timedelta(hours=3)
    assert advanced.stops == 3
