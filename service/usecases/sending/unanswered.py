"""Whether a question that went out met silence: only then is it asked about once more, gently."""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, bindparam, exists, func, literal, select
from sqlalchemy.orm import Session

from service.domain.delivery import ON_ITS_WAY
from service.store.base import table_of
from service.store.conversations import Answer, Conversation
from service.store.inbound import InboundMessage
from service.store.messages import Message

MESSAGES = table_of(Message)
_ANSWERS, _CONVERSATIONS, _INBOUND = table_of(Answer), table_of(Conversation), table_of(InboundMessage)


def went_out() -> tuple[ColumnElement[bool], ...]:
    """That a text of `MESSAGES` is surely or possibly on the person's phone; the index of keys has it so."""
    canceled = literal("canceled", String, literal_execute=True)
    return MESSAGES.c.state != canceled, MESSAGES.c.state.in_(ON_ITS_WAY)


def met_silence() -> tuple[ColumnElement[bool], ...]:
    """That the person has written nothing since a question of `MESSAGES` went out and answered nothing.

    Whoever wrote anything at all, a word about a death or SKIP, is not asked about the question again.
    """
    wrote = exists().where(
        _INBOUND.c.participant_id == MESSAGES.c.participant_id,
        _INBOUND.c.received_at >= func.coalesce(MESSAGES.c.accepted_at, MESSAGES.c.send_after),
    )
    answered = exists().where(
        _CONVERSATIONS.c.message_id == MESSAGES.c.id,
        _ANSWERS.c.conversation_id == _CONVERSATIONS.c.id,
    )
    finished = exists().where(
        _CONVERSATIONS.c.message_id == MESSAGES.c.id, _CONVERSATIONS.c.close_reason == "finished"
    )
    return ~wrote, ~answered, ~finished


_QUESTION = select(MESSAGES.c.id).where(MESSAGES.c.dedupe_key == bindparam("key"), *went_out())
_SILENT = select(MESSAGES.c.id).where(MESSAGES.c.id == bindparam("id"), *met_silence())


def find_reason_against(session: Session, key: str) -> str | None:
    """Why the question with this key must not be asked about again; None if it met silence."""
    connection = session.connection()
    question = connection.execute(_QUESTION, {"key": key}).scalar()
    if question is None:
        return "nothing_asked"
    return None if connection.execute(_SILENT, {"id": question}).first() else "answered"
