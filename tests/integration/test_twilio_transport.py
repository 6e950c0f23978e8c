"""What becomes of a text, for everything that can happen between us and the provider."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.domain.phone import PhoneNumber
from service.domain.provider_answers import AnswerClass
from service.gateways.sms.protocol import (
    Accepted,
    OutgoingSms,
    Rejected,
    SendOutcome,
    Unknown,
)
from service.gateways.sms.twilio import TwilioAccount, TwilioTransport
from tests.standin import (
    Fault,
    TwilioStandin,
    accept_then_timeout,
    garbage,
    reset_after_accept,
    reset_before,
    slow,
    status,
)

TO = PhoneNumber("+12025550123")
SECRET_BODY = "Ada, your appointment is at 9"
READ_SECONDS = 0.3


def sms(reference: str = "r1", body: str = SECRET_BODY, to: PhoneNumber = TO) -> OutgoingSms:
    callback = f"https://example.com/twilio/status?ref={reference}"
    return OutgoingSms(to, body, reference, callback, validity_seconds=3600)


@pytest.fixture
def standin() -> Iterator[TwilioStandin]:
    with TwilioStandin() as running:
        yield running


def account_at(standin: TwilioStandin, url: str | None = None, token: str | None = None) -> TwilioAccount:
    return TwilioAccount(
        standin.account_sid,
        token or standin.auth_token,
        messaging_service_sid=standin.service_sid,
        api_url=url or standin.url,
    )


@pytest.fixture
def transport(standin: TwilioStandin) -> Iterator[TwilioTransport]:
    transport = TwilioTransport(account_at(standin), timeout=(1.0, READ_SECONDS), pool_size=8)
    yield transport
    transport.close()


def send_once(account: TwilioAccount, timeout: tuple[float, float] = (1.0, 1.0)) -> SendOutcome:
    transport = TwilioTransport(account, timeout=timeout, pool_size=1)
    try:
        return transport.send(sms())
    finally:
        transport.close()


def test_an_accepted_text_arrives_once_and_whole(standin: TwilioStandin, transport: TwilioTransport) -> None:
    outcome = transport.send(sms("ref-7"))
    assert [(text["to"], text["body"], text["reference"]) for text in standin.accepted] == [
        (TO.e164, SECRET_BODY, "ref-7")
    ]
    assert standin.accepted[0]["validity_seconds"] == 3600
    assert outcome == Accepted(standin.accepted[0]["sid"], segments=None), "a service counts segments later"


def test_a_bare_number_sends_too_and_knows_its_segments(standin: TwilioStandin) -> None:
    account = TwilioAccount(
        standin.account_sid, standin.auth_token, from_number=standin.number, api_url=standin.url
    )
    outcome = send_once(account)
    assert outcome == Accepted(standin.accepted[0]["sid"], segments=1)


@pytest.mark.parametrize(
    ("fault", "outcome", "accepted", "reason"),
    [
        (accept_then_timeout(2), Unknown("ReadTimeout"), 1, "silence after the text was taken"),
        (slow(1), Unknown("ReadTimeout"), 1, "too slow for us: it is taken after we left"),
        (reset_before(), Unknown("ConnectionError"), 0, "a reset says nothing: here it was not taken"),
        (reset_after_accept(), Unknown("ConnectionError"), 1, "a reset says nothing: here it was taken"),
        (status(500), Unknown("HTTP 500", 500), 0, "their fault, fate unknown"),
        (status(503, accepts=True), Unknown("HTTP 503", 503), 1, "a 503 may lie"),
        (status(503, 21211), Unknown("HTTP 503", 503), 0, "a code does not make a 5xx a clear no"),
        (status(302), Unknown("HTTP 302", 302), 0, "a redirect is not followed"),
        (status(408), Unknown("HTTP 408", 408), 0, "somebody on the way gave up"),
        (status(429, 20429), Rejected(AnswerClass.RETRY, 20429, 429), 0, "surely not processed"),
        (status(429), Rejected(AnswerClass.RETRY, None, 429), 0, "the library's made-up code is dropped"),
        (status(400, 21211), Rejected(AnswerClass.PERMANENT, 21211, 400), 0, "a bad number"),
        (status(400, 21610), Rejected(AnswerClass.CONSENT, 21610, 400), 0, "opted out over there"),
        (status(400, 99999), Rejected(AnswerClass.REVIEW, 99999, 400), 0, "a code we do not know"),
        (status(400), Rejected(AnswerClass.REVIEW, None, 400), 0, "no code at all"),
        (status(400, 20500), Unknown("HTTP 400", 400), 0, "their internal error, whatever the status"),
        (garbage(), Unknown("JSONDecodeError"), 1, "a yes that cannot be read"),
        (garbage(b""), Unknown("answer without a message id"), 1, "a yes without a body"),
        (garbage(b"{}"), Unknown("answer without a message id"), 1, "a yes without an id"),
        (garbage(b'{"sid": "SM12"}'), Unknown("answer without a message id"), 1, "not an id"),
        (garbage(b'{"sid": 7}'), Unknown("answer without a message id"), 1, "not even text"),
        (garbage(b"[1]"), Unknown("AttributeError"), 1, "JSON of another shape"),
        (garbage(b"\xff\xfe"), Unknown("JSONDecodeError"), 1, "not text"),
    ],
)
def test_each_mishap_has_its_outcome_and_is_never_resent(
    standin: TwilioStandin,
    transport: TwilioTransport,
    fault: Fault,
    outcome: SendOutcome,
    accepted: int,
    reason: str,
) -> None:
    standin.script(fault)
    assert transport.send(sms()) == outcome, reason
    assert standin.creates == 1
    if fault.wait_before:
        time.sleep(fault.wait_before)
    assert len(standin.accepted) == accepted
    assert standin.creates == 1


def test_a_wrong_token_stops_the_sender(standin: TwilioStandin) -> None:
    outcome = send_once(account_at(standin, token="wrong"))
    assert outcome == Rejected(AnswerClass.CONFIGURATION, 20003, 401)
    assert standin.accepted == []


def test_a_reset_on_a_kept_connection_is_not_resent_on_a_fresh_one(
    standin: TwilioStandin, transport: TwilioTransport
) -> None:
    standin.script(None, reset_after_accept())
    assert isinstance(transport.send(sms("a")), Accepted)
    assert isinstance(transport.send(sms("b")), Unknown)
    assert [text["reference"] for text in standin.accepted] == ["a", "b"]
    assert standin.creates == 2


def test_after_any_mishap_the_next_text_goes_out(standin: TwilioStandin, transport: TwilioTransport) -> None:
    standin.script(reset_before(), garbage(), status(500))
    for _ in range(3):
        assert isinstance(transport.send(sms("lost")), Unknown)
    assert isinstance(transport.send(sms("fine")), Accepted)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{free_port}", "nobody listens"),
        ("http://does-not-exist.invalid", "no such host"),
        ("http://exa mple", "not a host at all"),
    ],
)
def test_no_connection_means_surely_not_sent(standin: TwilioStandin, url: str, reason: str) -> None:
    account = account_at(standin, url.format(free_port=free_port()))
    assert send_once(account) == Rejected(AnswerClass.RETRY, None, None), reason


def test_a_connect_timeout_means_surely_not_sent(standin: TwilioStandin) -> None:
    # A listener whose queue is full does not answer the handshake.
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        started = time.monotonic()
        outcome = send_once(account_at(standin, url), timeout=(0.3, 30.0))
    assert outcome == Rejected(AnswerClass.RETRY, None, None)
    assert time.monotonic() - started < 5, "the connect limit applies, not the read limit"


@pytest.fixture
def imposter(tmp_path: Path) -> Iterator[str]:
    """A TLS server on loopback whose certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "imposter.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=_shake_hands, args=(context, listener))
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def _shake_hands(context: ssl.SSLContext, listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as talk:
        talk.recv(1)


def test_a_certificate_nobody_vouches_for_means_surely_not_sent(
    standin: TwilioStandin, imposter: str
) -> None:
    assert send_once(account_at(standin, imposter)) == Rejected(AnswerClass.RETRY, None, None)


def test_a_server_without_tls_means_unknown(standin: TwilioStandin) -> None:
    url = standin.url.replace("http://", "https://")
    assert isinstance(send_once(account_at(standin, url)), Unknown)


def test_the_read_limit_is_not_the_connect_limit(standin: TwilioStandin) -> None:
    standin.script(slow(0.5))
    assert isinstance(send_once(account_at(standin), timeout=(0.1, 5.0)), Accepted)


def test_a_body_that_is_no_text_is_our_fault_and_never_leaves(
    standin: TwilioStandin, transport: TwilioTransport
) -> None:
    assert transport.send(sms(body="half a \ud83d")) == Rejected(AnswerClass.BUG, None, None)
    assert standin.creates == 0


def test_proxies_of_the_environment_are_not_used(
    standin: TwilioStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert isinstance(send_once(account_at(standin)), Accepted)


def test_many_threads_share_one_transport(standin: TwilioStandin) -> None:
    transport = TwilioTransport(account_at(standin), timeout=(5.0, 5.0), pool_size=8)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda n: transport.send(sms(f"r{n}")), range(200)))
    transport.close()
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert sorted(text["reference"] or "" for text in standin.accepted) == sorted(f"r{n}" for n in range(200))
    assert standin.creates == 200


