"""The service's clock. In the simulator it runs ahead of the real one by an offset kept in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from service.store.database import Database
from service.store.service_state import find_setting, set_setting

Clock = Callable[[], datetime]
_SETTING = "simulator_clock"


class ClockError(ValueError):
    """The simulator's clock only moves forward."""


def system_clock() -> datetime:
    """The machine's clock, aware UTC. Only entry points and the wiring call it."""
    return datetime.now(UTC)


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
