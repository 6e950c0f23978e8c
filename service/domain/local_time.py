"""Wall-clock time and instants: what a person lives by, and when that is in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

_SECOND = timedelta(seconds=1)

# Many people live by the same times in the same zones: planning asks for the same instants over and over.
_remembered = lru_cache(maxsize=8192)


class UnknownZoneError(ValueError):
    """The name is no IANA time zone. The message does not repeat it: it may be a misplaced column."""


def get_zone(name: str) -> ZoneInfo:
    """The IANA zone of that exact name ("America/Chicago", "UTC").

    Raises UnknownZoneError, also for bare legacy names such as "EST": some of them keep no daylight
    saving time, and nobody who writes "EST" means that.
    """
    if name not in _list_zone_names():
        raise UnknownZoneError("unknown time zone: use an IANA name such as America/Chicago")
    return ZoneInfo(name)


@_remembered
def to_utc(on: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant (aware, UTC) at which clocks in `zone` show that date and time.

    A time that a spring change skips moves forward by the length of the gap; of a time that an autumn
    change repeats, the first is meant (RFC 5545, 3.3.5).
    """
    return datetime.combine(on, at.replace(tzinfo=None, fold=0), tzinfo=zone).astimezone(UTC)


def local_datetime(now: datetime, zone: ZoneInfo) -> datetime:
    """The wall clock of `zone` at an aware instant. Raises ValueError for a naive one."""
    if now.tzinfo is None:
        raise ValueError("an instant needs its zone: got a naive datetime")
    return now.astimezone(zone)


def local_date(now: datetime, zone: ZoneInfo) -> date:
    """The calendar date in `zone` at an aware instant."""
    return local_datetime(now, zone).date()


@_remembered
def start_of_day(on: date, zone: ZoneInfo) -> datetime:
    """The first instant (aware, UTC) whose date in `zone` is `on`, also where midnight is skipped.

    For a date that a zone skipped altogether, the first instant of the next date.
    """
    midnight = to_utc(on, time(0), zone)
    if midnight.astimezone(zone).time() == time(0):
        return midnight
    # Midnight lies in a gap, which may have begun the evening before: look for the change itself.
    low, high = midnight - timedelta(days=1, hours=1), midnight
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).date() >= on:
            high = middle
        else:
            low = middle
    return high


@cache
def _list_zone_names() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")
