"""The published fault run, small: never twice, never lost, never after STOP, never at night."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import NoPostgresError, open_own_postgres
from tests.faults.judge import judge
from tests.faults.run import FaultRun, Options


def test_whatever_is_done_to_it_no_text_is_sent_twice_or_lost_or_at_the_wrong_time(tmp_path: Path) -> None:
    options = Options(texts=240, seed=3, workers=2, calm_seconds=2.0, fault_seconds=14.0, is_hurried=True)
    try:
        with open_own_postgres() as server:
            outcome = FaultRun(options, server, tmp_path).carry_out()
    except NoPostgresError as error:
        pytest.skip(f"NO POSTGRESQL: {error}")

    verdict = judge(outcome.evidence)
    assert verdict.must_be_0 == dict.fromkeys(verdict.must_be_0, 0), (verdict.twice, verdict.lost[:5])
    assert verdict.due >= 240
    assert verdict.sent_once > 120, "most are on the phone all the same"
    assert verdict.stops_answered
    for harm in ("killed (SIGKILL)", "(SIGSTOP, SIGCONT)", "restarted (immediate)", "clock set"):
        assert any(harm in done for done in outcome.done), f"{harm} was part of it"
    assert {request.fault for request in outcome.evidence.requests} - {"none"}, "the provider erred"
