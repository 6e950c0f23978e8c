"""Intended texts, the tries made at them, and the trail of what happened and why."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Date,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.store.base import Base
from service.store.types import BigId, EncryptedJson, EncryptedText, UtcInstant, Word


class Message(Base):
    """One intended text, unique by what it is for (`dedupe_key`), whatever happens to it.

    `send_after`/`send_before` bound its usefulness; `due_at` is when to look at it next (its time, the
    next permitted moment, or the next try). `local_on` is the person's local date it counts for.
    `fields`, `body` and `recipient` are encrypted; the body is rendered in the transaction that lets it
    go, so wording, language and edits are never stale. `claim_token` and `lease_until` say which worker
    has it and for how long by the database's clock. `source` names what it comes from (`e12` enrollment,
    `c3` campaign, `m9` chosen meeting, `i77` inbound text) and `source_version` the version of that, so an
    edit can cancel what was planned before it.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(
            "uq_messages_dedupe_key",
            "dedupe_key",
            unique=True,
            postgresql_where=text("state <> 'canceled'"),
            sqlite_where=text("state <> 'canceled'"),
        ),
        Index(
            "ix_messages_waiting",
            "lane",
            "due_at",
            postgresql_where=text("state IN ('planned', 'held')"),
            sqlite_where=text("state IN ('planned', 'held')"),
        ),
        Index(
            "ix_messages_leased",
            "lease_until",
            postgresql_where=text("state IN ('claimed', 'sending')"),
            sqlite_where=text("state IN ('claimed', 'sending')"),
        ),
        Index(
            "ix_messages_unknown",
            "due_at",
            postgresql_where=text("state = 'unknown'"),
            sqlite_where=text("state = 'unknown'"),
        ),
        Index("ix_messages_participant_day", "participant_id", "local_on"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    participant_id: Mapped[int | None] = mapped_column(ForeignKey("participants.id"))
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound_messages.id"))
    dedupe_key: Mapped[str] = mapped_column(String(160))
    source: Mapped[str] = mapped_column(String(40))
    source_version: Mapped[int] = mapped_column(Integer, default=1)
    kind: Mapped[MessageKind] = mapped_column(Word(MessageKind, 24))
    lane: Mapped[int] = mapped_column(SmallInteger)
    text_id: Mapped[str] = mapped_column(String(80))
    text_version: Mapped[int | None] = mapped_column(Integer)
    check_in_id: Mapped[str | None] = mapped_column(String(40))
    late: Mapped[str] = mapped_column(String(12), default="send")
    fields: Mapped[dict[str, Any] | None] = mapped_column(EncryptedJson)
    body: Mapped[str | None] = mapped_column(EncryptedText)
    recipient: Mapped[str | None] = mapped_column(EncryptedText)
    local_on: Mapped[date | None] = mapped_column(Date)
    send_after: Mapped[datetime] = mapped_column(UtcInstant)
    send_before: Mapped[datetime] = mapped_column(UtcInstant)
    due_at: Mapped[datetime] = mapped_column(UtcInstant)
    state: Mapped[MessageState] = mapped_column(Word(MessageState, 12))
    reason: Mapped[str | None] = mapped_column(String(40))
    claim_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    segments: Mapped[int | None] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    sent_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    final_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class Attempt(Base):
    """One try at a text, with the random reference that the provider's receipts carry back."""

    __tablename__ = "attempts"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"), index=True)
    number: Mapped[int] = mapped_column(SmallInteger)
    channel: Mapped[str] = mapped_column(String(8))
    reference: Mapped[str] = mapped_column(String(32), unique=True)
    provider_message_id: Mapped[str | None] = mapped_column(String(40), unique=True)
    outcome: Mapped[str | None] = mapped_column(String(24))
    error_code: Mapped[int | None] = mapped_column(Integer)
    http_status: Mapped[int | None] = mapped_column(SmallInteger)
    started_at: Mapped[datetime] = mapped_column(UtcInstant)
    finished_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class MessageEvent(Base):
    """One step in a message's life. Never changed or deleted; holds no number and no text."""

    __tablename__ = "message_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"), index=True)
    at: Mapped[datetime] = mapped_column(UtcInstant)
    from_state: Mapped[str | None] = mapped_column(String(12))
    to_state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(40))
    detail: Mapped[str | None] = mapped_column(Text)
