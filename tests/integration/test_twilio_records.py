"""What the provider remembers is read whole or not at all, and never written down."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.phone import PhoneNumber
from service.gateways.sms.protocol import LookupFailedError, OutgoingSms
from service.gateways.sms.twilio import TwilioAccount, TwilioTransport
from service.gateways.sms.twilio_records import TwilioRecords
from tests.conftest import FakeClock
from tests.standin import Fault, On, TwilioStandin, garbage, reset_before, slow, status

TO = PhoneNumber("+12025550123")
OTHER = PhoneNumber("+12025550199")
SECRET_BODY = "Ada, your appointment is at 9"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def standin(clock: FakeClock) -> Iterator[TwilioStandin]:
    with TwilioStandin(clock=clock) as running:
        yield running


def account_at(standin: TwilioStandin, *, is_number: bool = False) -> TwilioAccount:
    sender = {"from_number": standin.number} if is_number else {"messaging_service_sid": standin.service_sid}
    return TwilioAccount(standin.account_sid, standin.auth_token, api_url=standin.url, **sender)


@pytest.fixture
def records(standin: TwilioStandin) -> Iterator[TwilioRecords]:
    with closing(TwilioRecords(account_at(standin), timeout=(1.0, 0.3), page_size=3)) as reading:
        yield reading


def send(standin: TwilioStandin, *bodies: str, to: PhoneNumber = TO) -> None:
    with closing(TwilioTransport(account_at(standin), pool_size=1)) as transport:
        for body in bodies:
            transport.send(OutgoingSms(to, body, "r", f"{standin.url}/status?ref=r"))


def test_every_text_to_a_number_is_listed_over_many_pages(
    standin: TwilioStandin, records: TwilioRecords, clock: FakeClock
) -> None:
    since = clock()
    send(standin, *(f"text {number}" for number in range(8)))
    send(standin, "to somebody else", to=OTHER)
    found = records.list_texts_to(TO, since)
    assert sorted(text.body for text in found) == [f"text {number}" for number in range(8)]
    assert {text.direction for text in found} == {"outbound-api"}
    assert {text.created_at for text in found} == {since}


def test_reading_ends_at_the_first_page_that_is_older(
    standin: TwilioStandin, records: TwilioRecords, clock: FakeClock
) -> None:
    send(standin, *(f"old {number}" for number in range(12)))
    since = clock.advance(MINUTE)
    send(standin, "new 1", "new 2")
    standin.script(None, None, status(500), on=On.LOOKUP)  # a third page would fail
    assert {text.body for text in records.list_texts_to(TO, since)} == {"new 1", "new 2"}


def test_a_provider_that_lists_in_another_order_is_read_to_the_end(
    standin: TwilioStandin, records: TwilioRecords
) -> None:
    """That the newest come first is written nowhere; an old page must not hide a new text."""
    days = [{"sid": f"SM{day}", "date_created": f"Fri, {day} Nov 2026 12:00:00 +0000"} for day in (6, 13, 20)]
    first = {"messages": days[:2], "next_page_uri": "/2010-04-01/next"}
    standin.script(garbage(json.dumps(first).encode(), 200), on=On.LOOKUP)
    standin.script(garbage(json.dumps({"messages": days[2:]}).encode(), 200), on=On.LOOKUP)
    found = records.list_texts_to(TO, datetime(2026, 11, 19, tzinfo=UTC))
    assert [text.sid for text in found] == ["SM20"]


def test_a_listing_that_does_not_end_is_not_complete(standin: TwilioStandin, clock: FakeClock) -> None:
    send(standin, *(f"text {number}" for number in range(7)))
    for number in range(7):
        standin.record_inbound(TO.e164, f"text {number}")
    with closing(TwilioRecords(account_at(standin), page_size=3, max_pages=2)) as records:
        with pytest.raises(LookupFailedError, match="TooMany") as failure:
            records.list_texts_to(TO, clock())
        with pytest.raises(LookupFailedError, match="TooMany"):
            records.list_texts_in(clock() - MINUTE)
    assert not failure.value.is_refused


@pytest.mark.parametrize("is_number", [False, True])
def test_texts_that_came_in_are_listed_oldest_first_and_ours_are_not(
    standin: TwilioStandin, clock: FakeClock, *, is_number: bool
) -> None:
    standin.record_inbound(TO.e164, "long ago")
    since = clock.advance(MINUTE)
    for number in range(5):
        clock.advance(MINUTE)
        standin.record_inbound(TO.e164, f"text {number}")
        send(standin, "our own")
    with closing(TwilioRecords(account_at(standin, is_number=is_number), page_size=2)) as records:
        found = records.list_texts_in(since)
    assert [text.body for text in found] == [f"text {number}" for number in range(5)]
    assert {(text.direction, text.sender, text.recipient) for text in found} == {
        ("inbound", TO.e164, standin.number)
    }


def test_a_slice_ends_where_it_was_asked_to(
    standin: TwilioStandin, records: TwilioRecords, clock: FakeClock
) -> None:
    since = clock()
    for number in range(6):
        standin.record_inbound(TO.e164, f"text {number}")
        clock.advance(MINUTE)
    found = records.list_texts_in(since + MINUTE, since + 3 * MINUTE)
    assert [text.body for text in found] == ["text 1", "text 2", "text 3"]


@pytest.mark.parametrize("limits", [{"max_pages": 1}, {"listing_seconds": 0.0}])
def test_a_listing_that_is_too_long_is_told_from_one_that_fails(
    standin: TwilioStandin, clock: FakeClock, limits: dict[str, float]
) -> None:
    for number in range(7):
        standin.record_inbound(TO.e164, f"text {number}")
    with closing(TwilioRecords(account_at(standin), page_size=3, **limits)) as records:  # type: ignore[arg-type]
        with pytest.raises(LookupFailedError, match="TooMany") as failure:
            records.list_texts_in(clock() - MINUTE)
        assert failure.value.is_too_long
        standin.script(status(503), on=On.LOOKUP)
        with pytest.raises(LookupFailedError) as failure:
            records.list_texts_in(clock() - MINUTE)
        assert not failure.value.is_too_long


def test_a_text_for_another_messaging_service_is_not_ours(
    standin: TwilioStandin, records: TwilioRecords
) -> None:
    shown = [
        {
            "sid": f"SM{number}",
            "date_created": "Fri, 20 Nov 2026 12:00:00 +0000",
            "direction": "inbound",
            "messaging_service_sid": service,
        }
        for number, service in enumerate((standin.service_sid, None, "MG" + "7" * 32))
    ]
    standin.script(garbage(json.dumps({"messages": shown}).encode(), 200), on=On.LOOKUP)
    found = records.list_texts_in(datetime(2026, 11, 1, tzinfo=UTC))
    assert [text.sid for text in found] == ["SM0", "SM1"]


def test_a_text_is_fetched_with_its_fate(standin: TwilioStandin, records: TwilioRecords) -> None:
    send(standin, "hello")
    sid = standin.accepted[0]["sid"]
    standin.deliver(sid, ("sent", "undelivered"), 30003)
    text = records.fetch(sid)
    assert text is not None
    assert (text.sid, text.status, text.error_code) == (sid, "undelivered", 30003)


def test_a_text_the_provider_does_not_have_is_none(records: TwilioRecords) -> None:
    assert records.fetch("SM" + "0" * 32) is None


def test_a_listed_text_without_a_date_fails_the_look_up(
    standin: TwilioStandin, records: TwilioRecords, clock: FakeClock
) -> None:
    standin.script(garbage(b'{"messages": [{"sid": "SM1", "date_created": null}]}', 200), on=On.LOOKUP)
    with pytest.raises(LookupFailedError, match="ValueError"):
        records.list_texts_to(TO, clock())


@pytest.mark.parametrize(
    ("fault", "is_refused", "reason"),
    [
        (status(500), False, "their fault, it may pass"),
        (status(503), False, "their fault, it may pass"),
        (status(429, 20429), False, "busy, it will pass"),
        (status(408), False, "a machine on the way gave up"),
        (reset_before(), False, "the line broke"),
        (slow(1), False, "silence"),
        (status(404, 20404), True, "there is no such list here"),
        (status(401, 20003), False, "a wrong token may be mended, and hides what came in"),
        (status(403), False, "a key that may not list may be mended as well"),
        (status(400), False, "a slip of theirs or ours, not a missing list"),
        (garbage(http_status=200), False, "a page of some machine on the way"),
        (status(405), True, "there is no such list here"),
        (status(501), True, "there is no such list here"),
        (garbage(), True, "who answers a question with 201 has no list"),
        (garbage(b"{}", 200), True, "an answer without a list"),
    ],
)
def test_a_look_up_that_fails_says_whether_asking_again_may_help(
    standin: TwilioStandin,
    records: TwilioRecords,
    clock: FakeClock,
    fault: Fault,
    is_refused: bool,
    reason: str,
) -> None:
    standin.script(fault, fault, on=On.LOOKUP)
    asking: list[Callable[[], object]] = [
        lambda: records.list_texts_to(TO, clock()),
        lambda: records.list_texts_in(clock()),
    ]
    for ask in asking:
        with pytest.raises(LookupFailedError, match=r"^the provider could not be asked \(.+\)$") as failure:
            ask()
        assert failure.value.is_refused is is_refused, reason


def test_no_number_and_no_body_is_ever_written_down(
    standin: TwilioStandin, records: TwilioRecords, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(standin, SECRET_BODY)
    standin.record_inbound(TO.e164, SECRET_BODY)
    standin.script(status(500), garbage(SECRET_BODY.encode()), on=On.LOOKUP)
    failures = []
    for _ in range(2):
        with pytest.raises(LookupFailedError) as failure:
            records.list_texts_to(TO, clock())
        failures.append((failure.value, failure.value.__context__))
    texts = [records.list_texts_to(TO, clock()), records.list_texts_in(clock() - MINUTE)]
    assert all(texts)
    for secret in ("202555", "Ada", standin.auth_token):
        assert secret not in repr((failures, texts)) + caplog.text
