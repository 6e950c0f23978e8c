"""APScheduler ticks, one use case each, and nothing else: all state is in the database.

Any number of these processes may run: they share the work by row claims, not by a leader. None of them ends
because the database is away: ticks fail, one line says so, and the next ones try again.
"""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

import structlog
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from service.logs import describe_fault
from service.store.clock import system_clock
from service.store.database import DATABASE_AWAY
from service.store.wake import listen_for_work
from service.usecases.inbound.missed_texts import find_missed_texts, note_start
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.look_up import look_up_due
from service.usecases.sending.plan import plan_due
from service.usecases.sending.poll import poll_silent
from service.usecases.sending.recover import recover_abandoned
from service.usecases.sending.work import record_tick
from service.wiring import Runtime

log = structlog.get_logger(__name__)

PLAN_EVERY_SECONDS = 5
DELIVER_EVERY_SECONDS = 1
"""What becomes due by the clock alone is told by nobody: these are how late a text or a day may be begun.

A text is planned for the minute, so a second is nothing; a day is planned hours ahead of most of its texts.
An idle look costs the database well under a millisecond (docs/scaling.md)."""
RECOVER_EVERY_SECONDS = 30
MISSED_TEXTS_EVERY_SECONDS = 10
"""How often it is asked whether a look is due; also the mark of a worker that is busy with something long."""
LOOK_UP_EVERY_SECONDS = 30
POLL_EVERY_SECONDS = 60

CLOCK_WATCH_SECONDS = 0.5

FIRST_LOOK_SECONDS = 5.0
"""How long the first delivery waits for the first look at what came in. Answers do not wait longer;
unprompted texts do while the look is owed, whatever becomes of it."""

ANSWER_WITHIN_SECONDS = 60.0
"""Twice what a statement may wait for a lock; past it the database is silent, its connection given up."""

STOP_WITHIN_SECONDS = 25.0
"""Longer than a call to the provider may take, shorter than the thirty seconds after which platforms kill."""

SAME_FAULT_SECONDS = 60.0


@dataclass(slots=True)
class Tick:
    """One use case and how often it runs. `asked` is set when it should run again at once."""

    name: str
    action: Callable[[], None]
    seconds: float
    asked: threading.Event = field(default_factory=threading.Event)


