"""Inbound texts a second through the real webhook, against a bare Flask that stores one row.

    python -m benchmarks.webhook [--seconds 5] [--rounds 3] [--connections 16]

Both run under gunicorn (2 workers, 4 threads) on PostgreSQL on this machine and get the same texts in turns:
one in four a HELP, the rest free text, from 5,000 enrolled people (+1999 numbers, which are unassigned).
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import Queue
from urllib.parse import urlencode

import sqlalchemy as sa

from benchmarks.ground import KEYS, enroll_senders, fresh_database, sender_number
from service.gateways.sms.signature import SIGNATURE_HEADER, sign

TOKEN = "benchmark-token"
HOST = "127.0.0.1"
SENDERS = 5_000
WSGI = "service.web.wsgi:app"


@dataclass(frozen=True)
class Load:
    port: int
    connections: int
    seconds: float


def build_request(port: int, number: int) -> bytes:
    """One signed text as it goes over the wire."""
    form = {
        "MessageSid": f"SM{os.getpid():012x}{number:020x}",
        "AccountSid": "AC" + "0" * 32,
        "From": sender_number(number % SENDERS),
        "To": "+12025550100",
        "Body": "HELP" if number % 4 == 0 else "my sister came by today and it was a good day",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    url = f"http://{HOST}:{port}/twilio/inbound"
    body = urlencode(form).encode()
    head = (
        f"POST /twilio/inbound HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"{SIGNATURE_HEADER}: {sign(url, form, TOKEN)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def knock(load: Load, requests: list[bytes], times: list[float], until: float) -> None:
    """Send requests over one kept connection until the time is over."""
    with socket.create_connection((HOST, load.port)) as wire:
        reader = wire.makefile("rb")
        while time.perf_counter() < until and requests:
            started = time.perf_counter()
            wire.sendall(requests.pop())
            status = reader.readline()
            length = 0
            while (line := reader.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            reader.read(length)
            assert b" 200 " in status, status
            times.append(time.perf_counter() - started)


def run_load(load: Load, seed: int, results: Queue[list[float]]) -> None:
    """One load process: builds its requests first, then sends them from several threads."""
    requests = [build_request(load.port, seed * 1_000_000 + n) for n in range(int(4000 * load.seconds))]
    times: list[float] = []
    until = time.perf_counter() + load.seconds
    threads = [
        threading.Thread(target=knock, args=(load, requests, times, until)) for _ in range(load.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(times)


@contextmanager
def serve(app: str, environment: dict[str, str], port: int, *more: str) -> Iterator[None]:
    command = [sys.executable, "-m", "gunicorn", app, "--worker-class", "gthread", "--workers", "2"]
    command += ["--threads", "4", "--bind", f"{HOST}:{port}", "--log-level", "error", "--keep-alive", "60"]
    command += more
    server = subprocess.Popen(
        command, env={**os.environ, **environment, "PUBLIC_URL": f"http://{HOST}:{port}"}
    )
    try:
        _wait_for(port)
        yield
    finally:
        server.terminate()
        server.wait()


def measure(port: int, seed: int, options: argparse.Namespace) -> tuple[float, float]:
    """Texts a second and the 99th percentile in milliseconds."""
    load = Load(port, options.connections, options.seconds)
    spawn = get_context("spawn")
    results: Queue[list[float]] = spawn.Queue()
    worker = spawn.Process(target=run_load, args=(load, seed, results))
    worker.start()
    times = results.get()
    worker.join()
    return len(times) / options.seconds, statistics.quantiles(times, n=100)[98] * 1000


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection((HOST, port), 0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(1)
            return
    raise SystemExit("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    floors: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    with fresh_database() as (context, url):
        enroll_senders(context, SENDERS)
        with context.database.engine.begin() as connection:
            connection.execute(
                sa.text("CREATE TABLE bench_floor (id bigserial PRIMARY KEY, sid text, body text)")
            )
        environment = {name.upper(): value for name, value in KEYS.items()} | {
            "DATABASE_URL": url,
            "BENCH_FLOOR_URL": url,
            "TRANSPORT": "twilio",
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM": "+12025550100",
            "TWILIO_OPTOUT_MODE": "app",
            "LOG_LEVEL": "ERROR",
        }
        ours_command = WSGI, environment, 8602, "-c", "python:service.web.gunicorn_config"
        with serve("benchmarks.bare_webhook:app", environment, 8601), serve(*ours_command):
            for seed in range(options.rounds):  # in turns, so that what else the machine does hits both
                floors.append(measure(8601, seed, options))
                ours.append(measure(8602, seed + 100, options))
                print(f"round {seed + 1}: {floors[-1][0]:,.0f}/s against {ours[-1][0]:,.0f}/s", flush=True)
    floor, floor_p99 = (statistics.median(values) for values in zip(*floors, strict=True))
    texts, texts_p99 = (statistics.median(values) for values in zip(*ours, strict=True))
    print(f"bare Flask, signature and one insert: {floor:,.0f}/s, p99 {floor_p99:.0f} ms")
    print(f"this service, everything on:          {texts:,.0f}/s, p99 {texts_p99:.0f} ms")
    print(f"ratio {texts / floor:.2f}")


if __name__ == "__main__":
    main()
