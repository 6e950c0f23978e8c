"""Texts that came in, and what they leave for staff to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Row, String, bindparam, insert, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.store.base import Base, table_of
from service.store.types import BigId, EncryptedJson, EncryptedText, UtcInstant, Word


class InboundMessage(Base):
    """A text as the provider delivered it, stored whole and encrypted before anything is done with it.

    `answer` is the TwiML that was answered, so that a repeated delivery gets the same answer and nothing
    is done twice. `meaning` is the one word for what it was taken as. `found_at` is set for a text that never
    reached us and was found at the provider: then `received_at` is when the provider received it.
    """

    __tablename__ = "inbound_messages"
    __table_args__ = (Index("ix_inbound_messages_sender_time", "sender_hash", "received_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    provider_message_id: Mapped[str] = mapped_column(String(64), unique=True)
    participant_id: Mapped[int | None] = mapped_column(ForeignKey("participants.id"), index=True)
    sender: Mapped[str | None] = mapped_column(EncryptedText)
    sender_hash: Mapped[str | None] = mapped_column(String(64))
    sender_key_id: Mapped[str | None] = mapped_column(String(12))
    body: Mapped[str | None] = mapped_column(EncryptedText)
    raw: Mapped[dict[str, Any] | None] = mapped_column(EncryptedJson)
    opt_out_type: Mapped[str | None] = mapped_column(String(12))
    has_media: Mapped[bool] = mapped_column(Boolean, default=False)
    meaning: Mapped[str | None] = mapped_column(String(24))
    answer: Mapped[str | None] = mapped_column(EncryptedText)
    is_faulty: Mapped[bool] = mapped_column(Boolean, default=False)
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
    found_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class TaskKind(StrEnum):
    """Why a human should look."""

    NEEDS_REPLY = "needs_reply"
    CALL = "call"
    WRONG_NUMBER = "wrong_number"
    HANDLING_FAULT = "handling_fault"
    UNRESOLVED_TEXT = "unresolved_text"
    FAILED_TEXT = "failed_text"
    OPTED_OUT_WROTE = "opted_out_wrote"
    PAUSED_EARLY = "paused_early"
    CONFIGURATION = "configuration"
    SIGN_UP_PAGE = "sign_up_page"
    LOOP = "loop"
    STEPPED_UP = "stepped_up"


class Task(Base):
    """Something for staff. Holds ids and a reason word, never a text or a number."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index(
            "ix_tasks_open",
            "created_at",
            postgresql_where=text("closed_at IS NULL"),
            sqlite_where=text("closed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    kind: Mapped[TaskKind] = mapped_column(Word(TaskKind, 24))
    participant_id: Mapped[int | None] = mapped_column(ForeignKey("participants.id"), index=True)
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound_messages.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
    reason: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    closed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    closed_by: Mapped[str | None] = mapped_column(String(120))
    outcome: Mapped[str | None] = mapped_column(String(40))


# Statements of the webhook's path are built once: building and keying them costs more than running them.
_INBOUND = table_of(InboundMessage)
_MEANING_SINCE = (
    select(_INBOUND.c.id)
    .where(
        _INBOUND.c.sender_hash.in_(bindparam("hashes", expanding=True)),
        _INBOUND.c.meaning == bindparam("meaning"),
        _INBOUND.c.received_at > bindparam("since"),
    )
    .limit(1)
)
_LATEST_OF_SENDER = (
    select(_INBOUND.c.received_at, _INBOUND.c.body, _INBOUND.c.meaning, _INBOUND.c.answer)
    .where(
        _INBOUND.c.sender_hash.in_(bindparam("hashes", expanding=True)),
        _INBOUND.c.received_at > bindparam("since"),
        _INBOUND.c.id < bindparam("before_id"),
    )
    .order_by(_INBOUND.c.received_at.desc(), _INBOUND.c.id.desc())
    .limit(bindparam("most"))
)
_ADD_TASK = insert(table_of(Task))


def add_task(
    session: Session,
    kind: TaskKind,
    reason: str,
    now: datetime,
    *,
    participant_id: int | None = None,
    inbound_id: int | None = None,
    message_id: int | None = None,
) -> None:
    """Put something on the staff list."""
    values = {
        "kind": kind,
        "reason": reason,
        "participant_id": participant_id,
        "inbound_id": inbound_id,
        "message_id": message_id,
        "created_at": now,
    }
    session.connection().execute(_ADD_TASK, values)


def find_inbound(session: Session, provider_message_id: str) -> InboundMessage | None:
    query = select(InboundMessage).where(InboundMessage.provider_message_id == provider_message_id)
    return session.scalars(query).first()


def find_last_recipient(session: Session) -> str | None:
    """The number of ours to which the last text that is still readable was sent."""
    query = select(InboundMessage.raw).where(InboundMessage.raw.is_not(None))
    raw = session.scalars(query.order_by(InboundMessage.id.desc()).limit(1)).first()
    return raw.get("To") if raw else None


def has_meaning_since(session: Session, hashes: Sequence[str], meaning: str, since: datetime) -> bool:
    """Whether a sender, known by keyed hashes, has sent a text taken as this since then."""
    values = {"hashes": hashes, "meaning": meaning, "since": since}
    return session.connection().execute(_MEANING_SINCE, values).first() is not None


def list_earlier_texts(
    session: Session, hashes: Sequence[str], since: datetime, before_id: int, most: int
) -> Sequence[Row[Any, Any, Any, Any]]:
    """A sender's newest texts after `since` that were stored before another: when, body, meaning, answer."""
    values = {"hashes": hashes, "since": since, "before_id": before_id, "most": most}
    return session.connection().execute(_LATEST_OF_SENDER, values).all()


def has_open_task(session: Session, participant_id: int | None, reason: str) -> bool:
    """Whether staff already have this about a person (None: about nobody) on their list."""
    query = select(Task.id).where(
        Task.participant_id == participant_id, Task.reason == reason, Task.closed_at.is_(None)
    )
    return session.scalars(query.limit(1)).first() is not None


def has_open_loop_task(session: Session, participant_id: int | None, hashes: Sequence[str]) -> bool:
    """Whether staff have a loop of this sender on their list; a stranger is known by keyed hashes."""
    query = select(Task.id).where(Task.kind == TaskKind.LOOP, Task.closed_at.is_(None))
    if participant_id is not None:
        query = query.where(Task.participant_id == participant_id)
    else:
        query = query.join(InboundMessage, InboundMessage.id == Task.inbound_id)
        query = query.where(InboundMessage.sender_hash.in_(hashes))
    return session.scalars(query.limit(1)).first() is not None


def list_open_tasks(session: Session) -> Sequence[Task]:
    return session.scalars(select(Task).where(Task.closed_at.is_(None)).order_by(Task.created_at)).all()
