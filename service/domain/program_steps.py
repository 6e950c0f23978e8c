"""What a program consists of, and the calendar of everything it says, by day after the anchor date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from functools import cached_property

from service.domain.data_record import DataError
from service.domain.kinds import MessageKind
from service.domain.program_answers import AnswerRule, StepUp

WEEKDAYS = {name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}
MAX_DAYS = 1000
NUDGE_SUFFIX = "-nudge"
PHASES = ("early", "middle", "long")


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


class OnlyIf(StrEnum):
    """Whether somebody must have asked to go on after the program's own end (KEEP), or must not have."""

    KEPT = "kept"
    NOT_KEPT = "not_kept"


@dataclass(frozen=True, slots=True)
class CadenceRow:
    """A stretch of days with its own rhythm. Rows stand in the order of days, the densest first.

    `phase` is the part of the year whose texts fit these days.
    """

    id: str
    first_day: int
    last_day: int
    phase: str
    only: OnlyIf | None


@dataclass(frozen=True, slots=True)
class Cadence:
    """What is this person's own about the rhythm.

    `shift` is how many rows sparser (LESS) or denser (MORE, negative) they asked for. From `stepped_up_on`
    to before `stepped_up_until`, local dates, the densest row holds. `is_kept` after KEEP.
    """

    shift: int = 0
    stepped_up_on: date | None = None
    stepped_up_until: date | None = None
    is_kept: bool = False

    def is_stepped_up(self, on: date) -> bool:
        """Whether the densest row holds on the local date `on`."""
        return bool(
            self.stepped_up_on and self.stepped_up_until and self.stepped_up_on <= on < self.stepped_up_until
        )

    def is_settled(self, on: date) -> bool:
        """Whether no step-up says what the local date `on` says, nor a nudge on it, nor any day after."""
        return self.stepped_up_until is None or on > self.stepped_up_until

    def permits(self, only: OnlyIf | None) -> bool:
        """Whether what is said only to those who go on, or only to those who do not, is for this person."""
        return only is None or self.is_kept == (only is OnlyIf.KEPT)


STANDARD_CADENCE = Cadence()


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
    only: OnlyIf | None = None


