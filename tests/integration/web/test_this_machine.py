"""Metrics without a token and the simulated phones answer only what this machine itself asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.usecases.operations.demo import seed_demo
from service.web.app import create_app
from service.wiring import Runtime, build_runtime
from tests.conftest import NOW, FakeClock, make_settings

PAGES = ("/metrics", "/phone/")
TELLING = re.compile(r"Example|555|\d{7}|bubble|aftercare_")


def ask(client: FlaskClient, page: str, peer: str, headers: Mapping[str, str]) -> TestResponse:
    return client.get(page, headers=dict(headers), environ_overrides={"REMOTE_ADDR": peer})


OWN = [
    ("127.0.0.1", "localhost", "as everybody writes it"),
    ("127.0.0.1", "LocalHost:8000", "names have no case"),
    ("127.0.0.1", "127.0.0.1:8000", "the address that the demo prints"),
    ("127.8.8.8", "127.8.8.8:8000", "all of 127.0.0.0/8 is this machine"),
    ("::1", "[::1]:8000", "IPv6"),
    ("::ffff:127.0.0.1", "127.0.0.1", "IPv4 through an IPv6 socket"),
    ("127.0.0.1", "demo.localhost:8000", "nobody can own a name under .localhost"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("peer", "host", "reason"), OWN)
def test_this_machine_may_ask(client: FlaskClient, peer: str, host: str, reason: str) -> None:
    seen = [ask(client, page, peer, {"Host": host}).status_code for page in PAGES]

    assert seen == [200, 200], reason


PEERS: list[tuple[str, dict[str, str], str]] = [
    ("192.0.2.5", {}, "another machine"),
    ("10.0.0.5", {}, "a neighbor in the same network"),
    ("::ffff:192.0.2.5", {}, "another machine, written as IPv6"),
    ("0.0.0.0", {}, "no address of anybody"),
    ("", {}, "a socket that has no address"),
]
HOSTS = [
    ("127.0.0.1", {"Host": host}, reason)
    for host, reason in (
        ("rebound.example", "a foreign page's name that was pointed at this machine"),
        ("rebound.example:8000", "the same with our port"),
        ("localhost.rebound.example", "a foreign name that begins like ours"),
        ("rebound-localhost", "a foreign name that ends like ours"),
        ("127.0.0.1.rebound.example", "a foreign name that begins like our address"),
        ("localhost@rebound.example", "a foreign name behind a user's"),
        ("rebound.example@localhost", "a host has no user"),
        ("localhost, rebound.example", "two hosts"),
        ("192.0.2.5", "another machine's address"),
        ("0.0.0.0:8000", "an address that some browsers take for this machine"),
        ("[::1", "not a host"),
        ("", "no host"),
    )
]
FORWARDED = [
    ("127.0.0.1", {name: value}, f"{who} speaks for somebody else")
    for name, value, who in (
        ("X-Forwarded-For", "127.0.0.1", "a proxy"),
        ("X-Forwarded-Host", "localhost", "a proxy"),
        ("X-Forwarded-Proto", "https", "a proxy"),
        ("X-Forwarded-Server", "proxy", "Apache"),
        ("Forwarded", "for=127.0.0.1", "a proxy, in the standard's words,"),
        ("X-Real-IP", "127.0.0.1", "nginx"),
        ("Via", "1.1 proxy", "a proxy, in the standard's words,"),
        ("CF-Connecting-IP", "127.0.0.1", "Cloudflare's tunnel"),
        ("CF-Ray", "1", "Cloudflare's tunnel"),
        ("CDN-Loop", "network", "a delivery network"),
        ("True-Client-IP", "127.0.0.1", "Akamai"),
        ("Fastly-Client-IP", "127.0.0.1", "Fastly"),
        ("Fly-Client-IP", "127.0.0.1", "Fly"),
        ("X-Client-IP", "127.0.0.1", "a proxy"),
        ("X-Cluster-Client-IP", "127.0.0.1", "a balancer"),
        ("X-Azure-ClientIP", "127.0.0.1", "Azure"),
        ("X-Original-For", "127.0.0.1", "a proxy"),
        ("X-Original-Host", "localhost", "a proxy"),
        ("X-Original-URL", "/phone/", "IIS"),
        ("X-Rewrite-URL", "/phone/", "IIS"),
        ("X-Originating-IP", "127.0.0.1", "a proxy"),
        ("X-Remote-Addr", "127.0.0.1", "a proxy"),
        ("X-Envoy-External-Address", "127.0.0.1", "Envoy"),
        ("X-ProxyUser-Ip", "127.0.0.1", "a proxy"),
    )
]


def test_nobody_else_may_and_the_refusal_tells_nothing(client: FlaskClient, runtime: Runtime) -> None:
    seed_demo(runtime.context, NOW)
    shown = ask(client, "/phone/", "127.0.0.1", {}).get_data(as_text=True)
    assert "Example" in shown, "there are people to tell about"

    refusals = [
        (f"{page}: {reason}", ask(client, page, peer, headers))
        for peer, headers, reason in (*PEERS, *HOSTS, *FORWARDED)
        for page in PAGES
    ]

    assert [reason for reason, refusal in refusals if refusal.status_code != 403] == []
    said = {refusal.get_data(as_text=True) for _, refusal in refusals}
    assert len(said) == len(PAGES), "the same words to every stranger"
    assert not any(TELLING.search(words) for words in said)
    assert not any(refusal.headers.getlist("Set-Cookie") for _, refusal in refusals)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_trusted_proxy_cannot_make_a_stranger_local(database_url: str, clock: FakeClock) -> None:
    settings = make_settings(database_url=database_url, trusted_proxies=1)
    with closing(build_runtime(settings, system=clock)) as built:
        client = create_app(built).test_client()

        seen = [ask(client, page, "192.0.2.5", {"X-Forwarded-For": "127.0.0.1"}) for page in PAGES]

    assert [answer.status_code for answer in seen] == [403, 403]
