"""A database of a given size to measure on, filled by SQL so that filling is not what takes the time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy.engine import make_url

from service.catalog import default_messages_path, load_catalog
from service.config import Settings, load_settings
from service.store.database import Database
from service.store.schema import upgrade
from service.usecases.context import Context
from service.usecases.operations.program_rows import sync_programs
from service.wiring import open_database

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEYS = {
    "secret_key": "benchmark-secret-key-0123456789",
    "encryption_keys": Fernet.generate_key().decode(),
    "lookup_keys": "benchmark-lookup-key-0123456789",
}


@contextmanager
def fresh_database() -> Iterator[tuple[Context, str]]:
    """An empty, migrated PostgreSQL database on the server of BENCH_DATABASE_URL, dropped at the end."""
    server = make_url(
        os.environ.get("BENCH_DATABASE_URL", "postgresql+psycopg://postgres@127.0.0.1/postgres")
    )
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"aftercare_bench_{os.getpid()}"
    with admin.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    url = server.set(database=name).render_as_string(hide_password=False)
    database: Database | None = None
    try:
        settings = bench_settings(url)
        database = open_database(settings)
        upgrade(database)
        context = Context(database, load_catalog(default_messages_path()), settings)
        with database.begin() as session:
            sync_programs(session, context.catalog, NOW)
        yield context, url
    finally:
        if database:
            database.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        admin.dispose()


def bench_settings(url: str, **changes: object) -> Settings:
    values: dict[str, object] = {**KEYS, "database_url": url, "transport": "simulator"} | changes
    return load_settings(_env_file=None, **values)


def enroll_senders(context: Context, people: int) -> None:
    """Enroll `people` who can be found by their numbers, +1999 1000000 and on."""
    sealed = context.keyring.encrypt("+19990000000")
    lookups = [context.keyring.hash_newest(sender_number(n)) for n in range(people)]
    with context.database.begin() as session:
        session.execute(
            sa.text(
                "INSERT INTO participants (phone, phone_hash, phone_key_id, status, timezone,"
                " zone_is_confirmed, area_timezones, language, country, wants_plain, created_at)"
                " VALUES (:sealed, :hash, :key, 'active', 'America/New_York', true, '', 'en', 'US', false,"
                " :now)"
            ),
            [{"sealed": sealed, "hash": found.value, "key": found.key_id, "now": NOW} for found in lookups],
        )


def sender_number(n: int) -> str:
    return f"+1999{1_000_000 + n}"


def enroll(context: Context, people: int, due: int, groups: int = 1) -> None:
    """Enroll `people` (numbers +1999, unassigned) in their ninth day of the program.

    `due` of them, spread over the table, are due at NOW, as many others a minute later, and so on.
    """
    sealed = context.keyring.encrypt("+19990000000")
    later = NOW + timedelta(days=1)
    with context.database.begin() as session:
        session.execute(
            sa.text(
                "INSERT INTO participants (phone, phone_hash, phone_key_id, status, timezone,"
                " zone_is_confirmed, area_timezones, language, country, wants_plain, next_plan_at,"
                " planned_through, created_at)"
                " SELECT :sealed, md5(n::text) || md5((-n)::text), 'bench', 'active', 'America/New_York',"
                " true, '', 'en', 'US', false, CASE WHEN n % :every < :groups"
                " THEN CAST(:now AS timestamptz) + make_interval(mins => n % :every)"
                " ELSE CAST(:later AS timestamptz) END, :through, :now"
                " FROM generate_series(1, :people) AS n"
            ),
            {
                "sealed": sealed,
                "every": people // due if due else 1,
                "groups": groups,
                "now": NOW,
                "later": later,
                "through": NOW.date() - timedelta(days=1),
                "people": people,
            },
        )
        session.execute(
            sa.text(
                "INSERT INTO enrollments (participant_id, program_id, status, anchor_on, started_on,"
                " started_at, version, created_at)"
                " SELECT id, 'first-year', 'active', :anchor, :anchor, :started, 1, :started"
                " FROM participants"
            ),
            {"anchor": NOW.date() - timedelta(days=9), "started": NOW - timedelta(days=9)},
        )
    with context.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")  # as any database that has been up for a while


WORDS = "Checking in: how are things today? 1 good 2 so-so 3 hard. Reply STOP to end."
STEPS = ("sending", "accepted", "sent", "delivered")
"""What a text that arrives leaves in its trail."""


def fill(context: Context, people: int, future: int, finished: int) -> None:
    """Enroll `people` of whom nobody is due, and give them texts, evenly.

    `future` texts wait in every lane for the eight weeks after NOW; `finished` ones arrived in the eight
    weeks before it, each with its try and its trail. Numbers and words are encrypted, as they always are.
    """
    enroll(context, people, people, 0)
    sealed = {"body": context.keyring.encrypt(WORDS), "recipient": context.keyring.encrypt("+19990000000")}
    values = {"now": NOW, "people": people, "future": future, "finished": finished} | sealed
    with _without_indexes(context, "messages", "attempts", "message_events") as connection:
        for statement in (_FUTURE, _FINISHED, _TRIES, _TRAIL):
            connection.execute(sa.text(statement), values)
    with context.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


_COLUMNS = (
    "participant_id, dedupe_key, source, source_version, kind, lane, text_id, late, tries, local_on,"
    " send_after, send_before, due_at, created_at, state"
)
_PLANNED = """
    1 + (n * 7919) % :people, 'e' || n || ':' || to_char({at}, 'YYYY-MM-DD') || ':' || '{slot}', 'e' || n,
    1, 'tip', n % 3, 'program/first-year/day-009', 'send', {tries}, CAST({at} AS date), {at},
    {at} + interval '8 hours', {at}, {at}
