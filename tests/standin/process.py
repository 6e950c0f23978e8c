"""A stand-in in a process of its own, as seen by whoever started it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Self

import requests

from tests.standin.control import as_fields
from tests.standin.faults import Fault, On
from tests.standin.ledger import CreateRequest, PhoneText
from tests.standin.receipts import ReceiptChances

_CALL_SECONDS = 60.0


class StandinProcess:
    """Starts `python -m tests.standin` as a context manager. Everything may be called from any thread.

    `host` is where the REST API listens. The process ends with the block, or with ours.
    """

    def __init__(self, *arguments: str, host: str = "127.0.0.1") -> None:
        command = [sys.executable, "-m", "tests.standin", "--host", host, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the stand-in did not start")
        addresses = json.loads(line)
        self.url: str = addresses["url"]
        self._control: str = addresses["control"]
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.call("stop")
        self._session.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(15)

    def call(self, name: str, **arguments: Any) -> Any:
        """One call; raises requests.RequestException when the stand-in does not answer."""
        answer = self._session.post(f"{self._control}/{name}", json=arguments, timeout=_CALL_SECONDS)
        return answer.json()

    def by_chance(self, odds: Mapping[Fault, float], *, seed: int, on: On = On.CREATE) -> None:
        pairs = [(as_fields(fault), chance) for fault, chance in odds.items()]
        self.call("by_chance", odds=pairs, seed=seed, on=on)

    def script(self, *faults: Fault | None, on: On = On.CREATE) -> None:
        self.call("script", faults=[fault and as_fields(fault) for fault in faults], on=on)

    def receipts_by_chance(self, chances: ReceiptChances, *, seed: int) -> None:
        self.call("receipts_by_chance", chances=as_fields(chances), seed=seed)

    def counts(self) -> dict[str, int]:
        """`creates`: requests to send; `taken`: texts taken; `lost_receipts`: receipts nobody took."""
        return dict(self.call("counts"))

    def requests(self) -> list[CreateRequest]:
        return [CreateRequest(*row) for row in self.call("ledger")["requests"]]

    def texts(self) -> list[PhoneText]:
        """Every text that phones were sent, replies included, oldest first."""
        return [PhoneText(*row) for row in self.call("ledger")["texts"]]
