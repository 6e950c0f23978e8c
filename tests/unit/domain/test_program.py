"""Which text of a program falls on which day."""

from __future__ import annotations

import copy
import json
from collections import Counter
from datetime import date, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.kinds import MessageKind
from service.domain.program import (
    LatePolicy,
    Program,
    ProgramError,
    StepDue,
    next_day_with_steps,
    program_from_data,
    program_hash,
    program_to_data,
    steps_on,
)

MONDAY = date(2026, 11, 23)
WEEKDAY_NAMES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DATA: dict[str, Any] = {
    "id": "first-year",
    "version": 3,
    "name": "Harbor",
    "word": "HARBOR",
    "days": 60,
    "frequency": {"en": "a few a week", "es": "unos por semana"},
    "steps": [
        {"id": "day-0", "day": 0, "time": "16:00", "kind": "safety", "texts": ["s/a"], "late": "next_window"},
        {"id": "day-7", "day": 7, "time": "18:00", "kind": "milestone", "texts": ["m/a"], "late": "skip"},
        {"id": "last", "day": 60, "time": "12:00", "kind": "admin", "texts": ["a/z"], "late": "send"},
    ],
    "weekly": [
        {
            "id": "check",
            "weekdays": ["MO"],
            "first_day": 1,
            "last_day": 40,
            "every_weeks": 2,
            "time": "17:00",
            "kind": "checkin",
            "check_ins": ["weekly"],
        },
        {
            "id": "tip",
            "weekdays": ["TU"],
            "first_day": 1,
            "last_day": 28,
            "time": "12:00",
            "kind": "tip",
            "texts": ["t/a", "t/b", "t/c"],
        },
    ],
}


def program(**changes: object) -> Program:
    return program_from_data(DATA | changes)


def weekly(**changes: object) -> Program:
    return program(steps=[], weekly=[DATA["weekly"][1] | changes])


def said_on(item: Program, anchor_on: date, days: range) -> list[tuple[int, str | None]]:
    return [
        (day, due.text_id or due.check_in_id)
        for day in days
        for due in steps_on(item, anchor_on, anchor_on + timedelta(days=day))
    ]


def test_day_0_is_the_anchor_date() -> None:
    assert steps_on(program(), MONDAY, MONDAY) == (
        StepDue("day-0", MessageKind.SAFETY, time(16), "s/a", None, LatePolicy.NEXT_WINDOW),
    )


def test_fixed_steps_come_first_and_then_the_weekly_ones_in_the_order_of_the_file() -> None:
    tuesday = MONDAY + timedelta(days=1)
    due = steps_on(program(), tuesday, tuesday + timedelta(days=7))
    assert [step.step_id for step in due] == ["day-7", "tip"]


def test_nothing_is_said_before_the_anchor_date_nor_after_the_last_day() -> None:
    item = program()
    for day in (-400, -7, -1, 61, 67, 4000):
        assert steps_on(item, MONDAY, MONDAY + timedelta(days=day)) == (), day


@pytest.mark.parametrize(
    ("reason", "changes", "anchor_on", "expected"),
    [
        (
            "every Tuesday after a Monday, in turn",
            {},
            MONDAY,
            [(1, "t/a"), (8, "t/b"), (15, "t/c"), (22, "t/a")],
        ),
        (
            "not on day 0, which is before the first day",
            {},
            MONDAY + timedelta(days=1),
            [(7, "t/b"), (14, "t/c"), (21, "t/a"), (28, "t/b")],
        ),
        (
            "on the last day, but not after it",
            {"last_day": 8},
            MONDAY,
            [(1, "t/a"), (8, "t/b")],
        ),
        (
            "every second week still uses every text",
            {"every_weeks": 2, "last_day": 57},
            MONDAY,
            [(1, "t/a"), (15, "t/b"), (29, "t/c"), (43, "t/a"), (57, "t/b")],
        ),
        (
            "two weekdays take turns within the week",
            {"weekdays": ["SA", "TU"], "last_day": 12},
            MONDAY,
            [(1, "t/a"), (5, "t/b"), (8, "t/c"), (12, "t/a")],
        ),
        (
            "in the order of the person's own week, which may begin on a Thursday",
            {"weekdays": ["TU", "SA"], "last_day": 12},
            MONDAY + timedelta(days=3),
            [(2, "t/a"), (5, "t/b"), (9, "t/c"), (12, "t/a")],
        ),
        (
            "a later first day changes no turn",
            {"first_day": 10},
            MONDAY,
            [(15, "t/c"), (22, "t/a")],
        ),
    ],
)
def test_weekly_texts_take_turns(
    reason: str, changes: dict[str, object], anchor_on: date, expected: list[tuple[int, str]]
) -> None:
    assert said_on(weekly(**changes), anchor_on, range(61)) == expected, reason


