"""How fast due texts are delivered, against a bare loop of the same client with the same threads.

python -m benchmarks.delivery [--texts 6000] [--rounds 3] [--seconds 20]

Beside it: how long texts wait from due to accepted at half that load, in a whole worker process; two workers
against one when the provider takes 50 ms; and SQLite.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import sqlalchemy as sa

from benchmarks.ground import NOW, bench_settings, fresh_database
from benchmarks.provider import provider_settings, running_provider
from service.config import Settings
from service.domain.delivery import MessageState
from service.domain.phone import PhoneNumber
from service.gateways.sms.protocol import Accepted, OutgoingSms
from service.scheduler import Worker, settle_memory
from service.store.messages import Message
from service.store.schema import upgrade
from service.usecases.context import Context
from service.usecases.operations.live_mode import go_live
from service.usecases.sending.deliver import SENDER_THREADS, deliver_due
from service.wiring import Runtime, build_runtime

TEXT = "tip/sleep-wind-down"


def bare_loop(settings: Settings, body: str, texts: int) -> float:
    """Texts a second that the client alone hands over with as many threads."""
    runtime = build_runtime(settings)
    numbers = iter(range(texts))
    lock = threading.Lock()

    def take() -> int | None:
        with lock:
            return next(numbers, None)

    def work() -> None:
        while (number := take()) is not None:
            sms = OutgoingSms(
                PhoneNumber(f"+1999{1_000_000 + number}"),
                body,
                f"{number:032x}",
                f"https://line.example/twilio/status?ref={number:032x}",
                36_000,
            )
            outcome = runtime.transport.send(sms)
            assert isinstance(outcome, Accepted), outcome

    started = time.perf_counter()
    with ThreadPoolExecutor(SENDER_THREADS) as pool:
        for result in [pool.submit(work) for _ in range(SENDER_THREADS)]:
            result.result()
    seconds = time.perf_counter() - started
    runtime.close()
    return texts / seconds


def add_people(context: Context, people: int, zone: str = "UTC") -> None:
    """Active people with numbers of their own, +1999 and seven digits, not assigned to anybody."""
    keyring = context.keyring
    numbers = [f"+1999{1_000_000 + n}" for n in range(people)]
    rows = [
        {
            "sealed": keyring.encrypt(number),
            "hash": found.value,
            "key": found.key_id,
            "now": NOW,
            "zone": zone,
        }
        for number in numbers
        for found in [keyring.hash_newest(number)]
    ]
    with context.database.begin() as session:
        session.execute(
            sa.text(
                "INSERT INTO participants (phone, phone_hash, phone_key_id, status, timezone,"
                " zone_is_confirmed, area_timezones, language, country, wants_plain, created_at)"
                f" VALUES (:sealed, :hash, :key, 'active', '{zone}', true, '', 'en', 'US', false, :now)"
            ),
            rows,
        )


def add_texts(
    context: Context, number: int, first: int, count: int, due_at: datetime, *, spread: float = 0.0
) -> None:
    """One due text of round `number` to each of `count` people from the one numbered `first`.

    Each is due `spread` seconds after the one before.
    """
    if spread:
        due = f"(CAST(:due AS timestamptz) + make_interval(secs => {spread} * row_number() OVER ()))"
    else:
        due = ":due"
    with context.database.begin() as session:
        session.execute(
            sa.text(
                "INSERT INTO messages (participant_id, dedupe_key, source, source_version, kind, lane,"
                " text_id, late, local_on, send_after, send_before, due_at, state, tries, created_at)"
                " SELECT id, 'bench' || :number || ':' || id, 'bench', 1, 'tip', 2,"
                f" :text, 'send', :on, {due}, :until, {due}, 'planned', 0, :due"
                " FROM participants ORDER BY id LIMIT :count OFFSET :first"
            ),
            {
                "number": number,
                "text": TEXT,
                "on": due_at.date(),
                "due": due_at,
                "until": due_at + timedelta(hours=8),
                "count": count,
                "first": first,
            },
        )


def deliver(runtime: Runtime, texts: int) -> float:
    """Texts a second that the service hands over, from the claim to the recorded answer."""
    started = time.perf_counter()
    counts = deliver_due(runtime.context, runtime.transport, lambda: NOW)
    seconds = time.perf_counter() - started
    assert counts.claimed == texts, counts
    return texts / seconds


def check_all_accepted(context: Context, texts: int) -> None:
    with context.database.read() as session:
        states = dict(
            session.execute(sa.select(Message.state, sa.func.count()).group_by(Message.state)).all()
        )
    assert states == {MessageState.ACCEPTED: texts}, states


def deliver_in(pipe: Connection, settings: Settings) -> None:
    """A worker process of its own: ready, waits for the word, delivers until nothing is due."""
    runtime = build_runtime(settings)
    with runtime.database.read() as session:
        session.execute(sa.text("SELECT 1"))
    settle_memory()
    pipe.send("ready")
    pipe.recv()
    counts = deliver_due(runtime.context, runtime.transport, lambda: NOW)
    pipe.send(counts.claimed)
    runtime.close()


def deliver_with(workers: int, settings: Settings, texts: int) -> float:
    """Texts a second that so many worker processes hand over together."""
    spawn = multiprocessing.get_context("spawn")
    pipes = []
    for _ in range(workers):
        here, there = spawn.Pipe()
        spawn.Process(target=deliver_in, args=(there, settings), daemon=True).start()
        pipes.append(here)
    for pipe in pipes:
        pipe.recv()
    started = time.perf_counter()
    for pipe in pipes:
        pipe.send("go")
    claimed = sum(pipe.recv() for pipe in pipes)
    seconds = time.perf_counter() - started
    assert claimed >= texts, claimed
    return texts / seconds


def work_in(pipe: Connection, settings: Settings) -> None:
    """A whole worker process, ticking, until told to stop."""
    worker = Worker(build_runtime(settings))
    settle_memory()
    worker.start()
    pipe.send("ready")
    pipe.recv()
    worker.stop()
    pipe.send("stopped")


def measure_wait(context: Context, settings: Settings, first: int, rate: float, seconds: int) -> list[float]:
    """How long each text waits from being due to being taken, when `rate` a second fall due evenly."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work_in, args=(there, settings))
    process.start()
    here.recv()
    start = datetime.now(UTC) + timedelta(seconds=2)
    add_texts(context, 1000, first, int(rate * seconds), start, spread=1 / rate)
    deadline = time.monotonic() + seconds + 60
    while time.monotonic() < deadline:
        time.sleep(1)
        with context.database.read() as session:
            waits = [
                (row.accepted_at - row.due_at).total_seconds()
                for row in session.execute(
                    sa.select(Message.accepted_at, Message.send_after.label("due_at")).where(
                        Message.dedupe_key.startswith("bench1000:"), Message.accepted_at.is_not(None)
                    )
                )
            ]
        if len(waits) == int(rate * seconds):
            break
    here.send("stop")
    here.recv()
    process.join()
    assert len(waits) == int(rate * seconds), len(waits)
    return sorted(waits)


