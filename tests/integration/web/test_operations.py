"""What machines ask the service: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from service.web.app import create_app
from service.wiring import Runtime, build_runtime
from tests.conftest import FakeClock, make_settings


@pytest.fixture
def runtime(database_url: str, clock: FakeClock) -> Iterator[Runtime]:
    built = build_runtime(make_settings(database_url=database_url), system=clock)
    yield built
    built.close()


@pytest.fixture
def client(runtime: Runtime) -> FlaskClient:
    return create_app(runtime).test_client()


def test_it_says_that_it_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json == {"status": "ready"}


def test_it_is_not_ready_before_the_migrations_ran(clock: FakeClock, tmp_path: object) -> None:
    built = build_runtime(make_settings(database_url=f"sqlite:///{tmp_path}/new.db"), system=clock)
    answer = create_app(built).test_client().get("/readyz")

    assert answer.status_code == 503
    assert "migration" in answer.get_data(as_text=True)
    built.close()


def test_metrics_answer_this_machine_when_no_token_is_set(client: FlaskClient) -> None:
    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert "aftercare_open_tasks 0.0" in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("address", "headers", "because"),
    [
        ("203.0.113.9", {}, "another machine"),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, "a proxy here speaks for another machine"),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, "the same, in the standard's words"),
    ],
)
def test_metrics_are_closed_to_others(
    client: FlaskClient, address: str, headers: dict[str, str], because: str
) -> None:
    answer = client.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})

    assert answer.status_code == 403, because


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer right-token", 200),
        ("Bearer wrong", 403),
        ("Bearer right-token-and-more", 403),
        ("Bearer r\xefght-token", 403),
        ("right-token", 403),
        ("", 403),
    ],
)
def test_metrics_with_a_token_ask_for_it_from_everywhere(
    database_url: str, clock: FakeClock, given: str, status: int
) -> None:
    built = build_runtime(make_settings(database_url=database_url, metrics_token="right-token"), system=clock)
    answer = create_app(built).test_client().get("/metrics", headers={"Authorization": given})

    assert answer.status_code == status
    built.close()


def test_the_fallback_needs_no_signature_and_names_the_hotlines(client: FlaskClient) -> None:
    for ask in (client.get, client.post):
        answer = ask("/twilio/fallback")
        assert answer.content_type.startswith("text/xml")
        assert "988" in answer.get_data(as_text=True)
