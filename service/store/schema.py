"""All tables in one place, and the migrations that make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from service.store import (
    campaigns,
    consent,
    conversations,
    inbound,
    meetings,
    messages,
    pacing,
    participants,
    service_state,
    staff,
)
from service.store.base import Base
from service.store.database import Database

MODULES = (
    *(campaigns, consent, conversations, inbound, meetings, messages, pacing, participants),
    *(service_state, staff),
)
METADATA: MetaData = Base.metadata
_LOCK = 7_345_001
"""What migrations of two hosts that start at once take turns by."""


def migrations_path() -> Path:
    """The migrations beside the package, or inside it when installed from a wheel."""
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "migrations"
    return beside if beside.is_dir() else package / "_migrations"


def build_config() -> Config:
    """Alembic's configuration; there is no ini file, so nothing has to be found at run time."""
    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    return config


def find_pending_migration(database: Database) -> str | None:
    """The newest revision if the database is not there yet, else None.

    None as well when the database is at a revision that this version of the service does not know: a newer
    version has migrated it, and what it added does not disturb us (docs/scaling.md, "Deploying").
    """
    with database.read() as session:
        current = MigrationContext.configure(session.connection()).get_current_revision()
    script = ScriptDirectory.from_config(build_config())
    head = script.get_current_head()
    return None if current == head or _is_newer(script, current) else head


def _is_newer(script: ScriptDirectory, revision: str | None) -> bool:
    return revision is not None and revision not in {known.revision for known in script.walk_revisions()}


def upgrade(database: Database, revision: str = "head") -> None:
    """Run migrations forward. Safe to repeat, also by several at once; a newer database is left as it is."""
    _run(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str) -> None:
    """Run migrations backward, to `revision` (or `base`)."""
    _run(database, lambda config: command.downgrade(config, revision))


class BrokenReferencesError(Exception):
    """A migration would have left rows that point at nothing; nothing was changed."""


@contextmanager
def migrating(database: Database) -> Iterator[Connection]:
    """A connection in the transaction that a migration runs in; committed when the block ends.

    Migrations take turns. SQLite changes some tables by rebuilding them, and would take the rows that point
    at one for orphans while it is away: there references are checked all at the end, not row by row. Raises
    BrokenReferencesError.
    """
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            with connection.begin():
                lock = text("SELECT pg_advisory_xact_lock(:one_at_a_time)")
                connection.execute(lock, {"one_at_a_time": _LOCK})
                yield connection
            return
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")  # inside a transaction it would do nothing
        try:
            with connection.begin():
                before = driver.total_changes
                yield connection
                if driver.total_changes != before:  # a migration ran: it wrote down its revision at least
                    _check_references(connection)
        finally:
            driver.execute("PRAGMA foreign_keys=ON")


def _check_references(connection: Connection) -> None:
    tables = {str(row[0]) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")}
    if tables:
        raise BrokenReferencesError(f"rows point at nothing in {', '.join(sorted(tables))}; nothing changed")


def _run(database: Database, action: Callable[[Config], None]) -> None:
    config = build_config()
    with migrating(database) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if _is_newer(ScriptDirectory.from_config(config), current):
            return
        config.attributes["connection"] = connection
        action(config)
