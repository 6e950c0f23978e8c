"""What may go wrong between a request and its answer, on demand or by chance."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from threading import Lock


class On(StrEnum):
    """Which requests a fault befalls."""

    CREATE = "create"
    LOOKUP = "lookup"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mishap. `accepts`: the text is taken all the same. Seconds are real ones.

    Drawn by chance it befalls `burst` requests in a row. `name` is what a ledger calls it.
    """

    accepts: bool = False
    wait_before: float = 0.0
    wait_after: float = 0.0
    resets: bool = False
    http_status: int | None = None
    code: int | None = None
    raw: bytes | None = None
    burst: int = 1
    name: str = "fault"


NO_FAULT = Fault(accepts=True, name="none")


def accept_then_timeout(seconds: float) -> Fault:
    """Take the text, stay silent for `seconds`, then drop the connection without a word."""
    return Fault(accepts=True, wait_after=seconds, resets=True, name="taken, then silence")


def reset_before() -> Fault:
    """Drop the connection before the text is taken."""
    return Fault(resets=True, name="reset before it was taken")


def reset_after_accept() -> Fault:
    """Take the text, then drop the connection."""
    return Fault(accepts=True, resets=True, name="taken, then reset")


def status(http_status: int, code: int | None = None, *, accepts: bool = False, burst: int = 1) -> Fault:
    """Answer with an error; `accepts` makes it a lie, as a 5xx may be."""
    name = f"{'taken, then ' if accepts else ''}HTTP {http_status}"
    return Fault(accepts=accepts, http_status=http_status, code=code, burst=burst, name=name)


def slow(seconds: float) -> Fault:
    """Wait, then take the text and answer as usual."""
    return Fault(accepts=True, wait_before=seconds, name="slow")


def garbage(raw: bytes = b"<html>It works!</html>", http_status: int = 201) -> Fault:
    """Do what was asked, but answer with these bytes in place of Twilio's JSON."""
    return Fault(accepts=True, raw=raw, http_status=http_status, name="taken, then an unreadable answer")


class FaultPlan:
    """The faults to come: scripted ones first, then chance. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._scripted: dict[On, deque[Fault | None]] = {on: deque() for on in On}
        self._chances: dict[On, tuple[Random, list[tuple[Fault, float]]]] = {}

    def script(self, on: On, faults: tuple[Fault | None, ...]) -> None:
        """Append what befalls the next requests, one each; None is a request without a fault."""
        with self._lock:
            self._scripted[on].extend(faults)

    def chance(self, on: On, odds: Mapping[Fault, float], seed: int) -> None:
        """From now on draw a fault with these probabilities; an empty dict ends it, bursts included."""
        with self._lock:
            self._scripted[on].clear()
            self._chances[on] = (Random(seed), list(odds.items()))

    def next(self, on: On) -> Fault | None:
        """Return the fault of the request that just came, or None."""
        if not self._scripted[on] and on not in self._chances:
            return None
        with self._lock:
            if self._scripted[on]:
                return self._scripted[on].popleft()
            random, odds = self._chances.get(on, (None, []))
            if random is None:
                return None
            draw = random.random()
            for fault, probability in odds:
                if draw < probability:
                    self._scripted[on].extend([fault] * (fault.burst - 1))
                    return fault
                draw -= probability
            return None
