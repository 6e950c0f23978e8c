"""The one open question a person may have, and the answers they gave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.store.base import Base
from service.store.types import BigId, EncryptedText, UtcInstant


class Conversation(Base):
    """A check-in under way. At most one is open a person; which question waits is in `question_id`."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index(
            "uq_conversations_open",
            "participant_id",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
            sqlite_where=text("closed_at IS NULL"),
        ),
        Index(
            "ix_conversations_expiry",
            "expires_at",
            postgresql_where=text("closed_at IS NULL"),
            sqlite_where=text("closed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"), index=True)
    check_in_id: Mapped[str] = mapped_column(String(40))
    check_in_version: Mapped[int] = mapped_column(Integer)
    question_id: Mapped[str] = mapped_column(String(40))
    reasks: Mapped[int] = mapped_column(SmallInteger, default=0)
    opened_at: Mapped[datetime] = mapped_column(UtcInstant)
    expires_at: Mapped[datetime] = mapped_column(UtcInstant)
    closed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    close_reason: Mapped[str | None] = mapped_column(String(24))


class Answer(Base):
    """What a person answered to one question; encrypted, kept even when the check-in stays partial."""

    __tablename__ = "answers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id"), index=True)
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound_messages.id"))
    question_id: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(EncryptedText)
    answered_at: Mapped[datetime] = mapped_column(UtcInstant)


def find_open_conversation(session: Session, participant_id: int) -> Conversation | None:
    query = select(Conversation).where(
        Conversation.participant_id == participant_id, Conversation.closed_at.is_(None)
    )
    return session.scalars(query).first()


def list_answers_since(session: Session, participant_id: int, since: datetime) -> Sequence[Answer]:
    """A person's answers after `since` (aware UTC), oldest first."""
    query = (
        select(Answer)
        .where(Answer.participant_id == participant_id, Answer.answered_at > since)
        .order_by(Answer.id)
    )
    return session.scalars(query).all()
