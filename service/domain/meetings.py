"""Weekly support meetings: what a listing says, when one takes place, and when to remind somebody of it.

A meeting is a weekday and a wall-clock time in its own zone, never an instant: its instants are computed
when they are needed, so that daylight saving time moves them along with the clock on the wall.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from service.domain.local_time import local_date, start_of_day, to_utc
from service.domain.quiet_hours import SendingWindow, WindowError, last_open, next_open

DEFAULT_OFFSET = timedelta(hours=2)
"""How long before a meeting its reminder goes out unless the person chose otherwise."""

SHORTEST_NOTICE = timedelta(minutes=10)
"""A reminder that leaves less time than this to get ready helps nobody."""

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class Venue(StrEnum):
    """How one takes part."""

    IN_PERSON = "in_person"
    VIRTUAL = "virtual"
    HYBRID = "hybrid"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class MeetingListing:
    """One weekly meeting as its source lists it. Facts for the public; never a contact person.

    `external_id` is the source's own id. `weekday` is ISO (1 Monday to 7 Sunday) and `starts_at` the local
    wall clock of `timezone` (IANA). `join_notes` says how to get in: the room, the door, the passcode.
    `formats` are the source's codes, unknown ones included. `is_temporarily_closed` means that there is no
    way to take part; a closed room whose meeting went online is open.
    """

    external_id: str
    name: str
    fellowship: str | None
    weekday: int
    starts_at: time
    duration: timedelta | None
    timezone: str
    venue: Venue
    place: str | None = None
    address: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    join_url: str | None = None
    join_phone: str | None = None
    join_notes: str | None = None
    formats: tuple[str, ...] = ()
    language: str | None = None
    is_published: bool = True
    is_temporarily_closed: bool = False
    source_updated_at: datetime | None = None


def occurrence_on(weekday: int, starts_at: time, zone: ZoneInfo, on: date) -> datetime | None:
    """When the meeting of the date `on` (in the meeting's zone) begins, in UTC; None on other weekdays.

    A start that a spring change skips moves forward by the gap; of a repeated one the first is meant.
    """
    return to_utc(on, starts_at, zone) if on.isoweekday() == weekday else None


def occurrences_between(
    weekday: int, starts_at: time, zone: ZoneInfo, after: datetime, before: datetime
) -> list[datetime]:
    """All starts (UTC) at or after `after` and earlier than `before`, both aware, in order.

    Half-open, so that neighboring spans neither miss a meeting nor see it twice.
    """
    on = _first_date(weekday, after)
    last = before.astimezone(UTC).date() + _DAY
    found = []
    while on <= last:
        start = to_utc(on, starts_at, zone)
        if after <= start < before:
            found.append(start)
        on += _WEEK
    return found


def next_occurrence(weekday: int, starts_at: time, zone: ZoneInfo, after: datetime) -> datetime:
    """The first start (UTC) at or after `after` (aware)."""
    on = _first_date(weekday, after)
    while (start := to_utc(on, starts_at, zone)) < after:
        on += _WEEK
    return start


def _first_date(weekday: int, after: datetime) -> date:
    """The first date of that weekday on which a start at or after `after` may fall.

    A wall clock is less than a day away from UTC, so that its date is at most the one before or after.
    """
    earliest = after.astimezone(UTC).date() - _DAY
    return earliest + timedelta(days=(weekday - earliest.isoweekday()) % 7)


class NoReminderReason(StrEnum):
    """Why somebody is not reminded of a meeting."""

    BEGUN = "meeting_begun"
    TOO_LATE = "too_late"
    QUIET_HOURS = "quiet_hours"
    NO_PERMITTED_MOMENT = "no_permitted_moment"


@dataclass(frozen=True, slots=True)
class ReminderPlan:
    """Send at `send_at` or soon after, never at or after `send_before`, the start (aware UTC)."""

    send_at: datetime
    send_before: datetime


@dataclass(frozen=True, slots=True)
class NoReminder:
    """Nobody is reminded, and why."""

    reason: NoReminderReason


def plan_reminder(
    starts_at: datetime, offset: timedelta, window: SendingWindow, zones: Sequence[ZoneInfo], now: datetime
) -> ReminderPlan | NoReminder:
    """Decide when to remind somebody of the meeting that begins at `starts_at`; all instants are aware.

    `window` and `zones` are the person's; the first zone is the one in which their text says "today" or
    "tomorrow". A wish outside the window moves earlier, to the last permitted moment. Where that moment has
    passed (the meeting was chosen late), the reminder goes out at the next permitted moment that still gives
    notice. Raises WindowError without a zone.
    """
    if not zones:
        raise WindowError("a reminder needs at least one time zone")
    latest = starts_at - SHORTEST_NOTICE
    if now > latest:
        return NoReminder(NoReminderReason.BEGUN if now >= starts_at else NoReminderReason.TOO_LATE)
    day_before = start_of_day(local_date(starts_at, zones[0]) - _DAY, zones[0])
    wanted = max(min(starts_at - offset, latest), day_before)
    send_at = last_open(wanted, window, zones, day_before)
    if send_at is None:
        # A day ahead of an early meeting would become two days ahead, for which the texts have no word.
        send_at = _find_open(wanted, latest, window, zones)
    if send_at is None:
        return NoReminder(NoReminderReason.NO_PERMITTED_MOMENT)
    if send_at < now:
        send_at = _find_open(now, latest, window, zones)
    if send_at is None:
        return NoReminder(NoReminderReason.QUIET_HOURS)
    return ReminderPlan(send_at.astimezone(UTC), starts_at.astimezone(UTC))


def _find_open(
    not_before: datetime, not_after: datetime, window: SendingWindow, zones: Sequence[ZoneInfo]
) -> datetime | None:
    try:
        moment = next_open(not_before, window, zones)
    except WindowError:
        return None
    return moment if moment <= not_after else None


def day_word(now: datetime, starts_at: datetime, zone: ZoneInfo) -> Literal["today", "tomorrow"] | None:
    """How a text read at `now` calls the day of the meeting; None when it has begun or is further away.

    `zone` is the one in which the same text gives the time: around midnight another zone's day is wrong.
    """
    if now >= starts_at:
        return None
    days = (local_date(starts_at, zone) - local_date(now, zone)).days
    if days > 1:
        return None
    return "tomorrow" if days == 1 else "today"


@dataclass(frozen=True, slots=True)
class ListingDiff:
    """How a source's new listing differs from what is known of it. `vanished` and `unchanged` are ids."""

    added: tuple[MeetingListing, ...]
    changed: tuple[MeetingListing, ...]
    vanished: tuple[str, ...]
    unchanged: tuple[str, ...]


def fingerprint(listing: MeetingListing) -> str:
    """SHA-256 (hex) of everything a reader of the listing would notice.

    The source's own time of change is left out: sources touch rows without changing them.
    """
    facts = asdict(listing)
    del facts["source_updated_at"]
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def diff_listings(old: Mapping[str, str], new: Iterable[MeetingListing]) -> ListingDiff:
    """Compare known fingerprints by external id with the listing just read; its ids are unique."""
    added: list[MeetingListing] = []
    changed: list[MeetingListing] = []
    unchanged: list[str] = []
    vanished = dict(old)
    for listing in new:
        known = vanished.pop(listing.external_id, None)
        if known is None:
            added.append(listing)
        elif known == fingerprint(listing):
            unchanged.append(listing.external_id)
        else:
            changed.append(listing)
    return ListingDiff(tuple(added), tuple(changed), tuple(vanished), tuple(unchanged))


def shrinks_too_much(diff: ListingDiff, old_count: int, limit: float = 0.2) -> bool:
    """Whether more than `limit` (a share) of the `old_count` meetings are gone: a broken feed more likely."""
    return old_count > 0 and len(diff.vanished) / old_count > limit
