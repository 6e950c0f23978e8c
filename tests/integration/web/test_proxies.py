"""Whose tries the sign-up page counts when proxies stand in front."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from flask import Flask, Request
from structlog.testing import capture_logs
from werkzeug.datastructures import Headers
from werkzeug.test import Client, EnvironBuilder

from service.config import ConfigError
from service.web.app import create_app
from service.web.proxies import client_address, find_mismatch, trust_proxies
from service.wiring import Runtime
from tests.conftest import make_settings
from tests.integration.web.conftest import NO_WAIT
from tests.integration.web.test_join_page import open_form

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ADDRESSES = [
    (0, "198.51.100.7", None, "198.51.100.7", "seen directly"),
    (0, "198.51.100.7", "203.0.113.9", "198.51.100.7", "a public peer may invent the header"),
    (0, "10.1.2.3", "203.0.113.9", "10.1.2.3", "a private peer may invent it as well"),
    (0, "127.0.0.1", "203.0.113.9", "127.0.0.1", "and so may somebody on this machine"),
    (1, "10.1.2.3", "203.0.113.9", "203.0.113.9", "the proxy wrote it"),
    (1, "10.1.2.3", "192.0.2.1, 203.0.113.9", "203.0.113.9", "only the last entry is the proxy's"),
    (1, "10.1.2.3", None, "10.1.2.3", "nothing forwarded"),
    (1, "10.1.2.3", "nonsense", "unknown", "not an address: counted with all such"),
    (1, "10.1.2.3", "203.0.113.9:51234", "203.0.113.9", "some proxies write the port too"),
    (1, "10.1.2.3", "[2001:db8::5:1]:51234", "2001:db8::/64", "also of IPv6"),
    (2, "10.1.2.3", "192.0.2.1, 203.0.113.9, 10.9.9.9", "203.0.113.9", "a network in front of the platform"),
    (2, "10.1.2.3", "203.0.113.9", "10.1.2.3", "fewer entries than proxies: none is believed"),
    (0, "2001:db8::5:1", None, "2001:db8::/64", "a household owns its whole /64"),
    (0, "::ffff:198.51.100.7", None, "198.51.100.7", "the same address written as IPv6"),
    (0, "", None, "unknown", "no peer address"),
]


def received(peer: str, forwarded: str | None) -> EnvironBuilder:
    headers = Headers({"X-Forwarded-For": forwarded} if forwarded else {})
    return EnvironBuilder(headers=headers, environ_base={"REMOTE_ADDR": peer})


@pytest.mark.parametrize(("proxies", "peer", "forwarded", "expected", "reason"), ADDRESSES)
def test_submissions_are_counted_by_the_address_nobody_can_invent(
    proxies: int, peer: str, forwarded: str | None, expected: str, reason: str
) -> None:
    counted = []

    def count(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        counted.append(client_address(Request(environ)))
        start("204 No Content", [])
        return []

    app = Flask(__name__)
    app.wsgi_app = count  # type: ignore[method-assign,assignment]
    trust_proxies(app, proxies)
    Client(app).open(received(peer, forwarded))

    assert counted == [expected], reason


def answers_behind_proxy(runtime: Runtime, proxies: int, visitors: list[str]) -> list[int]:
    """Sign up once for each visitor's address, as a proxy on a private address forwards it."""
    settings = runtime.settings.model_copy(update={"trusted_proxies": proxies})
    behind = replace(runtime, context=replace(runtime.context, settings=settings))
    client = create_app(behind, floor=NO_WAIT).test_client()
    fields = open_form(client) | {"phone": "202-555-0123", "consent": "yes"}
    return [
        client.post(
            "/join/first-year",
            data=fields,
            headers={"X-Forwarded-For": visitor},
            environ_base={"REMOTE_ADDR": "10.1.2.3"},
        ).status_code
        for visitor in visitors
    ]


def test_behind_a_declared_proxy_visitors_are_counted_apart(runtime: Runtime) -> None:
    visitors = [f"198.51.100.{number}" for number in range(12)]

    assert answers_behind_proxy(runtime, 1, visitors) == [303] * 12


def test_an_invented_header_gets_nobody_a_fresh_count(runtime: Runtime) -> None:
    inventions = [f"198.51.100.{number}" for number in range(12)]

    assert answers_behind_proxy(runtime, 0, inventions) == [303] * 10 + [429] * 2


MISMATCHES = [
    (0, "198.51.100.7", None, False, "no proxy, none declared"),
    (0, "8.8.8.8", "203.0.113.9", False, "a visitor's own invention proves nothing"),
    (0, "10.1.2.3", "203.0.113.9", True, "a proxy forwards, none declared"),
    (0, "127.0.0.1", "203.0.113.9", True, "a proxy on this machine, none declared"),
    (0, "10.1.2.3", None, False, "a visitor in the same building"),
    (1, "203.0.113.9", "203.0.113.9", False, "as declared"),
    (1, "203.0.113.9", "192.0.2.1, 203.0.113.9", False, "more entries: a visitor may add some"),
    (1, "10.1.2.3", None, True, "a proxy declared, and somebody came past it"),
    (2, "10.1.2.3", "203.0.113.9", True, "two declared, one seen"),
]


@pytest.mark.parametrize(("declared", "peer", "forwarded", "is_wrong", "reason"), MISMATCHES)
def test_a_request_shows_when_the_declared_number_is_wrong(
    declared: int, peer: str, forwarded: str | None, is_wrong: bool, reason: str
) -> None:
    request = Request(received(peer, forwarded).get_environ())

    assert (find_mismatch(request, declared) is not None) is is_wrong, reason


def test_a_wrong_number_is_said_once_in_one_line_without_an_address(runtime: Runtime) -> None:
    with capture_logs() as lines:
        answers_behind_proxy(runtime, 0, ["203.0.113.9", "203.0.113.10"])

    [line] = [line for line in lines if line["event"] == "trusted_proxies_mismatch"]
    assert "TRUSTED_PROXIES is 0" in line["problem"]
    assert "203.0.113" not in repr(line)


@pytest.mark.parametrize("value", ["-1", "11", "yes", "1.5", "", "10.0.0.0/8"])
def test_a_wrong_setting_is_one_line_that_names_it(value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_settings(trusted_proxies=value)

    assert str(refused.value) == (
        "TRUSTED_PROXIES: must be the number of proxies in front of this service, 0 to 10"
    )


@pytest.mark.parametrize(("value", "count"), [("0", 0), ("1", 1), (" 2 ", 2), (3, 3)])
def test_the_setting_is_a_plain_number(value: object, count: int) -> None:
    assert make_settings(trusted_proxies=value).trusted_proxies == count


def test_no_proxy_is_trusted_by_default() -> None:
    assert make_settings().trusted_proxies == 0
