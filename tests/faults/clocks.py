"""The clocks of the fault run: one true time for everybody, which may be moved forward, and machines' errors.

The true time is the database server's own plus `shift` seconds out of a file: only after the faults, so that
hours of waiting pass. A machine's error is in a file of its own and moves everything in its process that
reads the time of day, as a wrong clock does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from service.store.clock import Clock, ServiceClock, read_database_clock, system_clock
from service.store.database import Database

_LOOK_SECONDS = 0.1


def read_seconds(path: Path) -> float:
    """The number in a file; 0 while there is none."""
    try:
        return float(path.read_text(encoding="ascii") or 0)
    except FileNotFoundError:
        return 0.0


def write_seconds(path: Path, seconds: float) -> None:
    """Put a number in place of another, never half of one."""
    part = path.with_suffix(".part")
    part.write_text(str(seconds), encoding="ascii")
    part.replace(path)


def true_clock(database: Database, shift: Path) -> Callable[[], datetime]:
    """The true time, asked of the database at every call."""
    return lambda: read_database_clock(database) + timedelta(seconds=read_seconds(shift))


def service_clock(database: Database, shift: Path, *, is_guarded: bool = True) -> Clock:
    """The clock a process of the service runs by: the one it has in production, moved by `shift`.

    Without the guard it is the machine's own, to show that the run would notice.
    """
    if is_guarded:
        return ServiceClock(true_clock(database, shift))
    return lambda: system_clock() + timedelta(seconds=read_seconds(shift))


def follow_error(path: Path) -> None:
    """From now on let this process's time of day be wrong by what the file says."""
    threading.Thread(target=_follow, args=(path,), daemon=True).start()


def _follow(path: Path) -> None:
    traveling, error = None, 0.0
    while True:
        wanted = read_seconds(path)
        if wanted != error:
            if traveling is not None:
                traveling.stop()
                traveling = None
            if wanted:
                there = datetime.now(UTC) + timedelta(seconds=wanted)
                traveling = time_machine.travel(there, tick=True)
                traveling.start()
            error = wanted
        time.sleep(_LOOK_SECONDS)
