"""Shared fixtures: a frozen clock, real databases on both engines, and a context over them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from service.catalog import Catalog, default_messages_path, load_catalog
from service.config import Settings, load_settings
from service.store.database import Database
from service.store.keyring import Keyring
from service.store.schema import upgrade
from service.usecases.context import Context
from service.usecases.operations.program_rows import sync_programs
from tests.databases import NoPostgresError, PostgresServer, open_postgres

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""

for _name in list(os.environ):
    if _name.startswith(("TWILIO_", "ORG_")) or _name in {
        "DATABASE_URL",
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "LOOKUP_KEYS",
        "TRANSPORT",
        "PUBLIC_URL",
        "PORT",
        "SENDER_SEGMENTS_PER_SECOND",
        "TRUSTED_PROXIES",
    }:
        del os.environ[_name]

_skipped_postgres: list[str] = []
KEYS = {
    "secret_key": "test-secret-key-0123456789",
    "encryption_keys": Fernet.generate_key().decode(),
    "lookup_keys": "test-lookup-key-0123456789",
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it loudly when half of the promises were not checked."""
    reports = terminalreporter.getreports("skipped")
    if any("NO POSTGRESQL" in str(report.longrepr) for report in reports):
        terminalreporter.section("POSTGRESQL TESTS DID NOT RUN", sep="!", red=True)
        terminalreporter.line("Install PostgreSQL 14 or newer, or set TEST_DATABASE_URL, and run again.")
    if any("NO BROWSER" in str(report.longrepr) for report in reports):
        terminalreporter.section("BROWSER TESTS DID NOT RUN", sep="!", red=True)
        terminalreporter.line("Install Chromium and run again.")


@dataclass
class FakeClock:
    """A clock that moves only when told to."""

    at: datetime = field(default=NOW)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, step: timedelta) -> datetime:
        self.at += step
        return self.at


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring([KEYS["encryption_keys"]], [KEYS["lookup_keys"]])


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(default_messages_path())


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    try:
        with open_postgres() as server:
            yield server
    except NoPostgresError as error:
        if os.environ.get("CI"):
            pytest.fail(f"NO POSTGRESQL: {error}")
        pytest.skip(f"NO POSTGRESQL: {error}")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, keyring: Keyring, catalog: Catalog) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}", keyring, catalog)
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, keyring: Keyring, catalog: Catalog) -> Iterator[str]:
    name = postgres.create()
    _migrate(postgres.url_of(name), keyring, catalog)
    yield name
    postgres.drop(name)


def _migrate(url: str, keyring: Keyring, catalog: Catalog) -> None:
    database = Database(url, keyring)
    upgrade(database)
    with database.begin() as session:
        sync_programs(session, catalog, NOW)
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of its own for each test, on each engine."""
    if request.param == "sqlite":
        path = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.create(template=request.getfixturevalue("postgres_template"))
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture
def database(database_url: str, keyring: Keyring) -> Iterator[Database]:
    opened = Database(database_url, keyring)
    yield opened
    opened.dispose()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return make_settings(database_url=database_url)


def make_settings(**overrides: object) -> Settings:
    """Settings for a test, untouched by the environment's .env."""
    return load_settings(_env_file=None, **({**KEYS, "public_url": "http://127.0.0.1:8000"} | overrides))


@pytest.fixture
def context(database: Database, catalog: Catalog, settings: Settings) -> Context:
    return Context(database, catalog, settings)
