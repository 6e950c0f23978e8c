"""All tables in one place, and the migrations that make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData

from service.store import (
    consent,
    conversations,
    inbound,
    meetings,
    messages,
    participants,
    service_state,
    staff,
)
from service.store.base import Base
from service.store.database import Database

MODULES = (consent, conversations, inbound, meetings, messages, participants, service_state, staff)
METADATA: MetaData = Base.metadata


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
    """The newest revision if the database is not there yet, else None."""
    with database.read() as session:
        current = MigrationContext.configure(session.connection()).get_current_revision()
    head = ScriptDirectory.from_config(build_config()).get_current_head()
    return None if current == head else head


def upgrade(database: Database, revision: str = "head") -> None:
    """Run migrations forward. Safe to repeat."""
    _run(database, lambda config: command.upgrade(config, revision))


def downgrade(database: Database, revision: str) -> None:
    """Run migrations backward, to `revision` (or `base`)."""
    _run(database, lambda config: command.downgrade(config, revision))


def _run(database: Database, action: Callable[[Config], None]) -> None:
    config = build_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        action(config)
