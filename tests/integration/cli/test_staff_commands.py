"""`staff`, `live` and `tasks` as an operator uses them."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from service.store.inbound import Task, TaskKind, add_task
from service.store.staff import AuditEvent, Staff
from tests.conftest import NOW
from tests.integration.cli.conftest import Cli

PASSWORD = "correct horse battery"
ADD = ("staff", "add", "Ana@Example.org", "--role", "admin", "--password-stdin")


def get_staff(cli: Cli) -> Staff:
    with cli.database.read() as session:
        return session.scalars(select(Staff)).one()


def test_an_account_is_added_with_a_hashed_password(cli: Cli) -> None:
    data = cli.data(*ADD, "--phone", "202-555-0123", stdin=f"{PASSWORD}\n")

    assert data == {"email": "ana@example.org", "role": "admin", "result": "added"}
    staff = get_staff(cli)
    assert PasswordHasher().verify(staff.password_hash, PASSWORD)
    assert (staff.phone, staff.role) == ("+12025550123", "admin")


def test_an_address_that_exists_is_updated_and_says_so(cli: Cli) -> None:
    cli.data(*ADD, "--phone", "202-555-0123", stdin=PASSWORD)
    before = get_staff(cli).password_hash

    result = cli.run("staff", "add", "ana@example.org", "--role", "viewer")

    assert "was updated" in result.stdout
    staff = get_staff(cli)
    assert (staff.role, staff.phone, staff.password_hash) == ("viewer", "+12025550123", before)


def test_adding_the_same_account_again_changes_nothing(cli: Cli) -> None:
    cli.data(*ADD, stdin=PASSWORD)

    assert cli.data("staff", "add", "ana@example.org", "--role", "admin")["result"] == "unchanged"


def test_the_password_is_asked_twice_when_it_is_not_piped(cli: Cli) -> None:
    arguments = ("staff", "add", "ben@example.org", "--role", "counselor")

    result = cli.run(*arguments, stdin=f"{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0
    assert result.stdout == "account added\n"
    assert PASSWORD not in result.output


REFUSED_ACCOUNTS = [
    pytest.param("ana@example.org", "short", [], "at least 10 characters", id="short password"),
    pytest.param("ana@example.org", "", [], "at least 10 characters", id="no password"),
    pytest.param("ana", PASSWORD, [], "no e-mail address", id="no address"),
    pytest.param("a b@example.org", PASSWORD, [], "no e-mail address", id="a space"),
    pytest.param("ana@example.org", PASSWORD, ["--phone", "12"], "PHONE: ", id="no number"),
]


@pytest.mark.parametrize(("email", "password", "more", "expected"), REFUSED_ACCOUNTS)
def test_an_account_that_cannot_be_is_refused(
    cli: Cli, email: str, password: str, more: list[str], expected: str
) -> None:
    arguments = ("staff", "add", email, "--role", "admin", "--password-stdin", *more)

    assert expected in cli.refusal(*arguments, stdin=password)
    assert cli.data("staff", "list") == []


def test_the_list_masks_phones_and_holds_no_hash(cli: Cli) -> None:
    cli.data(*ADD, "--phone", "202-555-0123", stdin=PASSWORD)

    (row,) = cli.data("staff", "list")

    assert (row["email"], row["role"], row["phone"]) == ("ana@example.org", "admin", "...23")
    assert "argon2" not in str(row)


def test_going_live_is_refused_with_everything_that_fails(cli: Cli) -> None:
    line = cli.refusal("live", "on")

    assert "organization" in line
    assert "public-url" in line


def test_force_goes_live_and_says_what_it_skipped(cli: Cli) -> None:
    result = cli.run("live", "on", "--force")

    assert result.exit_code == 0
    assert "skipped public-url: " in result.stderr
    with cli.database.read() as session:
        assert session.scalars(select(AuditEvent.action)).all() == ["live_on"]


def test_status_is_one_object(cli: Cli) -> None:
    data = cli.data("live", "status")

    assert data["transport"] == "simulator"
    assert {"mode", "skipped", "sending_blocked", "checks"} <= set(data)


def test_live_may_be_switched_off_again(cli: Cli) -> None:
    cli.data("live", "on", "--force")

    assert cli.data("live", "off")["skipped"] == []
    assert cli.data("live", "off")["skipped"] == []


@pytest.fixture
def task(cli: Cli) -> int:
    with cli.database.begin() as session:
        add_task(session, TaskKind.CALL, "opted_out_early", NOW)
        return session.scalars(select(Task.id)).one()


def test_tasks_are_listed_with_their_age(cli: Cli, task: int) -> None:
    (row,) = cli.data("tasks", "list")

    assert (row["id"], row["kind"], row["reason"], row["age_minutes"]) == (task, "call", "opted_out_early", 0)


def test_a_task_is_closed_once_and_keeps_who_and_what(cli: Cli, task: int) -> None:
    assert cli.data("tasks", "close", str(task), "--outcome", "called")["result"] == "closed"
    assert cli.data("tasks", "close", str(task), "--outcome", "other")["result"] == "was closed before"

    assert cli.data("tasks", "list") == []
    with cli.database.read() as session:
        row = session.get_one(Task, task)
    assert (row.outcome, row.closed_at) == ("called", NOW)
    assert row.closed_by is not None
    assert row.closed_by.startswith("cli")


@pytest.mark.parametrize(
    ("task_id", "outcome", "expected"),
    [
        pytest.param("99", "called", "no task 99", id="does not exist"),
        pytest.param("1", " ", "1 to 40 characters", id="says nothing"),
        pytest.param("1", "called 202-555-0123", "telephone number", id="tasks hold no numbers"),
    ],
)
def test_a_task_that_cannot_be_closed_is_refused(
    cli: Cli, task: int, task_id: str, outcome: str, expected: str
) -> None:
    assert expected in cli.refusal("tasks", "close", task_id, "--outcome", outcome)
    assert len(cli.data("tasks", "list")) == 1
