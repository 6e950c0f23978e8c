"""The figures of a simulated year: counts and rates, ready to be shown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from service.domain.year.ledger import Diary, LedgerText, TextIn
from service.domain.year.promises import Phase

WEEK = 7
GROUPS = ("program", "campaigns", "reminders", "notices")


@dataclass(slots=True)
class Stretch:
    """A week or a phase of everybody's program: days lived in it, texts by group, questions and answers.

    Days count for who has agreed, and not stopped; pauses are in them.
    """

    name: str
    first_day: int
    last_day: int
    days: int = 0
    texts: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    answered: int = 0
    tasks: int = 0

    @property
    def weekly(self) -> dict[str, float]:
        """Texts a week and person, by group."""
        return {group: WEEK * self.texts[group] / self.days if self.days else 0.0 for group in GROUPS}

    @property
    def answer_rate(self) -> float | None:
        """The share of questions with an answer; None where nothing was asked."""
        return self.answered / self.asked if self.asked else None


@dataclass(slots=True)
class Month:
    """A calendar month: texts and segments out unasked, in answer, and in."""

    name: str
    texts: Counter[str] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)

    @property
    def all_segments(self) -> int:
        return sum(self.segments.values())


def group_of(text: LedgerText) -> str:
    """What an unprompted text belongs to."""
    if text.kind == "meeting_reminder":
        return "reminders"
    if text.kind == "campaign":
        return "campaigns"
    return "notices" if text.kind == "admin" else "program"


def count_stretches(
    stretches: Sequence[Stretch],
    diaries: Sequence[Diary],
    texts: Sequence[LedgerText],
    last_on: date,
) -> None:
    """Fill stretches (weeks or phases, in the order of days) with what happened up to `last_on`."""
    by_day = {day: one for one in stretches for day in range(one.first_day, one.last_day + 1)}
    people = {diary.number: diary for diary in diaries}
    for diary in diaries:
        for day in _list_days(diary, last_on):
            if day in by_day:
                by_day[day].days += 1
        for asked in diary.asked:
            stretch = _find(by_day, diary, diary.date_at(asked.at))
            if stretch is not None:
                stretch.asked += 1
                stretch.answered += asked.is_answered
    for text in texts:
        diary = people[text.person]
        if not text.is_reply and text.has_arrived:
            stretch = _find(by_day, diary, diary.date_at(text.at))
            if stretch is not None:
                stretch.texts[group_of(text)] += 1


def count_tasks(
    stretches: Sequence[Stretch], diaries: Sequence[Diary], made: Sequence[tuple[int, date]]
) -> None:
    """Count what was put on the staff list about a person on a date."""
    by_day = {day: one for one in stretches for day in range(one.first_day, one.last_day + 1)}
    people = {diary.number: diary for diary in diaries}
    for person, on in made:
        stretch = _find(by_day, people[person], on) if person in people else None
        if stretch is not None:
            stretch.tasks += 1


def _find(by_day: dict[int, Stretch], diary: Diary, on: date) -> Stretch | None:
    return None if diary.anchor_on is None else by_day.get((on - diary.anchor_on).days)


def _list_days(diary: Diary, last_on: date) -> list[int]:
    """The days of the program that somebody was in it: from agreeing, without the days after a stop."""
    if diary.joined_at is None or diary.anchor_on is None:
        return []
    out = [
        (diary.date_at(since), diary.date_at(until) if until else last_on) for since, until in diary.stopped
    ]
    if diary.refused_at is not None:
        out.append((diary.date_at(diary.refused_at), last_on))
    first = diary.date_at(diary.joined_at)
    dates = [first + timedelta(days=number) for number in range((last_on - first).days + 1)]
    return [
        (on - diary.anchor_on).days for on in dates if not any(since < on <= until for since, until in out)
    ]


def list_weeks(days: int) -> list[Stretch]:
    """Empty weeks of the program, from day 0."""
    return [Stretch(str(week + 1), week * WEEK, week * WEEK + WEEK - 1) for week in range(-(-days // WEEK))]


def list_phases(phases: Sequence[Phase], days: int) -> list[Stretch]:
    """Empty phases; what lies before the first is added to it, and what comes after the last has its own."""
    reached = [phase for phase in phases if phase.first_day <= max(days, phases[0].first_day)]
    found = [Stretch(phase.name, phase.first_day, phase.last_day) for phase in reached]
    found[0].first_day = 0
    if found[-1].last_day < days:
        found.append(Stretch("afterwards", found[-1].last_day + 1, days))
    return found


def list_months(texts: Sequence[LedgerText], texts_in: Sequence[TextIn]) -> list[Month]:
    """Texts and segments by calendar month (UTC). Refused texts cost nothing and are left out."""
    months: dict[str, Month] = {}
    sent = [
        (text.at, "answers" if text.is_reply else "unasked", text.segments)
        for text in texts
        if text.has_arrived or text.kind  # undelivered ones cost as much
    ]
    for at, group, segments in (*sent, *((text.at, "in", text.segments) for text in texts_in)):
        month = months.setdefault(f"{at:%Y-%m}", Month(f"{at:%Y-%m}"))
        month.texts[group] += 1
        month.segments[group] += segments
    return [months[name] for name in sorted(months)]
