"""What a person's own answers change about their program: which topic comes next, and when to text more.

The rules are rows of the program's file. They look at single answers and add nothing up: no score is made.
Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What somebody answered to a question, on which of their local dates."""

    question_id: str
    value: str
    on: date


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """Asks for topics if the newest answer to a question is one of `values`, `within_days` old at most."""

    question_id: str
    values: frozenset[str]
    within_days: int
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """An answer that makes people look. Days count from day 0; the last one counts."""

    question_id: str
    values: frozenset[str]
    first_day: int
    last_day: int

    def is_raised_by(self, answer: GivenAnswer, anchor_on: date) -> bool:
        """Whether this answer raises it, on the day on which it was given."""
        day = (answer.on - anchor_on).days
        return (
            answer.question_id == self.question_id
            and answer.value in self.values
            and self.first_day <= day <= self.last_day
        )


@dataclass(frozen=True, slots=True)
class StepUp:
    """One red answer, or `ambers` amber ones on different days within `within_days`, bring `for_days` of
    the densest row (program design, C1)."""

    red: tuple[Flag, ...]
    amber: tuple[Flag, ...]
    ambers: int
    within_days: int
    for_days: int


def list_wanted_topics(rules: Sequence[AnswerRule], answers: Sequence[GivenAnswer], on: date) -> list[str]:
    """What a text on the local date `on` should be about, first wishes first; empty when nothing says.

    Only the newest answer to each question counts: who is better is not told about what is over.
    """
    newest: dict[str, GivenAnswer] = {}
    for answer in answers:
        held = newest.get(answer.question_id)
        if answer.on <= on and (held is None or answer.on >= held.on):
            newest[answer.question_id] = answer
    wanted: list[str] = []
    for rule in rules:
        last = newest.get(rule.question_id)
        if last is not None and last.value in rule.values and on - last.on <= _days(rule.within_days):
            wanted += [topic for topic in rule.topics if topic not in wanted]
    return wanted


def steps_up(rule: StepUp, answers: Collection[GivenAnswer], anchor_on: date, on: date) -> bool:
    """Whether the answers up to the local date `on` bring back the densest row from then on.

    Red counts on its own day only: it has had its effect before. Ambers count once a day.
    """
    if any(flag.is_raised_by(one, anchor_on) for one in answers if one.on == on for flag in rule.red):
        return True
    since = on - _days(rule.within_days)
    days = {
        one.on
        for one in answers
        if since < one.on <= on
        for flag in (*rule.red, *rule.amber)
        if flag.is_raised_by(one, anchor_on)
    }
    return on in days and len(days) >= rule.ambers


def _days(number: int) -> timedelta:
    return timedelta(days=number)
