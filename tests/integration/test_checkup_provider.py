"""`aftercare doctor` asks the provider how the account is set up, over real HTTP, and names nobody."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime

import pytest

from service.config import Settings
from service.gateways.sms.twilio_account import TwilioAccountReader
from service.usecases.operations.checkup_provider import list_provider_findings
from service.usecases.operations.findings import Finding
from tests.conftest import NOW, make_settings
from tests.standin import Fault, On, TwilioStandin, accept_then_timeout, garbage, reset_before, status
from tests.standin.wire import LoopbackServer, Reply, Request

PUBLIC = "https://line.example.org"
INBOUND = f"{PUBLIC}/twilio/inbound#rc=5&rp=all"
FALLBACK = f"{PUBLIC}/twilio/fallback"
NUMBER = "+12025550100"
TIMEOUT = (1.0, 0.3)
LEVELS = ("ok", "warning", "error")


@pytest.fixture
def standin() -> Iterator[TwilioStandin]:
    with TwilioStandin() as running:
        good = {"sms_url": INBOUND, "sms_method": "POST", "sms_fallback_url": FALLBACK}
        running.setup.numbers[0] |= good
        service = running.setup.services[running.service_sid]
        service |= {"inbound_request_url": INBOUND, "inbound_method": "POST", "fallback_url": FALLBACK}
        yield running


@pytest.fixture(params=["number", "service"])
def settings(request: pytest.FixtureRequest, standin: TwilioStandin) -> Settings:
    return settings_for(standin, request.param)


def settings_for(standin: TwilioStandin, sender: str, **more: object) -> Settings:
    own = {"twilio_from": standin.number} if sender == "number" else {}
    service = {"twilio_messaging_service_sid": standin.service_sid} if sender == "service" else {}
    given: dict[str, object] = {
        "transport": "twilio",
        "twilio_account_sid": standin.account_sid,
        "twilio_auth_token": standin.auth_token,
        "twilio_api_url": standin.url,
        "twilio_optout_mode": "app",
        "public_url": PUBLIC,
    }
    return make_settings(**given | own | service | more)


@contextmanager
def readers_of(settings: Settings) -> Iterator[list[TwilioAccountReader]]:
    sid, url = settings.twilio_account_sid, settings.twilio_api_url
    readers = [TwilioAccountReader(sid, token, url, TIMEOUT) for token in settings.auth_tokens]
    yield readers
    for reader in readers:
        reader.close()


def check(settings: Settings) -> dict[str, Finding]:
    """Every finding by its check; nothing in any of them may name a number or hold a token."""
    with readers_of(settings) as readers:
        findings = list_provider_findings(settings, readers, NOW)
    assert len({finding.check for finding in findings}) == len(findings)
    for finding in findings:
        assert finding.level in LEVELS
        assert "\n" not in finding.message
        for secret in ("2025550", "token-of", settings.twilio_account_sid):
            assert secret not in finding.message
    return {finding.check: finding for finding in findings}


def test_an_account_that_is_set_up_well_passes(settings: Settings) -> None:
    found = check(settings)

    for name in ("provider account", "provider number", "provider webhook"):
        assert found[name].level == "ok", found[name]
    assert found["public address"].level == "warning", "nobody is at that address"


ACCOUNTS = [
    ({"status": "suspended"}, "error", "suspended", "nothing goes out"),
    ({"status": "closed"}, "error", "closed", "nothing goes out"),
    ({"type": "Trial"}, "warning", "verified numbers only", "most people would get nothing"),
    ({"status": None}, "warning", "could not be checked", "the provider did not tell"),
    ({"status": "Active"}, "ok", "active", "in whatever case"),
]


@pytest.mark.parametrize(("changes", "level", "says", "because"), ACCOUNTS)
def test_the_state_of_the_account_is_told(
    standin: TwilioStandin, changes: dict[str, object], level: str, says: str, because: str
) -> None:
    standin.setup.account |= changes

    account = check(settings_for(standin, "number"))["provider account"]

    assert account.level == level, because
    assert says in account.message, because


WEBHOOKS = [
    ("", "POST", FALLBACK, "error", "nowhere", "every text is lost"),
    (
        "https://elsewhere.example.com/sms",
        "POST",
        FALLBACK,
        "error",
        "elsewhere.example.com",
        "not here",
    ),
    (
        f"{PUBLIC}/twilio/inbound/#rc=5&rp=all",
        "POST",
        FALLBACK,
        "error",
        "elsewhere",
        "the slash is signed",
    ),
    (INBOUND.replace("https", "http"), "POST", FALLBACK, "error", "elsewhere", "signed with its scheme"),
    (f"{PUBLIC}/twilio/inbound?x=1", "POST", FALLBACK, "error", "elsewhere", "signed with its query"),
    ("https://[broken", "POST", FALLBACK, "error", "without a host", "not even an address"),
    (INBOUND, "GET", FALLBACK, "error", "set it to POST", "our address takes POST only"),
    (f"{PUBLIC}/twilio/inbound", "POST", FALLBACK, "warning", "#rc=5&rp=all", "a restart loses texts"),
    (f"{PUBLIC}/twilio/inbound#rc=0&rp=all", "POST", FALLBACK, "warning", "#rc=5", "no repeat at all"),
    (f"{PUBLIC}/twilio/inbound#rc=5", "POST", FALLBACK, "warning", "rp=all", "repeats for connections only"),
    (INBOUND, "POST", "", "warning", FALLBACK, "nobody answers while we are away"),
    (INBOUND, "POST", "https://elsewhere.example.com/", "warning", FALLBACK, "somebody else answers then"),
    (
        f"{PUBLIC}/twilio/inbound#rc=3&rp=4xx,5xx,ct,rt",
        "POST",
        FALLBACK,
        "ok",
        "repeats",
        "all in words",
    ),
    (INBOUND.replace("line.", "LINE."), "POST", FALLBACK, "ok", "repeats", "a host has no case"),
]


@pytest.mark.parametrize(("url", "method", "fallback", "level", "says", "because"), WEBHOOKS)
@pytest.mark.parametrize("sender", ["number", "service"])
def test_the_webhook_is_compared_with_our_address(
    standin: TwilioStandin,
    sender: str,
    url: str,
    method: str,
    fallback: str,
    level: str,
    says: str,
    because: str,
) -> None:
    standin.setup.numbers[0] |= {"sms_url": url, "sms_method": method, "sms_fallback_url": fallback}
    standin.setup.services[standin.service_sid] |= {
        "inbound_request_url": url or None,
        "inbound_method": method,
        "fallback_url": fallback or None,
    }

    webhook = check(settings_for(standin, sender))["provider webhook"]

    assert webhook.level == level, because
    assert says in webhook.message, because


def test_what_is_wrong_with_the_webhook_says_what_it_is_to_be(standin: TwilioStandin) -> None:
    standin.setup.numbers[0]["sms_url"] = "https://user:secret@elsewhere.example.com/sms?key=secret"

    webhook = check(settings_for(standin, "number"))["provider webhook"]

    assert INBOUND in webhook.message
    assert "secret" not in webhook.message


def test_an_application_in_the_way_is_an_error(standin: TwilioStandin) -> None:
    standin.setup.numbers[0]["sms_application_sid"] = "AP" + "5" * 32

    assert check(settings_for(standin, "number"))["provider webhook"].level == "error"


def test_a_service_that_leaves_it_to_its_numbers_is_judged_by_its_worst_number(
    standin: TwilioStandin,
) -> None:
    service = standin.setup.services[standin.service_sid]
    service |= {"use_inbound_webhook_on_number": True, "inbound_request_url": None}
    second = standin.setup.numbers[0] | {"sid": "PN" + "6" * 32, "phone_number": "+12025550101"}
    standin.setup.numbers.append(second)
    standin.setup.senders[standin.service_sid].append(second["sid"])
    assert check(settings_for(standin, "service"))["provider webhook"].level == "ok"

    second["sms_url"] = ""

    assert check(settings_for(standin, "service"))["provider webhook"].level == "error"


NUMBERS: list[tuple[str, Callable[[TwilioStandin], object], str, str, str]] = [
    ("number", lambda s: s.setup.numbers.clear(), "error", "not a number of this account", "not ours"),
    ("service", lambda s: s.setup.senders.clear(), "error", "has no number", "nothing to send from"),
    (
        "number",
        lambda s: s.setup.numbers[0].update(capabilities={"sms": False, "voice": True}),
        "error",
        "cannot send texts",
        "a telephone only",
    ),
    (
        "service",
        lambda s: s.setup.numbers[0].update(capabilities={"sms": False}),
        "error",
        "cannot send texts",
        "the same in a service",
    ),
    (
        "number",
        lambda s: s.setup.numbers[0].pop("capabilities"),
        "warning",
        "could not be checked",
        "the provider did not tell",
    ),
    (
        "service",
        lambda s: s.setup.services.clear(),
        "warning",
        "could not be checked",
        "404 proves nothing",
    ),
]


@pytest.mark.parametrize(("sender", "change", "level", "says", "because"), NUMBERS)
def test_the_number_must_be_ours_and_able_to_text(
    standin: TwilioStandin,
    sender: str,
    change: Callable[[TwilioStandin], object],
    level: str,
    says: str,
    because: str,
) -> None:
    change(standin)

    number = check(settings_for(standin, sender))["provider number"]

    assert number.level == level, because
    assert says in number.message, because


def test_a_wrong_token_is_an_error_and_nothing_more_is_asked(standin: TwilioStandin) -> None:
    found = check(settings_for(standin, "number", twilio_auth_token="wrong"))

    assert found["provider account"].level == "error"
    assert "TWILIO_AUTH_TOKEN" in found["provider account"].message
    assert "provider number" not in found


def test_of_several_tokens_the_first_makes_the_calls(standin: TwilioStandin) -> None:
    right = standin.auth_token

    assert check(settings_for(standin, "number", twilio_auth_token=f"{right},old"))[
        "provider account"
    ].level == ("ok")
    refused = check(settings_for(standin, "number", twilio_auth_token=f"old,{right}"))["provider account"]
    assert refused.level == "error"
    assert "number 2 works: put it first" in refused.message


NOT_TOLD = [
    (status(404), "a stand-in that does not offer it"),
    (status(405), "nor this"),
    (status(403, 20403), "may not read it"),
    (status(429, 20429), "too many at once"),
    (status(500), "their fault"),
    (status(503), "their fault, for a while"),
    (status(302), "somebody else answers"),
    (garbage(b"<html>It works!</html>", 200), "not what was expected"),
    (garbage(b"[]", 200), "JSON, but no object"),
    (garbage(b"{}", 200), "an object, but empty"),
    (garbage(b'{"status": 7, "incoming_phone_numbers": 7}', 200), "of the wrong types"),
    (reset_before(), "the line breaks"),
    (accept_then_timeout(0.8), "silence"),
]


@pytest.mark.parametrize(("fault", "because"), NOT_TOLD)
def test_what_the_provider_does_not_tell_is_a_warning_and_never_an_error(
    standin: TwilioStandin, settings: Settings, fault: Fault, because: str
) -> None:
    standin.script(*[fault] * 9, on=On.LOOKUP)
    started = time.monotonic()

    found = check(settings)

    assert {finding.level for finding in found.values()} == {"warning"}, because
    assert "could not be checked" in found["provider account"].message, because
    assert time.monotonic() - started < 30, "bounded"


def test_a_provider_nobody_can_reach_is_one_warning(standin: TwilioStandin) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        found = check(settings_for(standin, "number", twilio_api_url=url))

    assert found["provider account"] == Finding(
        "provider account", "warning", "could not be checked (no connection)"
    )
    assert set(found) == {"provider account", "public address"}


@pytest.mark.parametrize(
    ("ahead", "level", "because"),
    [
        (timedelta(0), "ok", "the same time"),
        (timedelta(seconds=-50), "ok", "whole seconds, and the way here"),
        (timedelta(minutes=3), "warning", "odd, but texts go at about their time"),
        (timedelta(hours=-3), "error", "texts would go at night"),
    ],
)
def test_the_provider_s_clock_is_compared_with_ours(
    standin: TwilioStandin, ahead: timedelta, level: str, because: str
) -> None:
    def answer(_request: Request) -> Reply:
        date = format_datetime(NOW + ahead, usegmt=True)
        body = json.dumps({"status": "active", "type": "Full", "incoming_phone_numbers": []}).encode()
        return Reply(200, body, f"application/json\r\nDate: {date}")

    server = LoopbackServer(answer)
    found = check(settings_for(standin, "number", twilio_api_url=server.url))
    server.stop()

    assert found["provider clock"].level == level, because


PUBLIC_ANSWERS = [
    (Reply(200, b'{"status":"alive"}'), "ok", "answers", "it is us"),
    (Reply(200, b"<html>parked</html>"), "warning", "something else", "a parked name"),
    (Reply(502), "warning", "HTTP 502", "the proxy is there, we are not"),
    (Reply(301), "warning", "HTTP 301", "what the provider posts would be lost"),
]


@pytest.mark.parametrize(("reply", "level", "says", "because"), PUBLIC_ANSWERS)
def test_our_public_address_is_tried(
    standin: TwilioStandin, reply: Reply, level: str, says: str, because: str
) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Reply:
        asked.append(f"{request.method} {request.target}")
        return reply

    server = LoopbackServer(answer)
    address = check(settings_for(standin, "number", public_url=server.url))["public address"]
    server.stop()

    assert asked == ["GET /healthz"]
    assert address.level == level, because
    assert says in address.message, because


def test_a_short_code_is_looked_for_among_the_short_codes(standin: TwilioStandin) -> None:
    code = {"short_code": "12345", "sms_url": INBOUND, "sms_method": "POST", "sms_fallback_url": FALLBACK}

    def answer(request: Request) -> Reply:
        if "ShortCodes" in request.target:
            return Reply(200, json.dumps({"short_codes": [code]}).encode())
        return Reply(200, b'{"status": "active", "type": "Full"}')

    server = LoopbackServer(answer)
    found = check(settings_for(standin, "number", twilio_api_url=server.url, twilio_from="12345"))
    server.stop()

    assert found["provider number"].level == "ok"
    assert found["provider webhook"].level == "ok"