@pytest.mark.parametrize(
    "fault",
    [
        None,
        accept_then_timeout(0.6),
        reset_before(),
        status(500),
        garbage(SECRET_BODY.encode()),
        status(400, 21211),
    ],
)
def test_no_number_and_no_body_is_ever_written_down(
    standin: TwilioStandin, transport: TwilioTransport, fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    standin.script(fault)
    standin.opted_out.add("+12025550124")
    outcomes = [transport.send(sms()), transport.send(sms(to=PhoneNumber("+12025550124")))]
    written = repr((outcomes, transport)) + caplog.text
    assert outcomes[1] == Rejected(AnswerClass.CONSENT, 21610, 400)
    for secret in ("202555", "Ada", standin.auth_token):
        assert secret not in written


def test_an_account_does_not_print_its_token() -> None:
    account = TwilioAccount("AC1", "very-secret", from_number="+12025550100")
    assert "very-secret" not in repr(account)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "a messaging service or a number"),
        ({"from_number": "+12025550100", "api_url": "http://127.0.0.1:1/v1"}, "without a path"),
    ],
)
def test_an_impossible_account_is_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TwilioAccount("AC1", "token", **fields)


def problem(status: object, code: object = 21211) -> bytes:
    """An error in the newer shape that some of the provider's answers have (RFC 9457)."""
    return json.dumps({"type": "about:blank", "title": "no", "status": status, "code": code}).encode()


@pytest.mark.parametrize(
    ("content", "outcome", "reason"),
    [
        (problem(400), Rejected(AnswerClass.PERMANENT, 21211, 400), "the newer shape of an error"),
        (problem(400, "21211"), Rejected(AnswerClass.REVIEW, None, 400), "a code that is no number"),
        (problem(200), Unknown("HTTP 200", 200), "an error that says it is none"),
        (problem("bad"), Unknown("refusal without a status"), "a status that is no number"),
        (b"<html>", Rejected(AnswerClass.REVIEW, None, 400), "no JSON at all, but a clear status"),
    ],
)
def test_errors_in_any_shape_are_understood_or_unknown(
    standin: TwilioStandin, transport: TwilioTransport, content: bytes, outcome: SendOutcome, reason: str
) -> None:
    standin.script(garbage(content, 400))
    assert transport.send(sms()) == outcome, reason


def test_no_content_makes_a_server_fault_a_clear_no(
    standin: TwilioStandin, transport: TwilioTransport
) -> None:
    standin.script(garbage(problem(400), 503))
    assert transport.send(sms()) == Unknown("HTTP 503", 503)
