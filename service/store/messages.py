"""Intended texts, the tries made at them, and the trail of what happened and why."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Select,
    SmallInteger,
    String,
    Text,
    bindparam,
    column,
    select,
    text,
    true,
    union_all,
    values,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.domain.delivery import MessageState
from service.domain.kinds import Lane, MessageKind
from service.store.base import Base, table_of
from service.store.types import BigId, EncryptedJson, EncryptedText, UtcInstant, Word


class Message(Base):
    """One intended text, unique by what it is for (`dedupe_key`), whatever happens to it.

    `send_after`/`send_before` bound its usefulness; `due_at` is when to look at it next (its time, the
    next permitted moment, or the next try). `local_on` is the person's local date it counts for.
    `fields`, `body` and `recipient` are encrypted; the body is rendered in the transaction that lets it
    go, so wording, language and edits are never stale. `claim_token` and `lease_until` say which worker
    has it and for how long by the database's clock, also while it is looked up at the provider.
    `final_at` of a text that is accepted or sent: since then nothing more is expected to be heard of it.
    `source` names what it comes from (`e12` enrollment,
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
        Index(
            "ix_messages_silent",
            "due_at",
            postgresql_where=text("state IN ('accepted', 'sent') AND final_at IS NULL"),
            sqlite_where=text("state IN ('accepted', 'sent') AND final_at IS NULL"),
        ),
        # For monitoring. Rows come in about the order of their time, so a few bytes a range are enough.
        Index(
            "ix_messages_due_at", "due_at", postgresql_using="brin", postgresql_with={"pages_per_range": 32}
        ),
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
    """One try at a text, with the random reference that the provider's receipts carry back.

    `absences` is how often it was looked up at the provider and not found.
    """

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
    absences: Mapped[int] = mapped_column(SmallInteger, server_default="0")


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


_MESSAGES = table_of(Message)
_NOW, _SIZE = bindparam("now", type_=DateTime(timezone=True)), bindparam("size", type_=Integer)
_IS_WAITING = text("messages.state IN ('planned', 'held')")
"""Word for word what ix_messages_waiting holds: with parameters a prepared plan could not use it."""


def _due_in(lane: int | ColumnElement[int], *columns: Column[Any]) -> Select[Any]:
    query = select(*columns).where(_IS_WAITING, _MESSAGES.c.lane == lane, _MESSAGES.c.due_at <= _NOW)
    return query.order_by(_MESSAGES.c.due_at)


_LANES = values(column("lane", Integer), name="lanes").data([(int(lane),) for lane in sorted(Lane)])
_DUE = _due_in(_LANES.c.lane, _MESSAGES.c.id).limit(_SIZE).with_for_update(skip_locked=True).lateral("due")
LOCK_DUE = select(_DUE.c.id).select_from(_LANES.join(_DUE, true())).limit(_SIZE)
"""Ids of up to `size` texts that are due at `now`, locked: danger and answers first, then the oldest.

On PostgreSQL, as part of the claim. Rows that others hold are skipped, not waited for. Each lane is a search
of its own: one search over all lanes would walk past every future text of one lane before it came to the next
(decision 16)."""
_DUE_COLUMNS = _MESSAGES.c.id, _MESSAGES.c.lane, _MESSAGES.c.due_at
_DUE_OF_EACH = union_all(
    *(select(_due_in(lane, *_DUE_COLUMNS).limit(_SIZE).subquery()) for lane in sorted(Lane))
).subquery()
LIST_DUE = select(_DUE_OF_EACH.c.id).order_by(_DUE_OF_EACH.c.lane, _DUE_OF_EACH.c.due_at).limit(_SIZE)
"""The same on SQLite, which locks no rows."""