@dataclass(frozen=True, slots=True)
class WeeklyStep:
    """Texts on weekdays (Monday 0) from `first_day` to `last_day`, every `every_weeks` weeks.

    With `rows` it falls only while one of these rows holds for the person; the first of its weeks is number
    `first_week` (from 0). With `topics` the text is chosen, for each person, among all texts of the kind that
    are about one of these and fit the phase. With `nudge_topics` an unanswered question gets one gentle
    line a day later, chosen in the same way.
    """

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
    rows: frozenset[str] = frozenset()
    first_week: int = 0
    topics: tuple[str, ...] = ()
    nudge_topics: tuple[str, ...] = ()

    def list_turns(self, anchor_weekday: int) -> Iterator[tuple[int, int]]:
        """Each day on which the step falls, and its turn in the rotation.

        Weeks are the person's own: they begin on the weekday of day 0, and week 0 has turn 0. Several
        weekdays take turns within a week, so that a text repeats only when all others had their turn.
        """
        offsets = sorted((weekday - anchor_weekday) % 7 for weekday in self.weekdays)
        weeks = range(self.first_week, self.last_day // 7 + 1, self.every_weeks)
        # A series of a later row begins with its first text; what has no rows counts from week 0.
        before = sum(1 for week in weeks if week * 7 + offsets[-1] < self.first_day) if self.rows else 0
        for turn, week in enumerate(weeks, start=-before):
            for position, offset in enumerate(offsets):
                day = week * 7 + offset
                if self.first_day <= day <= self.last_day:
                    yield day, turn * len(offsets) + position


@dataclass(frozen=True, slots=True)
class StepDue:
    """A step that falls on a day, with the text or the check-in whose turn it is.

    With `topics` the text is chosen for the person; `turn` is where in the bank to begin. A nudge names the
    step whose question it follows (`nudges`).
    """

    step_id: str
    kind: MessageKind
    at: time
    text_id: str | None
    check_in_id: str | None
    late: LatePolicy
    topics: tuple[str, ...] = ()
    turn: int = 0
    rows: frozenset[str] = frozenset()
    only: OnlyIf | None = None
    nudges: str | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Every day with a step, in order, and what falls on it."""

    days: tuple[int, ...]
    due: Mapping[int, tuple[StepDue, ...]]


@dataclass(frozen=True)
class Program:
    """A program of texts. `word` is its own join word; `frequency` says per language how often it texts.

    It lasts `days` days, and for who asks to go on `kept_days`. `choices` say which answers decide what a
    chosen text is about, `step_up` which ones bring back the densest row for a while.
    """

    id: str
    version: int
    name: str
    word: str
    days: int
    frequency: Mapping[str, str]
    steps: tuple[Step, ...]
    weekly: tuple[WeeklyStep, ...]
    kept_days: int = 0
    rows: tuple[CadenceRow, ...] = ()
    choices: tuple[AnswerRule, ...] = ()
    step_up: StepUp | None = None

    def length(self, cadence: Cadence) -> int:
        """After how many days it is over for somebody."""
        return max(self.days, self.kept_days) if cadence.is_kept else self.days

    def find_row(self, day: int, on: date, cadence: Cadence) -> CadenceRow | None:
        """The row that holds for somebody on a day, which is the local date `on`; None where there is none.

        LESS and MORE move by rows and never out of them, and reach no row that is not for this person.
        """
        mine = [row for row in self.rows if cadence.permits(row.only)]
        base = next((n for n, row in enumerate(mine) if row.first_day <= day <= row.last_day), None)
        if base is None:
            return None
        if cadence.is_stepped_up(on):
            return mine[0]
        return mine[_clamp(base + cadence.shift, mine)]

    def find_shift(self, day: int, cadence: Cadence, by: int) -> int | None:
        """The shift that brings somebody `by` rows from where they are on a day; None where no row is left.

        Counted from the row that holds, not from what was asked before: who said LESS twice where there was
        one row to go is one MORE away from it on any later day. Before the first row it counts as begun.
        """
        mine = [row for row in self.rows if cadence.permits(row.only)]
        base = next((n for n, row in enumerate(mine) if day <= row.last_day), None)
        if base is None:
            return None
        where = _clamp(base + cadence.shift, mine)
        wanted = _clamp(where + by, mine)
        return wanted - base if wanted != where else None

    def phase_of(self, day: int) -> str | None:
        """The part of the year in which a day lies, whatever rhythm somebody has then."""
        return next((row.phase for row in self.rows if row.first_day <= day <= row.last_day), None)

    def says(self, step: StepDue, day: int, on: date, cadence: Cadence) -> bool:
        """Whether a step that falls on a day, the local date `on`, is said to somebody.

        A nudge is said if its question was: the row of the day before decides.
        """
        if not self.rows:
            return True
        if not cadence.permits(step.only):
            return False
        if not step.rows:
            return True
        ago = 0 if step.nudges is None else 1
        row = self.find_row(day - ago, on - timedelta(days=ago), cadence)
        return row is not None and row.id in step.rows

    def get_calendar(self, anchor_weekday: int) -> Calendar:
        """The calendar of everybody whose day 0 is on this weekday (Monday 0); built once."""
        calendar = self._calendars.get(anchor_weekday)
        if calendar is None:
            calendar = self._calendars[anchor_weekday] = _build_calendar(self, anchor_weekday)
        return calendar

    def get_rhythm(self, anchor_on: date, cadence: Cadence) -> Calendar:
        """What of it is said to people of this rhythm who are not stepped up; built once for all of them."""
        key = anchor_on.weekday(), cadence.shift, cadence.is_kept
        rhythm = self._rhythms.get(key)
        if rhythm is None:
            rhythm = self._rhythms[key] = _build_rhythm(self, anchor_on, cadence)
        return rhythm

    @cached_property
    def _calendars(self) -> dict[int, Calendar]:
        return {}

    @cached_property
    def _rhythms(self) -> dict[tuple[int, int, bool], Calendar]:
        return {}


def _build_rhythm(program: Program, anchor_on: date, cadence: Cadence) -> Calendar:
    whole = program.get_calendar(anchor_on.weekday())
    if not program.rows:
        return whole
    standing = Cadence(cadence.shift, is_kept=cadence.is_kept)
    said: dict[int, tuple[StepDue, ...]] = {}
    for day, due in whole.due.items():
        on = anchor_on + timedelta(days=day)
        if mine := tuple(step for step in due if program.says(step, day, on, standing)):
            said[day] = mine
    return Calendar(tuple(said), said)


def _build_calendar(program: Program, anchor_weekday: int) -> Calendar:
    due: dict[int, list[StepDue]] = defaultdict(list)
    for step in program.steps:
        due[step.day].append(
            StepDue(
                step.id,
                step.kind,
                step.at,
                _turn(step.text_ids, 0),
                step.check_in_id,
                step.late,
                only=step.only,
            )
        )
    for weekly in program.weekly:
        for day, turn in weekly.list_turns(anchor_weekday):
            due[day].append(_weekly_due(weekly, turn))
            if weekly.nudge_topics:
                due[day + 1].append(_nudge_due(weekly, turn))
    days = tuple(sorted(due))
    return Calendar(days, {day: tuple(due[day]) for day in days})


def _weekly_due(weekly: WeeklyStep, turn: int) -> StepDue:
    return StepDue(
        weekly.id,
        weekly.kind,
        weekly.at,
        _turn(weekly.text_ids, turn),
        _turn(weekly.check_in_ids, turn),
        weekly.late,
        topics=weekly.topics,
        turn=turn,
        rows=weekly.rows,
    )


def _nudge_due(weekly: WeeklyStep, turn: int) -> StepDue:
    """A day after the question, at the same time: then it has closed, and nobody answers it by mistake."""
    return StepDue(
        f"{weekly.id}{NUDGE_SUFFIX}",
        MessageKind.NUDGE,
        weekly.at,
        None,
        None,
        LatePolicy.SKIP,
        topics=weekly.nudge_topics,
        turn=turn,
        rows=weekly.rows,
        nudges=weekly.id,
    )


def _clamp(number: int, rows: Sequence[CadenceRow]) -> int:
    return max(0, min(number, len(rows) - 1))


def _turn(ids: tuple[str, ...], number: int) -> str | None:
    return ids[number % len(ids)] if ids else None
