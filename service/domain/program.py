"""Programs as data: which text is due how many days after the anchor date, and at what local time.

Day 0 is the anchor date (discharge, or the day somebody confirmed). Weekly steps fall on weekdays inside a
range of days and take turns through their texts by week (day // 7), so a text is only repeated when all
others had their turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from service.domain.kinds import MessageKind

WEEKDAYS = {name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
MAX_DAYS = 1000


class ProgramError(ValueError):
    """A program's data is wrong; one line says what and what was expected."""


class LatePolicy(StrEnum):
    """What becomes of a text whose time has passed: send it still, skip it, or wait for the next window."""

    SEND = "send"
    SKIP = "skip"
    NEXT_WINDOW = "next_window"


@dataclass(frozen=True, slots=True)
class Step:
    """One text on one day after the anchor date, at a local time."""

    id: str
    day: int
    at: time
    kind: MessageKind
    text_ids: tuple[str, ...]
    check_in_id: str | None
    late: LatePolicy


@dataclass(frozen=True, slots=True)
class WeeklyStep:
    """Texts on weekdays (Monday 0) from `first_day` to `last_day`, every `every_weeks` weeks."""

    id: str
    weekdays: frozenset[int]
    first_day: int
    last_day: int
    every_weeks: int
    at: time
    kind: MessageKind
    text_ids: tuple[str, ...]
    check_in_ids: tuple[str, ...]
    late: LatePolicy

    def falls_on(self, day: int, weekday: int) -> bool:
        return (
            weekday in self.weekdays
            and self.first_day <= day <= self.last_day
            and (day // 7) % self.every_weeks == 0
        )


@dataclass(frozen=True, slots=True)
class StepDue:
    """A step that falls on a day, with the text or the check-in whose turn it is."""

    step_id: str
    kind: MessageKind
    at: time
    text_id: str | None
    check_in_id: str | None
    late: LatePolicy


@dataclass(frozen=True)
class Program:
    """A program of texts. `word` is its own join word; `frequency` says per language how often it texts."""

    id: str
    version: int
    name: str
    word: str
    days: int
    frequency: Mapping[str, str]
    steps: tuple[Step, ...]
    weekly: tuple[WeeklyStep, ...]

    @cached_property
    def steps_by_day(self) -> Mapping[int, tuple[Step, ...]]:
        by_day: dict[int, list[Step]] = defaultdict(list)
        for step in self.steps:
            by_day[step.day].append(step)
        return {day: tuple(steps) for day, steps in by_day.items()}

    @cached_property
    def weekly_by_weekday(self) -> Mapping[int, tuple[WeeklyStep, ...]]:
        return {number: tuple(step for step in self.weekly if number in step.weekdays) for number in range(7)}


def steps_on(program: Program, anchor_on: date, on: date) -> tuple[StepDue, ...]:
    """The steps of a program that fall on the local date `on`, in the order of the file."""
    day = (on - anchor_on).days
    if day < 0:
        return ()
    weekday = on.weekday()
    fixed = [
        StepDue(step.id, step.kind, step.at, _turn(step.text_ids, 0), step.check_in_id, step.late)
        for step in program.steps_by_day.get(day, ())
    ]
    weekly = [
        StepDue(
            step.id,
            step.kind,
            step.at,
            _turn(step.text_ids, day // 7 // step.every_weeks),
            _turn(step.check_in_ids, day // 7 // step.every_weeks),
            step.late,
        )
        for step in program.weekly_by_weekday[weekday]
        if step.falls_on(day, weekday)
    ]
    return (*fixed, *weekly)


def next_day_with_steps(program: Program, anchor_on: date, after: date) -> date | None:
    """The first local date after `after` on which a step falls; None when the program is over."""
    day = max(0, (after - anchor_on).days + 1)
    while day <= program.days:
        on = anchor_on + timedelta(days=day)
        weekday = on.weekday()
        if day in program.steps_by_day or any(
            step.falls_on(day, weekday) for step in program.weekly_by_weekday[weekday]
        ):
            return on
        day += 1
    return None


def _turn(ids: tuple[str, ...], number: int) -> str | None:
    return ids[number % len(ids)] if ids else None


def program_from_data(data: Mapping[str, Any]) -> Program:
    """Read a program from YAML or JSON. Raises ProgramError with one line."""
    days = _number(data, "days", 1, MAX_DAYS)
    program = Program(
        id=_word(data, "id"),
        version=_number(data, "version", 1, 10_000),
        name=_word(data, "name"),
        word=_word(data, "word"),
        days=days,
        frequency={str(key): str(value) for key, value in dict(data.get("frequency") or {}).items()},
        steps=tuple(_step(item, days) for item in data.get("steps") or ()),
        weekly=tuple(_weekly(item, days) for item in data.get("weekly") or ()),
    )
    ids = [step.id for step in program.steps] + [step.id for step in program.weekly]
    doubled = sorted({step_id for step_id in ids if ids.count(step_id) > 1})
    if doubled:
        raise ProgramError(f"program {program.id}: step id {doubled[0]} is used twice")
    if "en" not in program.frequency:
        raise ProgramError(f"program {program.id}: frequency needs at least `en`")
    return program


def _step(item: Mapping[str, Any], days: int) -> Step:
    step_id = _word(item, "id")
    texts, check_ins = _texts(item, step_id)
    return Step(
        id=step_id,
        day=_number(item, "day", 0, days),
        at=_time(item, step_id),
        kind=_kind(item, step_id),
        text_ids=texts,
        check_in_id=check_ins[0] if check_ins else None,
        late=_late(item, step_id),
    )


def _weekly(item: Mapping[str, Any], days: int) -> WeeklyStep:
    step_id = _word(item, "id")
    names = item.get("weekdays") or ()
    unknown = [name for name in names if name not in WEEKDAYS]
    if unknown or not names:
        raise ProgramError(f"step {step_id}: weekdays must be some of {', '.join(WEEKDAYS)}")
    first_day = _number(item, "first_day", 0, days)
    texts, check_ins = _texts(item, step_id)
    return WeeklyStep(
        id=step_id,
        weekdays=frozenset(WEEKDAYS[name] for name in names),
        first_day=first_day,
        last_day=_number(item, "last_day", first_day, days),
        every_weeks=_number({"every_weeks": 1, **item}, "every_weeks", 1, 52),
        at=_time(item, step_id),
        kind=_kind(item, step_id),
        text_ids=texts,
        check_in_ids=check_ins,
        late=_late(item, step_id),
    )


def _word(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ProgramError(f"`{name}` is missing or no text")
    return value


def _number(data: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProgramError(f"`{name}` must be a whole number from {low} to {high}")
    return value


def _time(item: Mapping[str, Any], step_id: str) -> time:
    value = item.get("time")
    try:
        at = time.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ProgramError(f"step {step_id}: time must be written like '17:00'") from None
    if not time(8) <= at < time(21):
        raise ProgramError(f"step {step_id}: time must lie from 08:00 to before 21:00")
    return at


def _kind(item: Mapping[str, Any], step_id: str) -> MessageKind:
    try:
        return MessageKind(str(item.get("kind")))
    except ValueError:
        raise ProgramError(f"step {step_id}: kind {item.get('kind')!r} is not known") from None


def _late(item: Mapping[str, Any], step_id: str) -> LatePolicy:
    try:
        return LatePolicy(str(item.get("late", "skip")))
    except ValueError:
        raise ProgramError(f"step {step_id}: late must be send, skip or next_window") from None


def _texts(item: Mapping[str, Any], step_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    texts = tuple(str(text) for text in item.get("texts") or ())
    check_ins = tuple(str(check_in) for check_in in item.get("check_ins") or ())
    if bool(texts) == bool(check_ins):
        raise ProgramError(f"step {step_id}: needs either texts or check_ins")
    return texts, check_ins
