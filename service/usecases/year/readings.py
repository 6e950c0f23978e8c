"""What the simulation reads in the service's tables: labels of texts, what falls due, what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import bindparam, func, select, text

from service.domain.check_ins import Question
from service.domain.year.ledger import Diary, LedgerText, TextIn
from service.store.base import table_of
from service.store.conversations import Conversation
from service.store.inbound import InboundMessage, Task
from service.store.messages import Attempt, Message, MessageEvent
from service.usecases.context import Context


@dataclass(frozen=True, slots=True)
class TaskMade:
    """Something that was put on the staff list: on which of the person's dates (0: about nobody)."""

    on: date
    person: int
    kind: str
    reason: str


@dataclass(slots=True)
class PartOfYear:
    """What some of the people lived through, and what the service made of it. No words of anybody.

    `kept_back` counts states with their reason, `meanings` what texts of people were taken as.
    """

    texts: list[LedgerText] = field(default_factory=list)
    diaries: list[Diary] = field(default_factory=list)
    texts_in: list[TextIn] = field(default_factory=list)
    kept_back: Counter[tuple[str, str]] = field(default_factory=Counter)
    tasks: list[TaskMade] = field(default_factory=list)
    meanings: Counter[str] = field(default_factory=Counter)
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class Labels:
    """What the service says a text is that it handed over. `asks`: it opened a question."""

    kind: str
    text_id: str
    source: str
    key: str
    asks: bool


# Asked for in every round: building a statement costs more than running it.
_MESSAGES, _ATTEMPTS, _CONVERSATIONS = table_of(Message), table_of(Attempt), table_of(Conversation)
_LABELS = (
    select(
        _ATTEMPTS.c.id,
        _ATTEMPTS.c.reference,
        _MESSAGES.c.kind,
        _MESSAGES.c.text_id,
        _MESSAGES.c.source,
        _MESSAGES.c.dedupe_key,
        _MESSAGES.c.check_in_id,
    )
    .join(_MESSAGES, _MESSAGES.c.id == _ATTEMPTS.c.message_id)
    .where(_ATTEMPTS.c.id > bindparam("after"), _ATTEMPTS.c.channel == "api")
)
_NEXT_DUE = (
    select(func.min(_MESSAGES.c.due_at))
    .where(text("messages.state IN ('planned', 'held')"))
    .group_by(_MESSAGES.c.lane)
)
"""Word for word, lane by lane, what ix_messages_waiting holds: else every text of the year would be read."""
_OPEN_QUESTION = select(
    _CONVERSATIONS.c.id, _CONVERSATIONS.c.check_in_id, _CONVERSATIONS.c.question_id
).where(
    _CONVERSATIONS.c.participant_id == bindparam("participant_id"),
    _CONVERSATIONS.c.closed_at.is_(None),
    _CONVERSATIONS.c.expires_at > bindparam("now"),
)


def read_labels(context: Context, after_attempt: int) -> tuple[dict[str, Labels], int]:
    """Labels of the texts handed over since an attempt, by reference, and the newest attempt."""
    with context.database.read() as session:
        rows = session.connection().execute(_LABELS, {"after": after_attempt}).all()
    labels = {
        row.reference: Labels(
            str(row.kind), row.text_id, row.source, row.dedupe_key, row.check_in_id is not None
        )
        for row in rows
    }
    return labels, max((row.id for row in rows), default=after_attempt)


def find_next_due(context: Context) -> datetime | None:
    """When the next text that waits falls due (aware UTC)."""
    with context.database.read() as session:
        return min(session.connection().execute(_NEXT_DUE).scalars(), default=None)


def find_open_question(
    context: Context, participant_id: int | None, now: datetime
) -> tuple[int, Question] | None:
    """The conversation that is open with somebody, and the question they were asked last."""
    values = {"participant_id": participant_id, "now": now}
    with context.database.read() as session:
        row = session.connection().execute(_OPEN_QUESTION, values).first()
    if row is None:
        return None
    questions = context.catalog.check_in(row.check_in_id).questions
    question = next((one for one in questions if one.id == row.question_id), None)
    return None if question is None else (row.id, question)


def read_outcome(context: Context, part: PartOfYear, people: Mapping[int, Diary]) -> None:
    """Add what the service made of the year: `people` are diaries by participant id."""
    with context.database.read() as session:
        events = session.execute(
            select(MessageEvent.to_state, MessageEvent.reason, func.count())
            .where(MessageEvent.to_state.in_(("held", "expired", "canceled")))
            .group_by(MessageEvent.to_state, MessageEvent.reason)
        )
        part.kept_back.update({(row[0], row[1] or ""): row[2] for row in events})
        for row in session.execute(select(Task.kind, Task.reason, Task.created_at, Task.participant_id)):
            diary = people.get(row.participant_id or 0)
            on = diary.date_at(row.created_at) if diary else row.created_at.date()
            part.tasks.append(TaskMade(on, diary.number if diary else 0, str(row.kind), row.reason))
        meanings = select(InboundMessage.meaning, func.count()).group_by(InboundMessage.meaning)
        part.meanings.update({row[0] or "": row[1] for row in session.execute(meanings)})
