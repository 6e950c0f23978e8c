"""Campaigns: texts that staff schedule for an audience: once, again and again, or as a sequence of days.

All times are each person's own wall clock. Whom a campaign reaches is decided anew on each day it speaks, so
whoever joins later is reached too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property

from service.domain.campaign_rule import Recurrence

LAST_EARLY_DAY, LAST_MIDDLE_DAY = 90, 365


class CampaignKind(StrEnum):
    ONCE = "once"
    RECURRING = "recurring"
    SEQUENCE = "sequence"


class Phase(StrEnum):
    """The parts of the way (guidance 002:20-31): the first three months, the rest of the year, and after."""

    EARLY = "early"
    MIDDLE = "middle"
    LONG = "long"


def phase_on(day: int) -> Phase:
    """The phase on a day after day 0."""
    if day <= LAST_EARLY_DAY:
        return Phase.EARLY
    return Phase.MIDDLE if day <= LAST_MIDDLE_DAY else Phase.LONG


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A running program of a person: its day 0, the first day on which it speaks, and its length in days."""

    program_id: str
    anchor_on: date
    started_on: date
    days: int

    def is_running(self, on: date) -> bool:
        return self.started_on <= on < self.anchor_on + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Person:
    """What an audience asks about. `tags` are keyed hashes."""

    language: str
    tags: frozenset[str]
    enrolled: Sequence[Enrolled]


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a campaign is for. Each empty part is everybody; the values of one part are alternatives."""

    programs: frozenset[str] = frozenset()
    phases: frozenset[Phase] = frozenset()
    languages: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()

    def list_enrolled(self, person: Person, tags: Collection[str]) -> list[Enrolled]:
        """The programs through which a person belongs; `tags` are the hashes of the audience's own."""
        if self.languages and person.language not in self.languages:
            return []
        if self.tags and person.tags.isdisjoint(tags):
            return []
        return [one for one in person.enrolled if not self.programs or one.program_id in self.programs]

    def has_phase(self, day: int) -> bool:
        return not self.phases or phase_on(day) in self.phases


@dataclass(frozen=True, slots=True)
class CampaignText:
    """What is said: a text of the catalog, or wordings by language."""

    template: str | None
    wordings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """One text of a sequence: on a day after a person's day 0, at a local time."""

    day: int
    at: time
    text: CampaignText


@dataclass(frozen=True, slots=True)
class Slot:
    """One text of a campaign on one day. `id` stays when its time changes, so that it never goes twice."""

    id: str
    at: time
    text: CampaignText


@dataclass(frozen=True)
class Campaign:
    """A campaign as its file says it. Exactly one of `at`, `recurrence` and `steps` is there, by its kind."""

    name: str
    kind: CampaignKind
    audience: Audience
    text: CampaignText | None
    at: datetime | None
    recurrence: Recurrence | None
    steps: tuple[SequenceStep, ...]

    def list_texts(self) -> list[CampaignText]:
        return [self.text] if self.text else [step.text for step in self.steps]

    def find_text(self, slot_id: str) -> CampaignText | None:
        """The text of a slot; a sequence has one for each of its steps."""
        if self.text is not None:
            return self.text
        slots = (slot for day in self.days_after_start.values() for slot in day)
        return next((slot.text for slot in slots if slot.id == slot_id), None)

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """The local dates of a campaign that is no sequence, in order. Raises RuleError."""
        if self.at is not None:
            return (self.at.date(),)
        return self.recurrence.dates if self.recurrence else ()

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """What is said on each of `dates`."""
        if self.text is None:
            return ()
        times = (self.at.time(),) if self.at else self.recurrence.times if self.recurrence else ()
        return tuple(Slot(str(number), at, self.text) for number, at in enumerate(times, 1))

    @cached_property
    def days_after_start(self) -> Mapping[int, tuple[Slot, ...]]:
        """What a sequence says on each day after day 0."""
        slots: dict[int, list[Slot]] = defaultdict(list)
        for step in self.steps:
            slot = Slot(f"d{step.day}-{len(slots[step.day]) + 1}", step.at, step.text)
            slots[step.day].append(slot)
        return {day: tuple(slots[day]) for day in sorted(slots)}


def slots_on(campaign: Campaign, person: Person, tags: Collection[str], on: date) -> tuple[Slot, ...]:
    """What a campaign says to a person on their local date `on`."""
    enrolled = [one for one in campaign.audience.list_enrolled(person, tags) if one.is_running(on)]
    if campaign.kind is CampaignKind.SEQUENCE:
        enrolled = enrolled[:1]  # of several programs the first one counts the days
    if not any(campaign.audience.has_phase((on - one.anchor_on).days) for one in enrolled):
        return ()
    if campaign.kind is CampaignKind.SEQUENCE:
        return campaign.days_after_start.get((on - enrolled[0].anchor_on).days, ())
    position = bisect_right(campaign.dates, on)
    return campaign.slots if position and campaign.dates[position - 1] == on else ()


def next_date(campaign: Campaign, person: Person, tags: Collection[str], after: date) -> date | None:
    """The first local date after `after` on which a campaign speaks to a person; None when it never does."""
    enrolled = campaign.audience.list_enrolled(person, tags)
    if not enrolled:
        return None
    last = max(one.anchor_on + timedelta(days=one.days) for one in enrolled)
    for on in _dates_after(campaign, enrolled, after):
        if on >= last:
            return None
        if slots_on(campaign, person, tags, on):
            return on
    return None


def _dates_after(campaign: Campaign, enrolled: Sequence[Enrolled], after: date) -> Iterator[date]:
    if campaign.kind is not CampaignKind.SEQUENCE:
        yield from campaign.dates[bisect_right(campaign.dates, after) :]
        return
    anchors = {one.anchor_on for one in enrolled}
    dates = {anchor + timedelta(days=day) for anchor in anchors for day in campaign.days_after_start}
    yield from sorted(on for on in dates if on > after)
