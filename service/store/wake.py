"""Telling idle workers that something is due now, through the database that they share anyway.

A hint, never a message: it carries nothing, may come twice or not at all, and whoever hears it looks at the
rows as on any tick. Without it (SQLite, a connection pooler in transaction mode, a cut connection) a worker's
own ticks find the same work a moment later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from service.store.database import DATABASE_AWAY, Database

CHANNEL = "aftercare_due"

LEAST_GAP_SECONDS = 0.1
"""However often it is announced, workers are woken at most ten times a second."""

ASK_AFTER_SECONDS = 15.0
"""A connection on which nothing was heard for so long is asked whether it still stands."""

_LOOK_UP_SECONDS = 0.5
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', '')")
_TOLD = "aftercare_told_workers"


def wake_workers(session: Session) -> None:
    """Wake every worker when this transaction is committed; nothing happens if it is rolled back.

    Call it where something becomes due now, as often as you like: a transaction tells once. Nothing on
    SQLite, where the worker looks every second.
    """
    if session.get_bind().dialect.name == "sqlite" or session.info.get(_TOLD):
        return
    session.execute(_NOTIFY)
    session.info[_TOLD] = True


def listen_for_work(
    database: Database,
    wake: Callable[[], None],
    stopping: threading.Event,
    ask_after: float = ASK_AFTER_SECONDS,
) -> None:
    """Call `wake` whenever a transaction told workers, until `stopping` is set. PostgreSQL only.

    Holds one connection of its own, opens a new one for as long as it takes when the database goes away, and
    calls `wake` after each new one: nobody knows what was told in between. Raises nothing that the database
    raises.
    """
    pause = _FIRST_PAUSE_SECONDS
    while not stopping.is_set():
        try:
            with database.listening() as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                pause = _FIRST_PAUSE_SECONDS
                wake()
                _listen(connection, wake, stopping, ask_after)
        except (*DATABASE_AWAY, psycopg.Error):
            # The ticks meet the same fault and tell of it, once.
            stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _listen(
    connection: psycopg.Connection[Any],
    wake: Callable[[], None],
    stopping: threading.Event,
    ask_after: float,
) -> None:
    heard_at = time.monotonic()
    while not stopping.is_set():
        if _has_heard(connection, _LOOK_UP_SECONDS):
            wake()
            stopping.wait(LEAST_GAP_SECONDS)
            if _has_heard(connection, 0.0):  # all that was told meanwhile, as one
                wake()
        elif time.monotonic() - heard_at > ask_after:
            connection.execute("SELECT 1")
        else:
            continue
        heard_at = time.monotonic()


def _has_heard(connection: psycopg.Connection[Any], seconds: float) -> bool:
    return bool(list(connection.notifies(timeout=seconds, stop_after=1)))
