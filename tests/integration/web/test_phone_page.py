"""The simulated phone: who may use it, what it shows, and that each text leaves at its own time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from service.catalog import default_messages_path
from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.domain.phone import PhoneNumber
from service.store.inbound import InboundMessage
from service.store.participants import Participant, ParticipantStatus
from service.usecases.operations.demo import seed_demo
from service.usecases.operations.reason_words import explain
from service.web.app import create_app
from service.web.page_texts import load_phone_words
from service.wiring import Runtime, build_runtime
from tests.conftest import NOW, FakeClock, make_settings
from tests.integration.web.conftest import list_messages, list_sent, text_from

PHONE = PhoneNumber("+12025550123")
ADD = {"number": "202-555-0123", "timezone": "America/Denver", "language": "en"}


def token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/phone/").get_data(as_text=True))
    assert found is not None
    return found[1]


def post(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    return client.post(f"/phone/{path}", data={"csrf_token": token(client)} | fields)


def read_page(client: FlaskClient) -> str:
    return client.get("/phone/").get_data(as_text=True)


def list_keys(client: FlaskClient) -> list[str]:
    return re.findall(r'id="phone-([0-9a-f]+)"', read_page(client))


def text(client: FlaskClient, key: str, body: str) -> TestResponse:
    return post(client, "text", phone=key, body=body)


def bubbles_of(client: FlaskClient) -> list[tuple[str, str]]:
    """Who wrote what, in the order shown, of all phones."""
    found = re.findall(r'<div class="bubble (mine|theirs)">\s*<p>(.*?)</p>', read_page(client), re.DOTALL)
    return [(who, body) for who, body in found]


def count_inbound(runtime: Runtime) -> int:
    with runtime.database.read() as session:
        return len(session.scalars(select(InboundMessage.id)).all())


STRANGERS = [
    ({"REMOTE_ADDR": "192.0.2.5"}, {}, "another machine"),
    ({"REMOTE_ADDR": "10.0.0.5"}, {}, "another machine of the same network"),
    ({"REMOTE_ADDR": "::ffff:192.0.2.5"}, {}, "another machine, written as IPv6"),
    ({"REMOTE_ADDR": ""}, {}, "nobody knows from where"),
    ({}, {"X-Forwarded-For": "127.0.0.1"}, "through a proxy on this machine"),
    ({}, {"Forwarded": "for=127.0.0.1"}, "through a proxy on this machine"),
    ({}, {"X-Real-IP": "127.0.0.1"}, "through a proxy on this machine"),
    ({}, {"Host": "evil.example"}, "a foreign name that points at this machine"),
]


@pytest.mark.parametrize(("environ", "headers", "reason"), STRANGERS)
def test_only_this_machine_itself_may_use_the_phones(
    client: FlaskClient, runtime: Runtime, environ: dict[str, str], headers: dict[str, str], reason: str
) -> None:
    seed_demo(runtime.context, NOW)
    key, csrf = list_keys(client)[0], token(client)
    fields = {"csrf_token": csrf, "phone": key, "body": "HELP", "step": "day"} | ADD

    seen = [
        client.get("/phone/", environ_base=environ, headers=headers),
        *(
            client.post(f"/phone/{path}", data=fields, environ_base=environ, headers=headers)
            for path in ("text", "clock", "add")
        ),
    ]

    assert [answer.status_code for answer in seen] == [403] * 4, reason
    assert not any(b"Example" in answer.data for answer in seen)
    assert count_inbound(runtime) == 0
    assert list_messages(runtime) == []
    assert runtime.clock() == NOW


@pytest.mark.parametrize(
    ("path", "fields"), [("text", {"body": "STOP"}), ("clock", {"step": "day"}), ("add", ADD)]
)
def test_a_foreign_form_changes_nothing(
    client: FlaskClient, runtime: Runtime, path: str, fields: dict[str, str]
) -> None:
    seed_demo(runtime.context, NOW)
    keys = list_keys(client)

    answer = client.post(f"/phone/{path}", data={"phone": keys[0], "csrf_token": "forged"} | fields)

    assert answer.status_code == 400
    assert list_keys(client) == keys
    assert count_inbound(runtime) == 0
    assert list_messages(runtime) == []
    assert runtime.clock() == NOW


@pytest.fixture
def provider_runtime(database_url: str) -> Iterator[Runtime]:
    built = build_runtime(
        make_settings(
            database_url=database_url,
            transport="twilio",
            twilio_account_sid="AC" + "1" * 32,
            twilio_auth_token="a-token-for-tests",
            twilio_from="+12025550100",
            twilio_optout_mode="app",
        )
    )
    yield built
    built.close()


def test_with_a_real_provider_there_is_no_phone(provider_runtime: Runtime) -> None:
    assert create_app(provider_runtime).test_client().get("/phone/").status_code == 404


def test_an_empty_service_says_what_to_do(client: FlaskClient) -> None:
    page = read_page(client)

    assert "There is no phone yet" in page
    for word in ("JOIN", "YES", "HELP", "PAUSE 2", "STOP", "please stop texting me"):
        assert f"<kbd>{word}</kbd>" in page


def test_a_new_phone_joins_through_the_signed_webhook(client: FlaskClient, runtime: Runtime) -> None:
    answer = post(client, "add", **ADD)
    [key] = list_keys(client)
    assert answer.headers["Location"].endswith(f"/phone/#phone-{key}")
    assert "has not joined" in read_page(client)

    text(client, key, "JOIN")
    assert "asked to confirm" in read_page(client)
    text(client, key, "YES")

    assert list_keys(client) == [key], "joining does not change which phone it is"
    assert "takes part" in read_page(client)
    who, bodies = zip(*bubbles_of(client), strict=True)
    assert who == ("mine", "theirs", "mine", "theirs")
    assert (bodies[0], bodies[2]) == ("JOIN", "YES")
    assert "Reply YES to confirm" in bodies[1]
    assert {message.state for message in list_messages(runtime)} == {MessageState.DELIVERED}


def test_a_phone_that_never_joined_sees_its_answers(client: FlaskClient) -> None:
    post(client, "add", **ADD)
    [key] = list_keys(client)

    text(client, key, "HELP")

    [question, answer] = bubbles_of(client)
    assert question == ("mine", "HELP")
    assert answer[0] == "theirs"
    assert "River House" in answer[1]


def test_a_suggested_text_is_sent_as_it_stands(client: FlaskClient) -> None:
    post(client, "add", **ADD)
    [key] = list_keys(client)

    post(client, "text", phone=key, body="half-written", quick="STOP")

    assert bubbles_of(client)[0] == ("mine", "STOP")


def test_what_a_person_texts_is_never_markup(client: FlaskClient) -> None:
    post(client, "add", **ADD)
    [key] = list_keys(client)

    text(client, key, "<img src=x onerror=alert(1)>")

    assert "<img" not in read_page(client)


REFUSED_PHONES = [
    ({"number": "202-555-1111"}, "use a fictional number", "somebody's real number"),
    ({"number": "555-0123"}, "lacks its area code", "no area code"),
    ({"number": "hello"}, "digits only", "no number"),
    ({"timezone": "Mars/Olympus"}, "unknown time zone", "no such zone"),
    ({"timezone": ""}, "unknown time zone", "no zone"),
]


@pytest.mark.parametrize(("changed", "line", "reason"), REFUSED_PHONES)
def test_only_fictional_phones_in_real_zones_are_added(
    client: FlaskClient, changed: dict[str, str], line: str, reason: str
) -> None:
    post(client, "add", **(ADD | changed))

    page = read_page(client)
    assert line in page, reason
    assert "There is no phone yet" in page


REFUSED_TEXTS = [
    ("0" * 16, "HELP", "no longer on the page", "a phone that is not shown"),
    (None, "   ", "Write something first", "nothing written"),
    (None, "x" * 1601, "at most 1600 characters", "longer than any provider takes"),
]


@pytest.mark.parametrize(("key", "body", "line", "reason"), REFUSED_TEXTS)
def test_a_refused_text_says_why_and_reaches_nobody(
    client: FlaskClient, runtime: Runtime, key: str | None, body: str, line: str, reason: str
) -> None:
    post(client, "add", **ADD)

    text(client, key or list_keys(client)[0], body)

    assert line in read_page(client), reason
    assert count_inbound(runtime) == 0


def test_no_address_of_the_page_holds_a_number(client: FlaskClient) -> None:
    answers = [post(client, "add", **ADD)]
    answers += [text(client, list_keys(client)[0], "JOIN")]

    addresses = [answer.headers["Location"] for answer in answers]
    addresses += re.findall(r'(?:href|action|id)="([^"]+)"', read_page(client))
    assert not any("5550123" in address or "555-0123" in address for address in addresses)


def test_a_phone_shows_its_own_clock_and_what_the_service_assumes(client: FlaskClient) -> None:
    post(client, "add", **ADD)
    [key] = list_keys(client)
    assert "Mon, Nov 23, 8:00 AM" in read_page(client)

    text(client, key, "JOIN")

    assert "the service assumes America/New York" in read_page(client)


def test_a_spanish_phone_is_offered_spanish_words(client: FlaskClient) -> None:
    post(client, "add", **(ADD | {"language": "es"}))

    assert 'value="AYUDA"' in read_page(client)


def test_eight_phones_are_shown_and_the_newest_activity_wins(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    phones = [PhoneNumber(f"+120255501{number}") for number in range(40, 50)]
    for phone in phones:
        clock.advance(timedelta(minutes=1))
        text_from(runtime, phone, "JOIN")
    clock.advance(timedelta(minutes=1))
    text_from(runtime, phones[0], "HELP")

    page = read_page(client)

    assert len(list_keys(client)) == 8
    assert "202-555-0140" in page
    assert "202-555-0141" not in page


def test_the_clock_moves_an_hour_and_says_what_happened(client: FlaskClient, runtime: Runtime) -> None:
    post(client, "clock", step="hour")

    assert runtime.clock() == NOW + timedelta(hours=1)
    assert "It is now Mon, Nov 23, 11:00 AM: 0 texts sent." in read_page(client)


@pytest.mark.parametrize("step", ["", "year", "-1"])
def test_the_clock_takes_no_other_step(client: FlaskClient, runtime: Runtime, step: str) -> None:
    post(client, "clock", step=step)

    assert runtime.clock() == NOW
    assert "no such step" in read_page(client)


def test_to_the_next_text_ends_with_a_text_on_a_phone(client: FlaskClient, runtime: Runtime) -> None:
    seed_demo(runtime.context, NOW)

    post(client, "clock", step="text")

    assert "1 text sent" in read_page(client) or "2 texts sent" in read_page(client)
    assert "delivered" in read_page(client)
    assert runtime.clock() < NOW + timedelta(days=2)


def test_with_nobody_to_text_the_clock_stops_after_forty_days(client: FlaskClient, runtime: Runtime) -> None:
    post(client, "clock", step="text")

    assert runtime.clock() == NOW + timedelta(days=40)
    assert "Nothing went out in forty days" in read_page(client)


def test_an_answer_to_a_check_in_gets_its_reply_and_the_reason_is_told(
    client: FlaskClient, runtime: Runtime
) -> None:
    seed_demo(runtime.context, NOW)
    while not any(message.kind == MessageKind.CHECKIN for message in list_sent(runtime)):
        post(client, "clock", step="text")
    with runtime.database.read() as session:
        people = session.scalars(select(Participant).order_by(Participant.id)).all()
    asked = next(m.participant_id for m in list_sent(runtime) if m.kind == MessageKind.CHECKIN)
    key = list_keys(client)[[person.id for person in people].index(asked or 0)]
    assert "A question is open" in read_page(client)

    text(client, key, "7")

    assert ("mine", "7") in bubbles_of(client)
    page = read_page(client)
    assert "An answer to what this phone texted." in page
    assert explain("delivered", "receipt_delivered") in page


def test_stop_empties_what_comes_next(client: FlaskClient, runtime: Runtime) -> None:
    seed_demo(runtime.context, NOW)
    post(client, "clock", step="hour")

    for key in list_keys(client):
        text(client, key, "please stop texting me")

    page = read_page(client)
    assert page.count('class="status opted_out"') == 3
    assert not any(m.state in (MessageState.PLANNED, MessageState.HELD) for m in list_messages(runtime))
    with runtime.database.read() as session:
        assert set(session.scalars(select(Participant.status))) == {ParticipantStatus.OPTED_OUT}


def test_every_state_kind_and_status_has_plain_words() -> None:
    words = load_phone_words(default_messages_path() / "pages")

    assert set(words.states) == set(MessageState)
    assert set(words.kinds) == set(MessageKind)
    assert set(words.statuses) == {"new", "paused", *ParticipantStatus}
