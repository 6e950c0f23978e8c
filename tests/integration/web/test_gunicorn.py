"""The web process as the Procfile starts it: what its own lines hold, and what a stalled client holds up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.gateways.sms.signature import SIGNATURE_HEADER
from tests.conftest import KEYS

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30.0
AT_ONCE = 4.0
"""Seconds; gunicorn by itself would wait five for a body that nobody wants."""
APPLICATION = "service.web.wsgi:app"
BROKEN = "tests.integration.web.broken_wsgi:app"
NUMBER = "+12025550147"
PRIVATE = ("2025550147", "umbrella", "%2B1", "Body=")

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@contextmanager
def serve(database_url: str, folder: Path, application: str = APPLICATION, **more: str) -> Iterator[int]:
    """The Procfile's own line with one worker, on a free port; its lines go to `folder`."""
    [line] = [
        row for row in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines() if row[:4] == "web:"
    ]
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **{name.upper(): value for name, value in KEYS.items()},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "DEBUG",
        "WEB_CONCURRENCY": "1",
        "PORT": str(port),
        **more,
    }
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        command = "exec " + line.removeprefix("web:").strip().replace(APPLICATION, application)
        server = subprocess.Popen(["sh", "-c", command], cwd=ROOT, env=environment, stdout=out, stderr=err)
        try:
            wait_for(server, port)
            yield port
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(START_SECONDS)


def wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        with ExitStack() as stack:
            try:
                wire = stack.enter_context(socket.create_connection(("127.0.0.1", port), 1))
                wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if wire.recv(5):
                    return
            except OSError:
                time.sleep(0.1)
    raise AssertionError("the server did not start")


def send(port: int, *lines: str, patience: float = AT_ONCE) -> str:
    """Send lines and nothing more; returns the status line of the answer."""
    with socket.create_connection(("127.0.0.1", port), patience) as wire:
        wire.sendall("\r\n".join((*lines, "", "")).encode("latin-1"))
        return wire.makefile("rb").readline().decode()


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Every line that the server wrote anywhere; each must be in our format."""
    text = (folder / "out").read_text("utf-8") + (folder / "err").read_text("utf-8")
    assert not any(word in text for word in PRIVATE)
    return [json.loads(line) for line in text.splitlines()]


BAD_REQUESTS = [
    ((f"{NUMBER} purple umbrella",), " 400 ", "no request at all"),
    ((f"GET /{NUMBER} umbrella/1.1", "Host: localhost"), " 400 ", "no such protocol"),
    (
        (f"GET /%2B12025550147?Body=umbrella&From={NUMBER} HTTP/1.1", "Host: localhost"),
        " 404 ",
        "no such page",
    ),
    (("GET / HTTP/1.1", f"umbrella {NUMBER}: x"), " 400 ", "a header's name with a space in it"),
    (("GET / HTTP/1.1", f"From: {NUMBER}\x00umbrella"), " 400 ", "a header with a NUL in it"),
    (("GET / HTTP/1.1", f"Content-Length: {NUMBER}"), " 400 ", "a length that is none"),
    (("GET / HTTP/1.1", f"Transfer-Encoding: {NUMBER}"), " 501 ", "an encoding that nobody knows"),
    ((f"GET /{'umbrella' * 1000}{NUMBER} HTTP/1.1",), " 414 ", "a path without end"),
    (("GET / HTTP/1.1", f"From: {NUMBER}{'umbrella' * 2000}"), " 431 ", "a header without end"),
    (
        (f"GET /{NUMBER}/umbrella HTTP/1.1", "SCRIPT_NAME: /umbrella"),
        " 500 ",
        "a path that is not below another",
    ),
    (
        ("POST /join/first-year HTTP/1.1", "Transfer-Encoding: chunked", "", f"umbrella {NUMBER}"),
        " 400 ",
        "a chunk whose size is no number",
    ),
]


def test_no_line_of_the_server_holds_what_was_in_a_request(database_url: str, tmp_path: Path) -> None:
    with serve(database_url, tmp_path, GUNICORN_CMD_ARGS="--access-logfile -") as port:
        answers = [(send(port, *lines), status, reason) for lines, status, reason in BAD_REQUESTS]

    assert [(reason, answer) for answer, status, reason in answers if status not in answer] == []
    lines = read_lines(tmp_path)
    assert {line["level"] for line in lines} == {"info", "warning"}
    events = [line["event"] for line in lines]
    assert sum(event.startswith("Invalid request: ") for event in events) == 9
    assert any(event == f"Listening at: http://0.0.0.0:{port}" for event in events)
    assert not any("Control socket" in event for event in events)
    assert any(event.startswith("404 ") and event.endswith(" GET /[number]") for event in events)


def test_a_fault_below_our_handlers_tells_its_type_and_place(database_url: str, tmp_path: Path) -> None:
    with serve(database_url, tmp_path, BROKEN) as port:
        answer = send(port, f"GET /umbrella/{NUMBER}?Body=x HTTP/1.1", "Host: localhost")

    assert " 500 " in answer
    [fault] = [line for line in read_lines(tmp_path) if line.get("fault")][:1]
    assert fault["event"] == "Error handling request"
    assert fault["logger"] == "gunicorn.error"
    assert (fault["fault"], fault["where"].split(":")[0]) == ("RuntimeError", "app")


def test_stalled_clients_hold_up_nobody(database_url: str, tmp_path: Path) -> None:
    """Four threads; twice as many strangers who announce a body and never send it."""
    head = ("POST {} HTTP/1.1", "Host: localhost", "Content-Length: 100", "", "")
    with serve(database_url, tmp_path) as port, ExitStack() as stack:
        for path in ("/twilio/inbound", "/twilio/status", "/healthz", "/nowhere") * 2:
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", port), AT_ONCE))
            wire.sendall("\r\n".join(head).format(path).encode())
            assert wire.recv(9) == b"HTTP/1.1 ", path

        assert " 200 " in send(port, "GET /healthz HTTP/1.1", "Host: localhost")


def test_a_body_that_stops_coming_is_given_up(database_url: str, tmp_path: Path) -> None:
    with serve(database_url, tmp_path) as port:
        answer = send(
            port,
            "POST /twilio/inbound HTTP/1.1",
            "Content-Type: application/x-www-form-urlencoded",
            f"{SIGNATURE_HEADER}: bWFkZSB1cA==",
            "Content-Length: 100",
            "",
            "Body=umbrella",
            patience=10,
        )

    assert " 400 " in answer
    read_lines(tmp_path)


def test_a_connection_whose_body_nobody_wanted_stays_open_when_all_of_it_came(
    database_url: str, tmp_path: Path
) -> None:
    ask = "POST /twilio/fallback HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nBody"
    with (
        serve(database_url, tmp_path) as port,
        socket.create_connection(("127.0.0.1", port), AT_ONCE) as wire,
    ):
        for _ in range(3):
            wire.sendall(ask.encode())
            answer = b""
            while b"</Response>" not in answer:
                came = wire.recv(65536)
                assert came, "the connection was closed"
                answer += came
            assert answer.startswith(b"HTTP/1.1 200 ")
            time.sleep(0.2)  # time enough to notice that it was closed


def test_a_wrong_setting_stops_the_start_with_one_line(database_url: str, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="did not start"),
        serve(database_url, tmp_path, LOOKUP_KEYS="short"),
    ):
        pass

    said = (tmp_path / "err").read_text("utf-8").splitlines()
    assert len(said) == 1
    assert said[0].startswith("aftercare: LOOKUP_KEYS")
