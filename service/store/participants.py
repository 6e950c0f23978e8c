"""Participants, what they are enrolled in, and their tags."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    Date,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Time,
    bindparam,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.domain.phone import PhoneNumber
from service.domain.time_of_day import TimeOfDay
from service.store.base import Base
from service.store.keyring import Keyring
from service.store.types import BigId, EncryptedText, UtcInstant, Word


class ParticipantStatus(StrEnum):
    """What a participant has agreed to, as of the newest consent event."""

    LISTED = "listed"
    ASKED = "asked"
    ACTIVE = "active"
    OPTED_OUT = "opted_out"
    ERASED = "erased"


class EnrollmentStatus(StrEnum):
    WAITING = "waiting"
    ACTIVE = "active"
    COMPLETED = "completed"
    ENDED = "ended"


class Participant(Base):
    """Somebody we may text, or were asked not to. Everything that names them is encrypted.

    `next_plan_at` is when this person's next day with anything to say should be planned: the one indexed
    column the planner looks at; `planned_through` the last local date it
    planned. `zone_is_confirmed` is False
    until somebody told us the zone: until then
    texts must fit the hours of `timezone` and of `area_timezones` (a comma-separated list) alike.
    """

    __tablename__ = "participants"
    __table_args__ = (
        Index(
            "ix_participants_next_plan_at",
            "next_plan_at",
            postgresql_where=text("next_plan_at IS NOT NULL"),
            sqlite_where=text("next_plan_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    phone: Mapped[str | None] = mapped_column(EncryptedText)
    phone_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    phone_key_id: Mapped[str | None] = mapped_column(String(12))
    name: Mapped[str | None] = mapped_column(EncryptedText)
    status: Mapped[ParticipantStatus] = mapped_column(Word(ParticipantStatus, 12))
    timezone: Mapped[str] = mapped_column(String(64))
    zone_is_confirmed: Mapped[bool] = mapped_column(Boolean, default=False)
    area_timezones: Mapped[str] = mapped_column(String(255), default="")
    language: Mapped[str] = mapped_column(String(2), default="en")
    country: Mapped[str] = mapped_column(String(2), default="US")
    wants_plain: Mapped[bool] = mapped_column(Boolean, default=False)
    window_opens: Mapped[time | None] = mapped_column(Time)
    window_closes: Mapped[time | None] = mapped_column(Time)
    time_of_day: Mapped[TimeOfDay | None] = mapped_column(Word(TimeOfDay, 8))
    window_opens_sunday: Mapped[time | None] = mapped_column(Time)
    paused_until: Mapped[datetime | None] = mapped_column(UtcInstant)
    next_plan_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    planned_through: Mapped[date | None] = mapped_column(Date)
    last_receipt_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    opt_in_asked_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    erased_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class Enrollment(Base):
    """A participant in a program. Day 0 is `anchor_on`; nothing before `started_on` is ever planned.

    `cadence_shift` is how many rows of the program sparser (or denser, negative) they asked for; from
    `stepped_up_on` to before `stepped_up_until` the densest row holds; `less_at` is when they last asked for
    less: answers before it step nothing up. `kept_on` is when they asked to go on after the program's end.
    Dates are local.
    """

    __tablename__ = "enrollments"
    __table_args__ = (
        Index(
            "uq_enrollments_open",
            "participant_id",
            "program_id",
            unique=True,
            postgresql_where=text("status IN ('waiting', 'active')"),
            sqlite_where=text("status IN ('waiting', 'active')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id"), index=True)
    program_id: Mapped[str] = mapped_column(String(40))
    status: Mapped[EnrollmentStatus] = mapped_column(Word(EnrollmentStatus, 12))
    discharge_on: Mapped[date | None] = mapped_column(Date)
    anchor_on: Mapped[date | None] = mapped_column(Date)
    started_on: Mapped[date | None] = mapped_column(Date)
    started_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    version: Mapped[int] = mapped_column(Integer, default=1)
    cadence_shift: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    stepped_up_on: Mapped[date | None] = mapped_column(Date)
    stepped_up_until: Mapped[date | None] = mapped_column(Date)
    less_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    kept_on: Mapped[date | None] = mapped_column(Date)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    ended_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class ParticipantTag(Base):
    """A label staff put on a participant: encrypted, and found again by its keyed hash."""

    __tablename__ = "participant_tags"

    participant_id: Mapped[int] = mapped_column(ForeignKey("participants.id"), primary_key=True)
    tag_hash: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    tag_key_id: Mapped[str] = mapped_column(String(12))
    tag: Mapped[str] = mapped_column(EncryptedText)


_BY_PHONE = select(Participant).where(Participant.phone_hash.in_(bindparam("hashes", expanding=True)))
_BY_PHONE_LOCKED = _BY_PHONE.with_for_update(key_share=True).execution_options(populate_existing=True)


def find_participant(
    session: Session, phone: PhoneNumber, keyring: Keyring, *, lock: bool = False
) -> Participant | None:
    """Find by number under every look-up key; `lock` takes the row lock that STOP and sending share.

    It is the lock that lets rows refer to the person meanwhile: else whoever adds a task or a text while
    holding a message would wait for a STOP that waits for the message.
    """
    query = _BY_PHONE_LOCKED if lock else _BY_PHONE
    return session.scalars(query, {"hashes": keyring.hash_all(phone.e164)}).first()


def get_participant(session: Session, participant_id: int, *, lock: bool = False) -> Participant:
    """Load by id. Raises NoResultFound."""
    query = select(Participant).where(Participant.id == participant_id)
    if lock:
        query = query.with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=lock)).one()


def list_open_enrollments(session: Session, participant_id: int) -> Sequence[Enrollment]:
    """Enrollments that wait for consent or run, oldest first."""
    query = (
        select(Enrollment)
        .where(
            Enrollment.participant_id == participant_id,
            Enrollment.status.in_((EnrollmentStatus.WAITING, EnrollmentStatus.ACTIVE)),
        )
        .order_by(Enrollment.id)
    )
    return session.scalars(query).all()


def list_tags(session: Session, participant_id: int) -> list[str]:
    query = select(ParticipantTag.tag).where(ParticipantTag.participant_id == participant_id)
    return sorted(session.scalars(query))
