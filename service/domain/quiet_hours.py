"""The hours in which a person may be sent a text that they did not ask for.

Every function takes all zones in which the person may be: until somebody confirms where they live, a moment
is permitted only where it is permitted in each of them. Windows are half-open: the closing time is closed.
Answers to a person's own text are exempt and do not come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.domain.local_time import to_utc

EARLIEST = time(8)
LATEST = time(21)
_SUNDAY = 6
_SEARCH_DAYS = 8
_DAY = timedelta(days=1)

LAST_MINUTES = 5
"""What is moved to the end of a window is given so many minutes of it: a worker and a carrier need some."""


class WindowError(ValueError):
    """A window is wider than permitted or empty, or no permitted moment exists for these zones."""


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """From `opens_at` until just before `closes_at`, local wall-clock time.

    Sundays open at the later of `opens_at` and `sunday_opens_at`; a window that closes before then has
    no Sunday at all. Never wider than 08:00-21:00 (47 CFR 64.1200(c)(1)); the defaults are the
    narrowest of the stricter states (20:00 in Florida, Sunday noon in Texas). Raises WindowError.
    """

    opens_at: time = time(9)
    closes_at: time = time(20)
    sunday_opens_at: time = time(12)

    def __post_init__(self) -> None:
        if any(at.tzinfo is not None for at in (self.opens_at, self.closes_at, self.sunday_opens_at)):
            raise WindowError("a sending window is wall-clock time, without a zone")
        if self.opens_at < EARLIEST or self.sunday_opens_at < EARLIEST:
            raise WindowError("a sending window may not open before 08:00")
        if self.closes_at > LATEST:
            raise WindowError("a sending window may not close after 21:00")
        if self.opens_at >= self.closes_at:
            raise WindowError("a sending window must open before it closes")

    def opening(self, weekday: int) -> time:
        """When the window opens on a weekday (Monday is 0); at or after `closes_at` on a day without one."""
        return max(self.opens_at, self.sunday_opens_at) if weekday == _SUNDAY else self.opens_at


DEFAULT_WINDOW = SendingWindow()


def is_open(now: datetime, window: SendingWindow, zones: Sequence[ZoneInfo]) -> bool:
    """Whether `now` (aware) is permitted in every zone. Raises WindowError when there is no zone."""
    _check(now, zones)
    for zone in zones:  # noqa: SIM110 - planning asks this for every text, and a generator is dearer
        if not _is_open_in(now, window, zone):
            return False
    return True


def next_open(now: datetime, window: SendingWindow, zones: Sequence[ZoneInfo]) -> datetime:
    """The earliest permitted moment at or after `now` (UTC), and `now` itself when it is permitted.

    Raises WindowError when the zones share no permitted moment within 8 days.
    """
    _check(now, zones)
    moment, limit = now, now + _SEARCH_DAYS * _DAY
    while moment <= limit:
        shut = next((zone for zone in zones if not _is_open_in(moment, window, zone)), None)
        if shut is None:
            return moment.astimezone(UTC)
        moment = _next_opening(moment, window, shut)
    raise WindowError("no moment within 8 days is permitted in all of these zones")


def last_open(
    not_after: datetime, window: SendingWindow, zones: Sequence[ZoneInfo], not_before: datetime
) -> datetime | None:
    """The latest permitted moment (UTC) from `not_before` to `not_after`, both included, or None.

    The last moment of a window is taken to be five minutes before it closes, or its opening if it is shorter
    than that. Looks back 8 days at most.
    """
    _check(not_after, zones)
    moment, limit = not_after, max(not_before, not_after - _SEARCH_DAYS * _DAY)
    while moment >= limit:
        latest = min(_latest_in(moment, window, zone) for zone in zones)
        if latest == moment:
            return moment.astimezone(UTC)
        moment = latest
    return None


def closes_next(now: datetime, window: SendingWindow, zones: Sequence[ZoneInfo]) -> datetime:
    """When the window that is open at `now` closes (UTC): the earliest closing among the zones.

    Raises WindowError when the window is not open.
    """
    if not is_open(now, window, zones):
        raise WindowError("the window is not open, so it cannot close")
    return min(to_utc(now.astimezone(zone).date(), window.closes_at, zone) for zone in zones)


def _check(moment: datetime, zones: Sequence[ZoneInfo]) -> None:
    if not zones:
        raise WindowError("a sending window needs at least one time zone")
    if moment.tzinfo is None:
        raise WindowError("a sending window needs an instant with its zone")


def _is_open_in(moment: datetime, window: SendingWindow, zone: ZoneInfo) -> bool:
    local = moment.astimezone(zone)
    at = local.time()
    if not window.opens_at <= at < window.closes_at:
        return False
    return at >= window.sunday_opens_at or local.weekday() != _SUNDAY


def _next_opening(moment: datetime, window: SendingWindow, zone: ZoneInfo) -> datetime:
    """The first opening after a moment that is shut in this zone. The next Sunday may have none."""
    on = moment.astimezone(zone).date()
    while True:
        opens_at = window.opening(on.weekday())
        if opens_at < window.closes_at:
            opening = to_utc(on, opens_at, zone)
            if opening > moment:
                return opening
        on += _DAY


def _latest_in(moment: datetime, window: SendingWindow, zone: ZoneInfo) -> datetime:
    """The latest moment at or before `moment` that is open in this zone, with some of the window left."""
    on = moment.astimezone(zone).date()
    while True:
        opens_at = window.opening(on.weekday())
        if opens_at < window.closes_at:
            opening = to_utc(on, opens_at, zone)
            if opening <= moment:
                last = to_utc(on, window.closes_at, zone) - timedelta(minutes=LAST_MINUTES)
                return min(moment, max(opening, last))
        on -= _DAY