def compare_with_bare_loop(texts: int, rounds: int) -> float:
    """Delivery against the bare loop, in turns; then how long texts wait at half that load."""
    ratios, ours, bare = [], [], []
    with fresh_database() as (context, url), running_provider() as provider:
        settings = bench_settings(url, **provider_settings(provider), sender_segments_per_second=1000)
        go_live(context, "benchmark", NOW, force=True)
        add_people(context, texts * rounds)
        runtime = build_runtime(settings)
        body = context.catalog.get(TEXT, "en").body
        settle_memory()
        for number in range(rounds):
            add_texts(context, number, number * texts, texts, NOW)
            bare.append(bare_loop(settings, body, texts))
            ours.append(deliver(runtime, texts))
            ratios.append(ours[-1] / bare[-1])
            print(f"bare loop {bare[-1]:,.0f}/s, delivery {ours[-1]:,.0f}/s: {ratios[-1]:.2f}", flush=True)
        check_all_accepted(context, texts * rounds)
        runtime.close()
    print(f"delivery against the bare loop: {statistics.median(ratios):.2f} (median of {rounds})", flush=True)
    return statistics.median(ours)


def show_waits(rate: float, seconds: int) -> None:
    with fresh_database() as (context, url), running_provider() as provider:
        settings = bench_settings(url, **provider_settings(provider), sender_segments_per_second=1000)
        go_live(context, "benchmark", datetime.now(UTC), force=True)
        add_people(context, int(rate * seconds), zone_of_noon())
        waits = measure_wait(context, settings, 0, rate, seconds)
    found = [waits[int(len(waits) * share)] for share in (0.5, 0.95, 0.99)]
    print(
        f"due to accepted at {rate:,.0f} texts/s for {seconds} s: p50 {found[0]:.2f} s, p95 {found[1]:.2f} s,"
        f" p99 {found[2]:.2f} s",
        flush=True,
    )


def compare_workers(texts: int, latency: float) -> None:
    rates = {}
    with running_provider(latency) as provider:
        for workers in (1, 2):
            with fresh_database() as (context, url):
                settings = bench_settings(url, **provider_settings(provider), sender_segments_per_second=1000)
                go_live(context, "benchmark", NOW, force=True)
                add_people(context, texts)
                add_texts(context, 0, 0, texts, NOW)
                rates[workers] = deliver_with(workers, settings, texts)
                check_all_accepted(context, texts)
    print(
        f"at {latency * 1000:.0f} ms: one worker {rates[1]:,.0f}/s, two {rates[2]:,.0f}/s:"
        f" {rates[2] / rates[1]:.2f} times",
        flush=True,
    )


def show_sqlite(texts: int) -> None:
    with tempfile.TemporaryDirectory() as folder, running_provider() as provider:
        settings = bench_settings(
            f"sqlite:///{Path(folder) / 'bench.db'}",
            **provider_settings(provider),
            sender_segments_per_second=1000,
        )
        runtime = build_runtime(settings)
        upgrade(runtime.database)
        go_live(runtime.context, "benchmark", NOW, force=True)
        add_people(runtime.context, texts)
        add_texts(runtime.context, 0, 0, texts, NOW)
        body = runtime.context.catalog.get(TEXT, "en").body
        settle_memory()
        bare, ours = bare_loop(settings, body, texts), deliver(runtime, texts)
        runtime.close()
    print(f"SQLite: bare loop {bare:,.0f}/s, delivery {ours:,.0f}/s: {ours / bare:.2f}", flush=True)


def zone_of_noon() -> str:
    """A zone in which it is about noon now, so that everybody may be texted at any hour of the day."""
    hours = (13 - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20, help="how long to watch the waits at half load")
    options = parser.parse_args()
    rate = compare_with_bare_loop(options.texts, options.rounds)
    show_waits(rate / 2, options.seconds)
    compare_workers(options.texts, 0.05)
    show_sqlite(options.texts // 3)


if __name__ == "__main__":
    main()
