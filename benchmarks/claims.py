"""How fast texts are claimed, let go and settled in the database alone: no provider, no rules.

python -m benchmarks.claims [--texts 100000] [--batch 500]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.delivery import add_people, add_texts
from benchmarks.ground import NOW, bench_settings, fresh_database
from service.catalog import default_messages_path, load_catalog
from service.store.outbox import Arrival, Departure, arrive, claim_texts, depart
from service.store.schema import upgrade
from service.usecases.context import Context, new_reference
from service.usecases.sending.deliver import CLAIM_LEASE
from service.usecases.sending.release import SENDING_LEASE
from service.wiring import open_database

BODY = "Better sleep makes tomorrow easier. Try dim lights and no screen for the last half hour tonight."


def run(context: Context, batch: int) -> dict[str, float]:
    """Claim, let go and settle everything that is due; returns the seconds that each step took."""
    seconds = dict.fromkeys(("claim", "let go", "settle"), 0.0)
    while True:
        started = time.perf_counter()
        token = new_reference()
        with context.database.begin() as session:
            ids = claim_texts(session, token, batch, NOW, CLAIM_LEASE)
        claimed = time.perf_counter()
        seconds["claim"] += claimed - started
        if not ids:
            return seconds
        departures = [
            Departure(one, BODY, "tip/sleep-wind-down", 1, 1, 1, new_reference(), NOW + SENDING_LEASE)
            for one in ids
        ]
        with context.database.begin() as session:
            tries = depart(session, departures, NOW)
        gone = time.perf_counter()
        seconds["let go"] += gone - claimed
        arrivals = [Arrival(one, tries[one], token, f"SM{one:032x}", 1) for one in ids]
        with context.database.begin() as session:
            settled = arrive(session, arrivals, NOW + timedelta(seconds=1))
        assert len(settled) == len(ids)
        seconds["settle"] += time.perf_counter() - gone


def run_two(context: Context, batch: int) -> dict[str, float]:
    """The same on two connections at once, as a worker's own threads have; seconds are halved."""
    with ThreadPoolExecutor(2) as threads:
        runs = [threads.submit(run, context, batch).result for _ in range(2)]
    found = [result() for result in runs]
    return {step: sum(seconds[step] for seconds in found) / 2 for step in found[0]}


def report(engine: str, texts: int, seconds: dict[str, float]) -> None:
    each = ", ".join(f"{step} {texts / spent:,.0f}/s" for step, spent in seconds.items())
    both = seconds["claim"] + seconds["settle"]
    print(f"{engine}: claim and settle {texts / both:,.0f} rows/s; with letting go in between", end=" ")
    print(f"{texts / sum(seconds.values()):,.0f}/s ({each})")


def fill(context: Context, texts: int) -> None:
    add_people(context, 5000)
    for number in range(0, texts, 5000):
        add_texts(context, number, 0, min(5000, texts - number), NOW)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    options = parser.parse_args()
    for name, measured in (("one connection", run), ("two at once", run_two)):
        with fresh_database() as (context, _):
            fill(context, options.texts)
            engine = context.database.engine
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM ANALYZE"))
            report(f"PostgreSQL, {name}", options.texts, measured(context, options.batch))
    with tempfile.TemporaryDirectory() as folder:
        settings = bench_settings(f"sqlite:///{Path(folder) / 'bench.db'}")
        database = open_database(settings)
        upgrade(database)
        context = Context(database, load_catalog(default_messages_path()), settings)
        fill(context, options.texts // 5)
        report("SQLite", options.texts // 5, run(context, options.batch))
        database.dispose()


if __name__ == "__main__":
    main()
