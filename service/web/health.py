"""Is the process alive, and can it do its work."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from service.store.schema import find_pending_migration
from service.web.faults import DATABASE_FAULTS, describe_database_fault
from service.wiring import Runtime


def build_blueprint(runtime: Runtime) -> Blueprint:
    """`/healthz` answers while the process lives; `/readyz` when the database answers and is migrated."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/readyz")
    def readyz() -> tuple[Response, int]:
        try:
            pending = find_pending_migration(runtime.database)
        except DATABASE_FAULTS as error:
            return jsonify(status="not ready", problem=describe_database_fault(error)), 503
        if pending:
            return jsonify(status="not ready", problem=f"migration {pending} is pending"), 503
        return jsonify(status="ready"), 200

    return blueprint
