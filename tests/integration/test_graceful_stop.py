"""Never silently lost: a web process that is told to stop finishes what it is answering. Real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from twilio.request_validator import RequestValidator

from service.gateways.sms.signature import SIGNATURE_HEADER
from service.store.database import Database
from service.wiring import simulator_token
from tests.conftest import KEYS, make_settings

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
START_SECONDS = 60.0
STOP_SECONDS = 15.0
NUMBER = "+12025550147"
GUNICORN = next(
    row.removeprefix("web:").strip()
    for row in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    if row.startswith("web:")
)
DEVELOPMENT = f"exec {BIN}/aftercare web"
STOPS = [
    (f"exec {GUNICORN}", signal.SIGTERM, "a platform stops the Procfile's server"),
    (DEVELOPMENT, signal.SIGTERM, "somebody's script stops the development server"),
    (DEVELOPMENT, signal.SIGINT, "somebody types Ctrl-C"),
]


@contextmanager
def started(command: str, port: int, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **{name.upper(): value for name, value in KEYS.items()},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
    }
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until_alive(process, port)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def wait_until_alive(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def text_in(port: int, database_url: str, body: str) -> requests.Response:
    """A signed text, as the simulated provider posts it."""
    url = f"http://127.0.0.1:{port}/twilio/inbound"
    form = {
        "MessageSid": "SM" + "7" * 32,
        "AccountSid": "AC" + "7" * 32,
        "From": NUMBER,
        "To": "+12025550100",
        "Body": body,
        "NumMedia": "0",
    }
    token = simulator_token(make_settings(database_url=database_url))
    signature = RequestValidator(token).compute_signature(url, form)
    return requests.post(url, data=form, headers={SIGNATURE_HEADER: signature}, timeout=20)


@contextmanager
def held_up(database: Database) -> Iterator[None]:
    """Whoever wants to store a text waits for the length of the block."""
    if database.is_sqlite:
        with database.begin() as session:
            session.execute(sa.text("SELECT 1"))
            yield
        return
    with database.begin() as session:
        session.execute(sa.text("LOCK TABLE inbound_messages IN ACCESS EXCLUSIVE MODE"))
        yield


def count_inbound(database: Database) -> int:
    with database.read() as session:
        return int(session.execute(sa.text("SELECT count(*) FROM inbound_messages")).scalar_one())


@pytest.mark.parametrize(("command", "ask", "because"), STOPS, ids=["gunicorn", "web-SIGTERM", "web-Ctrl-C"])
def test_a_text_that_is_being_answered_is_answered_before_the_end(
    database: Database, database_url: str, command: str, ask: signal.Signals, because: str
) -> None:
    port = free_port()
    with started(command, port, database_url) as process, ThreadPoolExecutor(1) as pool:
        with held_up(database):
            answer = pool.submit(text_in, port, database_url, "HELP")
            time.sleep(0.6)
            assert not answer.done()
            process.send_signal(ask)
            time.sleep(0.6)
            assert process.poll() is None, because
        assert answer.result(STOP_SECONDS).status_code == 200
        assert "988" in answer.result().text
        assert process.wait(STOP_SECONDS) == 0

    assert count_inbound(database) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ask", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_demo_ends_in_good_order(database_url: str, tmp_path: Path, ask: signal.Signals) -> None:
    port = free_port()
    command = f"exec {BIN}/aftercare demo --port {port} --keep {tmp_path}/demo.db"
    with started(command, port, database_url) as process:
        assert process.stderr is not None
        while b"stop with Ctrl-C" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.3)
        process.send_signal(ask)
        rest = process.stderr.read().decode()
        assert process.wait(STOP_SECONDS) == 0

    assert rest == "stopping ...\n"
