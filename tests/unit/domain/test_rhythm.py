"""Rows: stretches of days with a rhythm of their own, and what a person may change about them."""

from __future__ import annotations

import copy
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.kinds import MessageKind
from service.domain.program import (
    STANDARD_CADENCE,
    Cadence,
    ProgramError,
    next_day_with_steps,
    program_from_data,
    program_to_data,
    steps_on,
)

MONDAY = date(2026, 11, 23)
DATA: dict[str, Any] = {
    "id": "year",
    "version": 1,
    "name": "Harbor",
    "word": "HARBOR",
    "days": 110,
    "kept_days": 200,
    "frequency": {"en": "a few a week", "es": "unos por semana"},
    "rows": [
        {"id": "daily", "first_day": 1, "last_day": 28, "phase": "early"},
        {"id": "some", "first_day": 29, "last_day": 60, "phase": "early"},
        {"id": "few", "first_day": 61, "last_day": 100, "phase": "middle"},
        {"id": "kept", "first_day": 101, "last_day": 200, "phase": "long", "only": "kept"},
    ],
    "choices": [{"question": "urge", "values": ["9"], "within_days": 7, "topics": ["breathe"]}],
    "step_up": {"red": [{"question": "plan", "values": ["3"]}], "amber": [], "ambers": 2},
    "steps": [
        {"id": "safety", "day": 70, "time": "16:00", "kind": "safety", "texts": ["s/a"]},
        {"id": "ask", "day": 101, "time": "12:00", "kind": "admin", "texts": ["a/keep"]},
        {"id": "bye", "day": 110, "only": "not_kept", "time": "12:00", "kind": "admin", "texts": ["a/bye"]},
    ],
    "weekly": [
        {
            "id": "all",
            "weekdays": ["MO"],
            "rows": ["daily", "some", "few"],
            "time": "17:00",
            "kind": "checkin",
            "check_ins": ["weekly"],
            "nudge": ["check_in"],
        },
        {
            "id": "tip",
            "weekdays": ["TU", "WE", "TH"],
            "rows": ["daily"],
            "time": "12:00",
            "kind": "tip",
            "topics": ["sleep", "food"],
        },
        {
            "id": "series",
            "weekdays": ["FR"],
            "rows": ["some"],
            "first_day": 29,
            "every_weeks": 2,
            "first_week": 1,
            "time": "12:00",
            "kind": "skill_series",
            "texts": ["k/1", "k/2", "k/3"],
        },
        {
            "id": "on",
            "weekdays": ["TH"],
            "rows": ["kept"],
            "time": "12:00",
            "kind": "caring",
            "topics": ["hope"],
        },
    ],
}
PROGRAM = program_from_data(DATA)
KEPT = Cadence(is_kept=True)


def ids_on(day: int, cadence: Cadence = STANDARD_CADENCE) -> list[str]:
    return [step.step_id for step in steps_on(PROGRAM, MONDAY, MONDAY + timedelta(days=day), cadence)]


@pytest.mark.parametrize(
    ("day", "cadence", "ids", "reason"),
    [
        (8, STANDARD_CADENCE, ["all-nudge", "tip"], "a tip, and the line after Monday's question"),
        (36, STANDARD_CADENCE, ["all-nudge"], "the next row has no tips"),
        (36, Cadence(shift=-1), ["all-nudge", "tip"], "MORE brings the row before"),
        (8, Cadence(shift=1), ["all-nudge"], "LESS brings the row after"),
        (8, Cadence(shift=-3), ["all-nudge", "tip"], "no row is denser than the first"),
        (64, Cadence(shift=5), ["all-nudge"], "nor sparser than the last of one's own"),
        (70, Cadence(shift=2), ["safety", "all"], "safety texts stand in no row, so nothing takes them away"),
        (106, STANDARD_CADENCE, [], "after the end nothing is said to who did not ask"),
        (101 + 7, KEPT, ["on"], "and to who asked the last row speaks"),
        (110, STANDARD_CADENCE, ["bye"], "who did not answer hears goodbye"),
        (110, KEPT, [], "who goes on does not"),
    ],
)
def test_the_row_that_holds_decides_what_is_said(
    day: int, cadence: Cadence, ids: list[str], reason: str
) -> None:
    assert sorted(ids_on(day, cadence)) == sorted(ids), reason