class Worker:
    """The ticking process. `stop` lets the round under way finish."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        plan_every: float = PLAN_EVERY_SECONDS,
        deliver_every: float = DELIVER_EVERY_SECONDS,
        first_look_within: float = FIRST_LOOK_SECONDS,
    ) -> None:
        self._runtime = runtime
        self._stopping = threading.Event()
        self._first_look_within = first_look_within
        self._has_begun = False
        self._has_looked = threading.Event()
        self._hurrying = threading.Event()
        self._faults = FaultLog()
        self._scheduler = BackgroundScheduler(timezone="UTC")
        # A tick whose last run still goes on is left out: that is meant, and no news.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        ticks = (
            Tick("recover", self._recover, RECOVER_EVERY_SECONDS),
            Tick("plan", self._plan, plan_every),
            Tick("deliver", self._deliver, deliver_every),
            Tick("missed_texts", self._find_missed_texts, MISSED_TEXTS_EVERY_SECONDS),
            Tick("look_up", self._look_up, LOOK_UP_EVERY_SECONDS),
            Tick("poll", self._poll, POLL_EVERY_SECONDS),
        )
        self._ticks = {tick.name: tick for tick in ticks}
        for tick in ticks:
            self._scheduler.add_job(
                self._run_tick,
                "interval",
                args=(tick,),
                seconds=tick.seconds,
                id=tick.name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )
        runtime.database.expect_answers_within(ANSWER_WITHIN_SECONDS)

    def start(self) -> None:
        """Begin ticking in background threads."""
        self._scheduler.start()
        if not self._runtime.database.is_sqlite:
            arguments = self._runtime.database, self.wake, self._stopping
            threading.Thread(target=listen_for_work, args=arguments, name="listen", daemon=True).start()
        threading.Thread(target=self._keep_ticking, name="keep_ticking", daemon=True).start()
        log.info("worker_started")

    def stop(self, within: float = STOP_WITHIN_SECONDS) -> bool:
        """Stop ticking and wait up to `within` seconds for what is in flight; False if something still is."""
        self._stopping.set()
        closing = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        closing.start()
        until = time.monotonic() + within
        while closing.is_alive() and time.monotonic() < until and not self._hurrying.is_set():
            closing.join(0.1)
        if closing.is_alive():
            log.warning("worker_stop_cut_short")
            return False
        log.info("worker_stopped")
        return True

    def run(self) -> bool:
        """Tick until SIGTERM or SIGINT; a second one cuts the wait short. False as `stop` returns it.

        The process should then leave without waiting for its threads. Nothing is lost by that: what is
        claimed and what is on its way comes back by its lease, as after a kill.
        """
        finished = threading.Event()

        def _finish(_signal: int, _frame: FrameType | None) -> None:
            if finished.is_set():
                self._hurrying.set()
            self._stopping.set()
            finished.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _finish)
        settle_memory()
        self.start()
        finished.wait()
        return self.stop()

    def wake(self) -> None:
        """Look for days to plan and texts to send at once, besides the regular ticks."""
        self._ask("plan")
        self._ask("deliver")

    def _ask(self, name: str) -> None:
        """Run a tick now, or once more when the run under way ends."""
        if not self._stopping.is_set():
            self._ticks[name].asked.set()
            with suppress(JobLookupError):  # it was stopped just now
                self._scheduler.modify_job(name, next_run_time=system_clock())

    def _keep_ticking(self) -> None:
        """Tick at once when the machine's clock was set back: the scheduler waits for a time of day."""
        ahead = time.time() - time.monotonic()
        while not self._stopping.wait(CLOCK_WATCH_SECONDS):
            before, ahead = ahead, time.time() - time.monotonic()
            if ahead < before - CLOCK_WATCH_SECONDS:
                log.warning("clock_set_back", seconds=round(before - ahead))
                for name in self._ticks:
                    self._ask(name)

    def _run_tick(self, tick: Tick) -> None:
        while not self._stopping.is_set():
            tick.asked.clear()
            try:
                tick.action()
            except Exception as fault:
                self._faults.tell(tick.name, fault)
                return
            self._faults.forget(tick.name)
            if not tick.asked.is_set():
                return

    def _recover(self) -> None:
        recover_abandoned(self._runtime.context, self._runtime.clock())

    def _find_missed_texts(self) -> None:
        try:
            find_missed_texts(self._runtime.context, self._runtime.records, self._runtime.clock())
        finally:
            self._has_looked.set()

    def _await_first_look(self) -> None:
        """What came in while nobody was here decides what may leave: so it is looked for first."""
        if self._runtime.records is not None:
            note_start(self._runtime.context, self._runtime.clock())
            self._ask("missed_texts")
            self._has_looked.wait(self._first_look_within)
        self._has_begun = True

    def _look_up(self) -> None:
        look_up_due(self._runtime.context, self._runtime.records, self._runtime.clock())

    def _poll(self) -> None:
        poll_silent(self._runtime.context, self._runtime.records, self._runtime.clock())

    def _plan(self) -> None:
        now = self._runtime.clock()
        counts = plan_due(self._runtime.context, now)
        if counts.planned:
            self._ask("deliver")
        record_tick(self._runtime.context, now)

    def _deliver(self) -> None:
        if not self._has_begun:
            self._await_first_look()
        deliver_due(
            self._runtime.context,
            self._runtime.transport,
            self._runtime.clock,
            is_stopping=self._stopping.is_set,
        )


def settle_memory() -> None:
    """Spare the garbage collector what stays for the process's whole life (a tenth of the cost of a text)."""
    gc.collect()
    gc.freeze()


class FaultLog:
    """What goes wrong in ticks, told so that a long outage is two lines, not thousands."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._away: set[str] = set()
        self._away_since = 0.0
        self._told: dict[tuple[str, str], float] = {}

    def tell(self, tick: str, fault: Exception) -> None:
        """One line when the database goes away; for any other fault one a minute."""
        with self._lock:
            if isinstance(fault, DATABASE_AWAY):
                if not self._away:
                    self._away_since = time.monotonic()
                    cause = getattr(fault, "orig", None) or fault
                    log.error("database_away", fault=type(cause).__name__, tick=tick)
                self._away.add(tick)
                return
            key = tick, type(fault).__name__
            if time.monotonic() - self._told.get(key, -SAME_FAULT_SECONDS) >= SAME_FAULT_SECONDS:
                self._told[key] = time.monotonic()
                log.error("tick_fault", tick=tick, **describe_fault(fault))

    def forget(self, tick: str) -> None:
        """A tick has run through: one line when the database is back for all."""
        with self._lock:
            if tick in self._away:
                self._away.discard(tick)
                if not self._away:
                    seconds = round(time.monotonic() - self._away_since, 1)
                    log.warning("database_back", after_seconds=seconds)
