"""The provider's stand-in as a process of its own, so that it shares no interpreter with what is measured."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from tests.standin import TwilioStandin, slow
from tests.standin.rest import ACCOUNT_SID, AUTH_TOKEN, NUMBER


@contextmanager
def running_provider(latency: float = 0.0) -> Iterator[str]:
    """Serve the stand-in's REST API, each answer after `latency` seconds; yields its address."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, latency), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("stop")
        process.join(10)


def _serve(pipe: Connection, latency: float) -> None:
    with TwilioStandin() as standin:
        if latency:
            standin.by_chance({slow(latency): 1.0}, seed=1)
        pipe.send(standin.url)
        pipe.recv()


def provider_settings(url: str) -> dict[str, object]:
    """The settings under which the service sends to the stand-in at `url`."""
    return {
        "transport": "twilio",
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": AUTH_TOKEN,
        "twilio_from": NUMBER,
        "twilio_api_url": url,
        "twilio_optout_mode": "app",
    }
