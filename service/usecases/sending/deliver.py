"""Send what is due: claim, decide at the last instant, hand over, record.

A flow of small batches, and what each step commits: (1) claim due texts; (2) one transaction that locks
people, then messages, decides consent, hours and caps, renders, books the sender's time and commits the texts
as `sending`; (3) the HTTP calls, several at once, no transaction open, each within a second of (2); (4)
transactions that record the answers, many at once. Killed anywhere, a text is either untouched, or claimed
with a lease that runs out, or `sending`, which becomes `unknown` and is never sent again blindly.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

import structlog

from service.domain.pacing import BOOKED_AHEAD, batch_size, sending_threads
from service.gateways.sms.protocol import Accepted, SendOutcome, SmsTransport, Unknown
from service.store.database import real_now
from service.store.outbox import claim_texts
from service.store.pacing import find_booked_until
from service.usecases.context import Context, new_reference
from service.usecases.sending.outcomes import record_outcomes
from service.usecases.sending.release import ReadyText, release_claimed

log = structlog.get_logger(__name__)

SENDER_THREADS = 16
SIDE_BY_SIDE = 2
MAX_BATCH = 250
CLAIM_LEASE = timedelta(seconds=60)
_GATHER_SECONDS = 0.05
"""How long an answer waits for others to be recorded with it, while others are under way."""
_WEIGH_EVERY = 0.1
"""Seconds between two decisions on how many threads hand over."""


@dataclass(slots=True)
class DeliveryCounts:
    """What one delivery run did, by the state each text was left in."""

    claimed: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add_batch(self, claimed: int, states: Iterable[str]) -> None:
        """Count texts that were claimed, and the state in which deciding left each."""
        with self._lock:
            self.claimed += claimed
            self.by_state.update(states)

    def add(self, state: str) -> None:
        """Count one text's next state."""
        with self._lock:
            self.by_state[state] += 1


def deliver_due(
    context: Context,
    transport: SmsTransport,
    now: Callable[[], datetime],
    *,
    is_stopping: Callable[[], bool] = lambda: False,
    between: Callable[[], None] = lambda: None,
) -> DeliveryCounts:
    """Send everything that is due, batch by batch, until nothing is or the process is asked to stop.

    `now` is the service's clock (aware UTC, simulated in the simulator); leases and pacing use the
    database's own. `between` is called before each batch, perhaps by two threads. What was let go is handed
    over and recorded before this returns, also when asked to stop. Raises nothing for what the provider does,
    and what the database raises when it is not there.
    """
    counts = DeliveryCounts()
    with _Hands(context, transport, now, counts) as hands:
        feeder = _Feeder(context, hands, now, counts, is_stopping, between)
        while feeder.feed():
            if hands.goes_well and not context.database.is_sqlite:
                # Much is due. Half of feeding is waiting for the database: another batch is decided then.
                with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
                    runs = [threads.submit(feeder.feed_on) for _ in range(SIDE_BY_SIDE)]
                for run in runs:
                    run.result()
    return counts


def claim_due(context: Context, claim_token: str, size: int, now: datetime) -> list[int]:
    """Take a lease on due texts; rows another worker holds are skipped, not waited for. Commits once."""
    with context.database.begin() as session:
        return claim_texts(session, claim_token, size, now, CLAIM_LEASE)


def _booked_ahead(context: Context) -> timedelta:
    if context.settings.segments_per_second is None:
        return timedelta(0)
    with context.database.read() as session:
        booked = find_booked_until(session)
        return timedelta(0) if booked is None else booked - real_now(session)


class _Feeder:
    """Claims what is due, decides it and puts what may go into the hands that send it."""

    def __init__(
        self,
        context: Context,
        hands: _Hands,
        now: Callable[[], datetime],
        counts: DeliveryCounts,
        is_stopping: Callable[[], bool],
        between: Callable[[], None],
    ) -> None:
        self._context = context
        self._between = between
        self._hands = hands
        self._now = now
        self._counts = counts
        self._is_stopping = is_stopping
        self._has_time = False

    def feed_on(self) -> None:
        """Take batch after batch until nothing is due. Safe to do in several threads."""
        while self.feed():
            pass

    def feed(self) -> bool:
        """Take one batch; False when nothing is due or the process is asked to stop."""
        if not self._has_time:
            self._wait_for_turn()
        self._hands.wait_until_nearly_free()
        if self._is_stopping():
            return False
        self._between()
        rate = self._context.settings.segments_per_second
        size = batch_size(SENDER_THREADS, rate, self._hands.handed_per_second, MAX_BATCH)
        claim_token = new_reference()
        claimed = claim_due(self._context, claim_token, size, self._now())
        if not claimed:
            return False
        released = release_claimed(self._context, claim_token, claimed, self._now())
        self._counts.add_batch(len(claimed), released.states)
        self._hands.take(released.ready)
        self._has_time = not released.lacked_time
        return True

    def _wait_for_turn(self) -> None:
        """Wait until the sender has time soon, or until asked to stop."""
        while not self._is_stopping() and (ahead := _booked_ahead(self._context)) > BOOKED_AHEAD:
            self._between()
            time.sleep(min((ahead - BOOKED_AHEAD).total_seconds(), 1.0))