def test_weekly_check_ins_take_turns_like_texts() -> None:
    item = weekly(texts=None, check_ins=["a", "b"], kind="checkin")
    assert said_on(item, MONDAY, range(20)) == [(1, "a"), (8, "b"), (15, "a")]
    assert all(due.text_id is None for due in steps_on(item, MONDAY, MONDAY + timedelta(days=1)))


weekly_steps = st.fixed_dictionaries(
    {
        "weekdays": st.lists(st.sampled_from(WEEKDAY_NAMES), min_size=1, max_size=7, unique=True),
        "every_weeks": st.integers(1, 6),
        "first_day": st.integers(0, 120),
        "last_day": st.integers(120, 400),
        "texts": st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True),
    }
)
anchors = st.dates(date(2026, 1, 1), date(2030, 1, 1))


@given(changes=weekly_steps, anchor_on=anchors)
def test_a_weekly_step_falls_exactly_on_its_weekdays_in_its_weeks(
    changes: dict[str, Any], anchor_on: date
) -> None:
    item = program(days=400, steps=[], weekly=[DATA["weekly"][1] | changes])
    expected = [
        day
        for day in range(401)
        if changes["first_day"] <= day <= changes["last_day"]
        and WEEKDAY_NAMES[(anchor_on + timedelta(days=day)).weekday()] in changes["weekdays"]
        and (day // 7) % changes["every_weeks"] == 0
    ]
    assert [day for day, _ in said_on(item, anchor_on, range(401))] == expected


@given(changes=weekly_steps, anchor_on=anchors)
def test_no_text_of_a_weekly_step_repeats_before_all_others_had_their_turn(
    changes: dict[str, Any], anchor_on: date
) -> None:
    item = program(days=400, steps=[], weekly=[DATA["weekly"][1] | changes])
    said = [text for _, text in said_on(item, anchor_on, range(401))]
    size = len(changes["texts"])
    for start in range(len(said) - size + 1):
        assert Counter(said[start : start + size]) == Counter(changes["texts"])


@given(anchor_on=anchors, day=st.integers(-30, 100))
def test_the_next_day_with_steps_is_the_first_one_that_has_any(anchor_on: date, day: int) -> None:
    item, after = program(), anchor_on + timedelta(days=day)
    expected = next(
        (on for ahead in range(1, 131) if steps_on(item, anchor_on, on := after + timedelta(days=ahead))),
        None,
    )
    assert next_day_with_steps(item, anchor_on, after) == expected


def test_a_program_without_steps_has_no_next_day() -> None:
    assert next_day_with_steps(program(steps=[], weekly=[]), MONDAY, MONDAY) is None


@pytest.mark.parametrize("data", [DATA, DATA | {"review": "draft", "weekly": []}])
def test_a_program_survives_the_way_through_a_database_row(data: dict[str, Any]) -> None:
    item = program_from_data(data)
    stored = json.loads(json.dumps(program_to_data(item)))
    assert program_from_data(stored) == item
    assert program_hash(program_from_data(stored)) == program_hash(item)


def test_the_hash_does_not_depend_on_how_the_file_is_laid_out() -> None:
    moved = {key: DATA[key] for key in reversed(DATA)} | {"review": {"by": "somebody"}}
    assert program_hash(program_from_data(moved)) == program_hash(program())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 4),
        (("word",), "HAVEN"),
        (("days",), 61),
        (("frequency", "es"), "muchos"),
        (("steps", 0, "time"), "16:01"),
        (("steps", 0, "late"), "skip"),
        (("steps", 0, "texts"), ["s/b"]),
        (("weekly", 1, "weekdays"), ["WE"]),
        (("weekly", 1, "texts"), ["t/b", "t/a", "t/c"]),
        (("weekly", 0, "every_weeks"), 3),
    ],
)
def test_the_hash_depends_on_everything_that_is_said_and_when(path: tuple[Any, ...], value: object) -> None:
    data = copy.deepcopy(DATA)
    put(data, path, value)
    assert program_hash(program_from_data(data)) != program_hash(program())


def put(data: Any, path: tuple[Any, ...], value: object) -> None:
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


