"""How fast due days are planned, against one APScheduler job per message; and whether size matters.

python -m benchmarks.planning [--people 1000000] [--due 100000] [--skip-rival]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from datetime import datetime, timedelta

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import func, select

from benchmarks.ground import NOW, enroll, fresh_database
from service.scheduler import settle_memory
from service.store.messages import Message
from service.usecases.context import Context
from service.usecases.sending.plan import plan_due

ROUNDS = 5


def nothing() -> None:
    """What the rival's jobs do."""


def measure(people: int, due: int, rounds: int = 1) -> float:
    """People planned a second: the median of `rounds`, each with `due` others due."""
    with fresh_database() as (context, _):
        enroll(context, people, due, rounds)
        rates = [_plan(context, due, NOW + timedelta(minutes=number)) for number in range(rounds)]
        with context.database.read() as session:
            rows = session.execute(select(func.count()).select_from(Message)).scalar_one()
    assert rows >= due * rounds, rows
    return statistics.median(rates)


def _plan(context: Context, due: int, now: datetime) -> float:
    started = time.perf_counter()
    counts = plan_due(context, now)
    seconds = time.perf_counter() - started
    assert counts.people == due, counts
    return due / seconds


def measure_rival(jobs: int = 3000) -> float:
    """Jobs a second that APScheduler puts into a database-backed store, one a message."""
    with tempfile.TemporaryDirectory() as folder:
        scheduler = BackgroundScheduler(
            jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{folder}/jobs.db")}, timezone="UTC"
        )
        scheduler.start(paused=True)
        started = time.perf_counter()
        for number in range(jobs):
            scheduler.add_job(nothing, "date", run_date=NOW + timedelta(days=3650, seconds=number))
        seconds = time.perf_counter() - started
        scheduler.shutdown()
    return jobs / seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=100_000)
    parser.add_argument("--skip-rival", action="store_true")
    options = parser.parse_args()
    settle_memory()
    few = statistics.median(measure(10_000, 10_000) for _ in range(ROUNDS))
    many = measure(options.people, 10_000, ROUNDS)
    bulk = measure(options.people, options.due)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"planned people/s: 10,000 of 10,000: {few:,.0f}; 10,000 of {options.people:,}: {many:,.0f}")
    print(f"cost at {options.people:,} enrolled against 10,000: {few / many:.2f} times")
    print(f"planned people/s: {options.due:,} of {options.people:,}: {bulk:,.0f}")
    print(f"peak memory of this process: {memory:,.0f} MB")
    if not options.skip_rival:
        rival = measure_rival()
        print(f"APScheduler, one stored job a message: {rival:,.0f}/s; ratio {bulk / rival:.1f}")


if __name__ == "__main__":
    main()
