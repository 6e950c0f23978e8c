"""Steering a stand-in from another process: small JSON calls on a loopback address of their own.

Every call is `POST /<name>` with a JSON object of arguments; `CALLS` is the list.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from service.gateways.sms.simulator import CarrierError
from tests.standin.faults import Fault, On
from tests.standin.receipts import ReceiptChances
from tests.standin.server import TwilioStandin
from tests.standin.wire import LoopbackServer, Reply, Request

RETRY_SECONDS = 1.0
"""Between tries at a webhook that failed. The provider's own are closer; this leaves room for a restart."""


class MovableClock:
    """The machine's clock, moved forward by `shift` seconds."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.shift)


class Control:
    """Answers the calls that steer `standin`, which runs by `clock`; `stop` sets `finished`."""

    def __init__(self, standin: TwilioStandin, clock: MovableClock) -> None:
        self.finished = Event()
        self._standin = standin
        self._clock = clock
        self._server = LoopbackServer(self._answer)

    @property
    def url(self) -> str:
        return self._server.url

    def close(self) -> None:
        self._server.stop()

    def _answer(self, request: Request) -> Reply:
        call = CALLS[request.target.strip("/")]
        return Reply(200, json.dumps(call(self, **json.loads(request.body or b"{}"))).encode())

    def _ledger(self, requests_from: int = 0, texts_from: int = 0) -> dict[str, Any]:
        """Requests and texts, from the given positions on."""
        return {
            "requests": self._standin.requests[requests_from:],
            "texts": self._standin.phone_texts[texts_from:],
        }

    def _counts(self) -> dict[str, int]:
        standin = self._standin
        return {"creates": standin.creates, "taken": standin.taken, "lost_receipts": standin.lost_receipts}

    def _script(self, faults: list[dict[str, Any] | None], on: str = On.CREATE) -> None:
        self._standin.script(*(None if fault is None else _fault(fault) for fault in faults), on=On(on))

    def _by_chance(self, odds: list[tuple[dict[str, Any], float]], seed: int, on: str = On.CREATE) -> None:
        self._standin.by_chance({_fault(fault): chance for fault, chance in odds}, seed=seed, on=On(on))

    def _receipts_by_chance(self, chances: dict[str, Any], seed: int) -> None:
        pairs = {
            "late_seconds": tuple(chances["late_seconds"]),
            "failures": tuple(map(tuple, chances["failures"])),
        }
        self._standin.receipts_by_chance(ReceiptChances(**(chances | pairs)), seed=seed)

    def _deliver(self, sid: str, statuses: list[str], error_code: int | None = None) -> list[int]:
        return self._standin.deliver(sid, tuple(statuses), error_code)

    def _text_in(
        self, webhook_url: str, from_: str, body: str, signed_url: str | None = None, tries: int = 1
    ) -> dict[str, Any]:
        """One text in, tried again under the same id; `answered_at` is when the whole answer was here."""
        sid = self._standin.record_inbound(from_, body)
        for position in range(tries):
            if position:
                time.sleep(RETRY_SECONDS)
            try:
                answer = self._standin.text_in(webhook_url, from_, body, signed_url, MessageSid=sid)
            except (OSError, CarrierError):
                continue
            if 200 <= answer.status < 300:
                return {"sid": sid, "texts": answer.texts, "answered_at": self._clock().timestamp()}
        return {"sid": sid, "texts": [], "answered_at": None}

    def _record_inbound(self, from_: str, body: str) -> str:
        return self._standin.record_inbound(from_, body)

    def _flush(self, timeout: float) -> bool:
        return self._standin.flush(timeout)

    def _shift(self, seconds: float) -> None:
        self._clock.shift = seconds

    def _stop(self) -> None:
        self.finished.set()


CALLS: dict[str, Callable[..., Any]] = {
    "ledger": Control._ledger,
    "counts": Control._counts,
    "script": Control._script,
    "by_chance": Control._by_chance,
    "receipts_by_chance": Control._receipts_by_chance,
    "deliver": Control._deliver,
    "text_in": Control._text_in,
    "record_inbound": Control._record_inbound,
    "flush": Control._flush,
    "shift": Control._shift,
    "stop": Control._stop,
}


def as_fields(value: Fault | ReceiptChances) -> dict[str, Any]:
    """A fault or chances as what a call carries."""
    shown = {field.name: getattr(value, field.name) for field in fields(value)}
    return shown | {"raw": shown["raw"].decode("latin-1")} if shown.get("raw") is not None else shown


def _fault(shown: dict[str, Any]) -> Fault:
    raw = shown.get("raw")
    return Fault(**(shown | {"raw": None if raw is None else raw.encode("latin-1")}))
