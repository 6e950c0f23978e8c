"""`/metrics` for Prometheus: with the bearer token, or from this machine when none is set."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from service.usecases.operations.measure import Figure, read_figures
from service.web.faults import DATABASE_FAULTS, describe_database_fault
from service.web.this_machine import is_from_this_machine
from service.wiring import Runtime

FRESH_SECONDS = 5.0
"""A reading serves every scrape of a process for so long, however many there are."""

WAIT_SECONDS = 2.0


def build_blueprint(runtime: Runtime) -> Blueprint:
    """One route; the figures come from the database, so any web process may answer it."""
    blueprint = Blueprint("metrics", __name__)
    latest = _Latest(lambda: read_figures(runtime.context, runtime.clock()))

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if not _may_read(runtime):
            return _refuse("not allowed", 403)
        try:
            figures = latest.read()
        except DATABASE_FAULTS as error:
            return _refuse(describe_database_fault(error), 503)
        except TimeoutError:
            return _refuse("another reading is under way", 503)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Reading(figures))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return blueprint


class _Latest:
    """The latest reading. One thread at a time reads; the others get what it found."""

    def __init__(self, read: Callable[[], Sequence[Figure]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._figures: Sequence[Figure] | None = None
        self._read_at = -FRESH_SECONDS

    def read(self) -> Sequence[Figure]:
        """Figures not older than FRESH_SECONDS. Raises TimeoutError and what the reading raises."""
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise TimeoutError
        try:
            if self._figures is None or time.monotonic() - self._read_at >= FRESH_SECONDS:
                self._figures = None
                self._figures = self._read()
                self._read_at = time.monotonic()
            return self._figures
        finally:
            self._lock.release()


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

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        for figure in self._figures:
            names = [name for name, _ in figure.samples[0].labels] if figure.samples else []
            family = GaugeMetricFamily(f"aftercare_{figure.name}", figure.what, labels=names)
            for sample in figure.samples:
                family.add_metric([value for _, value in sample.labels], sample.value)
            if figure.samples:
                yield family
