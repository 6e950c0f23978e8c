"""`/metrics` for Prometheus: with the bearer token, or from this machine when none is set."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from service.usecases.operations.measure import Measures, read_measures
from service.web.faults import DATABASE_FAULTS, describe_database_fault
from service.web.this_machine import is_from_this_machine
from service.wiring import Runtime


def build_blueprint(runtime: Runtime) -> Blueprint:
    """One route; every scrape reads the database, so any web process may answer it."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if not _may_read(runtime):
            return _refuse("not allowed", 403)
        try:
            measures = read_measures(runtime.context, runtime.clock())
        except DATABASE_FAULTS as error:
            return _refuse(describe_database_fault(error), 503)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Reading(measures))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return blueprint


def _may_read(runtime: Runtime) -> bool:
    token = runtime.settings.metrics_token
    if token is not None:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token.get_secret_value()}".encode())
    return is_from_this_machine()


def _refuse(line: str, status: int) -> Response:
    return Response(f"{line}\n", status=status, content_type="text/plain; charset=utf-8")


class _Reading:
    """One reading as Prometheus wants it."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        found = self._measures
        states = GaugeMetricFamily("aftercare_texts", "Texts due in the last day, by state", labels=["state"])
        for state, count in sorted(found.texts_by_state.items()):
            states.add_metric([state], count)
        yield states
        for name, what, value in (
            ("segments", "Segments sent in the last day", found.segments_last_day),
            ("oldest_due_seconds", "Age of the oldest text that is due", found.oldest_due_age),
            ("unknown_texts", "Texts whose fate is not known", found.unknown),
            ("open_tasks", "What waits for a human", found.open_tasks),
            ("opted_out_numbers", "Numbers that must not be texted", found.suppressed),
            ("tick_age_seconds", "Time since a worker was last seen", found.tick_age),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"aftercare_{name}", what, value=value)
