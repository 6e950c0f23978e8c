"""When to look for texts that never reached us, and what must wait until that is done.

While no worker ran, the web service may have been away as well, and a STOP may have been lost with it. So
after every absence the provider is asked what came in, before anything unprompted leaves, and every hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

ABSENT_AFTER = timedelta(minutes=1)
"""When no worker has ticked for so long, nobody knows whether the service was there."""
CHECK_EVERY = timedelta(hours=1)
TRY_AGAIN_AFTER = timedelta(minutes=1)
BLOCK_AFTER = timedelta(hours=2)

OVERLAP = timedelta(minutes=30)
"""How far each check reaches back before the last one: the provider may list a text late."""
YOUNGEST = timedelta(minutes=2)
"""Younger texts are left for the next check: their webhook may still be tried again."""
FIRST_REACH = timedelta(days=7)
"""How far the first check of all reaches back, at most."""


@dataclass(frozen=True, slots=True)
class InboundCheck:
    """How the check stands. All instants are aware UTC, by the clock of the service.

    `checked_at` is when the last complete check began, `tried_at` when any did; `back_at` when a worker last
    came back after an absence; `again_at` when to look for texts that were too young; `is_refused` that the
    provider does not offer such a list.
    """

    checked_at: datetime | None = None
    tried_at: datetime | None = None
    back_at: datetime | None = None
    again_at: datetime | None = None
    is_refused: bool = False

    def after_absence(self, now: datetime) -> InboundCheck:
        """As it stands when a worker comes back: nobody knows what was lost meanwhile."""
        return replace(self, back_at=now)

    def after_start(self, now: datetime) -> InboundCheck:
        return replace(self, tried_at=now)

    def after_refusal(self) -> InboundCheck:
        return replace(self, is_refused=True)

    def after_success(self, began_at: datetime, *, were_some_too_young: bool) -> InboundCheck:
        """Complete up to when it began, but for texts whose webhook may still come."""
        again_at = began_at + YOUNGEST + timedelta(seconds=30) if were_some_too_young else None
        return replace(self, checked_at=began_at, again_at=again_at, is_refused=False)


def is_absent(last_tick: datetime | None, now: datetime) -> bool:
    """Whether nobody can say that a worker was there just now."""
    return last_tick is None or now - last_tick > ABSENT_AFTER


def is_owed(check: InboundCheck, last_tick: datetime | None, now: datetime) -> bool:
    """Whether an absence has not been looked into yet."""
    checked_at = check.checked_at
    if checked_at is None:
        return True
    if check.back_at is not None and checked_at < check.back_at:
        return True
    return is_absent(last_tick, now) and now - checked_at > ABSENT_AFTER


def is_check_due(check: InboundCheck, last_tick: datetime | None, now: datetime) -> bool:
    """Whether to ask the provider now. A try that failed is repeated every minute, a refusal every hour."""
    if check.tried_at is not None and now - check.tried_at < _gap(check):
        return False
    if is_owed(check, last_tick, now) or (check.again_at is not None and now >= check.again_at):
        return True
    return check.checked_at is None or now - check.checked_at >= CHECK_EVERY


def _gap(check: InboundCheck) -> timedelta:
    if check.is_refused:
        return CHECK_EVERY
    has_failed = check.checked_at is None or (
        check.tried_at is not None and check.tried_at > check.checked_at
    )
    return TRY_AGAIN_AFTER if has_failed else timedelta(0)


def is_sending_blocked(check: InboundCheck, last_tick: datetime | None, now: datetime) -> bool:
    """Whether unprompted texts wait: an absence not looked into, or no complete check for two hours.

    A provider that does not offer the list blocks nothing: waiting would not help. Staff are told instead.
    """
    if check.is_refused:
        return False
    if is_owed(check, last_tick, now) or check.checked_at is None:
        return True
    return now - check.checked_at > BLOCK_AFTER


def reach_back_to(check: InboundCheck, oldest: datetime | None, now: datetime) -> datetime | None:
    """From when on to list; None when there is nothing to look for yet.

    `oldest` is when the first person was listed. What came in before that was for somebody else.
    """
    if check.checked_at is not None:
        return check.checked_at - OVERLAP
    if oldest is None:
        return None
    return max(oldest, now - FIRST_REACH) - OVERLAP
