"""Records that are evidence: no statement changes, empties or replaces them, whoever connects and however."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.store.database import Database

AT = "'2026-11-20 00:00:00'"
COLUMNS = {
    "consent_events": "kind, channel, actor, source_id, expressed_at, recorded_at",
    "message_events": "message_id, at, to_state",
    "audit_events": "at, actor, action",
}
VALUES = {
    "consent_events": f"'asked', 'sms', 'x', 'x', {AT}, {AT}",
    "message_events": f"1, {AT}, 'sent'",
    "audit_events": f"{AT}, 'x', 'x'",
}
OTHER_VALUES = {
    "consent_events": f"'confirmed', 'sms', 'x', 'x', {AT}, {AT}",
    "message_events": f"1, {AT}, 'failed'",
    "audit_events": f"{AT}, 'x', 'y'",
}
MESSAGE = (
    "INSERT INTO messages (id, dedupe_key, source, source_version, kind, lane, text_id, late, send_after,"
    " send_before, due_at, state, tries, created_at) VALUES"
    f" (1, 'x', 'x', 1, 'tip', 2, 'x', 'send', {AT}, {AT}, {AT}, 'planned', 0, {AT})"
)
ON_BOTH = {
    "update": "UPDATE {table} SET id = id + 1",
    "delete": "DELETE FROM {table}",
    "upsert": "INSERT INTO {table} (id, {columns}) VALUES (1, {values}) ON CONFLICT (id)"
    " DO UPDATE SET id = 2",
}
ON_SQLITE = {
    "replace": "REPLACE INTO {table} (id, {columns}) VALUES (1, {values})",
    "insert or replace": "INSERT OR REPLACE INTO {table} (id, {columns}) VALUES (1, {values})",
    "replace by rowid": "INSERT OR REPLACE INTO {table} (rowid, {columns}) VALUES (1, {values})",
    "update or replace": "UPDATE OR REPLACE {table} SET id = 1",
}
ON_POSTGRESQL = {
    "truncate": "TRUNCATE {table}",
    "truncate, numbered anew": "TRUNCATE {table} RESTART IDENTITY CASCADE",
    "truncate of what it points at": "TRUNCATE participants, messages, {table} CASCADE",
}


def add_row(database: Database, table: str) -> None:
    with database.begin() as session:
        if table == "message_events":
            session.execute(text(MESSAGE))
        session.execute(text(f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({VALUES[table]})"))


def read_rows(database: Database, table: str) -> list[tuple[object, ...]]:
    with database.read() as session:
        return [tuple(row) for row in session.execute(text(f"SELECT * FROM {table} ORDER BY id"))]


def write(statement: str, table: str) -> str:
    return statement.format(table=table, columns=COLUMNS[table], values=OTHER_VALUES[table])


@pytest.mark.parametrize("table", COLUMNS)
def test_a_record_can_be_trusted_because_no_statement_changes_it(database: Database, table: str) -> None:
    add_row(database, table)
    before = read_rows(database, table)

    ways = ON_BOTH | (ON_SQLITE if database.is_sqlite else ON_POSTGRESQL)
    for name, statement in ways.items():
        with pytest.raises(DBAPIError, match="append-only"), database.begin() as session:
            session.execute(text(write(statement, table)))
        assert read_rows(database, table) == before, name


@pytest.mark.parametrize("table", COLUMNS)
def test_new_records_are_still_appended(database: Database, table: str) -> None:
    add_row(database, table)

    with database.begin() as session:
        for _ in range(2):
            session.execute(text(f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({OTHER_VALUES[table]})"))

    assert len(read_rows(database, table)) == 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("parent", ["participants", "suppressions", "messages"])
def test_emptying_a_table_that_records_point_at_does_not_take_them_along(
    database: Database, parent: str
) -> None:
    table = "message_events" if parent == "messages" else "consent_events"
    add_row(database, table)

    with pytest.raises(DBAPIError, match="append-only"), database.begin() as session:
        session.execute(text(f"TRUNCATE {parent} CASCADE"))

    assert len(read_rows(database, table)) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_a_plain_connection_to_the_sqlite_file_is_refused_too(
    database: Database, table: str, recursive: str
) -> None:
    add_row(database, table)
    before = read_rows(database, table)

    plain = sqlite3.connect(str(database.engine.url.database))
    plain.execute(f"PRAGMA recursive_triggers = {recursive}")
    try:
        for statement in (ON_BOTH | ON_SQLITE).values():
            with pytest.raises(sqlite3.IntegrityError, match="append-only"), plain:
                plain.execute(write(statement, table))
    finally:
        plain.close()

    assert read_rows(database, table) == before
