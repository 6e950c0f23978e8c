"""`why` and `messages` as an operator uses them."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from service.domain.delivery import TRANSITIONS, MessageState
from service.store.messages import Attempt, Message
from service.store.staff import AuditEvent
from service.usecases.operations.reason_words import explain
from service.usecases.sending.steps import Step, take_step
from tests.conftest import NOW
from tests.integration.cli.conftest import Cli

PHONE = "+12025550111"
ROWS = f"""phone,timezone,consent,consent_at,consent_by
{PHONE},America/Chicago,written,2026-11-20,desk
"""


@pytest.fixture
def message(cli: Cli) -> int:
    """A text that was held for the night and then refused by the provider; returns its id."""
    cli.data("participants", "import", cli.file(ROWS))
    steps = [
        (MessageState.PLANNED, MessageState.HELD, "quiet_hours"),
        (MessageState.HELD, MessageState.CLAIMED, None),
        (MessageState.CLAIMED, MessageState.SENDING, None),
        (MessageState.SENDING, MessageState.REJECTED, "permanent"),
        (MessageState.REJECTED, MessageState.FAILED, "permanent"),
    ]
    with cli.database.begin() as session:
        row = session.scalars(select(Message)).one()
        row.body, row.recipient = "hello there", PHONE
        session.flush()
        for before, after, reason in steps:
            take_step(session, Step(row.id, before, after, reason), NOW)
        session.add(
            Attempt(
                message_id=row.id,
                number=1,
                channel="api",
                reference="r1",
                outcome="rejected",
                error_code=30005,
                http_status=400,
                started_at=NOW,
                finished_at=NOW,
            )
        )
        return row.id


def test_why_tells_the_trail_in_utc_and_in_the_persons_time(cli: Cli, message: int) -> None:
    data = cli.data("why", str(message))

    assert (data["kind"], data["text"], data["state"]) == ("admin", "admin/welcome-written", "failed")
    assert data["planned"] == {"utc": "2026-11-23T15:00:00+00:00", "local": "2026-11-23T09:00:00-06:00"}
    assert [(row["from"], row["to"]) for row in data["events"]] == [
        (None, "planned"),
        ("planned", "held"),
        ("held", "claimed"),
        ("claimed", "sending"),
        ("sending", "rejected"),
        ("rejected", "failed"),
    ]
    assert data["events"][0]["at"] == data["planned"]
    assert data["events"][1]["explanation"].startswith("waits: it is outside the hours")
    assert [(row["number"], row["outcome"], row["error_code"]) for row in data["attempts"]] == [
        (1, "rejected", 30005)
    ]


@pytest.mark.parametrize("flags", [[], ["--json"], ["--show-text"]], ids=["words", "json", "with text"])
def test_why_never_prints_the_number(cli: Cli, message: int, flags: list[str]) -> None:
    result = cli.run("why", str(message), *flags)

    assert result.exit_code == 0
    assert "5550111" not in result.output


def test_the_words_are_shown_only_on_request_and_that_is_recorded(cli: Cli, message: int) -> None:
    assert "hello there" not in cli.run("why", str(message)).output
    assert "body" not in cli.data("why", str(message))

    assert cli.data("why", str(message), "--show-text")["body"] == "hello there"

    with cli.database.read() as session:
        actions = session.scalars(select(AuditEvent.action).where(AuditEvent.action == "text_shown")).all()
    assert len(actions) == 1


def test_a_message_that_does_not_exist_is_one_line(cli: Cli) -> None:
    assert "no message 99" in cli.refusal("why", "99")


@pytest.mark.parametrize("state", list(TRANSITIONS))
def test_every_state_has_plain_words(state: MessageState) -> None:
    assert explain(state, None) != state


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param("lapse_hotlines", "waits: the go-live check hotlines has lapsed", id="a lapse"),
        pytest.param("receipt_failed", "waits: the provider reported failed", id="a receipt"),
        pytest.param("something_new", "waits: something new", id="a reason without a sentence"),
    ],
)
def test_every_reason_is_told_somehow(reason: str, expected: str) -> None:
    assert explain("held", reason).startswith(expected)


def test_a_text_is_shown_as_it_would_be_sent(cli: Cli) -> None:
    data = cli.data("messages", "preview", "admin/welcome-written")

    assert "{" not in data["body"]
    assert "agreed in writing" in data["body"]
    assert (data["language"], data["encoding"]) == ("en", "GSM-7")
    assert 1 <= data["segments"] <= 2


def test_a_text_may_be_shown_in_spanish_and_in_plain_words(cli: Cli) -> None:
    discreet = cli.data("messages", "preview", "meeting/today", "--language", "es")["body"]
    plain = cli.data("messages", "preview", "meeting/today", "--language", "es", "--plain")["body"]

    assert discreet.startswith("Recordatorio")
    assert plain.startswith("Reunion")


def test_a_text_that_does_not_exist_is_one_line(cli: Cli) -> None:
    assert "no text nowhere/none" in cli.refusal("messages", "preview", "nowhere/none")


def test_a_preview_without_an_id_shows_every_text_in_the_language_asked_for(cli: Cli) -> None:
    english, spanish = (cli.data("messages", "preview", "--language", code) for code in ("en", "es"))

    assert [text["id"] for text in english] == [text["id"] for text in spanish]
    assert len(english) > 100
    by_id = {text["id"]: text["body"] for text in spanish}
    assert "Responda" in by_id["reply/stop"]
    assert all("{" not in text["body"] for text in english + spanish)
