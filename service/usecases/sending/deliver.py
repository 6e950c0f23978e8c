"""Send what is due: claim, decide at the last instant, hand over, record.

One round, three kinds of steps and what each commits: (1) claim up to a second's worth of due texts;
(2) one transaction that locks people, then messages, decides consent, hours and caps, renders, books the
sender's time and commits the texts as `sending`; (3) the HTTP calls, with no transaction open; (4) one
transaction a text that records the answer. Killed anywhere, a text is either untouched, or claimed with a
lease that runs out, or `sending`, which becomes `unknown` and is never sent again blindly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, update

from service.domain.delivery import WAITING, MessageState
from service.gateways.sms.protocol import SendOutcome, SmsTransport
from service.store.database import real_now
from service.store.messages import Message
from service.store.service_state import BOOKED_AHEAD, find_booked_until
from service.usecases.context import Context, new_reference
from service.usecases.sending.outcomes import record_outcome, take_back
from service.usecases.sending.release import SENDER, ReadyText, release_claimed

log = structlog.get_logger(__name__)

SENDER_THREADS = 16
CLAIM_LEASE = timedelta(seconds=60)


@dataclass(slots=True)
class DeliveryCounts:
    """What one delivery run did, by the state each text was left in."""

    claimed: int = 0
    by_state: dict[str, int] = field(default_factory=dict)

    def add(self, state: str) -> None:
        self.by_state[state] = self.by_state.get(state, 0) + 1


def deliver_due(
    context: Context,
    transport: SmsTransport,
    now: Callable[[], datetime],
    *,
    is_stopping: Callable[[], bool] = lambda: False,
) -> DeliveryCounts:
    """Send everything that is due, round by round, until nothing is or the process is asked to stop.

    `now` is the service's clock (aware UTC, simulated in the simulator); leases and pacing use the
    database's own. Raises nothing for what the provider does.
    """
    counts = DeliveryCounts()
    size = batch_size(context)
    with ThreadPoolExecutor(max_workers=min(SENDER_THREADS, size)) as pool:
        while not is_stopping():
            if (ahead := _booked_ahead(context)) > BOOKED_AHEAD:
                time.sleep(min((ahead - BOOKED_AHEAD).total_seconds(), 1.0))
                continue
            claim_token = new_reference()
            claimed = claim_due(context, claim_token, size, now())
            if not claimed:
                break
            counts.claimed += len(claimed)
            released = release_claimed(context, claim_token, claimed, now())
            for state in released.states:
                counts.add(state)
            _send(context, transport, released.ready, pool, now, counts)
    return counts


def batch_size(context: Context) -> int:
    """As many texts as leave within one second: by the sender's pace, and by the calls made at once."""
    rate = context.settings.segments_per_second
    return SENDER_THREADS if rate is None else max(1, min(SENDER_THREADS, int(rate)))


def _booked_ahead(context: Context) -> timedelta:
    if context.settings.segments_per_second is None:
        return timedelta(0)
    with context.database.read() as session:
        booked = find_booked_until(session, SENDER)
        return timedelta(0) if booked is None else booked - real_now(session)


def claim_due(context: Context, claim_token: str, size: int, now: datetime) -> list[int]:
    """Take a lease on due texts; rows another worker holds are skipped, not waited for."""
    with context.database.begin() as session:
        due = (
            select(Message.id)
            .where(Message.state.in_(WAITING), Message.due_at <= now)
            .order_by(Message.lane, Message.due_at)
            .limit(size)
            .with_for_update(skip_locked=True)
        )
        ids = list(session.scalars(due))
        if ids:
            session.execute(
                update(Message)
                .where(Message.id.in_(ids))
                .values(
                    state=MessageState.CLAIMED,
                    claim_token=claim_token,
                    lease_until=real_now(session) + CLAIM_LEASE,
                )
                .execution_options(synchronize_session=False)
            )
    return ids


def _send(
    context: Context,
    transport: SmsTransport,
    ready: Sequence[ReadyText],
    pool: ThreadPoolExecutor,
    now: Callable[[], datetime],
    counts: DeliveryCounts,
) -> None:
    def send_one(text: ReadyText) -> None:
        if text.wait_seconds > 0:
            time.sleep(text.wait_seconds)
        if text.is_stale:
            counts.add(take_back(context, text, now()))
            return
        outcome: SendOutcome = transport.send(text.sms)
        counts.add(record_outcome(context, text, outcome, now()))

    for result in [pool.submit(send_one, text) for text in ready]:
        result.result()
