"""`/healthz` needs nothing but the process; `/readyz` tells in a bounded time whether it can do its work."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from service.web.app import create_app
from service.web.health import READY_SECONDS
from service.wiring import Runtime, build_runtime, open_database
from tests.conftest import FakeClock, make_settings


@contextmanager
def client_of(database_url: str) -> Iterator[tuple[FlaskClient, Runtime]]:
    settings = make_settings(database_url=database_url)
    runtime = build_runtime(
        settings, system=FakeClock(), database=open_database(settings, patience=5.0, slots=3)
    )
    yield create_app(runtime).test_client(), runtime
    runtime.close()


@contextmanager
def nobody_listens() -> Iterator[int]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


@contextmanager
def listens_and_says_nothing() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(silent.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield silent.getsockname()[1]
        for connection in held:
            connection.close()


def test_ready_with_a_database_that_is_migrated(database_url: str) -> None:
    with client_of(database_url) as (client, _):
        answer = client.get("/readyz")

    assert (answer.status_code, answer.json) == (200, {"status": "ready"})


def test_not_ready_while_a_migration_is_pending(database_url: str) -> None:
    with client_of(database_url) as (client, runtime):
        with runtime.database.begin() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["problem"].startswith("migration ")
    assert answer.json["problem"].endswith(" is pending")


def test_alive_but_not_ready_when_the_database_refuses() -> None:
    with nobody_listens() as port, client_of(f"postgresql://u@127.0.0.1:{port}/x") as (client, _):
        answer = client.get("/readyz")
        assert client.get("/healthz").status_code == 200

    assert (answer.status_code, answer.json) == (
        503,
        {"status": "not ready", "problem": "database: OperationalError"},
    )


def test_alive_but_not_ready_in_time_when_the_database_is_silent() -> None:
    with listens_and_says_nothing() as port, client_of(f"postgresql://u@127.0.0.1:{port}/x") as (client, _):
        started = time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            ask = client.application.test_client
            answers = [pool.submit(lambda: ask().get("/readyz")) for _ in range(3)]
            time.sleep(0.2)
            asking = [thread for thread in threading.enumerate() if thread.name == "readyz"]
            assert client.get("/healthz").status_code == 200
            found = {(answer.result().status_code, answer.result().text) for answer in answers}

    assert found == {(503, '{"problem":"database: silent","status":"not ready"}\n')}
    assert time.monotonic() - started < READY_SECONDS + 1
    assert len(asking) == 1, "one question at a time"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_they_tell_nothing_about_the_database_s_address(path: str) -> None:
    with nobody_listens() as port, client_of(f"postgresql://nobody:secret@127.0.0.1:{port}/x") as (client, _):
        said = client.get(path).get_data(as_text=True)

    assert "secret" not in said
    assert str(port) not in said
