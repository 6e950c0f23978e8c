"""What a program consists of, and the calendar of everything it says, by day after the anchor date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from functools import cached_property

from service.domain.data_record import DataError
from service.domain.kinds import MessageKind

WEEKDAYS = {name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
MAX_DAYS = 1000


class ProgramError(DataError):
    """A program's data is wrong; one line says what and what was expected."""


class LatePolicy(StrEnum):
    """What becomes of a text whose time has passed. In the person's hours always, never after 48 hours.

    `send`: it goes whenever it can. `skip`: it goes while its kind is of use (`KindRule.useful_for`).
    `next_window`: it goes while the hours in which it was due are open; after that it waits for the next
    ones, which are the last in which it goes.
    """

    SEND = "send"
    SKIP = "skip"
    NEXT_WINDOW = "next_window"


@dataclass(frozen=True, slots=True)
class Step:
    """One text or one check-in on one day after the anchor date, at a local time."""

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

    def list_turns(self, anchor_weekday: int) -> Iterator[tuple[int, int]]:
        """Each day on which the step falls, and its turn in the rotation.

        Weeks are the person's own: they begin on the weekday of day 0, and week 0 has turn 0. Several
        weekdays take turns within a week, so that a text repeats only when all others had their turn.
        """
        offsets = sorted((weekday - anchor_weekday) % 7 for weekday in self.weekdays)
        for week in range(0, self.last_day // 7 + 1, self.every_weeks):
            for position, offset in enumerate(offsets):
                day = week * 7 + offset
                if self.first_day <= day <= self.last_day:
                    yield day, week // self.every_weeks * len(offsets) + position


@dataclass(frozen=True, slots=True)
class StepDue:
    """A step that falls on a day, with the text or the check-in whose turn it is."""

    step_id: str
    kind: MessageKind
    at: time
    text_id: str | None
    check_in_id: str | None
    late: LatePolicy


@dataclass(frozen=True, slots=True)
class Calendar:
    """Every day with a step, in order, and what falls on it."""

    days: tuple[int, ...]
    due: Mapping[int, tuple[StepDue, ...]]


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

    def get_calendar(self, anchor_weekday: int) -> Calendar:
        """The calendar of everybody whose day 0 is on this weekday (Monday 0); built once."""
        calendar = self._calendars.get(anchor_weekday)
        if calendar is None:
            calendar = self._calendars[anchor_weekday] = _build_calendar(self, anchor_weekday)
        return calendar

    @cached_property
    def _calendars(self) -> dict[int, Calendar]:
        return {}


def _build_calendar(program: Program, anchor_weekday: int) -> Calendar:
    due: dict[int, list[StepDue]] = defaultdict(list)
    for step in program.steps:
        text_id = _turn(step.text_ids, 0)
        due[step.day].append(StepDue(step.id, step.kind, step.at, text_id, step.check_in_id, step.late))
    for weekly in program.weekly:
        for day, turn in weekly.list_turns(anchor_weekday):
            text_id, check_in_id = _turn(weekly.text_ids, turn), _turn(weekly.check_in_ids, turn)
            due[day].append(StepDue(weekly.id, weekly.kind, weekly.at, text_id, check_in_id, weekly.late))
    days = tuple(sorted(due))
    return Calendar(days, {day: tuple(due[day]) for day in days})


def _turn(ids: tuple[str, ...], number: int) -> str | None:
    return ids[number % len(ids)] if ids else None
