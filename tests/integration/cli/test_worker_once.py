"""Nobody who opted out is texted: one round says in one line what it waits for, and ends."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.integration.cli.conftest import Cli
from tests.integration.test_import_participants import HEADER
from tests.standin import Fault, On, TwilioStandin, reset_before, status

PERSON = "+12025550147,Ana Example,America/New_York,en,,2026-11-10,written,2026-11-20T15:00,intake desk,"


@pytest.mark.parametrize("fault", [status(500), status(503), reset_before(), None])
def test_one_round_says_so_when_the_provider_does_not_list(
    cli: Cli, environment: Callable[..., None], fault: Fault | None
) -> None:
    with TwilioStandin() as standin:
        environment(
            transport="twilio",
            twilio_account_sid=standin.account_sid,
            twilio_auth_token=standin.auth_token,
            twilio_messaging_service_sid=standin.service_sid,
            twilio_api_url=standin.url,
            twilio_optout_mode="app",
            public_url="https://line.example.org",
        )
        cli.data("participants", "import", cli.file(f"{HEADER}\n{PERSON}\n"))
        assert cli.run("live", "on", "--force").exit_code == 0
        if fault is not None:
            standin.by_chance({fault: 1.0}, seed=1, on=On.LOOKUP)

        result = cli.run("worker", "--once", "--json")

        said = [
            line for line in result.stderr.splitlines() if line.startswith("unprompted texts are stopped")
        ]
        assert result.exit_code == 0
        assert standin.creates == (fault is None), (
            "with nothing listed the welcome goes out in the first round"
        )
        assert len(said) == (fault is not None)
        assert all("inbound_not_checked" in line for line in said)
        assert json.loads(result.stdout)["now_accepted"] == standin.creates
