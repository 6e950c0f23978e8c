"""The command that lives through a year with simulated people."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Any

import click

from service.catalog import default_messages_path, load_catalog
from service.cli.output import FAULT, CliError, FaultError, say, say_each
from service.usecases.people.participant_cells import DEFAULT_PROGRAM
from service.usecases.year.report import (
    DEFAULT_PRICE,
    Reported,
    Revision,
    build_report,
    is_kept,
    render_report,
)
from service.usecases.year.run import (
    NoSuchProgramError,
    SimulationError,
    YearOptions,
    find_program,
    run_year,
)

DEFAULT_START = "2026-01-05"
"""A fixed Monday: the same seed gives the same bytes on any day."""
SAID_EVERY_SECONDS = 5.0


@click.command("simulate")
@click.option(
    "--participants",
    "people",
    type=click.IntRange(1, 5_000),
    default=200,
    show_default=True,
    help="How many.",
)
@click.option("--days", type=click.IntRange(1, 744), default=365, show_default=True, help="Days for each.")
@click.option("--program", "program_id", default=DEFAULT_PROGRAM, show_default=True, metavar="ID")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("simulated-year"),
    show_default=True,
    metavar="DIR",
    help="Where report.html and report.json are written; made if it is not there.",
)
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    default=DEFAULT_START,
    show_default=True,
    help="The first day.",
)
@click.option(
    "--price-per-segment",
    "price",
    type=click.FloatRange(0, 10),
    default=DEFAULT_PRICE,
    show_default=True,
    help="US dollars, for texts out and in.",
)
def simulate(
    people: int,
    days: int,
    program_id: str,
    seed: int,
    out: Path,
    start: datetime,
    price: float,
) -> None:
    """A year of the program with simulated people, through the real planner, rules and delivery.

    Needs no settings and touches no database of yours. Writes a report as a page and as data; exit code 1 if
    a promise was broken.
    """
    try:
        out.mkdir(exist_ok=True)
    except OSError:
        raise CliError(f"{out}: the folder cannot be made; expected one whose parent is there") from None
    messages = default_messages_path()
    options = YearOptions(people, days, program_id, seed, start.date(), messages)
    catalog = load_catalog(messages)
    try:
        program = find_program(catalog, program_id)
        with _show_days(days) as on_day:
            year = run_year(options, on_day)
    except NoSuchProgramError as error:
        raise CliError(str(error)) from None
    except SimulationError as error:
        raise FaultError(str(error)) from None
    report = build_report(Reported(options, catalog, program, find_revision(), price, year))
    (out / "report.html").write_text(render_report(report), encoding="utf-8")
    data = json.dumps(report, ensure_ascii=False, indent=1, sort_keys=True)
    (out / "report.json").write_text(f"{data}\n", encoding="utf-8")
    _conclude(report, out / "report.html")


def _conclude(report: dict[str, Any], out: Path) -> None:
    totals = report["totals"]
    say(
        f"{out}: {report['options']['people']:,} people, {totals['unasked']:,} texts unasked, "
        f"{totals['answers']:,} answers, {totals['texts_in']:,} texts in, {totals['segments']:,} segments, "
        f"${totals['cost']:,.2f}"
    )
    if is_kept(report):
        say("every promise was kept")
        return
    for promise in report["promises"]:
        if promise["broken"]:
            say(f"broken {promise['broken']:,} times: {promise['words']}")
            say_each([f"  person {each['person']}, {each['on']}: {each['how']}" for each in promise["first"]])
    sys.exit(FAULT)


@contextmanager
def _show_days(days: int) -> Iterator[Callable[[int], None]]:
    """Yield what to tell of days done: a line that moves, or one every few seconds in a file."""
    is_terminal = sys.stderr.isatty()
    began = told = monotonic()

    def on_day(day: int) -> None:
        nonlocal told
        line = f"day {min(day, days)} of {days}, {monotonic() - began:.0f} s"
        if is_terminal:
            click.echo(f"\r{line}", err=True, nl=False)
        elif monotonic() - told >= SAID_EVERY_SECONDS:
            told = monotonic()
            click.echo(line, err=True)

    try:
        yield on_day
    finally:
        if is_terminal:
            click.echo(err=True)


def find_revision() -> Revision:
    """The installed version, and the commit where the code lies in a checkout; changes on top are told."""
    try:
        installed = version("aftercare")
    except PackageNotFoundError:
        installed = "unknown"
    git, folder = shutil.which("git"), Path(__file__).resolve().parents[2]
    if git is None or not (folder / ".git").exists():
        return Revision(installed, "")
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    return Revision(installed, told.stdout.strip())
