"""The engine and its transactions, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from service.store.keyring import Keyring
from service.store.types import attach_keyring

_READ_ONLY = "aftercare_read_only"


class Database:
    """Opens transactions. One instance a process; safe to share between threads.

    On SQLite every writing transaction is `BEGIN IMMEDIATE` (a read that turns into a write would fail
    half-way with a busy database) and waits in line inside the process first: SQLite's own waiting is a
    sleep that starves some writers for hundreds of milliseconds.
    """

    def __init__(self, url: str, keyring: Keyring, *, pool_size: int = 10) -> None:
        self.keyring = keyring
        self.engine = _build_engine(url, keyring, pool_size)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writers = threading.Lock()
        self._write_sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._read_sessions = sessionmaker(
            self.engine.execution_options(**{_READ_ONLY: True}), expire_on_commit=False
        )

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A writing transaction: committed when the block ends, rolled back when it raises."""
        if self.is_sqlite:
            with self._writers, self._write_sessions.begin() as session:
                yield session
        else:
            with self._write_sessions.begin() as session:
                yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A reading transaction, always rolled back."""
        with self._read_sessions() as session:
            yield session

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def real_now(session: Session) -> datetime:
    """The database server's own clock, aware UTC.

    Leases live by it: worker machines' clocks differ, and the simulator's clock jumps.
    """
    if session.get_bind().dialect.name == "sqlite":
        value = session.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")).scalar_one()
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    instant: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return instant.astimezone(UTC)


def _build_engine(url: str, keyring: Keyring, pool_size: int) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, pool_size=pool_size, max_overflow=10, connect_args={"timeout": 30})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(url, pool_size=pool_size, max_overflow=10, pool_pre_ping=True)
    attach_keyring(engine.dialect, keyring)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "busy_timeout=30000", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    is_reading = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