class _Hands:
    """The threads that hand texts over, and the one that records the answers, for the length of one run.

    They start with the first text: most runs find nothing due.
    """

    def __init__(
        self,
        context: Context,
        transport: SmsTransport,
        now: Callable[[], datetime],
        counts: DeliveryCounts,
    ) -> None:
        self._context = context
        self._transport = transport
        self._now = now
        self._counts = counts
        self._ready: SimpleQueue[ReadyText | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[ReadyText, SendOutcome | None] | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._wanted = SENDER_THREADS
        self._weighed_at, self._weighed_cpu = time.monotonic(), time.process_time()
        self._recorder: threading.Thread | None = None
        self._changed = threading.Condition()
        self._waiting = 0
        self._all_handed = threading.Event()
        self._unrecorded = 0
        self.goes_well = False
        """Whether the provider took everything that was recorded last."""
        self._handed = 0
        self._first_at = 0.0
        self._faults: list[Exception] = []

    def __enter__(self) -> _Hands:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._wait_until(lambda: self._waiting == 0)
            threads = list(self._threads)
        for _thread in threads:
            self._ready.put(None)
        for thread in threads:
            thread.join()
        if self._recorder is not None:
            self._answers.put(None)
            self._recorder.join()
        if self._faults:
            raise self._faults[0]

    @property
    def handed_per_second(self) -> float:
        """How many texts a second were handed over in this run; 0 while nothing is known."""
        seconds = time.monotonic() - self._first_at
        return self._handed / seconds if self._handed and seconds > 0 else 0.0

    def wait_until_nearly_free(self) -> None:
        """Wait until so few texts wait that the next batch will still leave within its second.

        While the provider has not taken any yet, or refused one just now, wait until every answer is
        recorded: it may change what the next ones may do.
        """
        with self._changed:
            self._weigh()
            self._wait_until(self._is_nearly_free)

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        while not self._changed.wait_for(is_so, _WEIGH_EVERY):
            self._weigh()

    def _weigh(self) -> None:
        """Have as many threads as help: while the provider answers at once they only wait for each other."""
        now, cpu = time.monotonic(), time.process_time()
        if (seconds := now - self._weighed_at) < _WEIGH_EVERY:
            return
        busy = (cpu - self._weighed_cpu) / seconds
        self._weighed_at, self._weighed_cpu = now, cpu
        self._wanted = sending_threads(self._wanted, busy, SENDER_THREADS)
        self._start_threads()

    def _start_threads(self) -> None:
        while len(self._threads) < min(self._wanted, self._waiting):
            thread = threading.Thread(target=self._hand_over, daemon=True)
            self._threads.add(thread)
            thread.start()

    def _is_nearly_free(self) -> bool:
        if not self.goes_well:
            return self._unrecorded == 0
        return self._waiting <= max(SENDER_THREADS, int(self.handed_per_second * 0.2))

    def take(self, texts: list[ReadyText]) -> None:
        """Hand these over, in this order."""
        if not texts:
            return
        with self._changed:
            self._waiting += len(texts)
            self._unrecorded += len(texts)
            self._all_handed.clear()
            if self._recorder is None:
                self._first_at = time.monotonic()
                self._recorder = threading.Thread(target=self._record, daemon=True)
                self._recorder.start()
            self._start_threads()
        for text in texts:
            self._ready.put(text)

    def _hand_over(self) -> None:
        while (text := self._ready.get()) is not None:
            if (wait := text.wait_seconds) > 0:
                time.sleep(wait)
            outcome = None if text.is_stale else self._send(text)
            self._answers.put((text, outcome))
            with self._changed:
                self._waiting -= 1
                self._handed += 1
                if self._waiting == 0:
                    self._all_handed.set()
                if self._waiting == 0 or self._is_nearly_free():
                    self._changed.notify_all()
                if len(self._threads) > self._wanted:
                    self._threads.discard(threading.current_thread())
                    return

    def _send(self, text: ReadyText) -> SendOutcome:
        try:
            return self._transport.send(text.sms)
        except Exception as fault:  # a transport raises nothing; if it does, the text may have left
            log.exception("send_fault", exc_info=False, fault=type(fault).__name__)
            return Unknown(type(fault).__name__)

    def _record(self) -> None:
        is_open = True
        while is_open:
            batch = [self._answers.get()]
            self._all_handed.wait(_GATHER_SECONDS)
            while len(batch) < MAX_BATCH:
                try:
                    batch.append(self._answers.get_nowait())
                except Empty:
                    break
            is_open = None not in batch
            told = [one for one in batch if one is not None]
            self._write_down(told)
            with self._changed:
                self._unrecorded -= len(told)
                self.goes_well = all(isinstance(outcome, Accepted) for _, outcome in told)
                self._changed.notify_all()

    def _write_down(self, batch: list[tuple[ReadyText, SendOutcome | None]]) -> None:
        try:
            for state in record_outcomes(self._context, batch, self._now()):
                self._counts.add(state)
        except Exception as fault:  # told to the caller once everything under way has ended
            self._faults.append(fault)
