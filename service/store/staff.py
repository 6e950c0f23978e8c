"""Staff, and the record of what they did and looked at."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.store.base import Base
from service.store.types import BigId, EncryptedText, UtcInstant, Word


class StaffRole(StrEnum):
    ADMIN = "admin"
    COORDINATOR = "coordinator"
    COUNSELOR = "counselor"
    VIEWER = "viewer"


class Staff(Base):
    """A member of staff. Their phone is what trial mode may text."""

    __tablename__ = "staff"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    role: Mapped[StaffRole] = mapped_column(Word(StaffRole, 16))
    password_hash: Mapped[str] = mapped_column(String(255))
    phone: Mapped[str | None] = mapped_column(EncryptedText)
    phone_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    phone_key_id: Mapped[str | None] = mapped_column(String(12))
    is_active: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)


class AuditEvent(Base):
    """Who did or looked at what. Never changed or deleted; holds ids, no numbers and no texts."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcInstant)
    actor: Mapped[str] = mapped_column(String(120))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str | None] = mapped_column(String(80))
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON)


def list_staff_hashes(session: Session) -> frozenset[str]:
    """Keyed hashes of the phones that trial mode may text."""
    query = select(Staff.phone_hash).where(Staff.is_active, Staff.phone_hash.is_not(None))
    return frozenset(value for value in session.scalars(query) if value)
