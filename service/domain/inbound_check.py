"""When to look for texts that never reached us, and what must wait until that is done.

While no worker ran, the web service may have been away as well, and a STOP may have been lost with it. So
after every absence the provider is asked what came in, before anything unprompted leaves, and every ten
minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

ABSENT_AFTER = timedelta(minutes=1)
"""When no worker has ticked for so long, nobody knows whether the service was there."""
CHECK_EVERY = timedelta(minutes=10)
"""While workers tick the web service may be away all the same, and a STOP lost with it."""
ASK_REFUSED_EVERY = timedelta(hours=1)
TRY_AGAIN_AFTER = timedelta(minutes=1)
BLOCK_AFTER = timedelta(hours=2)

OVERLAP = timedelta(minutes=30)
"""How far each check reaches back before the last one: the provider may list a text late."""
YOUNGEST = timedelta(minutes=2)
"""Younger texts are left for the next check: their webhook may still be tried again."""
FIRST_REACH = timedelta(days=7)
"""How far the first check of all reaches back, at most."""
FIRST_REACH_FROM_NEWEST = timedelta(days=1)
"""How far it reaches back before the newest text that did reach us: a day covers the outage before it."""

SETTLED_AFTER = timedelta(seconds=30)
"""How long after a worker came back what is written may still be hidden by the same absence: the web service
starts a little later, and the provider's clock is not ours."""
AGAIN_WHILE_BLOCKED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class InboundCheck:
    """How the check stands. All instants are aware UTC, by the clock of the service.

    `checked_at` is when the last complete check began, `tried_at` when any did; `back_at` when a worker last
    came back after an absence; `again_at` when to look for texts that were too young, and `left_from` when
    the first of those was written; `reached_at` how far a look has come that is not complete yet, and
    `slice_seconds` how much time it asks about at once; `is_refused` that the provider does not offer such a
    list.
    """

    checked_at: datetime | None = None
    tried_at: datetime | None = None
    back_at: datetime | None = None
    again_at: datetime | None = None
    left_from: datetime | None = None
    reached_at: datetime | None = None
    slice_seconds: int | None = None
    is_refused: bool = False

    def after_absence(self, now: datetime) -> InboundCheck:
        """As it stands when a worker comes back: nobody knows what was lost meanwhile."""
        return replace(self, back_at=now)

    def after_start(self, now: datetime) -> InboundCheck:
        return replace(self, tried_at=now)

    def after_refusal(self) -> InboundCheck:
        return replace(self, is_refused=True)

    def after_part(self, reached_at: datetime, slice_seconds: int | None) -> InboundCheck:
        """Everything up to there has been taken in; the rest is still owed."""
        return replace(self, reached_at=reached_at, slice_seconds=slice_seconds)

    def after_pause(self) -> InboundCheck:
        """A look that has come to the end of its time goes on at the next tick, not in a minute."""
        return replace(self, tried_at=None)

    def after_success(self, began_at: datetime, *, left_from: datetime | None) -> InboundCheck:
        """Complete up to when it began, but for texts from `left_from` on, whose webhook may still come."""
        done = replace(self, checked_at=began_at, left_from=left_from, is_refused=False)
        done = replace(done, reached_at=None, slice_seconds=None)
        if left_from is None:
            return replace(done, again_at=None)
        wait = AGAIN_WHILE_BLOCKED if _is_left_open(done) else YOUNGEST + timedelta(seconds=30)
        return replace(done, again_at=began_at + wait)


def is_absent(last_tick: datetime | None, now: datetime) -> bool:
    """Whether nobody can say that a worker was there just now."""
    return last_tick is None or now - last_tick > ABSENT_AFTER


def is_owed(check: InboundCheck, last_tick: datetime | None, now: datetime) -> bool:
    """Whether an absence has not been looked into to its end yet."""
    return _is_not_looked_into(check, last_tick, now) or _is_left_open(check)


def _is_not_looked_into(check: InboundCheck, last_tick: datetime | None, now: datetime) -> bool:
    checked_at = check.checked_at
    if checked_at is None:
        return True
    if check.back_at is not None and checked_at < check.back_at:
        return True
    return is_absent(last_tick, now) and now - checked_at > ABSENT_AFTER


def _is_left_open(check: InboundCheck) -> bool:
    """Whether a text was too young to take in that may have been lost in the absence: it may be a STOP.

    It does not last: most such texts are known at the next look, and two minutes after they were written they
    are taken in.
    """
    if check.back_at is None or check.left_from is None:
        return False
    return check.left_from <= check.back_at + SETTLED_AFTER


def is_check_due(check: InboundCheck, last_tick: datetime | None, now: datetime) -> bool:
    """Whether to ask the provider now. A try that failed is repeated every minute, a refusal every hour."""
    if check.tried_at is not None and now - check.tried_at < _gap(check):
        return False
    if check.checked_at is None or _is_not_looked_into(check, last_tick, now):
        return True
    return (check.again_at is not None and now >= check.again_at) or now - check.checked_at >= CHECK_EVERY


def _gap(check: InboundCheck) -> timedelta:
    if check.is_refused:
        return ASK_REFUSED_EVERY
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


def reach_back_to(
    check: InboundCheck, oldest: datetime | None, newest_text: datetime | None, now: datetime
) -> datetime | None:
    """From when to list what came in; None on a new database, where nobody's text can have been lost.

    `oldest` is when the first person was listed, `newest_text` when the newest text came in that we have.
    """
    if check.reached_at is not None:
        return check.reached_at
    if check.checked_at is not None:
        return check.checked_at - OVERLAP
    if oldest is None:
        return None
    starts = [oldest, now - FIRST_REACH]
    if newest_text is not None:
        starts.append(newest_text - FIRST_REACH_FROM_NEWEST)
    return max(starts) - OVERLAP
