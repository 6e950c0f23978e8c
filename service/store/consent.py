"""Consent as evidence: append-only events, and suppressions that outlive the person's data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Integer, String, Text, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.domain.phone import PhoneNumber
from service.store.base import Base, table_of
from service.store.bulk import ForMany
from service.store.keyring import Keyring
from service.store.types import BigId, UtcInstant, Word


class ConsentKind(StrEnum):
    """What was said or done about consent."""

    LISTED = "listed"
    ASKED = "asked"
    CONFIRMED = "confirmed"
    DOCUMENTED = "documented"
    OPTED_OUT = "opted_out"
    REOPENED = "reopened"
    PAUSED = "paused"
    RESUMED = "resumed"
    KEPT = "kept"
    ERASED = "erased"


class ConsentChannel(StrEnum):
    SMS = "sms"
    WEB = "web"
    STAFF = "staff"
    IMPORT = "import"
    PROVIDER = "provider"


class ConsentEvent(Base):
    """One declaration: who, when, through what, and the exact wording they saw. Never changed or deleted.

    `expressed_at` is when the person (or the paper) said it; `recorded_at` when we learned of it.
    `source_id` points at the evidence: the provider's id of the text, the file's hash and
    row, a staff address.
    The wording is ours and holds nothing about the person, so it stays readable.
    """

    __tablename__ = "consent_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    participant_id: Mapped[int | None] = mapped_column(ForeignKey("participants.id"), index=True)
    suppression_id: Mapped[int | None] = mapped_column(ForeignKey("suppressions.id"), index=True)
    kind: Mapped[ConsentKind] = mapped_column(Word(ConsentKind, 12))
    channel: Mapped[ConsentChannel] = mapped_column(Word(ConsentChannel, 12))
    actor: Mapped[str] = mapped_column(String(120))
    source_id: Mapped[str] = mapped_column(String(200))
    program_id: Mapped[str | None] = mapped_column(String(40))
    wording_id: Mapped[str | None] = mapped_column(String(80))
    wording_version: Mapped[int | None] = mapped_column(Integer)
    wording: Mapped[str | None] = mapped_column(Text)
    expressed_at: Mapped[datetime] = mapped_column(UtcInstant)
    recorded_at: Mapped[datetime] = mapped_column(UtcInstant)


class Suppression(Base):
    """A number that must not be texted, known only by its keyed hash. Outlives erasure."""

    __tablename__ = "suppressions"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    phone_hash: Mapped[str] = mapped_column(String(64), unique=True)
    phone_key_id: Mapped[str] = mapped_column(String(12))
    opted_out_at: Mapped[datetime] = mapped_column(UtcInstant)
    lifted_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    reason: Mapped[str] = mapped_column(String(40))


_SUPPRESSION_ID = (
    select(table_of(Suppression).c.id)
    .where(table_of(Suppression).c.phone_hash.in_(bindparam("hashes", expanding=True)))
    .with_for_update()
)


def find_suppression(session: Session, phone: PhoneNumber, keyring: Keyring) -> Suppression | None:
    """The number's suppression row, lifted or not, under any look-up key; locked."""
    # Few numbers have one, and every text in asks: an object is loaded only for those.
    found = session.connection().execute(_SUPPRESSION_ID, {"hashes": keyring.hash_all(phone.e164)}).scalar()
    return None if found is None else session.get(Suppression, found)


def is_suppressed(suppression: Suppression | None) -> bool:
    return suppression is not None and suppression.lifted_at is None


_SUPPRESSED = ForMany(
    lambda one_of: select(table_of(Suppression).c.phone_hash).where(
        one_of(table_of(Suppression).c.phone_hash), table_of(Suppression).c.lifted_at.is_(None)
    ),
    String(),
)


def list_suppressed_hashes(session: Session, hashes: Sequence[str]) -> set[str]:
    """Which of these keyed hashes must not be texted now."""
    if not hashes:
        return set()
    return {row.phone_hash for row in _SUPPRESSED.run(session, hashes)}


def list_consent_events(session: Session, participant_id: int) -> Sequence[ConsentEvent]:
    query = select(ConsentEvent).where(ConsentEvent.participant_id == participant_id)
    return session.scalars(query.order_by(ConsentEvent.id)).all()
