"""Meeting listings as imported, and the ones a person chose to be reminded of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    Time,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.store.base import Base
from service.store.types import BigId, EncryptedText, UtcInstant


class MeetingSource(Base):
    """Where listings come from. `timezone` applies where the feed names none."""

    __tablename__ = "meeting_sources"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    format: Mapped[str] = mapped_column(String(16))
    timezone: Mapped[str] = mapped_column(String(64))
    fellowship: Mapped[str | None] = mapped_column(String(40))
    last_synced_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    last_result: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class Meeting(Base):
    """A weekly support meeting: local wall-clock time and zone, never UTC. Public facts, no contacts."""

    __tablename__ = "meetings"
    __table_args__ = (UniqueConstraint("source_id", "external_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("meeting_sources.id"))
    external_id: Mapped[str] = mapped_column(String(80))
    fingerprint: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    fellowship: Mapped[str | None] = mapped_column(String(40))
    weekday: Mapped[int] = mapped_column(SmallInteger)
    starts_at: Mapped[time] = mapped_column(Time)
    duration_minutes: Mapped[int | None] = mapped_column(Integer)
    timezone: Mapped[str] = mapped_column(String(64))
    venue: Mapped[str] = mapped_column(String(12))
    place: Mapped[str | None] = mapped_column(String(255))
    address: Mapped[str | None] = mapped_column(String(255))
    city: Mapped[str | None] = mapped_column(String(120))
    region: Mapped[str | None] = mapped_column(String(120))
    postal_code: Mapped[str | None] = mapped_column(String(20), index=True)
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    join_url: Mapped[str | None] = mapped_column(Text)
    join_phone: Mapped[str | None] = mapped_column(String(80))
    join_notes: Mapped[str | None] = mapped_column(Text)
    formats: Mapped[str] = mapped_column(String(255), default="")
    language: Mapped[str | None] = mapped_column(String(8))
    is_published: Mapped[bool] = mapped_column(Boolean, default=True)
    is_closed: Mapped[bool] = mapped_column(Boolean, default=False)
    source_updated_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    first_seen_at: Mapped[datetime] = mapped_column(UtcInstant)
    last_seen_at: Mapped[datetime] = mapped_column(UtcInstant)
    vanished_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class ChosenMeeting(Base):
    """A meeting a person wants to be reminded of, under a name only they understand."""

    __tablename__ = "chosen_meetings"
    __table_args__ = (
        Index(
            "uq_chosen_meetings_current",
            "participant_id",
            "meeting_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id"))
    meeting_id: Mapped[int] = mapped_column(ForeignKey("meetings.id"), index=True)
    label: Mapped[str | None] = mapped_column(EncryptedText)
    minutes_before: Mapped[int] = mapped_column(SmallInteger, default=120)
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)


def list_chosen(session: Session, participant_id: int) -> Sequence[tuple[ChosenMeeting, Meeting]]:
    """What a person currently wants to be reminded of."""
    query = (
        select(ChosenMeeting, Meeting)
        .join(Meeting, Meeting.id == ChosenMeeting.meeting_id)
        .where(ChosenMeeting.participant_id == participant_id, ChosenMeeting.ended_at.is_(None))
        .order_by(ChosenMeeting.id)
    )
    return [(chosen, meeting) for chosen, meeting in session.execute(query)]
