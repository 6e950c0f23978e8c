"""All tables in one place, and the migrations that make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text

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


def _run(database: Database, action: Callable[[Config], None]) -> None:
    config = build_config()
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:one_at_a_time)"), {"one_at_a_time": _LOCK})
        current = MigrationContext.configure(connection).get_current_revision()
        if _is_newer(ScriptDirectory.from_config(config), current):
            return
        config.attributes["connection"] = connection
        action(config)
