"""A program as a calendar to read: chosen texts, nudges and the time after the end stand as what they are."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from service.catalog import default_messages_path, load_catalog
from service.domain.kinds import MessageKind
from service.domain.program import Program, program_from_data
from service.domain.text_choice import NO_REPEAT_DAYS
from service.usecases.review.program_calendar import (
    CalendarLine,
    list_answer_rules,
    list_weekly_plans,
    list_weeks,
)

CATALOG = load_catalog(default_messages_path())


def weekly(**values: Any) -> dict[str, Any]:
    step = {"id": "tips", "weekdays": ["TU", "FR"], "rows": ["first"], "time": "12:00", "kind": "tip"}
    return step | values


def program(*steps: dict[str, Any], **values: Any) -> Program:
    data = {
        "id": "half-year",
        "version": 1,
        "name": "Half",
        "word": "HALF",
        "days": 90,
        "kept_days": 120,
        "frequency": {"en": "a few", "es": "unos"},
        "rows": [
            {"id": "first", "first_day": 1, "last_day": 90, "phase": "early"},
            {"id": "after", "first_day": 91, "last_day": 120, "phase": "long", "only": "kept"},
        ],
        "weekly": list(steps),
    }
    return program_from_data(data | values)


def lines_of(one: Program) -> list[CalendarLine]:
    return [line for week in list_weeks(one, CATALOG) for line in week.lines]


def test_a_text_that_is_chosen_is_shown_as_an_example_and_fits() -> None:
    lines = lines_of(program(weekly(topics=["sleep", "food"])))

    assert len(lines) == 26
    for line in lines:
        assert line.note == "for example"
        if line.text_id is not None:
            assert CATALOG.text(line.text_id).topic in {"sleep", "food"}


def test_no_text_that_is_chosen_comes_again_within_sixty_days() -> None:
    days = defaultdict(list)
    for line in lines_of(program(weekly(topics=["food"]))):
        days[line.text_id].append(line.day)

    for text_id, on in days.items():
        if text_id is not None:
            assert all(later - day >= NO_REPEAT_DAYS for day, later in pairwise(on))


def test_a_step_for_which_every_text_was_used_lately_says_nothing() -> None:
    foods = sum(text.topic == "food" and "early" in text.phases for text in CATALOG.bank[MessageKind.TIP])
    lines = lines_of(program(weekly(topics=["food"])))

    assert [line.text_id for line in lines[:foods]].count(None) == 0
    assert lines[foods].text_id is None


def test_a_nudge_is_marked_as_what_goes_only_without_an_answer() -> None:
    ask = weekly(id="ask", kind="checkin", weekdays=["MO"], check_ins=["weekly"], nudge=["check_in"])
    lines = lines_of(program(ask))

    asked = [line for line in lines if line.check_in_id == "weekly"]
    nudges = [line for line in lines if line.kind == "nudge"]
    assert [line.day + 1 for line in asked if line.day < 90] == [line.day for line in nudges]
    assert {line.note for line in nudges} == {"if there was no answer, for example"}


def test_what_comes_after_the_end_is_marked_as_for_those_who_go_on() -> None:
    lines = lines_of(program(weekly(rows=["after"], texts=["tip/short-walk"])))

    assert [line.day for line in lines] == [92, 95, 99, 102, 106, 109, 113, 116, 120]
    assert {line.note for line in lines} == {"after KEEP"}


def test_the_last_word_to_those_who_end_is_marked_as_theirs() -> None:
    bye = {"id": "bye", "day": 90, "only": "not_kept", "time": "12:00", "kind": "admin"}
    lines = lines_of(program(steps=[bye | {"texts": ["admin/goodbye"]}]))

    assert [(line.day, line.text_id, line.note) for line in lines] == [(90, "admin/goodbye", "without KEEP")]


@pytest.mark.parametrize(
    ("step", "days", "turns"),
    [
        pytest.param(
            weekly(topics=["water", "home"]),
            "1 to 90",
            ("water (", "home ("),
            id="topics, with how many texts",
        ),
        pytest.param(
            weekly(rows=["first", "after"], texts=["tip/short-walk"]),
            "1 to 120",
            ("tip/short-walk",),
            id="texts by name, over two rows",
        ),
        pytest.param(
            weekly(texts=["tip/short-walk"], every_weeks=2),
            "1 to 90, every 2 weeks",
            ("tip/short-walk",),
            id="every second week",
        ),
    ],
)
def test_a_weekly_step_says_when_and_what(step: dict[str, Any], days: str, turns: tuple[str, ...]) -> None:
    (plan,) = list_weekly_plans(program(step), CATALOG)

    assert (plan.weekdays, plan.days, plan.at) == ("Tuesday, Friday", days, "12:00")
    assert len(plan.takes_turns) == len(turns)
    assert all(shown.startswith(turn) for shown, turn in zip(plan.takes_turns, turns, strict=True))


def test_what_answers_change_is_told_with_the_days_on_which_it_holds() -> None:
    rules = list_answer_rules(
        program(
            weekly(topics=["sleep"]),
            choices=[{"question": "urge", "values": ["9", "10"], "topics": ["breathe", "giving_back"]}],
            step_up={
                "red": [{"question": "plan", "values": ["2"], "last_day": 28}],
                "amber": [{"question": "mood", "values": ["5"]}],
            },
        )
    )

    assert [(rule.question, rule.answers, rule.days) for rule in rules] == [
        ("urge", "9, 10", "any"),
        ("plan", "2", "0 to 28"),
        ("mood", "5", "0 to 120"),
    ]
    assert [rule.effect for rule in rules] == [
        "texts of the next 7 days are first about breathe, giving back",
        "the daily rhythm for 14 days, and a task for staff",
        "the same, when such answers come on 2 days within 14",
    ]
