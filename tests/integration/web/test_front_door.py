"""What a stranger can hold up at the webhooks: a body that is not worth reading is never waited for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.serving import make_server

from service.gateways.sms.signature import SIGNATURE_HEADER, sign
from service.gateways.sms.simulator import SIMULATED_NUMBER
from service.store.inbound import InboundMessage
from service.store.messages import Message
from service.web.app import create_app
from service.web.twilio import MAX_BODY_BYTES
from service.wiring import Runtime, simulator_token

AT_ONCE = 3.0
"""Seconds; a server that waits for the body waits for ever."""

SIGNED = f"{SIGNATURE_HEADER}: c29tZWJvZHkgc2lnbmVkIGl0Lg=="
FORM = "Content-Type: application/x-www-form-urlencoded"


@pytest.fixture
def port(runtime: Runtime) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, create_app(runtime), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def count_stored(runtime: Runtime) -> int:
    with runtime.database.read() as session:
        return sum(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (InboundMessage, Message)
        )


def read_status(port: int, path: str, *headers: str) -> str:
    """Send the head of a request and never its body; returns the answer's first line."""
    head = "\r\n".join((f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", FORM, *headers, "", ""))
    with socket.create_connection(("127.0.0.1", port), AT_ONCE) as wire:
        wire.sendall(head.encode())
        return wire.makefile("rb").readline().decode()


UNREAD = [
    (("Content-Length: 100",), " 403 ", "nobody signed it"),
    ((f"{SIGNATURE_HEADER}:", "Content-Length: 100"), " 403 ", "an empty signature is none"),
    (("Content-Length: 100000000",), " 403 ", "a stranger learns nothing about sizes"),
    (("Transfer-Encoding: chunked",), " 403 ", "nor about encodings"),
    ((SIGNED, f"Content-Length: {MAX_BODY_BYTES + 1}"), " 413 ", "no text of the provider is so long"),
    ((SIGNED,), " 411 ", "how long it is, is not said"),
    ((SIGNED, "Transfer-Encoding: chunked"), " 411 ", "a length that nobody knows before its end"),
    ((SIGNED, "Transfer-Encoding: chunked", "Content-Length: 9"), " 411 ", "two lengths, neither trusted"),
]


@pytest.mark.parametrize(("headers", "status", "reason"), UNREAD)
def test_a_body_that_is_not_worth_reading_is_never_waited_for(
    runtime: Runtime, port: int, headers: tuple[str, ...], status: str, reason: str
) -> None:
    answers = [read_status(port, path, *headers) for path in ("/twilio/inbound", "/twilio/status?ref=x")]

    assert all(status in answer for answer in answers), (reason, answers)
    assert count_stored(runtime) == 0


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
def test_a_signed_text_is_taken_in_up_to_the_limit(
    runtime: Runtime, client: FlaskClient, size: int, status: int
) -> None:
    form = {"MessageSid": "SM" + "1" * 32, "From": "+12025550147", "To": SIMULATED_NUMBER, "Body": "HELP"}
    padding = size - len(urlencode(form | {"Padding": ""}))
    form["Padding"] = "x" * padding
    url = f"{runtime.settings.public_url}/twilio/inbound"
    signature = sign(url, form, simulator_token(runtime.settings))

    answer = client.post("/twilio/inbound", data=form, headers={SIGNATURE_HEADER: signature})

    assert answer.status_code == status
    assert answer.content_type.startswith("text/xml")
    assert (count_stored(runtime) > 0) == (status == 200)
