"""Is the process alive, and can it do its work."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from flask import Blueprint, Response, jsonify

from service.store.database import Database
from service.store.schema import find_pending_migration
from service.web.faults import DATABASE_FAULTS, describe_database_fault
from service.wiring import Runtime

READY_SECONDS = 3.0
"""Whoever asks whether we are ready waits a few seconds at most; a database may be silent for longer."""


def build_blueprint(runtime: Runtime) -> Blueprint:
    """`/healthz` answers while the process lives; `/readyz` when the database answers and is migrated."""
    blueprint = Blueprint("health", __name__)
    readiness = _Readiness(runtime.database)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        problem = readiness.find_problem()
        if problem:
            return jsonify(status="not ready", problem=problem), 503
        return jsonify(status="ready"), 200

    return blueprint


class _Readiness:
    """Asks the database, one question at a time: those who ask meanwhile wait for the same answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._asked: Future[str | None] | None = None

    def find_problem(self) -> str | None:
        """What keeps us from working, in one line; None if nothing does. Takes READY_SECONDS at most."""
        with self._lock:
            asked = self._asked
            if asked is None or asked.done():
                asked = self._asked = Future()
                # Not waited for when the process ends.
                threading.Thread(target=self._ask, args=(asked,), name="readyz", daemon=True).start()
        try:
            return asked.result(READY_SECONDS)
        except TimeoutError:
            return "database: silent"

    def _ask(self, asked: Future[str | None]) -> None:
        try:
            pending = find_pending_migration(self._database)
            asked.set_result(f"migration {pending} is pending" if pending else None)
        except DATABASE_FAULTS as error:
            asked.set_result(describe_database_fault(error))
        except Exception as error:
            asked.set_exception(error)
