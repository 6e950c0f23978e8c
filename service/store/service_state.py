"""What all processes share besides people and texts: switches, the sender's pace, programs, key ids."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Dialect, Integer, String, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.domain.program import Program, program_from_data
from service.store.base import Base, table_of
from service.store.types import BigId, UtcInstant


class ServiceSetting(Base):
    """One switch or mark by name: live mode, the simulator's clock, the last tick."""

    __tablename__ = "service_settings"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(JSON)
    changed_at: Mapped[datetime] = mapped_column(UtcInstant)
    changed_by: Mapped[str] = mapped_column(String(120))


class ProgramVersion(Base):
    """A program as data. Rows, not files, because machines do not share files; the newest version runs.

    `applied_at` is when what was planned under older versions had been taken back.
    """

    __tablename__ = "program_versions"

    program_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    applied_at: Mapped[datetime | None] = mapped_column(UtcInstant)


class LookupKeyUse(Base):
    """A look-up key that rows still depend on. Missing from the settings, it stops all sending."""

    __tablename__ = "lookup_key_uses"

    key_id: Mapped[str] = mapped_column(String(12), primary_key=True)
    first_used_at: Mapped[datetime] = mapped_column(UtcInstant)


class Throttle(Base):
    """How often something was asked for lately, counted in the database that all processes share."""

    __tablename__ = "throttles"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    subject_hash: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime] = mapped_column(UtcInstant)


KEY_SEEN_SECONDS = 60.0


_REMEMBERED = "aftercare_settings"
_ALL_SETTINGS = select(table_of(ServiceSetting))


def remember_settings(session: Session) -> None:
    """Read every switch and mark at once, for the rest of this transaction: who decides asks for several."""
    rows = session.connection().execute(_ALL_SETTINGS)
    session.info[_REMEMBERED] = {row.name: (row.value, row.changed_at) for row in rows}


def find_setting(session: Session, name: str) -> dict[str, Any] | None:
    return (find_mark(session, name) or (None, None))[0]


def find_mark(session: Session, name: str) -> tuple[dict[str, Any], datetime] | None:
    """A switch or mark with the time (aware UTC) at which it was written last."""
    remembered: dict[str, tuple[dict[str, Any], datetime]] | None = session.info.get(_REMEMBERED)
    if remembered is not None:
        return remembered.get(name)
    query = select(ServiceSetting.value, ServiceSetting.changed_at).where(ServiceSetting.name == name)
    row = session.execute(query).first()
    return None if row is None else (row.value, row.changed_at)


def set_setting(session: Session, name: str, value: dict[str, Any], now: datetime, by: str) -> None:
    """Write one switch, whoever wrote it before. Two may write a new one at once: the second waits here."""
    session.info.pop(_REMEMBERED, None)
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    changes = {"value": value, "changed_at": now, "changed_by": by}
    statement = insert(ServiceSetting).values(name=name, **changes)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changes))


_VERSIONS = table_of(ProgramVersion)
_PROGRAM_VERSIONS = select(_VERSIONS.c.program_id, _VERSIONS.c.version, _VERSIONS.c.sha256).order_by(
    _VERSIONS.c.program_id, _VERSIONS.c.version
)


def list_programs(session: Session) -> dict[str, Program]:
    """The newest version of every program, by id."""
    session.flush()
    newest = {row.program_id: row for row in session.connection().execute(_PROGRAM_VERSIONS)}
    return {program_id: _get_program(session, *row) for program_id, row in newest.items()}


_READ_PROGRAMS: dict[tuple[str, int, str], Program] = {}
"""Programs read before, by id, version and hash: such a row never changes, and its calendars are dear."""


def _get_program(session: Session, program_id: str, version: int, sha256: str) -> Program:
    key = program_id, version, sha256
    if key not in _READ_PROGRAMS:
        row = session.get_one(ProgramVersion, (program_id, version))
        _READ_PROGRAMS[key] = program_from_data(row.definition | {"version": version})
    return _READ_PROGRAMS[key]


_KEY_IDS = select(table_of(LookupKeyUse).c.key_id)


def list_missing_key_ids(session: Session, configured: tuple[str, ...]) -> list[str]:
    """Ids of look-up keys that rows depend on and the settings no longer hold."""
    return sorted({row.key_id for row in session.connection().execute(_KEY_IDS)} - set(configured))


def record_key_use(session: Session, key_id: str, now: datetime) -> None:
    """Remember that rows depend on this look-up key, and hold it: a rotation waits for this transaction.

    Two processes may learn of a new key at once, and one that was not restarted may use one that others have
    retired: whatever consent hangs on is written through here, so that its key is never thought unused.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    added = insert(LookupKeyUse).values(key_id=key_id, first_used_at=now).on_conflict_do_nothing()
    held = select(LookupKeyUse.key_id).where(LookupKeyUse.key_id == key_id)
    for _ in range(2):  # once more if a rotation removed it between the two statements
        session.execute(added)
        if session.scalars(held.with_for_update(read=True, key_share=True)).first() is not None:
            return


def note_key_use(session: Session, key_id: str, now: datetime) -> None:
    """The same for texts that come in, from memory if the key was seen within a minute.

    Enough for them: they need their hash for half a day, and no consent hangs on it.
    """
    if was_key_seen(session.get_bind().dialect, key_id):
        return
    wrote: set[str] = session.info.setdefault("aftercare_wrote_keys", set())
    if session.get(LookupKeyUse, key_id) is None:
        record_key_use(session, key_id, now)
        wrote.add(key_id)  # and may yet be rolled back
    elif key_id not in wrote:
        _seen_keys(session.get_bind().dialect)[key_id] = time.monotonic()


def was_key_seen(dialect: Dialect, key_id: str) -> bool:
    """Whether this process found the key recorded within the last minute."""
    return time.monotonic() - _seen_keys(dialect).get(key_id, -KEY_SEEN_SECONDS) < KEY_SEEN_SECONDS


def _seen_keys(dialect: Dialect) -> dict[str, float]:
    seen: dict[str, float] = dialect.__dict__.setdefault("aftercare_seen_keys", {})
    return seen


def count_recent(session: Session, subject_hash: str, since: datetime) -> int:
    query = select(func.count()).where(Throttle.subject_hash == subject_hash, Throttle.at >= since)
    return session.execute(query).scalar_one()


def record_use(session: Session, subject_hash: str, now: datetime) -> None:
    """Count one use, and forget those older than a day."""
    session.execute(delete(Throttle).where(Throttle.at < now - timedelta(days=1)))
    session.add(Throttle(subject_hash=subject_hash, at=now))
