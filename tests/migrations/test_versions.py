"""Deploying: an older version goes on beside a newer schema, and hosts that migrate at once take turns."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.store.database import Database
from service.store.keyring import Keyring
from service.store.schema import downgrade, find_pending_migration, migrations_path, upgrade
from tests.databases import PostgresServer

OF_A_NEWER_VERSION = "9999"
TAKES_AWAY = {"drop_column", "drop_table", "rename_table", "alter_column"}


def set_revision(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def get_revision(database: Database) -> str:
    with database.engine.connect() as connection:
        return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one())


def test_a_database_that_a_newer_version_has_migrated_is_no_reason_to_stop(database: Database) -> None:
    set_revision(database, OF_A_NEWER_VERSION)

    assert find_pending_migration(database) is None


def test_an_older_version_leaves_a_newer_database_as_it_is(database: Database) -> None:
    set_revision(database, OF_A_NEWER_VERSION)
    upgrade(database)

    assert get_revision(database) == OF_A_NEWER_VERSION


def test_an_older_database_still_has_to_be_migrated(database: Database) -> None:
    newest = get_revision(database)
    downgrade(database, "0001")

    assert find_pending_migration(database) == newest


def test_hosts_that_migrate_at_once_take_turns(postgres: PostgresServer, keyring: Keyring) -> None:
    name = postgres.create()
    hosts = [Database(postgres.url_of(name), keyring) for _ in range(3)]
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(upgrade, hosts))

    assert find_pending_migration(hosts[0]) is None
    for host in hosts:
        host.dispose()
    postgres.drop(name)


@pytest.mark.parametrize(
    "path", sorted((migrations_path() / "versions").glob("*.py"))[1:], ids=lambda path: path.stem
)
def test_a_migration_takes_nothing_away_that_an_older_version_uses(path: Path) -> None:
    """Within a release line migrations only add: old and new processes run side by side during a deploy."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    [forward] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"]
    called = {node.func.attr for node in ast.walk(forward) if is_method_call(node)}  # type: ignore[attr-defined]

    assert not called & TAKES_AWAY


def is_method_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
