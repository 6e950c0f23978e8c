"""A program as a calendar to read: what goes out on which day, and what weekly steps take turns through."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from service.catalog import Catalog
from service.domain.kinds import MessageKind
from service.domain.program import Cadence, Program, StepDue, WeeklyStep, steps_on
from service.domain.text_choice import NO_REPEAT_DAYS, choose_text

DAY_0 = date(2026, 1, 5)
"""A Monday: the day 0 of the example person, whose weeks are then those of the calendar."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class CalendarLine:
    """One text or check-in on one day, at the person's local time; `note` says when it goes."""

    day: int
    weekday: str
    at: str
    kind: MessageKind
    text_id: str | None
    check_in_id: str | None
    note: str


@dataclass(frozen=True, slots=True)
class CalendarWeek:
    """The person's own week, from 0, with everything in it."""

    number: int
    lines: tuple[CalendarLine, ...]


@dataclass(frozen=True, slots=True)
class WeeklyPlan:
    """A step that comes every week or so, and what it takes turns through."""

    id: str
    weekdays: str
    days: str
    at: str
    kind: MessageKind
    takes_turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """Answers to a question of a check-in that change what comes next, on which days, and how."""

    question: str
    answers: str
    days: str
    effect: str


def list_weeks(program: Program, catalog: Catalog) -> tuple[CalendarWeek, ...]:
    """The year of somebody whose day 0 is a Monday, who keeps the rhythm of the program."""
    lines = list(_list_lines(program, catalog))
    weeks = sorted({line.day // 7 for line in lines})
    return tuple(CalendarWeek(week, tuple(line for line in lines if line.day // 7 == week)) for week in weeks)


def list_weekly_plans(program: Program, catalog: Catalog) -> tuple[WeeklyPlan, ...]:
    """The program's weekly steps, in the order of the file."""
    return tuple(_plan(program, step, catalog) for step in program.weekly)


def list_answer_rules(program: Program) -> tuple[AnswerRule, ...]:
    """What somebody's answers change about their program, in the order of the file."""
    rules = [
        AnswerRule(
            rule.question_id,
            _in_order(rule.values),
            "any",
            f"texts of the next {rule.within_days} days are first about {_in_words(rule.topics)}",
        )
        for rule in program.choices
    ]
    if (step_up := program.step_up) is not None:
        dense = f"the daily rhythm for {step_up.for_days} days, and a task for staff"
        slowly = f"the same, when such answers come on {step_up.ambers} days within {step_up.within_days}"
        for flags, effect in ((step_up.red, dense), (step_up.amber, slowly)):
            rules += [
                AnswerRule(
                    flag.question_id, _in_order(flag.values), f"{flag.first_day} to {flag.last_day}", effect
                )
                for flag in flags
            ]
    return tuple(rules)


def _in_order(values: Collection[str]) -> str:
    return ", ".join(sorted(values, key=lambda value: (len(value), value)))


def _in_words(topics: Collection[str]) -> str:
    return ", ".join(topic.replace("_", " ") for topic in topics)


def _list_lines(program: Program, catalog: Catalog) -> Iterator[CalendarLine]:
    sent_on: dict[str, int] = {}
    asked_on: dict[str, int] = {}
    for day in range(max(program.days, program.kept_days) + 1):
        on = DAY_0 + timedelta(days=day)
        for due, condition in sorted(_list_due(program, day, on), key=lambda each: each[0].at):
            if due.nudges is not None and asked_on.get(due.nudges) != day - 1:
                continue
            used = [text_id for text_id, last in sent_on.items() if day - last < NO_REPEAT_DAYS]
            text_id = _choose(program, catalog, due, day, used) if due.topics else due.text_id
            if text_id is not None:
                sent_on[text_id] = day
            asked_on[due.step_id] = day
            yield CalendarLine(
                day=day,
                weekday=WEEKDAYS[on.weekday()],
                at=f"{due.at:%H:%M}",
                kind=due.kind,
                text_id=text_id,
                check_in_id=due.check_in_id,
                note=_note(due, condition),
            )


def _list_due(program: Program, day: int, on: date) -> Iterator[tuple[StepDue, str]]:
    """What falls on a day, for whoever asked to go on after the end and for whoever did not."""
    ended = steps_on(program, DAY_0, on) if day <= program.days else ()
    kept = steps_on(program, DAY_0, on, Cadence(is_kept=True))
    for due in ended:
        yield due, "" if due in kept else "without KEEP"
    for due in kept:
        if due not in ended:
            yield due, "after KEEP"


def _choose(program: Program, catalog: Catalog, due: StepDue, day: int, used: Collection[str]) -> str | None:
    return choose_text(catalog.bank, due.kind, due.topics, program.phase_of(day), due.turn, used)


def _note(due: StepDue, condition: str) -> str:
    notes = [
        condition,
        "if there was no answer" if due.nudges is not None else "",
        "for example" if due.topics else "",
    ]
    return ", ".join(filter(None, notes))


def _plan(program: Program, step: WeeklyStep, catalog: Catalog) -> WeeklyPlan:
    rows = [row for row in program.rows if row.id in step.rows]
    first = max(step.first_day, rows[0].first_day) if rows else step.first_day
    last = min(step.last_day, rows[-1].last_day) if rows else step.last_day
    every = "" if step.every_weeks == 1 else f", every {step.every_weeks} weeks"
    return WeeklyPlan(
        id=step.id,
        weekdays=", ".join(WEEKDAYS[weekday] for weekday in sorted(step.weekdays)),
        days=f"{first} to {last}{every}",
        at=f"{step.at:%H:%M}",
        kind=step.kind,
        takes_turns=(*step.text_ids, *step.check_in_ids, *_name_topics(program, step, catalog)),
    )


def _name_topics(program: Program, step: WeeklyStep, catalog: Catalog) -> Iterator[str]:
    """The topics of a step, each with the number of texts that fit its part of the year."""
    phases = {row.phase for row in program.rows if row.id in step.rows}
    for topic in step.topics:
        texts = [text for text in catalog.bank.get(step.kind, ()) if text.topic == topic]
        fit = sum(not phases or bool(phases & text.phases) for text in texts)
        yield f"{topic.replace('_', ' ')} ({fit})"
