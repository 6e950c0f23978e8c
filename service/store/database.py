"""The engine and its transactions, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, DateTime, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from service.store.keyring import Keyring
from service.store.types import attach_keyring

_READ_ONLY = "aftercare_read_only"
# What a statement carried must not stand in the message of an exception.
_POOL: dict[str, Any] = {"max_overflow": 10, "hide_parameters": True}
RESTED_SECONDS = 1.0
"""A connection that lay unused for longer is asked whether it still stands before it is used."""


PATIENCE_SECONDS = 30.0
SILENT_HOLDER_SECONDS = 15.0
"""A process that is stopped or cut off in the middle of a transaction holds its rows no longer than this: a
STOP may be waiting for them. The server would keep them for hours."""
SLOT_SECONDS = 1.0


class DatabaseBusyError(Exception):
    """The database is there but did not get to a transaction in time; nothing was changed."""


ANSWER_MARGIN_SECONDS = 2.0
"""How much longer than its own time-out a server may take to tell of it, before it counts as silent."""

DATABASE_AWAY = (OperationalError, InterfaceError, TimeoutError, DatabaseBusyError)
"""What says that the database is away or busy: no row is at fault, and the same may work a moment later."""


_Result = TypeVar("_Result")
_LOOK_UP_SECONDS = 0.1
"""How often the driver looks up from waiting, as it does by itself."""


class _Connection(psycopg.Connection[Any]):
    """A connection that is given up when a statement on it gets no answer in time.

    TCP notices a host that is gone, by itself. It does not notice one that still acknowledges packets while
    nobody behind it answers: a proxy whose other side was cut, a server whose disk hangs.
    """

    answer_within: Patience | None = None

    def wait(
        self, gen: PQGen[_Result], interval: float = _LOOK_UP_SECONDS, timeout: float | None = None
    ) -> _Result:
        """Drive one exchange with the server. Raises OperationalError, with the connection closed."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        seconds = self.answer_within.seconds if self.answer_within else None
        if seconds is None:
            return super().wait(gen, interval)
        try:
            return super().wait(_bounded(gen, seconds), interval)
        except _SilentError:
            self.pgconn.finish()
            raise psycopg.OperationalError("the database did not answer in time") from None


class _SilentError(Exception):
    """Nothing came from the server for too long."""


def _bounded(gen: PQGen[_Result], seconds: float) -> Generator[Any, Any, _Result]:
    until = time.monotonic() + seconds
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > until:
                raise _SilentError
            wanted = gen.send(ready)
    except StopIteration as end:
        result: _Result = end.value
        return result


class Patience:
    """How many seconds a statement may go unanswered; None: for as long as the connection stands."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds


class Database:
    """Opens transactions. One instance a process; safe to share between threads.

    On SQLite every writing transaction is `BEGIN IMMEDIATE` (a read that turns into a write would fail
    half-way with a busy database) and waits in line inside the process first: SQLite's own waiting is a
    sleep that starves some writers for hundreds of milliseconds.
    """

    def __init__(
        self,
        url: str,
        keyring: Keyring,
        *,
        pool_size: int = 10,
        patience: float = PATIENCE_SECONDS,
        slots: int | None = None,
    ) -> None:
        """`patience` is how many seconds to wait for a lock, a connection or (on PostgreSQL) an answer.

        With `slots`, at most so many transactions are open at once, and who finds none free within a second
        gets DatabaseBusyError: a database that falls silent then never holds up every thread of a server.
        """
        self.keyring = keyring
        is_short = patience < PATIENCE_SECONDS
        self._answers = Patience(patience + ANSWER_MARGIN_SECONDS if is_short else None)
        self.engine = _build_engine(url, keyring, pool_size, patience, self._answers)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._patience = patience
        self._slots = None if slots is None else threading.BoundedSemaphore(slots)
        self._writers = threading.Lock()
        self._write_sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._read_sessions = sessionmaker(
            self.engine.execution_options(**{_READ_ONLY: True}), expire_on_commit=False
        )
        # A pool of its own: switching one connection to and fro costs what this is there to save.
        self._at_once = (
            None
            if self.is_sqlite
            else _build_engine(url, keyring, pool_size, patience, self._answers, is_autocommit=True)
        )

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A writing transaction: committed when the block ends, rolled back when it raises.

        Raises DatabaseBusyError when its turn does not come in time.
        """
        writers = self._writers if self.is_sqlite else None
        turns = _turn(self._slots, SLOT_SECONDS), _turn(writers, self._patience)
        with turns[0], turns[1], self._write_sessions.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A reading transaction, always rolled back. Raises DatabaseBusyError."""
        with _turn(self._slots, SLOT_SECONDS), self._read_sessions() as session:
            yield session

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        """A connection on which each statement is a whole transaction, committed as it ends.

        On PostgreSQL only. Raises DatabaseBusyError.
        """
        assert self._at_once is not None, "SQLite writes in transactions only"
        with _turn(self._slots, SLOT_SECONDS), self._at_once.connect() as connection:
            yield connection

    @contextmanager
    def listening(self) -> Iterator[psycopg.Connection[Any]]:
        """The driver's own connection outside every pool, each statement a transaction.

        On PostgreSQL only.
        """
        assert self._at_once is not None, "SQLite tells nobody"
        with self._at_once.connect() as connection:
            connection.detach()
            driver: Any = connection.connection.dbapi_connection
            yield driver

    def expect_answers_within(self, seconds: float) -> None:
        """Give up connections on which a statement goes unanswered for so long, from now on.

        For processes whose every statement is short. Migrations and other bulk work may take hours.
        """
        self._answers.seconds = seconds

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._at_once is not None:
            self._at_once.dispose()


@contextmanager
def _turn(waiting_line: threading.Lock | threading.BoundedSemaphore | None, seconds: float) -> Iterator[None]:
    if waiting_line is None:
        yield
        return
    if not waiting_line.acquire(timeout=seconds):
        raise DatabaseBusyError("the database did not get to this in time")
    try:
        yield
    finally:
        waiting_line.release()


def real_now(session: Session) -> datetime:
    """The database server's own clock, aware UTC.

    Leases live by it: worker machines' clocks differ, and the simulator's clock jumps.
    """
    if session.get_bind().dialect.name == "sqlite":
        value = session.execute(text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")).scalar_one()
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    instant: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return instant.astimezone(UTC)


class RealTimeIn(FunctionElement[datetime]):
    """The database server's own clock plus some seconds, for use inside a statement."""

    type = DateTime(timezone=True)
    name = "real_time_in"
    inherit_cache = True


