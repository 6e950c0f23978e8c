"""Every change of the clocks in every IANA zone until the end of 2029, and what the clocks show around it.

What is expected of the rules is worked out here by brute force over minutes of UTC: the zone is only ever
asked what its clock shows at an instant, never when its clock shows a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from service.domain.quiet_hours import SendingWindow

FIRST, LAST = datetime(2026, 11, 1, tzinfo=UTC), datetime(2029, 12, 31, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = sorted(name for name in available_timezones() if "/" in name or name == "UTC")
BACK, AHEAD = 2 * 1440, 3 * 1440
"""Minutes looked at before and after a change: from one opening to the next is less, Sunday or not."""

_SUNDAY = 6


@dataclass(frozen=True)
class ClockChange:
    """At `at` (UTC, to the minute) the clocks of all `names` go from one offset (minutes) to another."""

    at: datetime
    before: int
    after: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.names[0]} {self.at:%Y-%m-%dT%H:%M} {self.after - self.before:+d}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.names[0])

    @property
    def walls(self) -> list[int]:
        """What the clock shows at each minute from `BACK` before the change to `AHEAD` after it.

        In minutes since `FIRST` read as wall-clock time. `test_the_clocks_show_what_the_zone_says` ties this
        to the zone.
        """
        zero = self.zero
        return [zero + minute + (self.before if minute < 0 else self.after) for minute in range(-BACK, AHEAD)]

    @property
    def zero(self) -> int:
        return int((self.at - FIRST) / MINUTE)

    def instant(self, index: int) -> datetime:
        """The instant at an index of `walls`."""
        return self.at + (index - BACK) * MINUTE

    def is_open(self, window: SendingWindow) -> list[bool]:
        """Whether each minute of `walls` is permitted, by the words of the rule."""
        opens, closes = _minutes(window.opens_at), _minutes(window.closes_at)
        sunday = max(opens, _minutes(window.sunday_opens_at))
        shown = [divmod(wall, 1440) for wall in self.walls]
        first = FIRST.weekday()
        return [
            (sunday if (day + first) % 7 == _SUNDAY else opens) <= minute < closes for day, minute in shown
        ]


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute


def wall_of(minutes: int) -> datetime:
    """The date and time, without a zone, that a number of `ClockChange.walls` stands for."""
    return FIRST.replace(tzinfo=None) + minutes * MINUTE


def date_of(minutes: int) -> date:
    return wall_of(minutes).date()


def next_true(flags: Sequence[bool]) -> list[int | None]:
    """For each index the first one at or after it that is true."""
    found: list[int | None] = []
    latest = None
    for index in range(len(flags) - 1, -1, -1):
        latest = index if flags[index] else latest
        found.append(latest)
    return found[::-1]


def offset_at(moment: datetime, zone: ZoneInfo) -> int:
    """Minutes that the zone's clock is ahead of UTC at an instant."""
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    assert offset % MINUTE == timedelta(0), "no zone has seconds any more"
    return int(offset / MINUTE)


@cache
def list_changes() -> tuple[ClockChange, ...]:
    """Every change, found by search; zones that change alike at the same moment are told together."""
    found: dict[tuple[datetime, int, int], list[str]] = {}
    for name in NAMES:
        for key in _changes_of(name):
            found.setdefault(key, []).append(name)
    return tuple(
        ClockChange(at, before, after, tuple(names)) for (at, before, after), names in sorted(found.items())
    )


def _changes_of(name: str) -> list[tuple[datetime, int, int]]:
    zone = ZoneInfo(name)
    found = []
    moment, offset = FIRST, offset_at(FIRST, zone)
    while moment < LAST:
        following = moment + DAY
        if (changed := offset_at(following, zone)) != offset:
            found.append((_find_minute(moment, following, zone), offset, changed))
        moment, offset = following, changed
    return found


def _find_minute(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The first minute after `low` with the offset that holds at `high`."""
    wanted = offset_at(high, zone)
    while high - low > MINUTE:
        middle = low + int((high - low) / MINUTE) // 2 * MINUTE
        low, high = (low, middle) if offset_at(middle, zone) == wanted else (middle, high)
    return high