@pytest.mark.parametrize(
    ("day", "cadence", "by", "shift", "reason"),
    [
        (8, STANDARD_CADENCE, 1, 1, "one sparser"),
        (8, STANDARD_CADENCE, -1, None, "nothing is denser than the first"),
        (0, STANDARD_CADENCE, 1, 1, "before the first row it counts as begun"),
        (70, Cadence(shift=2), 1, None, "nothing is sparser than the last"),
        (70, Cadence(shift=2), -1, -1, "MORE works from the row that holds, however often LESS was said"),
        (36, Cadence(shift=-3), 1, 0, "and LESS too"),
        (105, STANDARD_CADENCE, 1, None, "after the last row there is nothing to move"),
        (105, KEPT, -1, -1, "who goes on has another row"),
    ],
)
def test_less_and_more_count_from_the_row_that_holds(
    day: int, cadence: Cadence, by: int, shift: int | None, reason: str
) -> None:
    assert PROGRAM.find_shift(day, cadence, by) == shift, reason


def test_a_step_up_brings_the_densest_row_and_ends_by_itself() -> None:
    up = Cadence(stepped_up_on=MONDAY + timedelta(days=64), stepped_up_until=MONDAY + timedelta(days=78))

    assert "tip" not in ids_on(59, up)
    assert "tip" in ids_on(64, up)
    assert "tip" in ids_on(71, up)
    assert "tip" not in ids_on(78, up), "until means before"
    assert PROGRAM.phase_of(71) == "middle", "the texts are still those of this part of the year"


def test_a_series_of_a_later_row_begins_with_its_first_text() -> None:
    said = [
        step.text_id
        for day in range(111)
        for step in steps_on(PROGRAM, MONDAY, MONDAY + timedelta(days=day))
        if step.step_id == "series"
    ]
    assert said == ["k/1", "k/2"]


def test_a_nudge_follows_a_day_after_its_question_and_knows_it() -> None:
    nudge = next(step for step in steps_on(PROGRAM, MONDAY, MONDAY + timedelta(days=8)) if step.nudges)

    assert (nudge.kind, nudge.nudges, nudge.topics) == (MessageKind.NUDGE, "all", ("check_in",))


CADENCES = st.builds(
    Cadence,
    shift=st.integers(-5, 5),
    stepped_up_on=st.none() | st.dates(MONDAY, MONDAY + timedelta(days=120)),
    stepped_up_until=st.none() | st.dates(MONDAY, MONDAY + timedelta(days=140)),
    is_kept=st.booleans(),
)


@given(CADENCES, st.integers(-1, 210))
def test_the_next_day_is_the_first_on_which_anything_is_said(cadence: Cadence, day: int) -> None:
    after = MONDAY + timedelta(days=day)
    days = (after + timedelta(days=ahead) for ahead in range(1, 220))
    first = next((on for on in days if steps_on(PROGRAM, MONDAY, on, cadence)), None)

    assert next_day_with_steps(PROGRAM, MONDAY, after, cadence) == first


@given(CADENCES, st.integers(0, 200))
def test_safety_is_said_in_every_rhythm(cadence: Cadence, shift: int) -> None:
    moved = Cadence(shift, cadence.stepped_up_on, cadence.stepped_up_until, cadence.is_kept)
    assert "safety" in ids_on(70, moved)


def test_a_program_with_rows_reads_back_as_it_was() -> None:
    assert program_from_data(program_to_data(PROGRAM)) == PROGRAM


def edited(*path: str | int, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(DATA)
    here: Any = data
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "says", "reason"),
    [
        (("rows", 1, "first_day"), 20, "row some begins before daily ends", "which of two would hold"),
        (("rows", 1, "id"), "daily", "row daily is there twice", "steps name rows by their id"),
        (("rows", 0, "phase"), "soon", "phase is 'soon'", "no text would fit"),
        (("rows", 3, "only"), "perhaps", "only is 'perhaps'", "kept, or not_kept"),
        (("weekly", 1, "rows"), ["often"], "there is no row 'often'", "it would never be said"),
        (("weekly", 1, "nudge"), ["check_in"], "it asks nothing", "a nudge follows a question"),
        (("weekly", 1, "texts"), ["t/a"], "it must say one thing", "texts or topics, not both"),
        (("weekly", 2, "first_week"), 2, "first_week", "with every second week there are weeks 0 and 1"),
        (("kept_days",), 100, "kept_days", "going on cannot end earlier"),
        (("choices", 0, "values"), [], "values is missing", "it would never hold"),
        (("step_up", "red", 0, "last_day"), 999, "last_day", "beyond the program"),
        (("step_up", "sometimes"), 3, "sometimes", "a slip of the pen is not passed over"),
    ],
)
def test_a_wrong_rhythm_is_refused_in_one_line(
    path: tuple[str | int, ...], value: Any, says: str, reason: str
) -> None:
    with pytest.raises(ProgramError) as fault:
        program_from_data(edited(*path, value=value))
    assert says in str(fault.value), reason
    assert "\n" not in str(fault.value)
