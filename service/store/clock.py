"""The service's clock: the database's, which all machines share.

In the simulator it is this machine's, ahead of it by an offset kept in the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from service.store.database import DATABASE_AWAY, Database, real_now
from service.store.service_state import find_setting, set_setting

Clock = Callable[[], datetime]
_SETTING = "simulator_clock"


class ClockError(ValueError):
    """The simulator's clock only moves forward."""


def system_clock() -> datetime:
    """The machine's clock, aware UTC. Only entry points and the wiring call it."""
    return datetime.now(UTC)


def read_database_clock(database: Database) -> datetime:
    """Ask the database for the time (aware UTC). Raises what the database raises when it is not there."""
    with database.read() as session:
        return real_now(session)


def elapsed_seconds() -> float:
    """Seconds that go on while the process or the machine sleeps, where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


ASKED_EVERY_SECONDS = 1.0
TRUSTED_FOR_SECONDS = 60.0
"""How long the last answer counts on while the database is away: what is under way must still be written."""


class ServiceClock:
    """The database's clock, whatever the machine's own says: asked once a second, counted on in between.

    A machine whose clock is wrong by hours would otherwise text people at night. `read` asks (aware UTC),
    `elapsed` counts seconds. Safe to share between threads, of which only one asks.
    """

    def __init__(self, read: Callable[[], datetime], elapsed: Callable[[], float] = elapsed_seconds) -> None:
        self._read = read
        self._elapsed = elapsed
        self._asking = threading.Lock()
        self._answer: tuple[datetime, float] | None = None
        self._ask_at = 0.0

    def __call__(self) -> datetime:
        """The time. Raises what `read` raises when there is no answer, or none for a minute."""
        answer = self._answer
        if answer is None or self._age(answer) > TRUSTED_FOR_SECONDS:
            with self._asking:
                if self._answer is answer:
                    self._ask()
        elif self._elapsed() >= self._ask_at and self._asking.acquire(blocking=False):
            try:
                self._ask()
            except DATABASE_AWAY:
                self._ask_at = self._elapsed() + ASKED_EVERY_SECONDS
            finally:
                self._asking.release()
        answer = self._answer
        assert answer is not None, "asking either answers or raises"
        return answer[0] + timedelta(seconds=self._age(answer))

    def _age(self, answer: tuple[datetime, float]) -> float:
        return self._elapsed() - answer[1]

    def _ask(self) -> None:
        asked = self._elapsed()
        instant = self._read()
        answered = self._elapsed()
        self._answer = instant, (asked + answered) / 2
        self._ask_at = answered + ASKED_EVERY_SECONDS


class SimulatedClock:
    """The system clock plus the offset that all processes of a simulation share."""

    def __init__(self, database: Database, system: Clock = system_clock) -> None:
        self._database = database
        self._system = system

    def __call__(self) -> datetime:
        with self._database.read() as session:
            return self._system() + _offset(session)

    def advance_to(self, instant: datetime) -> datetime:
        """Move the shared clock forward to `instant` (aware UTC). Raises ClockError for the past."""
        with self._database.begin() as session:
            now = self._system()
            offset = instant - now
            if offset < _offset(session):
                raise ClockError("the simulator's clock only moves forward")
            set_setting(session, _SETTING, {"seconds": offset.total_seconds()}, now, "simulator")
        return self()


def _offset(session: Session) -> timedelta:
    value = find_setting(session, _SETTING) or {}
    return timedelta(seconds=float(value.get("seconds", 0)))
