"""One round of everything a worker does, in the order that keeps promises: recover, plan, deliver."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from service.domain.delivery import MessageState
from service.gateways.sms.protocol import ProviderRecords, SmsTransport
from service.usecases.context import Context
from service.usecases.inbound.check_state import note_presence
from service.usecases.inbound.missed_texts import find_missed_texts
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.look_up import look_up_due
from service.usecases.sending.plan import plan_due
from service.usecases.sending.poll import poll_silent
from service.usecases.sending.recover import recover_abandoned

MARK_EVERY_SECONDS = 10.0


def work_once(
    context: Context,
    transport: SmsTransport,
    clock: Callable[[], datetime],
    records: ProviderRecords | None = None,
) -> dict[str, Any]:
    """Plan and deliver what is due now; waits for no retry and no unknown. Returns counts, with no names.

    With the provider's `records`, texts that never reached us are found and texts whose fate is open are
    looked up first.
    """
    now = clock()
    missed = find_missed_texts(context, records, now)
    recovered = recover_abandoned(context, now)
    looked_up = look_up_due(context, records, now)
    polled = poll_silent(context, records, now)
    planned = plan_due(context, now)
    delivered = deliver_due(context, transport, clock, between=_Presence(context, clock))
    record_tick(context, clock())
    return {
        "people_planned": planned.people,
        "planned": planned.planned,
        "held_by_plan": planned.held,
        "expired_by_plan": planned.expired,
        "claimed": delivered.claimed,
        "recovered": recovered.replanned,
        "unknown": recovered.unknown,
        "found_at_provider": looked_up.found + polled.moved,
        "planned_after_look_up": looked_up.resent,
        "missed_texts_found": missed.taken_in,
        **{f"now_{state}": delivered.by_state.get(state, 0) for state in sorted(MessageState)},
    }


def record_tick(context: Context, now: datetime) -> None:
    """Leave a mark that a worker was here."""
    with context.database.begin() as session:
        note_presence(session, now)


class _Presence:
    """Leaves the mark again while a long delivery goes on: else nobody would seem to be here."""

    def __init__(self, context: Context, clock: Callable[[], datetime]) -> None:
        self._context = context
        self._clock = clock
        self._marked_at = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._marked_at > MARK_EVERY_SECONDS:
            self._marked_at = time.monotonic()
            record_tick(self._context, self._clock())