@compiles(RealTimeIn, "postgresql")
def _real_time_postgresql(element: RealTimeIn, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(RealTimeIn, "sqlite")
def _real_time_sqlite(element: RealTimeIn, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"


def _build_engine(
    url: str,
    keyring: Keyring,
    pool_size: int,
    patience: float,
    answers: Patience,
    *,
    is_autocommit: bool = False,
) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # what cannot be made is told when it is opened
                Path(parsed.database).touch(mode=0o600)
        pool = {**_POOL, "pool_size": pool_size, "pool_timeout": patience}
        engine = create_engine(url, **pool, connect_args={"timeout": patience})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        pool = {**_POOL, "pool_size": pool_size, "pool_timeout": patience}
        if is_autocommit:
            pool |= {
                "isolation_level": "AUTOCOMMIT",
                "pool_reset_on_return": None,
                "skip_autocommit_rollback": True,
            }
        engine = create_engine(url, **pool, connect_args=_postgres_arguments(patience))
        _bound_answers(engine, answers)
        _bound_statements(engine, patience)
        _ask_rested_connections(engine)
        _tell_of_cut_transactions(engine)
    attach_keyring(engine.dialect, keyring)
    return engine


def _postgres_arguments(patience: float) -> dict[str, Any]:
    """A host that is gone is noticed while we send (user time-out) and while we wait (25 s of keepalives)."""
    return {
        "connect_timeout": 5,
        "tcp_user_timeout": int(patience * 1000),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


def _bound_answers(engine: Engine, answers: Patience) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> _Connection:
        connection = _Connection.connect(*arguments, **parameters)
        connection.answer_within = answers
        return connection


def _bound_statements(engine: Engine, patience: float) -> None:
    """How long the server waits for a lock; a short patience bounds single statements too.

    Not a start-up parameter: connection poolers refuse those.
    """
    settings = [
        f"SET lock_timeout = {int(patience * 1000)}",
        f"SET idle_in_transaction_session_timeout = {int(SILENT_HOLDER_SECONDS * 1000)}",
    ]
    if patience < PATIENCE_SECONDS:
        settings.append(f"SET statement_timeout = {int(patience * 1000)}")

    @event.listens_for(engine, "connect")
    def bound(connection: Any, _record: Any) -> None:
        was_autocommit, connection.autocommit = connection.autocommit, True
        for setting in settings:
            connection.execute(setting)
        connection.autocommit = was_autocommit


_SILENT_TOO_LONG = "25P03"


def _tell_of_cut_transactions(engine: Engine) -> None:
    """The server ends transactions whose worker fell asleep in them: nothing was changed, no row is wrong."""

    @event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == _SILENT_TOO_LONG:
            context.is_disconnect = True
            raise DatabaseBusyError("the transaction was silent for too long and was ended") from None


def _ask_rested_connections(engine: Engine) -> None:
    """Replace connections that a restart of the server cut, without asking before every transaction."""

    @event.listens_for(engine, "checkin")
    def note_return(_connection: Any, record: Any) -> None:
        record.info["returned_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: Any, _proxy: Any) -> None:
        returned_at = record.info.get("returned_at")
        if returned_at is None or time.monotonic() - returned_at < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    is_reading = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")
