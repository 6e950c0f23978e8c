"""Accounts of staff: added or changed by an operator at the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.phone import PhoneNumber
from service.store.service_state import record_key_use
from service.store.staff import AuditEvent, Staff, StaffRole
from service.usecases.context import Context
from service.usecases.people.show_participant import mask

MIN_PASSWORD = 10
MAX_PASSWORD = 1_000
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")


class StaffError(Exception):
    """The account cannot be made as asked; the message says why in one line."""


class StaffOutcome(StrEnum):
    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class StaffAccount:
    """An account as asked for. Without a phone or a password, what is stored stays."""

    email: str
    role: StaffRole
    phone: PhoneNumber | None = None
    password: str | None = None


def parse_email(raw: str) -> str:
    """An address in lower case. Raises StaffError."""
    email = raw.strip().lower()
    if len(email) > 255 or _EMAIL.fullmatch(email) is None:
        raise StaffError("EMAIL is no e-mail address; write it as name@example.org")
    return email


def check_password(password: str) -> None:
    """Raise StaffError for a password that is too short or absurdly long."""
    if len(password) < MIN_PASSWORD:
        raise StaffError(f"the password needs at least {MIN_PASSWORD} characters; choose a longer one")
    if len(password) > MAX_PASSWORD:
        raise StaffError(f"the password is longer than {MAX_PASSWORD} characters; choose a shorter one")


def has_account(context: Context, email: str) -> bool:
    """Whether somebody on staff has this address."""
    with context.database.read() as session:
        return _find(session, email) is not None


def put_staff(context: Context, account: StaffAccount, by: str, now: datetime) -> StaffOutcome:
    """Add an account, or change role, phone and password of the one with this address. Commits once.

    Raises StaffError for a new account without a password.
    """
    if account.password is not None:
        check_password(account.password)
    with context.database.begin() as session:
        staff = _find(session, account.email)
        outcome = StaffOutcome.ADDED if staff is None else StaffOutcome.UNCHANGED
        if staff is None:
            if account.password is None:
                raise StaffError("a new account needs a password; use --password-stdin or the prompt")
            staff = Staff(email=account.email, role=account.role, password_hash="", created_at=now)
            session.add(staff)
        if _change(context, session, staff, account, now) and outcome is not StaffOutcome.ADDED:
            outcome = StaffOutcome.UPDATED
        session.flush()
        if outcome is not StaffOutcome.UNCHANGED:
            detail = {"role": str(account.role)}
            session.add(
                AuditEvent(
                    at=now, actor=by, action=f"staff_{outcome}", subject=f"staff {staff.id}", detail=detail
                )
            )
    return outcome


def _change(context: Context, session: Session, staff: Staff, account: StaffAccount, now: datetime) -> bool:
    is_changed = staff.role != account.role
    staff.role = account.role
    if account.phone is not None and staff.phone != account.phone.e164:
        lookup = context.keyring.hash_newest(account.phone.e164)
        record_key_use(session, lookup.key_id, now)
        staff.phone, staff.phone_hash, staff.phone_key_id = account.phone.e164, lookup.value, lookup.key_id
        is_changed = True
    if account.password is not None:
        staff.password_hash = PasswordHasher().hash(account.password)
        is_changed = True
    return is_changed


def list_staff(context: Context) -> list[dict[str, Any]]:
    """Every account, oldest first, with its phone masked."""
    with context.database.read() as session:
        return [
            {
                "id": row.id,
                "email": row.email,
                "role": str(row.role),
                "phone": mask(row.phone),
                "is_active": row.is_active,
                "created_at": row.created_at,
            }
            for row in session.scalars(select(Staff).order_by(Staff.id))
        ]


def _find(session: Session, email: str) -> Staff | None:
    return session.scalars(select(Staff).where(Staff.email == email)).first()
