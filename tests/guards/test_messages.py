"""The texts that are shipped: they break no rule, say where they come from, and fill the first weeks."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from service.catalog import TextEntry, default_messages_path, load_catalog
from service.domain.hotlines import missing_lines
from service.domain.program import steps_on
from service.domain.wording_rules import Severity
from service.usecases.operations.check_texts import check_texts
from tests.conftest import NOW

CATALOG = load_catalog(default_messages_path())


def _id(entry: TextEntry) -> str:
    return entry.id


def test_the_shipped_texts_break_no_rule() -> None:
    findings = check_texts(default_messages_path(), NOW)

    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    assert not errors, "\n".join(f"{each.file}:{each.line}: {each.id}: {each.problem}" for each in errors)


def test_every_country_we_promise_has_an_emergency_number_and_a_crisis_line() -> None:
    assert not missing_lines(CATALOG.hotlines, ("US", "CA", "GB"))


@pytest.mark.parametrize("entry", list(CATALOG.entries.values()), ids=_id)
def test_every_text_says_where_it_comes_from_and_that_nobody_has_signed_it(entry: TextEntry) -> None:
    assert entry.source
    assert entry.review is None
    assert not entry.is_signed


def test_the_first_four_weeks_have_something_every_day_and_repeat_nothing() -> None:
    program = CATALOG.programs["first-year"]
    for weekday in range(7):
        anchor = date(2026, 11, 2) + timedelta(days=weekday)
        texts: list[str] = []
        for day in range(1, 29):
            due = steps_on(program, anchor, anchor + timedelta(days=day))
            assert due, f"day {day} is silent when day 0 is weekday {weekday}"
            texts += [step.text_id for step in due if step.text_id]
        assert len(texts) == len(set(texts))