@pytest.mark.parametrize(
    ("reason", "path", "value", "problem"),
    [
        ("a misspelled key", ("weekley",), [], "program first-year: unknown key 'weekley'"),
        ("a misspelled key of a step", ("steps", 0, "tme"), "9", "step day-0: unknown key 'tme'"),
        ("no version", ("version",), None, "program first-year: version is missing"),
        ("true is no number", ("version",), True, "program first-year: version is True"),
        ("an id that nobody can text", ("id",), "First Year", "program First Year: the id cannot be texted"),
        ("an id longer than JOIN reads", ("id",), "a-b-c-d", "program a-b-c-d: the id cannot be texted"),
        ("a word of no letters", ("word",), "!!", "program first-year: word is '!!'"),
        ("too long a program", ("days",), 5000, "program first-year: days is 5000; expected a whole number"),
        ("only one language", ("frequency",), {"en": "daily"}, "program first-year: frequency lacks"),
        ("a frequency that is text", ("frequency",), "daily", "program first-year, frequency: found 'daily'"),
        ("steps that are no list", ("steps",), "day-0", "program first-year: steps is 'day-0'"),
        ("a step that is no mapping", ("steps", 0), "day-0", "step: found 'day-0'"),
        ("a step without id", ("steps", 0, "id"), None, "step: id is missing"),
        ("a day after the end", ("steps", 0, "day"), 61, "step day-0: day is 61"),
        ("a time that YAML read as a number", ("steps", 0, "time"), 960, "step day-0: time is 960"),
        ("a time with a zone", ("steps", 0, "time"), "16:00+02:00", "step day-0: time is '16:00+02:00'"),
        ("no such hour", ("steps", 0, "time"), "24:00", "step day-0: time is '24:00'"),
        ("no such hour either", ("steps", 0, "time"), "29:00", "step day-0: time is '29:00'"),
        (
            "too early for anyone",
            ("steps", 0, "time"),
            "07:59",
            "step day-0: time is '07:59'; expected 08:00",
        ),
        ("too late for anyone", ("steps", 0, "time"), "21:00", "step day-0: time is '21:00'; expected 08:00"),
        ("no such kind", ("steps", 0, "kind"), "tipp", "step day-0: kind is 'tipp'; expected one of"),
        ("an answer to nothing", ("steps", 0, "kind"), "reply", "step day-0: kind is 'reply'; expected one"),
        (
            "no such policy",
            ("steps", 0, "late"),
            "never",
            "step day-0: late is 'never'; expected one of send",
        ),
        (
            "a text that is no list",
            ("steps", 0, "texts"),
            "s/a",
            "step day-0: texts is 's/a'; expected a list",
        ),
        ("a text that is a number", ("steps", 0, "texts"), [7], "step day-0: texts has 7; expected text"),
        ("two texts for one day", ("steps", 0, "texts"), ["a", "b"], "step day-0: it falls on one day only"),
        ("says nothing", ("steps", 0, "texts"), [], "step day-0: it must say one thing"),
        ("says two things", ("weekly", 0, "texts"), ["a"], "step check: it must say one thing"),
        ("no weekday", ("weekly", 0, "weekdays"), [], "step check: weekdays is []"),
        ("no such weekday", ("weekly", 0, "weekdays"), ["MON"], "step check: weekdays is ['MON']"),
        ("a weekday that is a list", ("weekly", 0, "weekdays"), [["MO"]], "step check: weekdays is [['MO']]"),
        (
            "ends before it begins",
            ("weekly", 0, "last_day"),
            0,
            "step check: last_day is 0; expected a whole",
        ),
        ("never", ("weekly", 0, "every_weeks"), 0, "step check: every_weeks is 0"),
        (
            "the same id twice",
            ("weekly", 0, "id"),
            "day-0",
            "program first-year: step id day-0 is there twice",
        ),
    ],
)
def test_a_faulty_program_is_refused_with_the_place_of_the_fault(
    reason: str, path: tuple[Any, ...], value: object, problem: str
) -> None:
    data = copy.deepcopy(DATA)
    put(data, path, value)
    with pytest.raises(ProgramError) as error:
        program_from_data(data)
    assert str(error.value).startswith(problem), reason
    assert "; expected " in str(error.value), reason
    assert error.value.place in {path, path[:-1], (*path, 0), (*path[:-1], "texts")}, reason


@pytest.mark.parametrize("data", [None, [], "first-year", {7: "x"}, {}])
def test_data_that_is_no_program_is_refused(data: Any) -> None:
    with pytest.raises(ProgramError, match=r"^program: .*; expected "):
        program_from_data(data)
