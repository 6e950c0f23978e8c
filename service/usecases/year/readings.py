"""What the simulation reads in the service's tables: labels of texts, what falls due, what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import func, select

from service.domain.check_ins import Question
from service.domain.delivery import WAITING
from service.domain.year.ledger import Diary, LedgerText, TextIn
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


def read_labels(context: Context, after_attempt: int) -> tuple[dict[str, Labels], int]:
    """Labels of the texts handed over since an attempt, by reference, and the newest attempt."""
    query = (
        select(
            Attempt.id,
            Attempt.reference,
            Message.kind,
            Message.text_id,
            Message.source,
            Message.dedupe_key,
            Message.check_in_id,
        )
        .join(Message, Message.id == Attempt.message_id)
        .where(Attempt.id > after_attempt, Attempt.channel == "api")
    )
    with context.database.read() as session:
        rows = session.execute(query).all()
    labels = {
        row.reference: Labels(
            str(row.kind), row.text_id, row.source, row.dedupe_key, row.check_in_id is not None
        )
        for row in rows
    }
    return labels, max((row.id for row in rows), default=after_attempt)


def find_next_due(context: Context) -> datetime | None:
    """When the next text that waits falls due (aware UTC)."""
    query = select(func.min(Message.due_at)).where(Message.state.in_(WAITING))
    with context.database.read() as session:
        return session.scalars(query).one()


def find_open_question(
    context: Context, participant_id: int | None, now: datetime
) -> tuple[int, Question] | None:
    """The conversation that is open with somebody, and the question they were asked last."""
    query = select(Conversation.id, Conversation.check_in_id, Conversation.question_id).where(
        Conversation.participant_id == participant_id,
        Conversation.closed_at.is_(None),
        Conversation.expires_at > now,
    )
    with context.database.read() as session:
        row = session.execute(query).first()
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
