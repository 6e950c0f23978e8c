"""Whether ten million rows slow anything down, what a text weighs, and what a long transaction costs.

    python -m benchmarks.scale [--rows 10000000] [--people 1000000] [--finished 1000000]

Everything is measured twice, in a small database and in one of the size asked for: the ratio is the result.
Needs about 6 GB of disk while it runs (the database is dropped at the end) and about ten minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import sqlalchemy as sa

from benchmarks.ground import NOW, STEPS, fill, fresh_database, sender_number
from service.domain.phone import PhoneNumber
from service.gateways.sms.protocol import ProviderRecords
from service.store.messages import LOCK_DUE
from service.usecases.context import Context
from service.usecases.operations.explain_message import explain_message
from service.usecases.operations.measure import read_figures
from service.usecases.people.show_participant import show_participant
from service.usecases.sending.deliver import claim_due
from service.usecases.sending.look_up import look_up_due
from service.usecases.sending.plan import plan_due
from service.usecases.sending.poll import poll_silent
from service.usecases.sending.receipts import Receipt, record_receipt
from service.usecases.sending.recover import recover_abandoned

ROUNDS = 21
NOBODY = cast(ProviderRecords, object())
"""A provider of whom nothing is asked, because nothing is due."""
SOMEBODY = 500
CHURNED = 50_000
BATCH = 500
_ONE_RANGE = (
    f"SELECT id FROM messages WHERE state IN ('planned', 'held') AND due_at <= '{NOW}'"
    " ORDER BY lane, due_at LIMIT 100 FOR UPDATE SKIP LOCKED"
)


def list_actions(context: Context) -> dict[str, Callable[[], object]]:
    """What runs all the time or is asked for often, each as the service itself does it."""

    with context.database.begin() as session:
        found = context.keyring.hash_newest(sender_number(0))
        session.execute(
            sa.text("UPDATE participants SET phone_hash = :hash, phone_key_id = :key WHERE id = :id"),
            {"hash": found.value, "key": found.key_id, "id": SOMEBODY},
        )
        message_id, reference = session.execute(
            sa.text("SELECT message_id, reference FROM attempts ORDER BY id LIMIT 1")
        ).one()
    phone = PhoneNumber(sender_number(0))
    receipt = Receipt(reference, "SM" + "0" * 32, "delivered", None)
    return {
        "claim, nothing due": lambda: claim_due(context, "nobody", 100, NOW),
        "plan, nobody due": lambda: plan_due(context, NOW),
        "recover, nothing abandoned": lambda: recover_abandoned(context, NOW),
        "look up, nothing unknown": lambda: look_up_due(context, NOBODY, NOW),
        "poll, nothing silent": lambda: poll_silent(context, NOBODY, NOW),
        "a receipt that repeats": lambda: record_receipt(context, receipt, NOW),
        "participants show": lambda: show_participant(context, phone, "bench", NOW),
        "why": lambda: explain_message(context, message_id, "bench", NOW),
        "metrics": lambda: read_figures(context, NOW),
    }


def measure(context: Context) -> dict[str, float]:
    """Milliseconds of each action: the shortest of many, because what else the machine does only adds."""
    return {name: time_of(action) for name, action in list_actions(context).items()}


def time_of(action: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return min(times)


def show_plans(context: Context) -> None:
    """What PostgreSQL does for a claim that finds nothing, and what one range over all lanes would do."""
    search = LOCK_DUE.params(now=NOW, size=100)
    compiled = str(search.compile(context.database.engine, compile_kwargs={"literal_binds": True}))
    for name, statement in (("the claim's search", compiled), ("one range over all lanes", _ONE_RANGE)):
        print(f"\n{name}:")
        with context.database.engine.connect() as connection:
            for (line,) in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}"):
                print(f"    {line}")


def show_sizes(context: Context) -> None:
    """Bytes a row of each table that grows with every text, and of its indexes."""
    query = sa.text(
        "SELECT c.relname, i.relname, pg_relation_size(i.oid), i.reltuples"
        " FROM pg_class c JOIN (SELECT indrelid AS owner, indexrelid AS oid FROM pg_index"
        " UNION ALL SELECT oid, oid FROM pg_class WHERE relkind = 'r') AS part ON part.owner = c.oid"
        " JOIN pg_class i ON i.oid = part.oid"
        " WHERE c.relname IN ('messages', 'attempts', 'message_events', 'participants') ORDER BY 1, 3 DESC"
    )
    print("\nsize on disk:")
    with context.database.engine.connect() as connection:
        for table, part, size, entries in connection.execute(query):
            each = size / max(entries, 1)
            print(f"    {table:16} {part:34} {size / 1e6:8,.0f} MB {each:7.0f} bytes each of {entries:,.0f}")


def churn(context: Context) -> None:
    """What texts that come and go leave in the index of waiting ones, and who can clean it up."""
    print(f"\nidle claim around {CHURNED:,} texts that went out:")
    claim = list_actions(context)["claim, nothing due"]
    before = time_of(claim)
    with context.database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        reader.exec_driver_sql("SELECT count(*) FROM senders")  # a backup, or a forgotten psql
        started = time.perf_counter()
        _send_many(context)
        seconds = time.perf_counter() - started
        held = time_of(claim)
    first = _once(claim)
    after = time_of(claim)
    print(f"    {CHURNED / seconds:,.0f} texts a second through all five states, in batches of {BATCH}")
    print(f"    before {before:.2f} ms; while somebody's old transaction is open {held:.2f} ms")
    print(f"    first one after it has ended {first:.2f} ms; then {after:.2f} ms")


def _once(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def _send_many(context: Context) -> None:
    with context.database.read() as session:
        ids = list(
            session.scalars(
                sa.text("SELECT id FROM messages WHERE state = 'planned' ORDER BY due_at LIMIT :n"),
                {"n": CHURNED},
            )
        )
    # They were due: the claim looks past where they lay.
    past = sa.text("UPDATE messages SET due_at = :past WHERE id = ANY(:ids)")
    step = sa.text("UPDATE messages SET state = :state WHERE id = ANY(:ids)")
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        with context.database.begin() as session:
            session.execute(past, {"past": NOW - timedelta(minutes=1), "ids": some})
        for state in ("claimed", *STEPS):
            with context.database.begin() as session:
                session.execute(step, {"state": state, "ids": some})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--finished", type=int, default=1_000_000)
    options = parser.parse_args()
    with fresh_database() as (context, _):
        fill(context, 1_000, 9_000, 1_000)
        few = measure(context)
    with fresh_database() as (context, _):
        started = time.perf_counter()
        fill(context, options.people, options.rows, options.finished)
        print(f"filled in {time.perf_counter() - started:,.0f} s", flush=True)
        many = measure(context)
        print(f"{'milliseconds':30} {'10,000':>10} {options.rows:>12,} {'ratio':>7}")
        for name, small in few.items():
            print(f"{name:30} {small:10.2f} {many[name]:12.2f} {many[name] / small:7.2f}", flush=True)
        show_plans(context)
        show_sizes(context)
        churn(context)


if __name__ == "__main__":
    main()
