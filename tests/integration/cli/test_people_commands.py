"""`participants show`, `erase` and `meetings` as an operator uses them."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from sqlalchemy import select

from service.config import load_settings
from service.domain.delivery import MessageState
from service.store.meetings import ChosenMeeting, Meeting, MeetingSource
from service.store.messages import Message
from service.store.participants import Participant
from service.store.staff import AuditEvent
from service.usecases.sending.plan import plan_due
from service.wiring import build_runtime
from tests.conftest import NOW
from tests.integration.cli.conftest import Cli

PHONE = "+12025550111"
ROWS = f"""phone,name,timezone,consent,consent_at,consent_by
{PHONE},Ana Example,America/Chicago,written,2026-11-20,desk
"""


@pytest.fixture
def person(cli: Cli) -> int:
    """An active person; returns their id."""
    cli.data("participants", "import", cli.file(ROWS))
    with cli.database.read() as session:
        return session.scalars(select(Participant.id)).one()


@pytest.fixture
def meeting(cli: Cli) -> int:
    """A meeting tomorrow evening; returns its id."""
    with cli.database.begin() as session:
        source = MeetingSource(name="list", format="bmlt", timezone="America/Chicago")
        session.add(source)
        session.flush()
        row = Meeting(
            source_id=source.id,
            external_id="1",
            fingerprint="f",
            name="Evening Circle",
            weekday=2,
            starts_at=time(18, 30),
            timezone="America/Chicago",
            venue="in_person",
            city="Utica",
            first_seen_at=NOW,
            last_seen_at=NOW,
        )
        session.add(row)
        session.flush()
        return row.id


def list_actions(cli: Cli) -> list[str]:
    with cli.database.read() as session:
        return list(session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))


def plan(cli: Cli) -> None:
    runtime = build_runtime(load_settings())
    plan_due(runtime.context, NOW + timedelta(days=1))
    runtime.close()


def reminder_states(cli: Cli) -> list[str]:
    with cli.database.read() as session:
        query = select(Message.state).where(Message.source.like("m%")).order_by(Message.id)
        return [str(state) for state in session.scalars(query)]


def test_show_tells_how_a_person_stands_with_the_number_masked(cli: Cli, person: int) -> None:
    data = cli.data("participants", "show", PHONE)

    assert (data["id"], data["phone"], data["status"]) == (person, "...11", "active")
    assert [row["program"] for row in data["enrollments"]] == ["first-year"]
    assert data["consent_events"][0]["wording_id"] == "admin/welcome-written"
    assert data["consent_events"][0]["wording"]
    assert [row["text"] for row in data["next_texts"]] == ["admin/welcome-written"]
    assert data["next_texts"][0]["due_local"] == "2026-11-23T09:00-06:00"
    assert (data["last_texts"], data["meetings"], data["tasks"]) == ([], [], [])


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["words", "json"])
def test_show_never_prints_the_number_and_is_recorded(cli: Cli, person: int, flags: list[str]) -> None:
    result = cli.run("participants", "show", "(202) 555-0111", *flags)

    assert result.exit_code == 0
    assert "5550111" not in result.output
    assert list_actions(cli)[-1] == "participant_shown"


def test_showing_nobody_is_one_line(cli: Cli) -> None:
    assert "nobody" in cli.refusal("participants", "show", PHONE)


def test_erasing_needs_yes(cli: Cli, person: int) -> None:
    assert "--yes" in cli.refusal("participants", "erase", PHONE)
    assert cli.data("participants", "show", PHONE)["status"] == "active"


def test_erasing_works_and_may_be_repeated(cli: Cli, person: int) -> None:
    assert cli.data("participants", "erase", PHONE, "--yes") == {"result": "erased"}
    assert cli.data("participants", "erase", PHONE, "--yes") == {"result": "nothing_stored"}
    assert "nobody" in cli.refusal("participants", "show", PHONE)


def test_a_meeting_is_chosen_once_and_reminded_of(cli: Cli, person: int, meeting: int) -> None:
    add = ("participants", "meetings", PHONE, "--add", str(meeting), "--label", "our circle")

    assert cli.data(*add) == {"meeting_id": meeting, "result": "added"}
    assert cli.data(*add)["result"] == "unchanged"
    (row,) = cli.data("participants", "meetings", PHONE)
    assert (row["label"], row["minutes_before"], row["starts_at"]) == ("our circle", 120, "18:30")
    plan(cli)
    assert reminder_states(cli) == [MessageState.PLANNED]


def test_changing_a_chosen_meeting_takes_back_what_was_planned(cli: Cli, person: int, meeting: int) -> None:
    cli.data("participants", "meetings", PHONE, "--add", str(meeting))
    plan(cli)

    result = cli.data("participants", "meetings", PHONE, "--add", str(meeting), "--minutes-before", "60")

    assert result["result"] == "changed"
    assert reminder_states(cli) == [MessageState.CANCELED]
    plan(cli)
    assert reminder_states(cli) == [MessageState.CANCELED, MessageState.PLANNED]
    with cli.database.read() as session:
        assert session.scalars(select(ChosenMeeting.version)).one() == 2


def test_a_dropped_meeting_is_not_reminded_of(cli: Cli, person: int, meeting: int) -> None:
    cli.data("participants", "meetings", PHONE, "--add", str(meeting))
    plan(cli)

    assert cli.data("participants", "meetings", PHONE, "--remove", str(meeting))["result"] == "removed"
    assert cli.data("participants", "meetings", PHONE, "--remove", str(meeting))["result"] == "unchanged"

    plan(cli)
    assert reminder_states(cli) == [MessageState.CANCELED]
    assert cli.data("participants", "meetings", PHONE, "--list") == []


REFUSED_CHOICES = [
    pytest.param(["--add", "99"], "no meeting 99", id="does not exist"),
    pytest.param(["--add", "1", "--remove", "1"], "one of", id="two wishes at once"),
    pytest.param(["--add", "1", "--label", "x" * 41], "label is longer than 40", id="label too long"),
]


@pytest.mark.parametrize(("arguments", "expected"), REFUSED_CHOICES)
def test_a_choice_that_cannot_be_is_refused(
    cli: Cli, person: int, meeting: int, arguments: list[str], expected: str
) -> None:
    assert expected in cli.refusal("participants", "meetings", PHONE, *arguments)
    assert cli.data("participants", "meetings", PHONE) == []


def test_a_meeting_that_is_no_longer_held_cannot_be_chosen(cli: Cli, person: int, meeting: int) -> None:
    with cli.database.begin() as session:
        session.get_one(Meeting, meeting).vanished_at = NOW

    assert "no longer held" in cli.refusal("participants", "meetings", PHONE, "--add", str(meeting))
