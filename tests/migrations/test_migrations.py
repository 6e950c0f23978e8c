"""The schema that migrations make is the one the models describe, and every step can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

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
