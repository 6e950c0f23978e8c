"""Never twice, never silently lost: what becomes of a text for each thing the provider may answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.domain.delivery import FINAL, MessageState
from service.gateways.sms.twilio import TwilioAccount, TwilioTransport
from service.store.consent import ConsentChannel, ConsentEvent, ConsentKind
from service.store.inbound import Task, TaskKind
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Participant, ParticipantStatus
from service.usecases.operations.live_mode import find_block, go_live
from tests.acceptance.line import Line, running_line
from tests.conftest import FakeClock
from tests.integration.test_import_participants import run_import
from tests.standin import Fault, accept_then_timeout, garbage, reset_after_accept, reset_before, status

S = MessageState
# Their program is long over, so that the welcome is the only text they get.
PERSON = "{},Ana Example,America/New_York,en,,2025-11-01,written,2026-11-20T15:00,intake desk,"
READ_SECONDS = 1.0
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


@pytest.fixture
def line(database_url: str, clock: FakeClock) -> Iterator[Line]:
    with running_line(database_url, clock) as running:
        running.standin.auto_receipts = False
        with transport_to(running, running.standin.url, connect_seconds=5.0):
            yield running


@contextmanager
def transport_to(line: Line, url: str, connect_seconds: float) -> Iterator[None]:
    """Let the worker talk to another address of the provider's, with a short patience."""
    account = TwilioAccount(
        line.standin.account_sid,
        line.standin.auth_token,
        messaging_service_sid=line.standin.service_sid,
        api_url=url,
    )
    transport = TwilioTransport(account, timeout=(connect_seconds, READ_SECONDS))
    before = line.runtime
    line.runtime = replace(before, transport=transport)
    try:
        yield
    finally:
        line.runtime = before
        transport.close()


def number_of(position: int) -> str:
    return f"+1202555{110 + position:04d}"


def plan_texts(line: Line, *positions: int) -> list[int]:
    """List people who agreed on paper, one welcome for each; returns the ids of these texts."""
    run_import(line.runtime.context, *(PERSON.format(number_of(position)) for position in positions))
    with line.runtime.database.read() as session:
        ids = session.scalars(select(Message.id).order_by(Message.id.desc()).limit(len(positions)))
        return sorted(ids)


def get_message(line: Line, message_id: int) -> Message:
    with line.runtime.database.read() as session:
        return session.scalars(select(Message).where(Message.id == message_id)).one()


def list_attempts(line: Line, message_id: int) -> list[Attempt]:
    with line.runtime.database.read() as session:
        query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.id)
        return list(session.scalars(query))


def list_tasks(line: Line) -> list[tuple[TaskKind, int | None]]:
    with line.runtime.database.read() as session:
        return [(task.kind, task.message_id) for task in session.scalars(select(Task).order_by(Task.id))]


def opt_outs(line: Line) -> list[ConsentEvent]:
    with line.runtime.database.read() as session:
        return list(session.scalars(select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.OPTED_OUT)))


def taken(line: Line, position: int) -> list[str]:
    """What the provider took for a person."""
    return [text["body"] for text in line.standin.accepted if text["to"] == number_of(position)]


@dataclass(frozen=True)
class Case:
    """A mishap at the first try: the state at once and after two days, how often the provider took it."""

    fault: Fault
    at_once: MessageState
    in_the_end: MessageState
    taken: int
    reason: str
    tries: int = 1
    not_before: timedelta = timedelta(0)


