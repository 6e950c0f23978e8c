"""Nobody who opted out is texted: consent is read at the last instant, however slow what follows is."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from service.domain.delivery import MessageState
from service.domain.pacing import BOOKED_AHEAD, CONSENT_HOLDS_FOR
from service.domain.phone import PhoneNumber
from service.gateways.sms.protocol import OutgoingSms, SendOutcome
from service.gateways.sms.recording import RecordingTransport
from service.store.consent import ConsentChannel
from service.store.database import DATABASE_AWAY
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Enrollment, Participant, find_participant
from service.usecases.context import Context, new_reference
from service.usecases.people.consent_changes import Evidence, opt_out
from service.usecases.sending.deliver import SENDER_THREADS, claim_due, deliver_due
from service.usecases.sending.outcomes import take_back
from service.usecases.sending.release import ReadyText, release_claimed
from tests.conftest import NOW, make_settings
from tests.integration.test_import_participants import run_import

PEOPLE = [PhoneNumber(f"+1202555{number:04d}") for number in range(100, 100 + 3 * SENDER_THREADS)]
ROW = "{},Ana Example,America/New_York,en,,2026-11-20,written,2026-11-20T15:00,intake desk,"


@pytest.fixture
def people(context: Context) -> Context:
    run_import(context, *(ROW.format(phone.e164) for phone in PEOPLE))
    return context


def stop_all(context: Context) -> None:
    for phone in PEOPLE:
        with context.database.begin() as session:
            participant = find_participant(session, phone, context.keyring, lock=True)
            evidence = Evidence(ConsentChannel.SMS, "participant", "SM1", NOW)
            opt_out(session, context.keyring, phone, participant, evidence, NOW)


def claim_and_release(context: Context, size: int) -> list[ReadyText]:
    token = new_reference()
    return release_claimed(context, token, claim_due(context, token, size, NOW), NOW).ready


def count_states(context: Context) -> dict[MessageState, int]:
    with context.database.read() as session:
        states = list(session.scalars(select(Message.state)))
    return {state: states.count(state) for state in set(states)}


class StoppingTransport(RecordingTransport):
    """While the first texts are on the wire, everybody says STOP."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._turn = threading.Lock()
        self._is_stopped = False

    def send(self, sms: OutgoingSms) -> SendOutcome:
        with self._turn:
            if not self._is_stopped:
                stop_all(self._context)
                self._is_stopped = True
        return super().send(sms)


def test_only_what_was_on_its_way_leaves_after_everybody_stopped(people: Context) -> None:
    transport = StoppingTransport(people)

    deliver_due(people, transport, lambda: NOW)

    assert len(transport.sent) <= SENDER_THREADS
    assert count_states(people)[MessageState.CANCELED] == len(PEOPLE) - len(transport.sent)


def test_a_text_let_go_by_a_worker_that_then_slept_is_not_sent_but_decided_anew(people: Context) -> None:
    [text] = claim_and_release(people, 1)
    slept = replace(text, released_at=text.released_at - CONSENT_HOLDS_FOR.total_seconds())
    assert (text.is_stale, slept.is_stale) == (False, True)

    assert take_back(people, slept, NOW) == MessageState.PLANNED
    stop_all(people)
    transport = RecordingTransport()
    deliver_due(people, transport, lambda: NOW + timedelta(minutes=1))

    assert transport.sent == []
    assert count_states(people) == {MessageState.CANCELED: len(PEOPLE)}


def test_a_text_taken_back_is_sent_once_and_the_first_try_does_not_count(people: Context) -> None:
    [text] = claim_and_release(people, 1)
    take_back(people, text, NOW)
    transport = RecordingTransport()

    deliver_due(people, transport, lambda: NOW)

    assert [sms.to for sms in transport.sent].count(text.sms.to) == 1
    with people.database.read() as session:
        message = session.scalars(select(Message).where(Message.id == text.message_id)).one()
        outcomes = session.scalars(
            select(Attempt.outcome).where(Attempt.message_id == text.message_id).order_by(Attempt.id)
        )
        assert list(outcomes) == ["not_handed_over", "accepted"]
    assert (message.state, message.tries) == (MessageState.ACCEPTED, 1)


