"""What choosing a text for somebody depends on: what they had lately, and what they answered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import DateTime, Text, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from service.domain.delivery import ON_ITS_WAY, STOPPABLE
from service.domain.local_time import local_date
from service.domain.program_answers import GivenAnswer
from service.domain.text_choice import NO_REPEAT_DAYS
from service.store.base import table_of
from service.store.bulk import ForMany
from service.store.conversations import Answer, Conversation
from service.store.messages import Message
from service.usecases.sending.candidates import (
    DuePerson,
    Sources,
    list_days_of_choice,
    list_nudged,
)

_MESSAGES, _ANSWERS = table_of(Message), table_of(Answer)
_CONVERSATIONS = table_of(Conversation)
_USED = ForMany(
    lambda one_of: (
        select(
            _MESSAGES.c.participant_id, _MESSAGES.c.text_id, func.max(_MESSAGES.c.local_on).label("last_on")
        )
        .where(
            one_of(_MESSAGES.c.participant_id),
            _MESSAGES.c.local_on > bindparam("since"),
            _MESSAGES.c.text_id != "",
            _MESSAGES.c.state.in_(STOPPABLE | ON_ITS_WAY),
        )
        .group_by(_MESSAGES.c.participant_id, _MESSAGES.c.text_id)
    )
)
_UNANSWERED = ForMany(
    lambda one_of: select(_MESSAGES.c.dedupe_key).where(
        one_of(_MESSAGES.c.dedupe_key),
        _MESSAGES.c.state.in_(ON_ITS_WAY),
        ~exists().where(
            _CONVERSATIONS.c.message_id == _MESSAGES.c.id,
            or_(
                _CONVERSATIONS.c.close_reason == "finished",
                exists().where(_ANSWERS.c.conversation_id == _CONVERSATIONS.c.id),
            ),
        ),
    ),
    Text(),
)
_GIVEN = ForMany(
    lambda one_of: select(
        _ANSWERS.c.participant_id, _ANSWERS.c.question_id, _ANSWERS.c.value, _ANSWERS.c.answered_at
    ).where(
        one_of(_ANSWERS.c.participant_id),
        _ANSWERS.c.answered_at > bindparam("since", type_=DateTime(timezone=True)),
    )
)


def load_choices(session: Session, people: Collection[DuePerson], sources: Sources, now: datetime) -> None:
    """Read what texts must not repeat and should be about, for those for whom one must be chosen today."""
    if not sources.bank:
        return
    choosing: dict[int, tuple[DuePerson, list[date]]] = {}
    for person in people:
        today = local_date(now, person.zone)
        first = min((person.planned_through or today) + timedelta(days=1), today)
        if days := list_days_of_choice(person, sources, first, today):
            choosing[person.id] = (person, days)
    if not choosing:
        return
    since = min(days[0] for _, days in choosing.values()) - timedelta(days=NO_REPEAT_DAYS)
    for row in _USED.run(session, choosing, since=since):
        choosing[row.participant_id][0].used[row.text_id] = row.last_on
    _load_unanswered(session, choosing.values(), sources)
    within = [rule.within_days for program in sources.programs.values() for rule in program.choices]
    if within:
        load_answers(session, [person for person, _ in choosing.values()], now, max(within))


def _load_unanswered(
    session: Session, choosing: Collection[tuple[DuePerson, list[date]]], sources: Sources
) -> None:
    """Which of yesterday's questions went out and have no answer: only these are asked about once more."""
    asked = {
        key: person for person, days in choosing for on in days for key in list_nudged(person, sources, on)
    }
    if asked:
        for row in _UNANSWERED.run(session, asked):
            asked[row.dedupe_key].unanswered.add(row.dedupe_key)


def load_answers(session: Session, people: Collection[DuePerson], now: datetime, days: int) -> None:
    """Read the answers of the last `days` and one, with the person's own local dates."""
    by_id = {person.id: person for person in people}
    for row in _GIVEN.run(session, by_id, since=now - timedelta(days=days + 1)):
        person = by_id[row.participant_id]
        on = local_date(row.answered_at, person.zone)
        person.answers.append(GivenAnswer(row.question_id, row.value, on))