CASES = (
    Case(status(429, 20429), S.PLANNED, S.ACCEPTED, 1, "too many at once: surely not processed", 2, SECOND),
    Case(status(429), S.PLANNED, S.ACCEPTED, 1, "429 without a code is the same", 2, SECOND),
    Case(status(400, 21611), S.PLANNED, S.ACCEPTED, 1, "a full queue takes an hour to empty", 2, HOUR),
    Case(status(400, 21211), S.FAILED, S.FAILED, 0, "no such number, today or tomorrow"),
    Case(status(400, 21614), S.FAILED, S.FAILED, 0, "not a mobile number, today or tomorrow"),
    Case(status(400, 21617), S.FAILED, S.FAILED, 0, "our mistake is not mended by repeating it"),
    Case(status(400, 99999), S.FAILED, S.FAILED, 0, "a code nobody knows is never resent"),
    Case(status(400), S.FAILED, S.FAILED, 0, "a refusal without a code is never resent"),
    Case(status(500, 20500), S.UNKNOWN, S.UNRESOLVED, 0, "it may have been taken before the fault"),
    Case(status(503, 20429), S.UNKNOWN, S.UNRESOLVED, 0, "a status above 499 outweighs a retryable code"),
    Case(status(500, accepts=True), S.UNKNOWN, S.ACCEPTED, 1, "it was taken, and the fault came after"),
    Case(accept_then_timeout(READ_SECONDS + 1), S.UNKNOWN, S.ACCEPTED, 1, "taken, but no answer in time"),
    Case(reset_after_accept(), S.UNKNOWN, S.ACCEPTED, 1, "the line broke after the request had left"),
    Case(reset_before(), S.UNKNOWN, S.UNRESOLVED, 0, "the same, seen from here"),
    Case(garbage(), S.UNKNOWN, S.ACCEPTED, 1, "a yes that names no text"),
    Case(status(408), S.UNKNOWN, S.UNRESOLVED, 0, "a machine on the way gave up"),
)


def test_each_answer_has_its_consequence_and_no_text_goes_out_twice(line: Line) -> None:
    started_at = line.clock()
    messages = []
    for position, case in enumerate(CASES):
        messages += plan_texts(line, position)
        line.standin.script(case.fault)
        line.work()
        assert get_message(line, messages[-1]).state is case.at_once, case.reason

    line.pass_time(started_at + MINUTE, 30 * SECOND)
    line.pass_time(started_at + 49 * HOUR, 4 * HOUR)

    tasks = list_tasks(line)
    for position, (message_id, case) in enumerate(zip(messages, CASES, strict=True)):
        message, attempts = get_message(line, message_id), list_attempts(line, message_id)
        assert message.state is case.in_the_end, case.reason
        assert len(taken(line, position)) == case.taken, case.reason
        assert len(attempts) == case.tries, case.reason
        assert attempts[-1].started_at >= started_at + case.not_before, case.reason
        assert [body == message.body for body in taken(line, position)] == [True] * case.taken, case.reason
        is_on_the_list = message.state in FINAL
        assert [about for _, about in tasks].count(message_id) == int(is_on_the_list), case.reason
    assert opt_outs(line) == []


def test_a_receipt_with_our_reference_settles_what_was_unclear_however_late(line: Line) -> None:
    faults = (reset_after_accept(), status(502, accepts=True), garbage())
    messages = plan_texts(line, *range(len(faults)))
    line.standin.script(*faults)
    line.work()
    assert {get_message(line, message_id).state for message_id in messages} == {S.UNKNOWN}
    first, second, third = [text["sid"] for text in line.standin.accepted]

    line.standin.deliver(first)
    line.pass_time(line.clock() + 26 * HOUR, 13 * HOUR)
    line.standin.deliver(second, ("sent",))
    line.standin.deliver(third, ("undelivered",), 30005)
    line.work()

    by_sid = {list_attempts(line, one)[0].provider_message_id: get_message(line, one) for one in messages}
    states = [by_sid[sid].state for sid in (first, second, third)]
    assert states == [S.DELIVERED, S.SENT, S.UNDELIVERED]
    assert line.standin.creates == len(faults), "nothing was sent again"


@contextmanager
def nobody_listens() -> Iterator[str]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


@contextmanager
def nobody_shakes_hands() -> Iterator[str]:
    # A listener whose queue is full does not answer the handshake.
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_what_could_not_connect_surely_did_not_leave_and_goes_out_once_when_the_provider_is_back(
    line: Line,
) -> None:
    [refused] = plan_texts(line, 0)
    with nobody_listens() as url, transport_to(line, url, connect_seconds=5.0):
        line.work()
        assert get_message(line, refused).state is S.PLANNED
        line.pass_time(line.clock() + 3 * HOUR, 20 * MINUTE)
    [timed_out] = plan_texts(line, 1)
    with nobody_shakes_hands() as url, transport_to(line, url, connect_seconds=0.2):
        line.work()
    assert get_message(line, timed_out).state is S.PLANNED
    assert line.standin.creates == 0
    assert len(list_attempts(line, refused)) > 5, "an outage of hours does not use a text up"

    line.pass_time(line.clock() + HOUR, 10 * MINUTE)

    for position, message_id in enumerate((refused, timed_out)):
        message = get_message(line, message_id)
        assert message.state is S.ACCEPTED
        assert taken(line, position) == [message.body]
    assert list_tasks(line) == []


