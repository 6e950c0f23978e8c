"""What the shipped programs promise: how often, never the same soon again, safety always, no silent end."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest

from service.catalog import Catalog
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.program import STANDARD_CADENCE, Cadence, Program, steps_on
from service.domain.text_choice import NO_REPEAT_DAYS, choose_text

K = MessageKind
ANCHORS = [date(2026, 11, 23) + timedelta(days=ahead) for ahead in range(7)]
KEPT = Cadence(is_kept=True)
SAFETY_DAYS = (0, 3, 7, 14, 21, 28, 60, 90)
"""Reference A4, then monthly."""


def live(catalog: Catalog, program: Program, anchor: date, cadence: Cadence) -> list[tuple[int, K, str]]:
    """Every text of a whole program: day, kind, and id (of the check-in for a question)."""
    said: list[tuple[int, K, str]] = []
    last_day: dict[str, int] = {}
    for day in range(program.length(cadence) + 1):
        on = anchor + timedelta(days=day)
        for step in steps_on(program, anchor, on, cadence):
            text_id = step.text_id or step.check_in_id
            if step.topics:
                used = {text for text, was in last_day.items() if day - was < NO_REPEAT_DAYS}
                phase = program.phase_of(day)
                text_id = choose_text(catalog.bank, step.kind, step.topics, phase, step.turn, used)
                assert text_id is not None, f"{program.id} has nothing left for {step.step_id} on day {day}"
                last_day[text_id] = day
            said.append((day, step.kind, text_id or ""))
    return said


@pytest.fixture(params=["first-year", "ninety-days"])
def program(request: pytest.FixtureRequest, catalog: Catalog) -> Program:
    return catalog.programs[request.param]


@pytest.mark.parametrize("cadence", [STANDARD_CADENCE, Cadence(shift=-1), Cadence(shift=1), KEPT])
@pytest.mark.parametrize("anchor", ANCHORS, ids=str)
def test_no_text_of_the_bank_comes_again_within_sixty_days_and_the_bank_never_runs_out(
    catalog: Catalog, program: Program, cadence: Cadence, anchor: date
) -> None:
    chosen = {K.TIP, K.CARING, K.WEEKEND_PLAN, K.NUDGE}
    days: dict[str, int] = {}
    for day, kind, text_id in live(catalog, program, anchor, cadence):
        if kind in chosen:
            assert day - days.get(text_id, -NO_REPEAT_DAYS) >= NO_REPEAT_DAYS, text_id
            days[text_id] = day


@pytest.mark.parametrize("anchor", ANCHORS, ids=str)
def test_nobody_is_texted_more_from_one_part_of_the_year_to_the_next(catalog: Catalog, anchor: date) -> None:
    """Texts a week in each row, without nudges, which only follow silence, and what belongs to no row."""
    year = catalog.programs["first-year"]
    weekly = Counter[str]()
    for day in range(year.length(KEPT)):
        for step in steps_on(year, anchor, anchor + timedelta(days=day), KEPT):
            if step.rows and step.kind not in {K.NUDGE, K.ADMIN, K.SAFETY}:
                row = year.find_row(day, anchor + timedelta(days=day), KEPT)
                weekly[row.id if row else ""] += 1
    rates = [weekly[row.id] * 7 / (row.last_day - row.first_day + 1) for row in year.rows]

    assert rates == sorted(rates, reverse=True)
    for rate, wanted in zip(rates, (7, 5, 3, 2, 1.25), strict=True):
        assert rate == pytest.approx(wanted, rel=0.15)


@pytest.mark.parametrize("anchor", ANCHORS, ids=str)
def test_no_day_and_no_week_is_so_full_that_the_caps_must_often_speak(
    catalog: Catalog, program: Program, anchor: date
) -> None:
    capped = [
        (day, kind)
        for day, kind, _ in live(catalog, program, anchor, STANDARD_CADENCE)
        if KIND_RULES[kind].is_capped and kind is not K.NUDGE
    ]
    days = Counter(day for day, _ in capped)

    # Milestones, safety texts and check-ups stand in no row, so they come on top of the rhythm now and then.
    assert sum(count > 2 for count in days.values()) <= program.days / 12


def test_safety_texts_come_on_the_days_of_danger_and_then_every_month(program: Program) -> None:
    days = [step.day for step in program.steps if step.kind is K.SAFETY]

    assert set(days) >= {day for day in SAFETY_DAYS if day <= program.days}
    assert all(later - before <= 31 for before, later in pairwise(days) if before != 28)
    assert all(step.only is None for step in program.steps if step.kind is K.SAFETY)


def test_a_program_ends_with_a_word(catalog: Catalog, program: Program) -> None:
    said = live(catalog, program, ANCHORS[0], STANDARD_CADENCE)

    assert max(day for day, _, _ in said) == program.days
    assert (program.days, K.ADMIN) in {(day, kind) for day, kind, _ in said}


def test_every_topic_of_the_bank_has_its_place_in_the_year(catalog: Catalog) -> None:
    year = catalog.programs["first-year"]
    asked = {(step.kind, topic) for step in year.weekly for topic in step.topics}
    asked |= {(K.TIP, topic) for rule in year.choices for topic in rule.topics}
    asked |= {(K.NUDGE, topic) for step in year.weekly for topic in step.nudge_topics}
    chosen = {K.TIP, K.CARING, K.WEEKEND_PLAN, K.NUDGE}

    assert {(kind, text.topic) for kind in chosen for text in catalog.bank[kind]} <= asked


@pytest.mark.parametrize("strand", ["counseling", "peer", "relapse_prevention"])
@pytest.mark.parametrize("phase", ["early", "middle", "long"])
def test_each_part_of_the_year_speaks_of_the_three_strands_of_aftercare(
    catalog: Catalog, strand: str, phase: str
) -> None:
    """Reference A1, item 1."""
    assert any(text.topic == strand and phase in text.phases for text in catalog.bank[K.TIP])