def test_a_worker_that_lost_its_claim_takes_nothing_back(people: Context) -> None:
    [text] = claim_and_release(people, 1)
    assert take_back(people, replace(text, claim_token="another"), NOW) == MessageState.SENDING


@pytest.mark.parametrize("rate", [1.0, 3.0])
def test_no_text_is_let_go_that_would_have_to_wait_longer_than_a_second(people: Context, rate: float) -> None:
    slow = Context(
        people.database,
        people.catalog,
        make_settings(database_url=str(people.settings.database_url), sender_segments_per_second=rate),
    )

    ready = claim_and_release(slow, 12) + claim_and_release(slow, 12)

    assert ready
    assert all(text.wait_seconds <= BOOKED_AHEAD.total_seconds() for text in ready)
    states = count_states(slow)
    assert states == {MessageState.SENDING: len(ready), MessageState.PLANNED: len(PEOPLE) - len(ready)}
    with slow.database.read() as session:
        told = set(session.scalars(select(MessageEvent.message_id)))
    assert told == {text.message_id for text in ready}, "a text given back has no trail: nothing happened"


def test_a_text_of_a_version_that_no_longer_counts_does_not_leave(people: Context) -> None:
    """Nobody has taken it back yet: the edit is committed, its clean-up is not."""
    with people.database.begin() as session:
        enrolled = session.scalars(select(Enrollment.id).order_by(Enrollment.id)).first()
        message = session.scalars(select(Message).order_by(Message.id)).first()
        assert message is not None
        message.source, message.source_version, stale = f"e{enrolled}", 99, message.id
        message.dedupe_key = f"e{enrolled}:{message.participant_id}:2026-11-23:safety-03"
    transport = RecordingTransport()

    deliver_due(people, transport, lambda: NOW)

    assert len(transport.sent) == len(PEOPLE) - 1
    with people.database.read() as session:
        row = session.get_one(Message, stale)
    assert (row.state, row.reason) == (MessageState.CANCELED, "edited")


def test_a_text_under_way_at_an_edit_that_comes_back_is_planned_anew_and_not_just_dropped(
    people: Context,
) -> None:
    with people.database.begin() as session:
        enrolled = session.scalars(select(Enrollment).order_by(Enrollment.id)).first()
        message = session.scalars(select(Message).order_by(Message.id)).first()
        assert message is not None
        assert enrolled is not None
        key = f"e{enrolled.id}:{enrolled.participant_id}:2026-11-22:safety-02"
        message.participant_id, message.source, message.source_version = (
            enrolled.participant_id,
            f"e{enrolled.id}",
            99,
        )
        message.dedupe_key, message.local_on = key, NOW.date()
        owner = enrolled.participant_id

    deliver_due(people, RecordingTransport(), lambda: NOW)

    with people.database.read() as session:
        person = session.get_one(Participant, owner)
    assert person.next_plan_at == NOW
    assert person.planned_through is not None
    assert person.planned_through.isoformat() == "2026-11-21", "the day it was planned for is looked at again"


def test_who_waited_long_for_the_locks_decides_by_the_time_it_is_then(people: Context) -> None:
    """Else a machine that slept in between would text by the clock of the evening before."""
    token = new_reference()
    [one] = claim_due(people, token, 1, NOW)
    with people.database.begin() as session:
        owner = session.get_one(Message, one).participant_id
        session.execute(
            update(Message).where(Message.id == one).values(send_before=NOW + timedelta(seconds=11))
        )

    with ThreadPoolExecutor(1) as pool:
        with people.database.begin() as session:
            session.scalars(select(Participant).where(Participant.id == owner).with_for_update()).one()
            worker = pool.submit(release_claimed, people, token, [one], NOW)
            time.sleep(1.3)
        released = worker.result()

    assert (released.ready, released.states) == ([], [MessageState.EXPIRED]), "ten seconds are too few"


def test_a_transaction_in_which_its_worker_fell_asleep_counts_as_the_database_being_away(
    people: Context,
) -> None:
    if people.database.is_sqlite:
        pytest.skip("SQLite ends nobody's transaction")
    with pytest.raises(DATABASE_AWAY), people.database.begin() as session:  # noqa: PT012 - one sleep
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
        time.sleep(0.3)
        session.execute(text("SELECT 1"))
    with people.database.begin() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1
