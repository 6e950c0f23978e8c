"""A small simulated year: the real planner and delivery, both languages, the same bytes twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from service.catalog import Catalog, default_messages_path
from service.usecases.year.report import Reported, Revision, build_report, is_kept, render_report
from service.usecases.year.run import NoSuchProgramError, YearOptions, run_year

OPTIONS = YearOptions(20, 40, "first-year", 4, date(2026, 1, 5), default_messages_path())


FEWER = replace(OPTIONS, people=6, days=6)


def simulate(catalog: Catalog, options: YearOptions, *, in_processes: bool) -> tuple[str, str]:
    year = run_year(options, lambda _day: None, in_processes=in_processes)
    program = catalog.programs[options.program_id]
    report = build_report(Reported(options, catalog, program, Revision("1", "abc"), 0.01, year))
    return json.dumps(report), render_report(report)


@pytest.fixture(scope="module")
def page_and_data(catalog: Catalog) -> tuple[str, str]:
    return simulate(catalog, OPTIONS, in_processes=True)


def test_the_same_seed_gives_the_same_bytes_however_it_runs(catalog: Catalog) -> None:
    first = simulate(catalog, FEWER, in_processes=True)

    assert simulate(catalog, FEWER, in_processes=False) == first


def test_every_promise_is_kept_and_much_happens(page_and_data: tuple[str, str]) -> None:
    report = json.loads(page_and_data[0])

    assert is_kept(report), [each for each in report["promises"] if each["broken"]]
    assert report["totals"]["unasked"] > 300
    assert report["totals"]["answered"] > 20
    assert {row["name"] for row in report["safety_days"]} <= {"sent", "stopped", "paused", "undelivered"}


def test_the_page_stands_alone_and_names_nobody(page_and_data: tuple[str, str]) -> None:
    data, page = page_and_data

    assert "<script" not in page
    assert "http" not in page
    assert "+1999" not in page + data
    assert page.count("<svg") == 5
    assert "no claim about real ones" in page
    assert "not been clinically reviewed" in page


def test_a_program_that_is_not_there_is_refused() -> None:
    options = YearOptions(1, 1, "second-year", 1, date(2026, 1, 5), default_messages_path())

    with pytest.raises(NoSuchProgramError, match="no program second-year; expected one of first-year"):
        run_year(options, lambda _day: None, in_processes=False)
