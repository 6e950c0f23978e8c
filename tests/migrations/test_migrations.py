"""The schema that migrations make is the one the models describe, and every step can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from service.store.database import Database
from service.store.keyring import Keyring
from service.store.schema import (
    METADATA,
    build_config,
    downgrade,
    find_pending_migration,
    migrations_path,
    upgrade,
)
from tests.databases import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path, keyring: Keyring) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/empty.db", keyring)
        yield database
        database.dispose()
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create()
    database = Database(server.url_of(name), keyring)
    yield database
    database.dispose()
    server.drop(name)


def test_there_is_one_head_and_the_files_are_numbered() -> None:
    script = ScriptDirectory.from_config(build_config())
    names = sorted(path.name for path in (migrations_path() / "versions").glob("*.py"))

    assert len(script.get_heads()) == 1
    assert [name[:4] for name in names] == [f"{number + 1:04}" for number in range(len(names))]


def test_the_migrated_schema_equals_the_models(empty: Database) -> None:
    upgrade(empty)

    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_every_revision_goes_up_down_and_up_again(empty: Database) -> None:
    script = ScriptDirectory.from_config(build_config())
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]

    for number, revision in enumerate(revisions):
        upgrade(empty, revision)
        downgrade(empty, revisions[number - 1] if number else "base")
        upgrade(empty, revision)

    assert find_pending_migration(empty) is None


def test_going_all_the_way_down_leaves_nothing_behind(empty: Database) -> None:
    upgrade(empty)
    downgrade(empty, "base")

    assert set(inspect(empty.engine).get_table_names()) <= {"alembic_version"}


@pytest.mark.parametrize("table", ["consent_events", "message_events", "audit_events"])
@pytest.mark.parametrize("statement", ["UPDATE {0} SET id = id + 1", "DELETE FROM {0}"])
def test_a_record_can_be_trusted_because_nobody_can_change_it(
    database: Database, table: str, statement: str
) -> None:
    rows = {
        "consent_events": "INSERT INTO consent_events"
        " (kind, channel, actor, source_id, expressed_at, recorded_at)"
        " VALUES ('asked', 'sms', 'x', 'x', '2026-11-20 00:00:00', '2026-11-20 00:00:00')",
        "message_events": "",
        "audit_events": "INSERT INTO audit_events (at, actor, action)"
        " VALUES ('2026-11-20 00:00:00', 'x', 'x')",
    }
    if not rows[table]:
        rows[table] = (
            "INSERT INTO message_events (message_id, at, to_state) VALUES (1, '2026-11-20 00:00:00', 'sent')"
        )
        with database.begin() as session:
            session.execute(
                text(
                    "INSERT INTO messages (id, dedupe_key, source, source_version, kind, lane, text_id, late,"
                    " send_after, send_before, due_at, state, tries, created_at) VALUES (1, 'x', 'x', 1,"
                    " 'tip', 2, 'x', 'send', '2026-11-20 00:00:00', '2026-11-20 00:00:00',"
                    " '2026-11-20 00:00:00', 'planned', 0, '2026-11-20 00:00:00')"
                )
            )
    with database.begin() as session:
        session.execute(text(rows[table]))

    with pytest.raises(DBAPIError, match="append-only"), database.begin() as session:
        session.execute(text(statement.format(table)))
