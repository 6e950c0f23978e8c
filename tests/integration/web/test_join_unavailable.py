"""The sign-up page while the database is away or busy: its own words, and where to call in danger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from service.config import Settings
from service.web.app import create_app
from service.wiring import Runtime, build_runtime, open_database
from tests.conftest import FakeClock, make_settings
from tests.integration.web.conftest import NO_WAIT
from tests.integration.web.test_join_page import PATH, PHONE, count_rows, open_form

WORDS = {
    "en": ("This page does not work right now", "try again in a few minutes", "call 911", "call 988"),
    "es": ("Esta página no funciona en este momento", "en unos minutos", "llame al 911", "llame al 988"),
}
PAGES = [
    ("GET", PATH, "the form"),
    ("POST", PATH, "the form, sent"),
    ("GET", f"{PATH}/done", "after the form"),
    ("GET", f"{PATH}/privacy", "privacy"),
    ("GET", f"{PATH}/terms", "terms"),
    ("GET", "/join/nothing", "a program that nobody can look up now"),
]


def assert_is_own_page(answer: TestResponse, language: str) -> None:
    page = answer.get_data(as_text=True)
    assert answer.status_code == 503
    assert answer.content_type.startswith("text/html")
    assert int(answer.headers["Retry-After"]) > 0
    for words in ("202-555-0100", *WORDS[language]):
        assert words in page
    assert f'<html lang="{language}">' in page
    assert "{" not in page
    assert not any(word in page for word in ("127.0.0.1", "SELECT", "Traceback", "Error"))


@pytest.fixture
def unreachable(clock: FakeClock) -> Iterator[FlaskClient]:
    """A service whose database server refuses every connection."""
    settings = make_settings(database_url="postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    built = build_runtime(settings, system=clock)
    yield create_app(built, floor=NO_WAIT).test_client()
    built.close()


@pytest.mark.parametrize("language", list(WORDS))
@pytest.mark.parametrize(("method", "path", "reason"), PAGES)
def test_without_a_database_every_page_says_what_to_do_and_where_to_call(
    unreachable: FlaskClient, method: str, path: str, reason: str, language: str
) -> None:
    with capture_logs() as lines:
        answer = unreachable.open(
            f"{path}?lang={language}", method=method, data={"phone": PHONE.e164} if method == "POST" else None
        )

    assert_is_own_page(answer, language)
    assert [line["event"] for line in lines] == ["request_fault"], reason
    assert "555" not in repr(lines)


@pytest.fixture
def narrow(settings: Settings, clock: FakeClock) -> Iterator[Runtime]:
    """A service that has one transaction at a time and little patience."""
    built = build_runtime(settings, system=clock, database=open_database(settings, patience=0.2, slots=1))
    yield built
    built.close()


def test_while_the_database_is_busy_the_page_says_so_and_takes_the_form_later(narrow: Runtime) -> None:
    client = create_app(narrow, floor=NO_WAIT).test_client()
    fields = open_form(client) | {"phone": PHONE.e164, "consent": "yes"}
    before = count_rows(narrow)

    with narrow.database.read():
        answer = client.post(PATH, data=fields)

    assert_is_own_page(answer, "en")
    assert count_rows(narrow) == before
    assert client.post(PATH, data=fields).status_code == 303


def test_a_form_that_waits_too_long_for_its_turn_is_answered_and_not_stored(
    narrow: Runtime, settings: Settings
) -> None:
    client = create_app(narrow, floor=NO_WAIT).test_client()
    fields = open_form(client) | {"phone": PHONE.e164, "consent": "yes"}
    assert client.post(PATH, data=fields).status_code == 303
    before = count_rows(narrow)
    other = open_database(settings)

    with other.begin() as session:
        session.execute(
            text("UPDATE service_settings SET changed_by = 'somebody slow' WHERE name = 'join_page'")
        )
        answer = client.post(PATH, data=fields)
    other.dispose()

    assert_is_own_page(answer, "en")
    assert count_rows(narrow) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("POST", f"{PATH}/done", 405, "nothing is sent there"),
        ("GET", f"{PATH}/nothing", 404, "no such page"),
    ],
)
def test_what_is_an_answer_already_stays_one(
    client: FlaskClient, method: str, path: str, status: int, reason: str
) -> None:
    assert client.open(path, method=method).status_code == status, reason


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_form_too_large_to_read_is_no_fault_of_ours(client: FlaskClient) -> None:
    with capture_logs() as lines:
        answer = client.post(PATH, data={"phone": "2" * 300_000})

    assert answer.status_code == 413
    assert lines == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_fault_of_our_own_shows_the_same_words(client: FlaskClient, runtime: Runtime) -> None:
    with runtime.database.begin() as session:
        session.execute(text("UPDATE program_versions SET definition = '{}', sha256 = 'another'"))

    with capture_logs() as lines:
        answer = client.get(PATH)

    page = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert all(words in page for words in WORDS["en"])
    assert [line["event"] for line in lines] == ["request_fault"]
