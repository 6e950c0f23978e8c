"""How fast due texts are delivered, against a bare loop of the same client with the same threads.

python -m benchmarks.delivery [--texts 6000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import sqlalchemy as sa

from benchmarks.ground import NOW, bench_settings, fresh_database
from benchmarks.provider import provider_settings, running_provider
from service.config import Settings
from service.domain.delivery import MessageState
from service.domain.phone import PhoneNumber
from service.gateways.sms.protocol import Accepted, OutgoingSms
from service.store.messages import Message
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


def add_people(context: Context, people: int) -> None:
    """Active people with numbers of their own, +1999 and seven digits, not assigned to anybody."""
    keyring = context.keyring
    numbers = [f"+1999{1_000_000 + n}" for n in range(people)]
    rows = [
        {"sealed": keyring.encrypt(number), "hash": found.value, "key": found.key_id, "now": NOW}
        for number in numbers
        for found in [keyring.hash_newest(number)]
    ]
    with context.database.begin() as session:
        session.execute(
            sa.text(
                "INSERT INTO participants (phone, phone_hash, phone_key_id, status, timezone,"
                " zone_is_confirmed, area_timezones, language, country, wants_plain, created_at)"
                " VALUES (:sealed, :hash, :key, 'active', 'UTC', true, '', 'en', 'US', false, :now)"
            ),
            rows,
        )


def add_texts(context: Context, number: int, first: int, count: int, due_at: datetime) -> None:
    """One due text of round `number` to each of `count` people from the one numbered `first`."""
    with context.database.begin() as session:
        session.execute(
            sa.text(
                "INSERT INTO messages (participant_id, dedupe_key, source, source_version, kind, lane,"
                " text_id, late, local_on, send_after, send_before, due_at, state, tries, created_at)"
                " SELECT id, 'bench' || :number || ':' || id, 'bench', 1, 'tip', 2,"
                " :text, 'send', :on, :due, :until, :due, 'planned', 0, :due"
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ratios, ours, bare = [], [], []
    with fresh_database() as (context, url), running_provider() as provider:
        settings = bench_settings(url, **provider_settings(provider), sender_segments_per_second=1000)
        go_live(context, "benchmark", NOW, force=True)
        add_people(context, options.texts * options.rounds)
        runtime = build_runtime(settings)
        body = context.catalog.get(TEXT, "en").body
        for number in range(options.rounds):
            add_texts(context, number, number * options.texts, options.texts, NOW)
            bare.append(bare_loop(settings, body, options.texts))
            ours.append(deliver(runtime, options.texts))
            ratios.append(ours[-1] / bare[-1])
            print(f"bare loop {bare[-1]:,.0f}/s, delivery {ours[-1]:,.0f}/s: {ratios[-1]:.2f}")
        check_all_accepted(context, options.texts * options.rounds)
        runtime.close()
    print(f"delivery against the bare loop: {statistics.median(ratios):.2f} (median of {options.rounds})")


if __name__ == "__main__":
    main()
