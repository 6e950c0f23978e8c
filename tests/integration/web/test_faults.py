"""When the database is away or our own code breaks: a status and one plain line, no detail anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from werkzeug.exceptions import ClientDisconnected

from service.gateways.sms.signature import SIGNATURE_HEADER, sign
from service.store.database import DatabaseBusyError
from service.web.app import create_app
from service.wiring import Runtime, build_runtime, open_database, simulator_token
from tests.conftest import FakeClock, make_settings

PRIVATE = "purple umbrella of +12025550147"
FORM = {"MessageSid": "SM" + "1" * 32, "From": "+12025550147", "To": "+12025550100", "Body": PRIVATE}


@pytest.fixture(params=["refuses connections", "is no database", "has no turn free", "holds a lock"])
def away(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Runtime]:
    """A service whose database is away in one of the ways that databases are."""
    with ExitStack() as stack:
        if request.param == "refuses connections":
            url = "postgresql+psycopg://127.0.0.1:1/nowhere"
        elif request.param == "is no database":
            file = tmp_path / "broken.db"
            file.write_bytes(b"not a database at all " * 100)
            url = f"sqlite:///{file}"
        elif request.param == "has no turn free":
            url = f"sqlite:///{tmp_path}/busy.db"
        else:
            server = request.getfixturevalue("postgres")
            name = server.create(template=request.getfixturevalue("postgres_template"))
            stack.callback(server.drop, name)
            url = server.url_of(name)
        settings = make_settings(database_url=url)
        database = open_database(settings, patience=0.2, slots=1)
        runtime = build_runtime(settings, system=clock, database=database)
        stack.callback(runtime.close)
        if request.param == "has no turn free":
            stack.enter_context(database.read())
        elif request.param == "holds a lock":
            other = open_database(settings)
            stack.callback(other.dispose)
            session = stack.enter_context(other.begin())
            tables = "alembic_version, service_settings, messages, inbound_messages, program_versions"
            session.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
        yield runtime


def test_a_database_that_is_away_is_a_503_in_one_plain_line(away: Runtime) -> None:
    client = create_app(away).test_client()
    ways = {page: client.get(page) for page in ("/metrics", "/readyz")}

    for page, answer in ways.items():
        said = answer.get_data(as_text=True)
        assert answer.status_code == 503, page
        assert said.count("\n") <= 1, page
        assert "database: " in said
        assert not any(word in said for word in ("SELECT", "127.0.0.1", ".db", "Traceback"))
    assert client.get("/healthz").status_code == 200, "the process itself lives"


def test_pages_and_webhooks_are_a_503_too(away: Runtime) -> None:
    client = create_app(away).test_client()
    url = f"{away.settings.public_url}/twilio/inbound"
    signature = {SIGNATURE_HEADER: sign(url, FORM, simulator_token(away.settings))}

    with capture_logs() as lines:
        text_in = client.post("/twilio/inbound", data=FORM, headers=signature)
        page = client.get("/join/first-year")

    assert text_in.status_code == 503
    assert text_in.content_type.startswith("text/xml")
    assert page.status_code == 503
    assert "SELECT" not in page.get_data(as_text=True)
    assert {line["event"] for line in lines} == {"inbound_not_stored", "request_fault"}
    assert "umbrella" not in str(lines)


FAULTS = [
    (RuntimeError(PRIVATE), 500, "a fault of ours"),
    (KeyError(PRIVATE), 500, "one that the web library takes for a bad request unless it is careful"),
    (OperationalError(PRIVATE, {"body": PRIVATE}, Exception(PRIVATE)), 503, "the database went away"),
    (DatabaseBusyError(PRIVATE), 503, "the database is busy"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("is_debugging", [False, True])
@pytest.mark.parametrize(("fault", "status", "reason"), FAULTS)
def test_no_error_page_and_no_log_line_holds_a_detail(
    runtime: Runtime, fault: Exception, status: int, reason: str, is_debugging: bool
) -> None:
    def break_down() -> str:
        raise fault

    app = create_app(runtime)
    app.debug = is_debugging
    app.add_url_rule("/broken", "broken", break_down)

    with capture_logs() as lines:
        answer = app.test_client().get("/broken")

    said = answer.get_data(as_text=True)
    assert answer.status_code == status, reason
    assert not any(word in said for word in ("umbrella", "555", "Traceback", "break_down"))
    [line] = lines
    assert (line["event"], line["fault"], line["endpoint"]) == (
        "request_fault",
        type(fault).__name__,
        "broken",
    )
    assert line["where"].startswith("break_down:")
    assert "umbrella" not in str(line)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (RuntimeError(PRIVATE), 503, "the provider tries again, and then asks the fallback address"),
        (ClientDisconnected(), 400, "the sender went away in the middle of the body"),
    ],
)
def test_a_webhook_whose_body_breaks_off_answers_xml(
    client: FlaskClient, fault: Exception, status: int, reason: str
) -> None:
    class Broken(BytesIO):
        def readinto(self, *_: object) -> int:
            raise fault

        read = readinto  # type: ignore[assignment]

    with capture_logs() as lines:
        answer = client.post(
            "/twilio/inbound",
            input_stream=Broken(b"x" * 100),
            content_type="application/x-www-form-urlencoded",
            headers={SIGNATURE_HEADER: "c29tZWJvZHkgc2lnbmVkIGl0Lg=="},
        )

    assert answer.status_code == status, reason
    assert answer.content_type.startswith("text/xml")
    assert b"umbrella" not in answer.data
    assert "umbrella" not in str(lines)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "status"), [("/nothing-here", 404), ("/phone/text", 405), ("/join/nobody", 404)]
)
def test_what_is_an_answer_already_stays_one(client: FlaskClient, path: str, status: int) -> None:
    with capture_logs() as lines:
        assert client.get(path).status_code == status
    assert lines == []
