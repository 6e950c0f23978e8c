"""Who answers in each opt-out mode, and what each sender lets a start word do: design section 7, step 6."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.store.participants import Participant, ParticipantStatus
from tests.acceptance.line import Line, running_line
from tests.conftest import FakeClock

OpenLine = Callable[..., Line]
STOPPED = "no more texts from us"
TOLL_FREE = "+18445550199"


@pytest.fixture
def open_line(database_url: str, clock: FakeClock) -> Iterator[OpenLine]:
    with ExitStack() as stack:
        yield lambda mode, **settings: stack.enter_context(
            running_line(database_url, clock, mode=mode, **settings)
        )


def join(line: Line, **fields: str) -> None:
    line.text("JOIN", **fields)
    line.text("YES", **fields)
    line.work()
    assert status(line) is ParticipantStatus.ACTIVE


def status(line: Line) -> ParticipantStatus:
    with line.runtime.database.read() as session:
        return session.scalars(select(Participant.status)).one()


@pytest.mark.parametrize(
    ("mode", "body", "fields", "answer", "reason"),
    [
        ("app", "STOP", {}, STOPPED, "we confirm once"),
        ("app", "Stop.", {}, STOPPED, "however it is typed"),
        ("app", "alto", {}, STOPPED, "in Spanish as well"),
        ("twilio_default", "STOP", {}, None, "Twilio has confirmed its own word"),
        ("twilio_default", "UNSUBSCRIBE", {}, None, "Twilio has confirmed its own word"),
        ("twilio_default", "ALTO", {}, STOPPED, "Twilio knows no Spanish word"),
        ("twilio_default", "please stop texting me", {}, STOPPED, "Twilio does not read sentences"),
        ("advanced", "STOP", {"OptOutType": "STOP"}, None, "Twilio says that it has answered"),
        ("advanced", "NOMORE", {"OptOutType": "STOP"}, None, "a word of the account's own"),
        ("advanced", "please stop texting me", {}, STOPPED, "Twilio did not recognize it"),
    ],
)
def test_a_stop_holds_in_every_mode_and_is_confirmed_once(
    open_line: OpenLine, mode: str, body: str, fields: dict[str, str], answer: str | None, reason: str
) -> None:
    line = open_line(mode)
    join(line)

    answers = line.text(body, **fields)

    assert [STOPPED in text for text in answers] == ([True] if answer else []), reason
    assert status(line) is ParticipantStatus.OPTED_OUT
    assert line.text(body, **fields) == [], "confirmed once, then silence"
    sent = len(line.standin.accepted)
    line.pass_time(line.clock.at + timedelta(days=3), timedelta(hours=1))
    assert len(line.standin.accepted) == sent, "nothing is sent afterwards"


@pytest.mark.parametrize(
    ("mode", "body", "fields", "is_ours", "reason"),
    [
        ("app", "HELP", {}, True, "ours"),
        ("twilio_default", "HELP", {}, True, "Twilio's own help names no hotline"),
        ("twilio_default", "INFO", {}, True, "Twilio's own help names no hotline"),
        ("twilio_default", "AYUDA", {}, True, "Twilio knows no Spanish word"),
        ("advanced", "HELP", {"OptOutType": "HELP"}, False, "Twilio has sent the account's help text"),
        ("advanced", "AYUDA", {}, True, "Twilio did not recognize it"),
    ],
)
def test_a_call_for_help_is_answered_by_exactly_one_of_us(
    open_line: OpenLine, mode: str, body: str, fields: dict[str, str], is_ours: bool, reason: str
) -> None:
    line = open_line(mode)
    join(line)
    sent = len(line.standin.accepted)

    answers = line.text(body, **fields)

    assert ["988" in text for text in answers] == ([True] if is_ours else []), reason
    line.work()
    assert len(line.standin.accepted) == sent, "an answer never goes a second time by API"


@pytest.mark.parametrize(
    ("mode", "fields", "by_api"),
    [("app", {}, False), ("twilio_default", {}, True), ("advanced", {"OptOutType": "START"}, True)],
)
def test_a_yes_that_confirms_always_gets_its_welcome(
    open_line: OpenLine, mode: str, fields: dict[str, str], by_api: bool
) -> None:
    line = open_line(mode)
    line.text("JOIN")

    answers = line.text("YES", **fields)
    sent = line.work()

    welcomes = [text for text in answers + sent if "Expect" in text]
    assert len(welcomes) == 1
    assert (answers == []) is by_api
    assert status(line) is ParticipantStatus.ACTIVE


@pytest.mark.parametrize(
    ("mode", "body", "fields", "answers"),
    [
        ("app", "START", {}, 1),
        ("app", "unstop", {}, 1),
        ("twilio_default", "START", {}, 0),
        ("advanced", "START", {"OptOutType": "START"}, 0),
    ],
)
def test_start_reopens_in_every_mode(
    open_line: OpenLine, mode: str, body: str, fields: dict[str, str], answers: int
) -> None:
    line = open_line(mode)
    join(line)
    line.text("STOP")

    assert len(line.text(body, **fields)) == answers
    assert status(line) is ParticipantStatus.ACTIVE


@pytest.mark.parametrize("body", ["YES", "hello", "JOIN", "si", "I want to come back please", "1"])
@pytest.mark.parametrize("mode", ["app", "twilio_default"])
def test_nothing_but_start_words_reopens(open_line: OpenLine, mode: str, body: str) -> None:
    line = open_line(mode)
    join(line)
    line.text("STOP")

    assert line.text(body) == []
    assert status(line) is ParticipantStatus.OPTED_OUT
    assert line.work() == []


@pytest.mark.parametrize(
    ("body", "reopens"), [("START", True), ("UNSTOP", True), ("comenzar", False), ("continue", False)]
)
def test_on_a_toll_free_number_only_its_carriers_two_words_reopen(
    open_line: OpenLine, body: str, reopens: bool
) -> None:
    line = open_line("app")
    join(line, To=TOLL_FREE)
    line.text("STOP", To=TOLL_FREE)

    answers = line.text(body, To=TOLL_FREE)

    assert (status(line) is ParticipantStatus.ACTIVE) is reopens
    assert bool(answers) is reopens