def test_a_person_who_opted_out_at_the_provider_is_opted_out_here_at_once(line: Line) -> None:
    told_by_answer, told_by_receipt = number_of(0), number_of(1)
    ids = plan_texts(line, 0, 1)
    line.standin.opted_out.add(told_by_answer)
    line.work()
    line.standin.deliver(line.standin.accepted[0]["sid"], ("sent", "undelivered"), 21610)
    line.standin.deliver(line.standin.accepted[0]["sid"], ("failed",), 21610)

    assert [get_message(line, one).state for one in ids] == [S.CANCELED, S.UNDELIVERED]
    with line.runtime.database.read() as session:
        statuses = session.scalars(select(Participant.status)).all()
    assert set(statuses) == {ParticipantStatus.OPTED_OUT}
    events = opt_outs(line)
    assert [event.channel for event in events] == [ConsentChannel.PROVIDER] * 2
    assert sorted(event.source_id for event in events) == [f"message {one}" for one in ids]
    assert list_tasks(line) == []

    run_import(line.runtime.context, *(PERSON.format(one) for one in (told_by_answer, told_by_receipt)))
    creates = line.standin.creates
    line.pass_time(line.clock() + 2 * DAY, 6 * HOUR)
    line.phone = told_by_receipt
    assert line.text("hello?") == []
    line.work()
    assert line.standin.creates == creates, "nothing is sent afterwards, not even tried"


@pytest.mark.parametrize(
    ("http_status", "code", "reason"),
    [
        (401, 20003, "our token is wrong"),
        (400, 21606, "our number cannot send texts"),
        (403, None, "the account may not do this"),
    ],
)
def test_a_wrong_account_stops_the_sender_once_and_loses_nothing(
    line: Line, http_status: int, code: int | None, reason: str
) -> None:
    ids = plan_texts(line, *range(40))
    line.standin.by_chance({status(http_status, code): 1.0}, seed=1)

    line.work()

    with line.runtime.database.read() as session:
        assert find_block(line.runtime.context, session, line.clock()) == "sending_stopped", reason
        stopped = session.scalars(select(MessageEvent.message_id).where(MessageEvent.to_state == "rejected"))
        assert len(list(stopped)) == line.standin.creates
    refused = line.standin.creates
    assert refused <= 16, "no second batch"
    line.pass_time(line.clock() + 4 * HOUR, HOUR)
    assert line.standin.creates == refused, "nothing is tried while the sender is stopped"
    states = [get_message(line, one).state for one in ids]
    assert set(states) <= {S.PLANNED, S.HELD}, "nothing is lost"
    assert [kind for kind, _ in list_tasks(line)] == [TaskKind.CONFIGURATION], "one task for staff"

    line.standin.by_chance({}, seed=1)
    go_live(line.runtime.context, "test", line.clock(), force=True)
    line.pass_time(line.clock() + 20 * MINUTE, 10 * MINUTE)

    assert [get_message(line, one).state for one in ids] == [S.ACCEPTED] * 40
    assert [len(taken(line, position)) for position in range(40)] == [1] * 40
    assert [kind for kind, _ in list_tasks(line)] == [TaskKind.CONFIGURATION]


def test_a_receipt_about_the_account_stops_the_sender_too(line: Line) -> None:
    first, second = plan_texts(line, 0, 1)
    line.work()

    for text in line.standin.accepted:
        line.standin.deliver(text["sid"], ("failed",), 30034)

    assert [get_message(line, one).state for one in (first, second)] == [S.FAILED] * 2
    with line.runtime.database.read() as session:
        assert find_block(line.runtime.context, session, line.clock()) == "sending_stopped"
    kinds = [kind for kind, _ in list_tasks(line)]
    assert kinds.count(TaskKind.CONFIGURATION) == 1
    assert kinds.count(TaskKind.FAILED_TEXT) == 2, "each text that did not arrive is on the list"
    [later] = plan_texts(line, 2)
    line.work()
    assert get_message(line, later).state is S.HELD
