"""Never in a burst: one pace for all processes, a rest when the provider asks for it, answers first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select, update

from service.domain.delivery import MessageState
from service.domain.kinds import Lane
from service.domain.pacing import BOOKED_AHEAD
from service.domain.provider_answers import AnswerClass
from service.gateways.sms.protocol import OutgoingSms, Rejected, SendOutcome
from service.gateways.sms.recording import RecordingTransport
from service.store.database import real_now
from service.store.inbound import Task
from service.store.messages import Attempt, Message
from service.store.pacing import Sender, back_off, find_sender_block, reserve_sending_times
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.operations.live_mode import find_block
from service.usecases.sending.deliver import SENDER_THREADS, deliver_due
from service.usecases.sending.receipts import Receipt, record_receipt
from tests.conftest import NOW, FakeClock, make_settings
from tests.integration.test_import_participants import run_import

S = MessageState
ROW = "{},Ana Example,America/New_York,en,,2026-11-20,written,2026-11-20T15:00,intake desk,"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Answering(RecordingTransport):
    """Refuses the first texts with these answers, then takes every text."""

    def __init__(self, *refusals: SendOutcome) -> None:
        super().__init__()
        self._refusals = list(refusals)
        self._lock = threading.Lock()

    def send(self, sms: OutgoingSms) -> SendOutcome:
        with self._lock:
            if self._refusals:
                return self._refusals.pop(0)
        return super().send(sms)


def paced(context: Context, rate: float) -> Context:
    settings = make_settings(database_url=context.settings.database_url, sender_segments_per_second=rate)
    return Context(context.database, context.catalog, settings)


def enroll(context: Context, people: int) -> None:
    run_import(context, *(ROW.format(f"+1202555{100 + number:04d}") for number in range(people)))


def list_states(context: Context) -> dict[MessageState, int]:
    with context.database.read() as session:
        states = list(session.scalars(select(Message.state)))
    return {state: states.count(state) for state in set(states)}


def get_sender(context: Context) -> Sender:
    with context.database.read() as session:
        return session.scalars(select(Sender)).one()


def list_tasks(context: Context) -> list[str]:
    with context.database.read() as session:
        return list(session.scalars(select(Task.reason)))


def test_processes_that_book_at_the_same_moment_share_one_pace(context: Context) -> None:
    def book(_number: int) -> list[datetime]:
        with context.database.begin() as session:
            return reserve_sending_times(session, [1, 2], 40.0, real_now(session))

    with ThreadPoolExecutor(8) as pool:
        starts = sorted(start for found in pool.map(book, range(8)) for start in found)

    assert len(starts) >= 10
    gaps = [(after - before).total_seconds() for before, after in pairwise(starts)]
    assert all(gap >= 1 / 40 - 1e-3 for gap in gaps), "never two within one segment's time"


def test_texts_leave_no_faster_than_the_pace_also_right_after_the_start(context: Context) -> None:
    enroll(context, 12)
    slow, sent = paced(context, 20.0), list[datetime]()

    class Timed(RecordingTransport):
        def send(self, sms: OutgoingSms) -> SendOutcome:
            with slow.database.read() as session:
                sent.append(real_now(session))
            return super().send(sms)

    deliver_due(slow, Timed(), lambda: NOW)

    with slow.database.read() as session:
        segments = sum(count or 0 for count in session.scalars(select(Message.segments)))
    sent.sort()
    assert len(sent) == 12
    assert (sent[-1] - sent[0]).total_seconds() >= (segments - 2) / 20 * 0.9


def test_a_429_lets_every_process_rest_and_what_it_refused_is_sent_once(context: Context) -> None:
    enroll(context, 1)
    slow = paced(context, 1000.0)
    transport, clock = Answering(Rejected(AnswerClass.RETRY, None, 429)), FakeClock()

    deliver_due(slow, transport, clock)

    sender = get_sender(context)
    assert (sender.backoff_step, transport.sent) == (1, [])
    assert list_states(context) == {S.PLANNED: 1}
    deliver_due(slow, transport, lambda: NOW + MINUTE)
    assert len(transport.sent) == 1
    assert get_sender(context).backoff_step == 0, "the provider takes texts again"


def test_rests_grow_from_refusal_to_refusal(context: Context) -> None:
    with context.database.begin() as session:
        gaps = [back_off(session, 0.0, real_now(session)).total_seconds() for _ in range(5)]
        ahead = session.scalars(select(Sender.next_at)).one() - real_now(session)
    assert gaps == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert ahead > BOOKED_AHEAD


@pytest.mark.parametrize("how", ["answer", "receipt"])
def test_a_full_day_at_the_provider_stops_what_is_unprompted_tells_staff_once_and_loses_nothing(
    context: Context, how: str
) -> None:
    enroll(context, 3)
    slow = paced(context, 1000.0)
    if how == "answer":
        full = Rejected(AnswerClass.RETRY_LATER, 63038, 429)
        deliver_due(slow, Answering(full, full, full), lambda: NOW)
    else:
        deliver_due(slow, RecordingTransport(), lambda: NOW)
        for reference in _references(context):
            record_receipt(slow, Receipt(reference, None, "failed", 63038), NOW)
    with context.database.read() as session:
        assert find_block(context, session, NOW) == "daily_limit"
    assert list_tasks(context).count("daily_limit") == 1

    transport = RecordingTransport()
    deliver_due(slow, transport, lambda: NOW + HOUR + MINUTE)
    assert transport.sent == [], "held as long as the block lasts"

    with context.database.begin() as session:
        past = real_now(session) - timedelta(seconds=1)
        session.execute(update(Sender).values(blocked_until=past))
        assert find_sender_block(session) is None
    deliver_due(slow, transport, lambda: NOW + 2 * HOUR)
    assert len(transport.sent) == (3 if how == "answer" else 0)


def _references(context: Context) -> list[str]:
    with context.database.read() as session:
        return list(session.scalars(select(Attempt.reference)))


def test_answers_go_while_the_day_is_full(context: Context) -> None:
    with context.database.begin() as session:
        session.execute(
            update(Sender).values(blocked_until=real_now(session) + HOUR, blocked_reason="daily_limit")
        )
    form = {"MessageSid": "SM1", "From": "+12025550101", "To": "+12025550199", "Body": "HELP"}

    assert "<Message" in receive_text(context, IncomingText(form), NOW)


def test_an_answer_in_a_webhooks_response_is_charged_to_the_sender_once(context: Context) -> None:
    slow = paced(context, 1.0)
    form = {"MessageSid": "SM1", "From": "+12025550101", "To": "+12025550199", "Body": "HELP"}
    receive_text(slow, IncomingText(form), NOW)
    [reference] = _references(context)

    for status in ("sent", "sent", "delivered"):
        record_receipt(slow, Receipt(reference, "SM" + "a" * 32, status, None), NOW)

    with context.database.read() as session:
        segments = session.scalars(select(Message.segments)).one()
        ahead = (get_sender(context).next_at - real_now(session)).total_seconds()
    assert segments is not None
    assert segments - 1 < ahead <= segments


def test_danger_and_answers_leave_before_reminders_and_those_before_the_rest(context: Context) -> None:
    enroll(context, 3)
    with context.database.begin() as session:
        messages = list(session.scalars(select(Message).order_by(Message.id)))
        for message, lane in zip(messages, (Lane.REST, Lane.TIMED, Lane.ANSWER), strict=True):
            message.lane = lane
        wanted = [message.id for message in reversed(messages)]
    order: list[str] = []

    class Ordered(RecordingTransport):
        def send(self, sms: OutgoingSms) -> SendOutcome:
            order.append(sms.reference)
            return super().send(sms)

    deliver_due(paced(context, 4.0), Ordered(), lambda: NOW)

    with context.database.read() as session:
        by_reference = dict(session.execute(select(Attempt.reference, Attempt.message_id)).all())
    assert [by_reference[reference] for reference in order] == wanted


def test_a_provider_that_took_nothing_yet_gets_one_text_a_thread_and_no_more(context: Context) -> None:
    enroll(context, 3 * SENDER_THREADS)
    refused = Rejected(AnswerClass.CONFIGURATION, 20003, 401)
    transport = Answering(*[refused] * (3 * SENDER_THREADS))

    deliver_due(paced(context, 1000.0), transport, lambda: NOW)

    assert len(transport._refusals) >= 2 * SENDER_THREADS
    assert list_states(context).keys() <= {S.PLANNED, S.HELD}


def test_a_stopped_worker_records_what_it_let_go_and_claims_no_more(context: Context) -> None:
    enroll(context, 2 * SENDER_THREADS)
    stopping = threading.Event()

    class Slow(RecordingTransport):
        def send(self, sms: OutgoingSms) -> SendOutcome:
            stopping.set()
            return super().send(sms)

    transport = Slow()
    deliver_due(context, transport, lambda: NOW, is_stopping=stopping.is_set)

    states = list_states(context)
    assert states == {S.ACCEPTED: len(transport.sent), S.PLANNED: 2 * SENDER_THREADS - len(transport.sent)}
    assert states[S.PLANNED] > 0


def test_between_batches_and_while_it_waits_a_delivery_lets_others_do_something(context: Context) -> None:
    """A long `worker --once` leaves its mark meanwhile, else nobody would seem to be at work."""
    enroll(context, 4)
    calls: list[int] = []

    deliver_due(paced(context, 4.0), RecordingTransport(), lambda: NOW, between=lambda: calls.append(1))

    assert list_states(context) == {S.ACCEPTED: 4}
    assert len(calls) > 4
