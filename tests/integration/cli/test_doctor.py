"""`aftercare doctor` as an operator runs it: one line a check, and an exit code for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli.main import main
from service.cli.serving import DevelopmentServer
from service.web.app import create_app
from service.wiring import build_runtime
from tests.conftest import KEYS, make_settings
from tests.standin import On, TwilioStandin, status

SECRETS = ("2025550", "token-of", KEYS["encryption_keys"], KEYS["lookup_keys"], KEYS["secret_key"])


@pytest.fixture
def standin(environment: Callable[..., None], database_url: str) -> Iterator[TwilioStandin]:
    """A line set up well at the provider, its web process running, its settings in the environment."""
    runtime = build_runtime(make_settings(database_url=database_url))
    server = DevelopmentServer(create_app(runtime), 0)
    server.start()
    public = f"http://127.0.0.1:{server.port}"
    with TwilioStandin() as running:
        running.setup.numbers[0] |= {
            "sms_url": f"{public}/twilio/inbound#rc=5&rp=all",
            "sms_fallback_url": f"{public}/twilio/fallback",
        }
        environment(
            **KEYS,
            database_url=database_url,
            transport="twilio",
            twilio_account_sid=running.account_sid,
            twilio_auth_token=running.auth_token,
            twilio_from=running.number,
            twilio_api_url=running.url,
            twilio_optout_mode="app",
            public_url=public,
        )
        yield running
    server.stop()
    runtime.close()


def run_doctor(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert not any(secret in result.output for secret in SECRETS)
    return result


def test_what_is_well_ends_with_zero_and_one_line_a_check(standin: TwilioStandin) -> None:
    result = run_doctor()

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert all(line.startswith(("ok      ", "warning ")) for line in lines)
    for check in ("account", "number", "webhook"):
        assert any(line.startswith(f"ok      provider {check}: ") for line in lines), lines
    assert "ok      public address: answers at PUBLIC_URL" in lines


def test_what_is_wrong_ends_with_one(standin: TwilioStandin) -> None:
    standin.setup.numbers[0]["sms_url"] = "https://elsewhere.example.com/sms"

    result = run_doctor()

    assert result.exit_code == 1
    [wrong] = [line for line in result.stdout.splitlines() if line.startswith("error")]
    assert wrong.startswith("error   provider webhook: ")
    assert "/twilio/inbound#rc=5&rp=all" in wrong


def test_warnings_alone_end_with_zero(standin: TwilioStandin) -> None:
    standin.script(*[status(503)] * 9, on=On.LOOKUP)

    result = run_doctor()

    assert result.exit_code == 0
    assert "warning provider account: could not be checked (HTTP 503)" in result.stdout


def test_with_json_it_is_one_list_of_check_level_and_message(standin: TwilioStandin) -> None:
    found = json.loads(run_doctor("--json").stdout)

    assert all(list(row) == ["check", "level", "message"] for row in found)
    assert {row["level"] for row in found} <= {"ok", "warning", "error"}


def test_a_database_that_is_away_is_a_line_like_any_other(environment: Callable[..., None]) -> None:
    environment(**KEYS, database_url="postgresql://nobody@127.0.0.1:1/none")

    result = run_doctor()

    assert result.exit_code == 1, result.output
    assert "error   database: cannot be reached" in result.stdout


def test_before_the_migrations_it_says_what_to_run(environment: Callable[..., None], tmp_path: Path) -> None:
    environment(**KEYS, database_url=f"sqlite:///{tmp_path}/new.db")

    result = run_doctor()

    assert result.exit_code == 1
    assert "aftercare db upgrade" in result.stdout
