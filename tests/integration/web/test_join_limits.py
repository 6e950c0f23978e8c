"""What the sign-up page may cause: how many texts to one number and by the line, and how many tries."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from service.domain.confirmation_requests import LINE_LIMIT
from service.domain.delivery import MessageState
from service.domain.phone import PhoneNumber
from service.store.consent import ConsentChannel, ConsentEvent, ConsentKind
from service.store.inbound import Task, TaskKind
from service.store.messages import Message
from service.store.participants import Enrollment, Participant
from service.store.service_state import Throttle
from service.usecases.context import Context
from service.usecases.operations.staff_tasks import close_task
from service.usecases.people.confirmation_request import LINE_REQUESTS
from service.usecases.people.consent_changes import Evidence, Wording, record_consent_event
from service.usecases.people.join_by_web import (
    SUBMISSIONS_PER_HOUR,
    JoinOutcome,
    UntextableNumberError,
    WebSignUp,
    join_by_web,
    parse_joining_phone,
)
from service.usecases.sending.work import work_once
from service.wiring import Runtime
from tests.conftest import NOW, FakeClock, make_settings
from tests.integration.web.conftest import list_messages, text_from
from tests.integration.web.test_join_page import PHONE, submit

DAY = timedelta(hours=24)
WORDING = Wording("page/join-consent", 1, "I agree.")


def numbered(number: int) -> PhoneNumber:
    """One of a hundred fictional numbers in each of many area codes."""
    return PhoneNumber(f"+1{202 + number // 100}55501{number % 100:02}")


def sign_up(context: Context, phone: PhoneNumber, now: datetime, address: str = "a") -> JoinOutcome:
    return join_by_web(context, WebSignUp(phone, "first-year", "en", WORDING, address), now)


def count_known(context: Context) -> dict[str, int]:
    """What is stored about people and texts to them."""
    with context.database.read() as session:
        return {
            table.__tablename__: session.scalars(select(func.count()).select_from(table)).one()
            for table in (Participant, Enrollment, ConsentEvent, Message)
        }


def list_tasks(context: Context) -> list[Task]:
    with context.database.read() as session:
        return list(session.scalars(select(Task).where(Task.kind == TaskKind.SIGN_UP_PAGE)))


def list_asked(runtime: Runtime) -> list[Message]:
    """Requests to confirm that the page caused."""
    return [message for message in list_messages(runtime) if message.dedupe_key.endswith(":opt-in")]


def work(runtime: Runtime) -> None:
    work_once(runtime.context, runtime.transport, runtime.clock)
    assert runtime.simulator is not None
    runtime.simulator.flush(5)


def test_midnight_does_not_bring_a_second_request(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    clock.at = datetime(2026, 11, 24, 4, 59, 40, tzinfo=UTC)
    submit(client)
    before = count_known(runtime.context)

    clock.advance(timedelta(seconds=40))
    answer = submit(client)

    assert answer.status_code == 303
    assert count_known(runtime.context) == before


def test_a_request_that_waited_for_the_morning_counts_from_when_it_went(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    clock.at = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    submit(client)
    work(runtime)
    clock.advance(timedelta(hours=22, minutes=30))
    work(runtime)
    [first] = list_asked(runtime)
    assert first.accepted_at == clock.at, "held over the night, and no worker until Sunday evening"

    clock.advance(timedelta(hours=2))
    submit(client)

    assert len(list_asked(runtime)) == 1


def test_while_a_request_waits_to_go_no_other_is_planned(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    submit(client)
    before = count_known(runtime.context)

    clock.advance(timedelta(hours=30))
    answer = submit(client)

    assert answer.status_code == 303
    assert count_known(runtime.context) == before
    assert [message.state for message in list_asked(runtime)] == [MessageState.PLANNED]


def ask_until_silent(client: FlaskClient, runtime: Runtime, clock: FakeClock) -> None:
    """Somebody types the same number day after day; the worker runs, nobody answers."""
    for _day in range(6):
        assert submit(client).status_code == 303
        work(runtime)
        clock.advance(DAY)


def test_after_two_unanswered_requests_the_number_hears_nothing_more(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    ask_until_silent(client, runtime, clock)

    assert [message.state for message in list_asked(runtime)] == [MessageState.DELIVERED] * 2
    before = count_known(runtime.context)
    clock.advance(timedelta(days=300))
    assert submit(client).status_code == 303
    assert count_known(runtime.context) == before


def test_a_text_of_the_person_lets_the_page_ask_again(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    ask_until_silent(client, runtime, clock)
    text_from(runtime, PHONE, "hello")

    submit(client)

    assert len(list_asked(runtime)) == 3


DOCUMENTED = [
    (ConsentKind.DOCUMENTED, ConsentChannel.IMPORT, 3, "written consent"),
    (ConsentKind.ASKED, ConsentChannel.IMPORT, 3, "verbal consent, from a file"),
    (ConsentKind.ASKED, ConsentChannel.STAFF, 3, "verbal consent, taken by staff"),
    (ConsentKind.ASKED, ConsentChannel.WEB, 2, "the page itself documents nothing"),
    (ConsentKind.LISTED, ConsentChannel.IMPORT, 2, "being listed is no consent"),
]


@pytest.mark.parametrize(("kind", "channel", "requests", "reason"), DOCUMENTED)
def test_only_a_documented_consent_lets_the_page_ask_again_without_a_text(
    client: FlaskClient,
    runtime: Runtime,
    clock: FakeClock,
    kind: ConsentKind,
    channel: ConsentChannel,
    requests: int,
    reason: str,
) -> None:
    ask_until_silent(client, runtime, clock)
    with runtime.database.begin() as session:
        person = session.scalars(select(Participant)).one()
        evidence = Evidence(channel, "nurse", "form 7", clock.at)
        record_consent_event(session, kind, evidence, clock.at, participant=person, program_id="first-year")

    submit(client)

    assert len(list_asked(runtime)) == requests, reason


def test_the_whole_line_asks_at_most_so_many_an_hour_and_staff_are_told_once(context: Context) -> None:
    for number in range(LINE_LIMIT):
        assert sign_up(context, numbered(number), NOW, f"address {number}") is JoinOutcome.RECEIVED
    assert list_tasks(context) == []
    before = count_known(context)

    for number in range(LINE_LIMIT, LINE_LIMIT + 5):
        assert sign_up(context, numbered(number), NOW, f"address {number}") is JoinOutcome.RECEIVED

    assert before["messages"] == LINE_LIMIT
    assert count_known(context) == before, "who gets no text has nothing stored about them"
    [task] = list_tasks(context)
    assert (task.reason, task.participant_id) == ("sign_up_limit_reached", None)

    an_hour_on = NOW + timedelta(minutes=61)
    sign_up(context, numbered(500), an_hour_on, "another address")
    assert count_known(context)["messages"] == LINE_LIMIT + 1
    assert len(list_tasks(context)) == 1


def test_a_full_hour_after_staff_closed_the_task_tells_them_again(context: Context) -> None:
    for number in range(LINE_LIMIT + 2):
        sign_up(context, numbered(number), NOW, f"address {number}")
    [task] = list_tasks(context)
    close_task(context, task.id, "looked at", "ada@example.org", NOW)

    for number in range(100, 103):
        sign_up(context, numbered(number), NOW, f"address {number}")

    assert len(list_tasks(context)) == 2


def test_numbers_that_are_never_asked_do_not_fill_the_lines_hour(context: Context) -> None:
    for number in range(LINE_LIMIT + 5):
        sign_up(context, PHONE, NOW, f"address {number}")

    sign_up(context, numbered(1), NOW, "one more")

    assert count_known(context)["messages"] == 2
    assert list_tasks(context) == []


def sign_up_at_once(context: Context, submissions: Sequence[tuple[PhoneNumber, str]]) -> list[JoinOutcome]:
    """Let as many threads as there are submissions send them at the same moment."""
    start = threading.Barrier(len(submissions))

    def send(submission: tuple[PhoneNumber, str]) -> JoinOutcome:
        phone, address = submission
        start.wait()
        return sign_up(context, phone, NOW, address)

    with ThreadPoolExecutor(len(submissions)) as pool:
        return list(pool.map(send, submissions))


def test_an_address_that_sends_all_at_once_gets_no_more_through_than_one_by_one(context: Context) -> None:
    for number in range(SUBMISSIONS_PER_HOUR - 4):
        sign_up(context, numbered(number), NOW, "one address")

    outcomes = sign_up_at_once(context, [(numbered(100 + number), "one address") for number in range(16)])

    assert sorted(outcomes) == [JoinOutcome.RECEIVED] * 4 + [JoinOutcome.THROTTLED] * 12
    assert count_known(context)["messages"] == SUBMISSIONS_PER_HOUR
    with context.database.read() as session:
        used = select(func.count()).where(Throttle.subject_hash == "one address")
        assert session.scalars(used).one() == SUBMISSIONS_PER_HOUR


def test_the_lines_hour_and_its_one_task_hold_when_many_come_at_once(context: Context) -> None:
    with context.database.begin() as session:
        session.add_all(Throttle(subject_hash=LINE_REQUESTS, at=NOW) for _ in range(LINE_LIMIT - 3))

    sign_up_at_once(context, [(numbered(number), f"address {number}") for number in range(16)])

    assert count_known(context)["messages"] == 3
    assert len(list_tasks(context)) == 1


def test_one_number_sent_many_times_at_once_is_asked_once(context: Context) -> None:
    outcomes = sign_up_at_once(context, [(PHONE, f"address {number}") for number in range(16)])

    assert set(outcomes) == {JoinOutcome.RECEIVED}
    known = count_known(context)
    assert (known["participants"], known["enrollments"], known["messages"]) == (1, 1, 1)


OWN_NUMBERS = [
    ({"twilio_from": "+12025550188"}, "+12025550188", True, "the number that sends"),
    ({"twilio_from": "+12025550188"}, "+12025550190", False, "another one"),
    ({"twilio_messaging_service_sid": "MG1"}, "+12025550100", True, "the number that texts came in on"),
    ({"twilio_messaging_service_sid": "MG1"}, "+12025550190", False, "another one"),
]


@pytest.mark.parametrize(("sender", "typed", "is_refused", "reason"), OWN_NUMBERS)
def test_the_lines_own_number_is_known_however_the_provider_is_set_up(
    runtime: Runtime, sender: dict[str, str], typed: str, is_refused: bool, reason: str
) -> None:
    text_from(runtime, PHONE, "hello")
    account = {"twilio_account_sid": "AC1", "twilio_auth_token": "secret", "twilio_optout_mode": "app"}
    settings = make_settings(transport="twilio", **account, **sender)
    context = replace(runtime.context, settings=settings)
    before = count_known(context)

    try:
        parse_joining_phone(context, typed)
        was_refused = False
    except UntextableNumberError:
        was_refused = True

    assert was_refused is is_refused, reason
    assert count_known(context) == before


def test_before_the_first_text_came_in_no_number_is_taken_for_ours(context: Context) -> None:
    settings = make_settings(
        transport="twilio",
        twilio_account_sid="AC1",
        twilio_auth_token="secret",
        twilio_optout_mode="app",
        twilio_messaging_service_sid="MG1",
    )

    assert parse_joining_phone(replace(context, settings=settings), "202-555-0100").e164 == "+12025550100"
