"""APScheduler ticks, one use case each, and nothing else: all state is in the database.

Any number of these processes may run: they share the work by row claims, not by a leader.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.plan import plan_due
from service.usecases.sending.recover import recover_abandoned
from service.usecases.sending.work import record_tick
from service.wiring import Runtime

log = structlog.get_logger(__name__)

PLAN_EVERY_SECONDS = 5
DELIVER_EVERY_SECONDS = 1
RECOVER_EVERY_SECONDS = 30


class Worker:
    """The ticking process. `stop` lets the round under way finish."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(timezone="UTC")
        ticks = (
            ("recover", self._recover, RECOVER_EVERY_SECONDS),
            ("plan", self._plan, PLAN_EVERY_SECONDS),
            ("deliver", self._deliver, DELIVER_EVERY_SECONDS),
        )
        for name, tick, seconds in ticks:
            self._scheduler.add_job(
                tick,
                "interval",
                seconds=seconds,
                id=name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )

    def start(self) -> None:
        """Begin ticking in background threads."""
        self._scheduler.start()
        log.info("worker_started")

    def stop(self) -> None:
        """Stop ticking and wait for what is in flight."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)
        log.info("worker_stopped")

    def run(self) -> None:
        """Tick until SIGTERM or SIGINT."""
        finished = threading.Event()

        def _finish(_signal: int, _frame: FrameType | None) -> None:
            self._stopping.set()
            finished.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _finish)
        self.start()
        finished.wait()
        self.stop()

    def _recover(self) -> None:
        recover_abandoned(self._runtime.context, self._runtime.clock())

    def _plan(self) -> None:
        now = self._runtime.clock()
        plan_due(self._runtime.context, now)
        record_tick(self._runtime.context, now)

    def _deliver(self) -> None:
        deliver_due(
            self._runtime.context,
            self._runtime.transport,
            self._runtime.clock,
            is_stopping=self._stopping.is_set,
        )
