"""The command line as a whole: one line for what is wrong, nothing done, no traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from service.cli.main import main
from service.cli.output import OneLineGroup
from service.store.participants import Participant
from tests.conftest import KEYS
from tests.integration.cli.conftest import Cli

COMMANDS = {
    "db",
    "demo",
    "doctor",
    "init",
    "keys",
    "live",
    "meetings",
    "messages",
    "participants",
    "staff",
    "tasks",
    "web",
    "why",
    "worker",
}


def test_the_help_lists_every_command_and_needs_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    assert set(main.commands) >= COMMANDS
    assert list(tmp_path.iterdir()) == []


READERS = [
    pytest.param(["staff", "list"], id="staff list"),
    pytest.param(["tasks", "list"], id="tasks list"),
    pytest.param(["live", "status"], id="live status"),
    pytest.param(["meetings", "list"], id="meetings list"),
    pytest.param(["participants", "show", "+12025550111"], id="participants show"),
    pytest.param(["participants", "erase", "+12025550111", "--yes"], id="participants erase"),
    pytest.param(["keys", "rotate"], id="keys rotate"),
    pytest.param(["why", "1"], id="why"),
]


@pytest.mark.parametrize("arguments", READERS)
def test_a_database_that_is_not_migrated_is_refused_in_one_line(
    tmp_path: Path, environment: Callable[..., None], arguments: list[str]
) -> None:
    environment(**KEYS, database_url=f"sqlite:///{tmp_path / 'new.db'}")

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert result.stderr == "the database is not migrated; run `aftercare db upgrade`\n"


WRONG_SETTINGS = [
    pytest.param({"SECRET_KEY": ""}, "SECRET_KEY", id="no secret"),
    pytest.param({"ENCRYPTION_KEYS": "short"}, "ENCRYPTION_KEYS", id="no Fernet key"),
    pytest.param({"DATABASE_URL": "mysql://x"}, "DATABASE_URL", id="another database"),
    pytest.param({"ORG_TIMEZONE": "Mars/Base"}, "ORG_TIMEZONE", id="no such zone"),
    pytest.param({"ENCRYPTION_KEYS": ""}, "ENCRYPTION_KEYS is empty; `aftercare init`", id="no keys"),
    pytest.param({"DATABASE_URL": "sqlite:///"}, "DATABASE_URL", id="a database without a name"),
    pytest.param({"DATABASE_URL": "postgres://u:p@127.0.0.1:x/y"}, "DATABASE_URL", id="no port"),
    pytest.param({"ORG_NAME": "    "}, "ORG_NAME", id="nobody"),
    pytest.param({"ORG_PHONE": "bananas"}, "ORG_PHONE", id="no telephone number"),
    pytest.param({"ORG_HOURS": " "}, "ORG_HOURS", id="no hours"),
    pytest.param({"PUBLIC_URL": ""}, "PUBLIC_URL", id="no address"),
    pytest.param({"PUBLIC_URL": "http://"}, "PUBLIC_URL", id="an address without a host"),
    pytest.param({"PUBLIC_URL": "https://example.org/?q=1"}, "PUBLIC_URL", id="an address with a query"),
    pytest.param({"PUBLIC_URL": "https://exa mple.org"}, "PUBLIC_URL", id="an address with a space"),
    pytest.param({"TWILIO_API_URL": "http://"}, "TWILIO_API_URL", id="an API without a host"),
    pytest.param({"DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/x"}, "DATABASE_URL", id="nobody there"),
]


@pytest.mark.parametrize(("wrong", "named"), WRONG_SETTINGS)
def test_a_wrong_setting_is_named_in_one_line(
    cli: Cli, environment: Callable[..., None], wrong: dict[str, str], named: str
) -> None:
    environment(**wrong)

    assert named in cli.refusal("staff", "list")


def test_an_unexpected_fault_tells_its_place_and_never_what_was_typed() -> None:
    @click.group(cls=OneLineGroup)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise ValueError("somebody at +12025550111")

    result = CliRunner().invoke(group, ["fail"])

    assert result.exit_code == 1
    assert result.stderr.startswith("unexpected fault: ValueError in fail, line ")
    assert "5550111" not in result.output


def test_a_number_that_cannot_be_read_is_one_line_without_it(cli: Cli) -> None:
    line = cli.refusal("participants", "show", "12345")

    assert line.startswith("PHONE: ")
    assert "12345" not in line


WRONG_WORDS = [
    pytest.param(["why", "x"], "aftercare why --help", id="no number"),
    pytest.param(["participants", "list"], "aftercare participants --help", id="no such command"),
    pytest.param(
        ["staff", "add", "a@example.org", "--role", "boss"], "aftercare staff add --help", id="role"
    ),
    pytest.param(["meetings", "import"], "aftercare meetings import --help", id="an argument is missing"),
    pytest.param(["--bogus"], "aftercare --help", id="no such option"),
    pytest.param(["live", "maybe"], "aftercare live --help", id="no such choice"),
    pytest.param(["why", "9" * 30], "aftercare why --help", id="a number that no row has"),
]


@pytest.mark.parametrize(("words", "help_command"), WRONG_WORDS)
def test_wrong_words_are_answered_in_one_line_that_says_where_to_look(
    cli: Cli, words: list[str], help_command: str
) -> None:
    assert help_command.removeprefix("aftercare ") in cli.refusal(*words)


def test_the_example_settings_and_init_make_a_line_that_starts(
    tmp_path: Path, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment()
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "LOOKUP_KEYS"):
        monkeypatch.delenv(name, raising=False)
    example = Path(__file__).parents[3] / ".env.example"
    (tmp_path / ".env").write_text(example.read_text(encoding="utf-8"), encoding="utf-8")

    result = CliRunner().invoke(main, ["init"])

    assert result.exit_code == 0, result.stderr
    made = (tmp_path / ".env").read_text(encoding="utf-8").splitlines()
    assert len([line for line in made if line.startswith("SECRET_KEY=")]) == 1
    assert "ORG_NAME=River House" in made
    assert CliRunner().invoke(main, ["tasks", "list"]).exit_code == 0


def test_a_worker_that_may_not_send_says_so(cli: Cli, environment: Callable[..., None]) -> None:
    result = cli.run("worker", "--once")
    assert (result.exit_code, result.stderr) == (0, "")
    cli.data("participants", "import", cli.file("phone,consent\n+12025550147,\n"))

    environment(lookup_keys="another-lookup-key-0123456789")
    result = cli.run("worker", "--once", "--json")

    assert result.exit_code == 0
    assert "lookup_key_missing" in result.stderr
    assert json.loads(result.stdout)["now_accepted"] == 0


def test_people_are_not_imported_while_they_may_be_known_under_a_missing_key(
    cli: Cli, environment: Callable[..., None]
) -> None:
    file = cli.file("phone,consent\n+12025550147,\n")
    cli.data("participants", "import", file)

    environment(lookup_keys="another-lookup-key-0123456789")

    assert "LOOKUP_KEYS" in cli.refusal("participants", "import", file)
    with cli.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Participant)) == 1
