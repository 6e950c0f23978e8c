"""`python -m tests.faults`: the fault run and its report. Exits 1 if a figure that must be 0 is not."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.databases import NoPostgresError, open_own_postgres
from tests.faults.judge import judge
from tests.faults.namespaces import CutOffResult, CutOffRun, describe, find_obstacle
from tests.faults.report import Machine, write_report
from tests.faults.run import ROOT, FaultRun, Options

CALM_SHARE = 0.2


def main() -> int:
    given = _parse()
    say = _Progress()
    folder = Path(tempfile.mkdtemp(prefix="aftercare-faults-"))
    obstacle = "it was left out (--no-namespaces)" if given.no_namespaces else find_obstacle()
    try:
        with ThreadPoolExecutor(1) as beside:
            cut_off: list[Future[CutOffResult]] = []

            def cut_one_off() -> None:
                """Beside the rest of the run, which by then mostly waits."""
                if obstacle:
                    say(f"no worker is cut off from the network: {obstacle}")
                else:
                    run = CutOffRun(given.seed, say, folder / "cut-off")
                    cut_off.append(beside.submit(run.carry_out))

            options = _options(given, say, cut_one_off)
            with open_own_postgres() as server:
                outcome = FaultRun(options, server, folder).carry_out()
            result = cut_off[0].result() if cut_off else None
    except NoPostgresError as error:
        print(f"make faults needs PostgreSQL 14 or newer on this machine: {error}", file=sys.stderr)  # noqa: T201
        return 2
    verdict = judge(outcome.evidence)
    page = write_report(
        options,
        outcome,
        verdict,
        Machine.here(outcome.server_version, _revision()),
        _command(given),
        describe(result, obstacle),
        datetime.now(UTC).date(),
    )
    Path(given.out).write_text(page, encoding="utf-8")
    for name, number in verdict.must_be_0.items():
        say(f"{name}: {number}")
    say(f"{verdict.due} texts due, {verdict.sent_once} sent once; report in {given.out}")
    if verdict.is_good and (result is None or result.is_good):
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    say(f"a figure is not what it must be; logs are in {folder}")
    return 1


def _options(
    given: argparse.Namespace, say: Callable[[str], None], when_faults_end: Callable[[], None]
) -> Options:
    seconds = given.minutes * 60
    return Options(
        texts=given.texts,
        seed=given.seed,
        workers=given.workers,
        calm_seconds=seconds * CALM_SHARE,
        fault_seconds=seconds * (1 - CALM_SHARE),
        is_guarded=not given.own_clocks,
        say=say,
        when_faults_end=when_faults_end,
    )


def _command(given: argparse.Namespace) -> str:
    """How to do it again."""
    numbers = f"TEXTS={given.texts} SEED={given.seed} WORKERS={given.workers} MINUTES={given.minutes:g}"
    return f"make faults {numbers}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description="The published fault run.")
    parser.add_argument("--texts", type=int, default=5000, help="texts that become due (5000)")
    parser.add_argument("--seed", type=int, default=1, help="what fixes which harm is done when (1)")
    parser.add_argument("--workers", type=int, default=4, help="worker processes (4)")
    parser.add_argument(
        "--minutes", type=float, default=2.5, help="minutes over which texts become due (2.5)"
    )
    parser.add_argument("--out", default=str(ROOT / "docs" / "reliability.md"), help="where the report goes")
    parser.add_argument("--no-namespaces", action="store_true", help="leave out the machine that is cut off")
    parser.add_argument("--own-clocks", action="store_true", help="let machines believe their own clocks")
    given = parser.parse_args()
    if given.texts < 50 or given.workers < 1 or given.minutes <= 0:
        parser.error("at least 50 texts, one worker, and some time")
    return given


class _Progress:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"[{time.monotonic() - self._began:5.0f} s] {line}", flush=True)  # noqa: T201


def _revision() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found or "unknown"


if __name__ == "__main__":
    sys.exit(main())
