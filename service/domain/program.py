"""Programs as data: which text is due how many days after the anchor date, and at what local time.

Day 0 is the anchor date (discharge, or the day somebody confirmed). Weekly steps fall on weekdays inside a
range of days and take turns through their texts by week (day // 7), so a text is only repeated when all
others had their turn.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, timedelta

from service.domain.program_data import program_from_data, program_hash, program_to_data
from service.domain.program_steps import (
    MAX_DAYS,
    LatePolicy,
    Program,
    ProgramError,
    Step,
    StepDue,
    WeeklyStep,
)

__all__ = [
    "LatePolicy",
    "Program",
    "ProgramError",
    "Step",
    "StepDue",
    "WeeklyStep",
    "find_put_in_past",
    "former_days",
    "next_day_with_steps",
    "program_from_data",
    "program_hash",
    "program_to_data",
    "steps_on",
]


def steps_on(program: Program, anchor_on: date, on: date) -> tuple[StepDue, ...]:
    """The steps of a program that fall on the local date `on`, in the order of the file."""
    return program.get_calendar(anchor_on.weekday()).due.get((on - anchor_on).days, ())


def next_day_with_steps(program: Program, anchor_on: date, after: date) -> date | None:
    """The first local date after `after` on which a step falls; None when the program is over."""
    days = program.get_calendar(anchor_on.weekday()).days
    position = bisect_left(days, (after - anchor_on).days + 1)
    return anchor_on + timedelta(days=days[position]) if position < len(days) else None


def former_days(program: Program, older: Iterable[Program]) -> dict[str, tuple[int, ...]]:
    """By step, the days on which older versions had what the newest has on another day."""
    days: dict[str, set[int]] = {}
    now_on = {step.id: step.day for step in program.steps}
    for version in older:
        for step in version.steps:
            if step.id in now_on and now_on[step.id] != step.day:
                days.setdefault(step.id, set()).add(step.day)
    return {step_id: tuple(sorted(found)) for step_id, found in days.items()}


def find_put_in_past(program: Program, older: Program, through: int) -> list[Step]:
    """Steps that a new version has on a day up to `through`, the last one planned, and the older one later.

    Weekly steps come again, so nothing is lost with one of them.
    """
    had = {step.id: step.day for step in older.steps}
    return [step for step in program.steps if step.day <= through < had.get(step.id, MAX_DAYS + 1)]
