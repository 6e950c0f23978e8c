"""Nothing is lost by a migration: up, down and up again with rows in every table that point at each other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, inspect, select, text

from service.store.database import Database
from service.store.keyring import Keyring
from service.store.schema import BrokenReferencesError, downgrade, migrating, upgrade
from tests.databases import PostgresServer

Rows = dict[str, list[dict[str, Any]]]
EXAMPLES: dict[type, Any] = {
    str: "x",
    int: 1,
    float: 1.0,
    bool: True,
    object: {"x": 1},
    date: date(2026, 11, 20),
    time: time(9, 0),
    datetime: datetime(2026, 11, 20, tzinfo=UTC),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def first(request: pytest.FixtureRequest, tmp_path: Path, keyring: Keyring) -> Iterator[Database]:
    """A database at the first revision with a row in every table."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/first.db", keyring)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        name = server.create()
        database = Database(server.url_of(name), keyring)
    upgrade(database, "0001")
    fill(database)
    yield database
    database.dispose()
    if request.param == "postgresql":
        server.drop(name)


def reflect(database: Database) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(database.engine)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def fill(database: Database) -> None:
    tables = reflect(database)
    with database.engine.begin() as connection:
        for table in tables:
            values = {column.name: EXAMPLES[column.type.python_type] for column in table.columns}
            connection.execute(table.insert().values(values))


def read(database: Database) -> Rows:
    tables = reflect(database)
    with database.engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in tables
        }


def describe(database: Database) -> dict[str, Any]:
    """Columns, keys, references and indexes by table, with the conditions of partial ones, and triggers."""
    inspector = inspect(database.engine)
    found: dict[str, Any] = {}
    for table in inspector.get_table_names():
        columns = {column["name"]: str(column) for column in inspector.get_columns(table)}
        indexes = sorted(
            str((one["name"], one["column_names"], one["unique"], list(map(str, _conditions(one)))))
            for one in inspector.get_indexes(table)
        )
        references = sorted(str(sorted(one.items(), key=str)) for one in inspector.get_foreign_keys(table))
        unique = sorted(str(one["column_names"]) for one in inspector.get_unique_constraints(table))
        found[table] = columns, indexes, references, unique, str(inspector.get_pk_constraint(table))
    triggers = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        if database.is_sqlite
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    )
    with database.engine.connect() as connection:
        found["triggers"] = list(connection.execute(text(triggers)).scalars())
    assert found["triggers"]
    return found


def _conditions(index: Any) -> list[Any]:
    options = index.get("dialect_options", {})
    return [value for name, value in sorted(options.items()) if name.endswith("_where")]


def in_common(rows: Rows, early: Rows) -> Rows:
    """Tables and columns that there were at first."""
    return {
        name: [{key: value for key, value in row.items() if key in early[name][0]} for row in rows[name]]
        for name in early
    }


def test_rows_triggers_and_indexes_outlast_every_migration_up_down_and_up_again(first: Database) -> None:
    early, early_schema = read(first), describe(first)
    assert all(early.values()), "a row in every table"

    upgrade(first)
    newest = describe(first)
    assert in_common(read(first), early) == early

    downgrade(first, "0001")
    assert read(first) == early
    assert describe(first) == early_schema

    upgrade(first)
    assert in_common(read(first), early) == early
    assert describe(first) == newest


@pytest.mark.parametrize("first", ["sqlite"], indirect=True)
def test_references_are_kept_again_after_a_migration(first: Database) -> None:
    upgrade(first)
    downgrade(first, "0001")

    with first.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


@pytest.mark.parametrize("first", ["sqlite"], indirect=True)
def test_a_migration_that_would_leave_rows_pointing_at_nothing_changes_nothing(first: Database) -> None:
    before = read(first)

    with (
        pytest.raises(BrokenReferencesError, match="attempts"),
        migrating(first) as connection,
    ):
        connection.execute(text("DELETE FROM messages"))

    assert read(first) == before
    with first.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
