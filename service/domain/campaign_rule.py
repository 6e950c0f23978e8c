"""Recurrence rules of campaigns (RFC 5545, RRULE): on which local dates, and at what local times.

Dates and times are wall-clock values; a zone comes in only when somebody's day is planned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import takewhile

from dateutil.rrule import rrulestr

LONGEST_RUN = timedelta(days=3660)
"""A rule without an end is followed for ten years."""

MOST_TIMES_A_DAY = 2
"""More texts than this a day reach nobody (the daily cap)."""

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = (
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"),
    *("BYHOUR", "BYMINUTE", "BYSECOND"),
)
_TIME_PARTS = frozenset({"BYHOUR", "BYMINUTE", "BYSECOND", "UNTIL"})
_MOST_NUMBERS = 5
_WHEN = re.compile(r"(\d{8})(?:T(\d{4})\d{2}Z?)?")
_SHIFT_YEARS = 7600


class RuleError(ValueError):
    """The rule cannot be followed; one line says why."""


@dataclass(frozen=True)
class Recurrence:
    """When a campaign recurs. `text` is the RRULE without times and end; `until` is the last date."""

    text: str
    starts_on: date | None
    times: tuple[time, ...]
    until: date | None
    skip: frozenset[date]

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """Every local date, in order. Raises RuleError when there is none, or the rule cannot be read."""
        if self.starts_on is None:
            raise RuleError("the rule has no first date")
        found = list(_expand(self.text, self.starts_on, self.until))
        if not found:
            raise RuleError("the rule never comes true; change it, or its until")
        return tuple(on for on in found if on not in self.skip)


def read_rule(text: str) -> tuple[str, date | None, tuple[time, ...], date | None]:
    """Read an RRULE, also one with its DTSTART line: the rule, its first date, its times, its last date.

    Raises RuleError. Of a moment only the wall-clock part counts: the time is each person's own.
    """
    starts_on, at, rule = None, None, text.strip()
    for line in text.split():
        name, _, value = line.upper().partition(":")
        if name.partition(";")[0] == "DTSTART":
            starts_on, at = _read_when(value, "DTSTART")
        else:
            rule = value if name == "RRULE" else line.upper()
    parts = _split(rule)
    until = _read_when(parts["UNTIL"], "UNTIL")[0] if "UNTIL" in parts else None
    times = _read_times(parts) or ((at,) if at else ())
    kept = ";".join(f"{name}={value}" for name, value in parts.items() if name not in _TIME_PARTS)
    return kept, starts_on, times, until


def _split(rule: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in filter(None, rule.split(";")):
        name, _, value = part.partition("=")
        if name not in _PARTS or not value:
            raise RuleError(f"{part[:20]!r} is not understood; expected parts like FREQ=WEEKLY;BYDAY=MO")
        if name in parts:
            raise RuleError(f"{name} is there twice; expected it once")
        if len(value.split(",")) > 31:
            raise RuleError(f"{name} lists more than 31 values")
        parts[name] = value
    if parts.get("FREQ") not in _FREQUENCIES:
        found = parts.get("FREQ", "missing")[:20]
        raise RuleError(f"FREQ is {found}; expected one of {', '.join(_FREQUENCIES)}")
    for name in ("INTERVAL", "COUNT"):
        value = parts.get(name, "1")
        if not value.isascii() or not value.isdigit() or len(value) > _MOST_NUMBERS or int(value) == 0:
            raise RuleError(f"{name} is {value[:20]}; expected a whole number from 1")
    if parts.get("BYSECOND", "0") != "0":
        raise RuleError("BYSECOND is not followed; texts go out at full minutes")
    return parts


def _read_when(value: str, name: str) -> tuple[date, time | None]:
    match = _WHEN.fullmatch(value)
    try:
        if match is not None:
            at = time(int(match[2][:2]), int(match[2][2:])) if match[2] else None
            return date.fromisoformat(match[1]), at
    except ValueError:
        pass
    raise RuleError(f"{name} is {value[:20]!r}; expected it like 20270131T100000")


def _read_times(parts: Mapping[str, str]) -> tuple[time, ...]:
    if "BYHOUR" not in parts:
        if parts.get("BYMINUTE", "0") != "0":
            raise RuleError("BYMINUTE is there without BYHOUR; expected both, or a time beside the rule")
        return ()
    try:
        hours = [int(value) for value in parts["BYHOUR"].split(",")]
        minutes = [int(value) for value in parts.get("BYMINUTE", "0").split(",")]
        return tuple(sorted({time(hour, minute) for hour in hours for minute in minutes}))
    except ValueError:
        raise RuleError("BYHOUR or BYMINUTE is no time of the day") from None


def _expand(text: str, starts_on: date, until: date | None) -> Iterator[date]:
    """The dates of a rule. It may be one that never comes true, like the 30th of February.

    The library then looks on until the year 9999, which takes minutes. The calendar repeats itself every
    400 years to the day and weekday, so it is asked about late years: there its search ends in a second.
    """
    last = min(until or date.max, starts_on + LONGEST_RUN)
    first = datetime.combine(_later(starts_on), time(0))
    try:
        rule = rrulestr(f"RRULE:{text}", dtstart=first)
        found = (_earlier(moment.date()) for moment in rule)
        yield from takewhile(lambda on: on <= last, found)
    except (ValueError, TypeError, KeyError, IndexError):
        raise RuleError("the rule cannot be read; expected one like FREQ=WEEKLY;BYDAY=MO") from None


def _later(on: date) -> date:
    return on.replace(year=on.year + _SHIFT_YEARS)


def _earlier(on: date) -> date:
    return on.replace(year=on.year - _SHIFT_YEARS)
