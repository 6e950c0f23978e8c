"""What the simulated carrier and the simulated people write down by themselves. Pure.

The promises of the service are checked against these, never against its own tables.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class LedgerText:
    """A text that the carrier was handed for somebody, or that rode in the answer to theirs (`is_reply`).

    `at` is aware UTC. `digest` stands for the words. `kind`, `text_id`, `source` and `key` are the labels
    that the service put on it: what it is, what it comes from (an enrollment `e`, a campaign `c`, a meeting
    `m`), and what it is for. `has_arrived` is False if the carrier refused it or could not deliver it.
    """

    person: int
    at: datetime
    digest: str
    segments: int
    is_reply: bool
    has_arrived: bool
    kind: str = ""
    text_id: str = ""
    source: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TextIn:
    """A text that somebody sent us."""

    person: int
    at: datetime
    segments: int


@dataclass(slots=True)
class Asked:
    """A question that reached somebody, and whether they answered."""

    at: datetime
    is_answered: bool = False


@dataclass(slots=True)
class Diary:
    """What a person knows of their own year. Instants are aware UTC, dates the person's own.

    `zones` are what the service was told, with the moment: the first is the zone the person's days are
    counted in, others are those of an area code. `stopped` are moments of opting out, with those of coming
    back. `hard_on` are days with an answer that may bring the densest rhythm back.
    """

    number: int
    language: str
    is_plain: bool
    zones: list[tuple[datetime, tuple[str, ...]]] = field(default_factory=list)
    listed_at: datetime | None = None
    joined_at: datetime | None = None
    anchor_on: date | None = None
    stopped: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    refused_at: datetime | None = None
    paused: list[tuple[datetime, datetime]] = field(default_factory=list)
    hard_on: list[date] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    wants_more: bool = False
    has_kept: bool = False

    def zones_at(self, at: datetime) -> tuple[ZoneInfo, ...]:
        """The zones in which the person may be, as the service had been told by then."""
        position = bisect_right([since for since, _ in self.zones], at)
        return tuple(ZoneInfo(name) for name in self.zones[max(0, position - 1)][1])

    def date_at(self, at: datetime) -> date:
        """The person's calendar date."""
        return at.astimezone(self.zones_at(at)[0]).date()

    def is_stopped_at(self, at: datetime) -> bool:
        """Whether the person had opted out by then, at the service or at the carrier."""
        if self.refused_at is not None and at >= self.refused_at:
            return True
        return any(since <= at and (until is None or at < until) for since, until in self.stopped)