"""
_LATER = "CAST(:now AS timestamptz) + interval '1 hour' + interval '8 weeks' * (n / CAST(:future AS float8))"
_BEFORE = "CAST(:now AS timestamptz) - interval '8 weeks' * (n / CAST(:finished AS float8))"
_FUTURE = f"""
    INSERT INTO messages ({_COLUMNS})
    SELECT {_PLANNED.format(at=_LATER, tries=0, slot="d9")}, 'planned'
    FROM generate_series(1, CAST(:future AS bigint)) AS n
"""
_FINISHED = f"""
    INSERT INTO messages ({_COLUMNS}, body, recipient, segments, accepted_at, sent_at, final_at)
    SELECT {_PLANNED.format(at=_BEFORE, tries=1, slot="d8")}, 'delivered', :body, :recipient, 1,
        {_BEFORE}, {_BEFORE}, {_BEFORE}
    FROM generate_series(CAST(:finished AS bigint), 1, -1) AS n
"""
_TRIES = """
    INSERT INTO attempts (message_id, number, channel, reference, provider_message_id, outcome, http_status,
        started_at, finished_at)
    SELECT id, 1, 'api', md5(id::text), 'SM' || md5((-id)::text), 'accepted', 201, due_at, due_at
    FROM messages WHERE state = 'delivered'
"""
_TRAIL = f"""
    INSERT INTO message_events (message_id, at, from_state, to_state)
    SELECT id, due_at, 'claimed', step FROM messages, unnest(ARRAY{list(STEPS)!r}) AS step
    WHERE state = 'delivered'
"""


@contextmanager
def _without_indexes(context: Context, *tables: str) -> Iterator[sa.Connection]:
    """A transaction that fills tables; their indexes are built at the end, references go unchecked."""
    indexes = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(:tables) AND indexname NOT IN"
        " (SELECT conname FROM pg_constraint)"
    )
    with context.database.engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
        found = connection.execute(sa.text(indexes), {"tables": list(tables)}).all()
        for name, _ in found:
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
        yield connection
        for _, definition in found:
            connection.exec_driver_sql(definition)
