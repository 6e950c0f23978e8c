"""Programs as data: which text is due how many days after the anchor date, and at what local time.

Day 0 is the anchor date (discharge, or the day somebody confirmed). Weekly steps fall on weekdays inside a
range of days and take turns through their texts by week (day // 7), so a text is only repeated when all
others had their turn. Rows are stretches of days with a rhythm of their own; which row holds is partly the
person's choice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date, timedelta

from service.domain.program_data import program_from_data, program_hash, program_to_data
from service.domain.program_steps import (
    NUDGE_SUFFIX,
    STANDARD_CADENCE,
    Cadence,
    CadenceRow,
    LatePolicy,
    OnlyIf,
    Program,
    ProgramError,
    Step,
    StepDue,
    WeeklyStep,
)

__all__ = [
    "NUDGE_SUFFIX",
    "STANDARD_CADENCE",
    "Cadence",
    "CadenceRow",
    "LatePolicy",
    "OnlyIf",
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


NEW_STEP_COUNTS_FOR = 14
_DAY = timedelta(days=1)


def steps_on(
    program: Program, anchor_on: date, on: date, cadence: Cadence = STANDARD_CADENCE
) -> tuple[StepDue, ...]:
    """The steps of a program that fall on the local date `on` for a person, in the order of the file."""
    day = (on - anchor_on).days
    if cadence.is_settled(on):
        return program.get_rhythm(anchor_on, cadence).due.get(day, ())
    due = program.get_calendar(anchor_on.weekday()).due.get(day, ())
    return tuple(step for step in due if program.says(step, day, on, cadence))


def next_day_with_steps(
    program: Program, anchor_on: date, after: date, cadence: Cadence = STANDARD_CADENCE
) -> date | None:
    """The first local date after `after` on which a step falls for a person; None when there is no more."""
    is_settled = cadence.is_settled(after + _DAY)
    calendar = (
        program.get_rhythm(anchor_on, cadence) if is_settled else program.get_calendar(anchor_on.weekday())
    )
    days = calendar.days
    for position in range(bisect_left(days, (after - anchor_on).days + 1), len(days)):
        on = anchor_on + timedelta(days=days[position])
        if is_settled or steps_on(program, anchor_on, on, cadence):
            return on
    return None


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

    Weekly steps come again, so nothing is lost with one of them. A step that is new altogether counts for two
    weeks: who lives in later months was never to hear it.
    """
    had = {step.id: step.day for step in older.steps}
    return [
        step
        for step in program.steps
        if step.day <= through < had.get(step.id, step.day + NEW_STEP_COUNTS_FOR)
    ]
