"""What choosing a text for somebody depends on: what they had lately, and what they answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, Select, bindparam, func, select
from sqlalchemy.orm import Session

from service.domain.local_time import local_date
from service.domain.program import Program, StepDue
from service.domain.program_answers import AnswerRule, GivenAnswer
from service.domain.text_choice import NO_REPEAT_DAYS
from service.store.base import table_of
from service.store.bulk import ForMany, OneOf
from service.store.conversations import Answer
from service.usecases.sending.candidates import DuePerson, Sources, list_steps_of_choice
from service.usecases.sending.due_people import COUNTED, ExistingTexts
from service.usecases.sending.unanswered import MESSAGES, met_silence, went_out

_DAY = timedelta(days=1)
_ANSWERS = table_of(Answer)
_USED = ForMany(
    lambda one_of: (
        select(MESSAGES.c.participant_id, MESSAGES.c.text_id, func.max(MESSAGES.c.local_on).label("last_on"))
        .where(
            one_of(MESSAGES.c.participant_id),
            MESSAGES.c.local_on > bindparam("since"),
            MESSAGES.c.text_id != "",
            MESSAGES.c.state.in_(COUNTED),
        )
        .group_by(MESSAGES.c.participant_id, MESSAGES.c.text_id)
    )
)
_UNANSWERED = ForMany(
    lambda one_of: select(MESSAGES.c.participant_id, MESSAGES.c.dedupe_key).where(
        one_of(MESSAGES.c.participant_id),
        MESSAGES.c.local_on >= bindparam("since"),
        MESSAGES.c.check_in_id.is_not(None),
        *went_out(),
        *met_silence(),
    )
)


def _build_given(one_of: OneOf) -> Select[Any]:
    """The newest answer of each person to each question, oldest first: opening every one would be dear."""
    newest = func.row_number().over(
        partition_by=(_ANSWERS.c.participant_id, _ANSWERS.c.question_id),
        order_by=(_ANSWERS.c.answered_at.desc(), _ANSWERS.c.id.desc()),
    )
    ranked = (
        select(_ANSWERS, newest.label("place"))
        .where(
            one_of(_ANSWERS.c.participant_id),
            _ANSWERS.c.answered_at > bindparam("since", type_=DateTime(timezone=True)),
            _ANSWERS.c.question_id.in_(bindparam("questions", expanding=True)),
        )
        .subquery()
    )
    found = ranked.c.participant_id, ranked.c.question_id, ranked.c.value, ranked.c.answered_at
    return select(*found).where(ranked.c.place == 1).order_by(ranked.c.id)


_GIVEN = ForMany(_build_given)


def load_choices(
    session: Session,
    people: Mapping[int, DuePerson],
    existing: Mapping[int, ExistingTexts],
    sources: Sources,
    now: datetime,
) -> None:
    """Read what texts must not repeat and should be about, for those for whom one must be chosen today."""
    if not sources.bank:
        return
    wishes = _Wishes()
    nudged: dict[int, date] = {}
    choosing: dict[int, date] = {}
    for person in people.values():
        today = local_date(now, person.zone)
        mine = existing[person.id]
        first = min((person.planned_through or today) + _DAY, today, *(one.planned_on for one in mine.void))
        for program, on, step in list_steps_of_choice(person, sources, mine.keys, first, today):
            days = choosing if step.nudges is None else nudged
            days.setdefault(person.id, on)
            wishes.note(person.id, program, step)
    for one, on in _load_unanswered(session, people, nudged).items():
        choosing[one] = min(on, choosing.get(one, on))
    _load_used(session, people, choosing)
    if owners := wishes.owners & choosing.keys():
        load_answers(session, [people[one] for one in owners], wishes.questions, wishes.within_days, now)


class _Wishes:
    """Whose answers may say what a text is about, and the answers to which questions."""

    def __init__(self) -> None:
        self.owners: set[int] = set()
        self.questions: set[str] = set()
        self.within_days = 0
        self._rules: dict[tuple[str, tuple[str, ...]], list[AnswerRule]] = {}

    def note(self, owner: int, program: Program, step: StepDue) -> None:
        """Somebody gets a text of this step: do the program's rules name any of its topics?"""
        key = program.id, step.topics
        rules = self._rules.get(key)
        if rules is None:
            rules = [rule for rule in program.choices if not set(step.topics).isdisjoint(rule.topics)]
            self._rules[key] = rules
            self.questions |= {rule.question_id for rule in rules}
            self.within_days = max([self.within_days, *(rule.within_days for rule in rules)])
        if rules:
            self.owners.add(owner)


def _load_unanswered(
    session: Session, people: Mapping[int, DuePerson], days: Mapping[int, date]
) -> dict[int, date]:
    """Read which questions of the days before met silence: only these are asked about once more.

    `days` is the first day with a nudge, by person; those of whom any question met silence are given back.
    """
    found: dict[int, date] = {}
    if days:
        for row in _UNANSWERED.run(session, days, since=min(days.values()) - _DAY):
            people[row.participant_id].unanswered.add(row.dedupe_key)
            found[row.participant_id] = days[row.participant_id]
    return found


def _load_used(session: Session, people: Mapping[int, DuePerson], days: Mapping[int, date]) -> None:
    if days:
        since = min(days.values()) - timedelta(days=NO_REPEAT_DAYS)
        for row in _USED.run(session, days, since=since):
            people[row.participant_id].used[row.text_id] = row.last_on


def load_answers(
    session: Session, people: Collection[DuePerson], questions: Collection[str], days: int, now: datetime
) -> None:
    """Read the newest answers of the last `days` and one, with the person's own local dates."""
    by_id = {person.id: person for person in people}
    rows = _GIVEN.run(session, by_id, questions=list(questions), since=now - timedelta(days=days + 1))
    for row in rows:
        person = by_id[row.participant_id]
        on = local_date(row.answered_at, person.zone)
        person.answers.append(GivenAnswer(row.question_id, row.value, on))
