"""Campaigns: texts that staff schedule for an audience: once, again and again, or as a sequence of days.

All times are each person's own wall clock. Whom a campaign reaches is decided anew on each day it speaks, so
whoever joins later is reached too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property

from service.domain.campaign_rule import Recurrence
from service.domain.program_steps import MAX_DAYS

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
    def date_set(self) -> frozenset[date]:
        return frozenset(self.dates)

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
    is_sequence = campaign.kind is CampaignKind.SEQUENCE
    if not is_sequence and on not in campaign.date_set:
        return ()
    enrolled = [one for one in campaign.audience.list_enrolled(person, tags) if one.is_running(on)]
    if is_sequence:
        enrolled = enrolled[:1]  # of several programs the first one counts the days
    if not any(campaign.audience.has_phase((on - one.anchor_on).days) for one in enrolled):
        return ()
    if is_sequence:
        return campaign.days_after_start.get((on - enrolled[0].anchor_on).days, ())
    return campaign.slots


def next_date(campaign: Campaign, person: Person, tags: Collection[str], after: date) -> date | None:
    """The first local date after `after` on which a campaign speaks to a person; None when it never does."""
    enrolled = campaign.audience.list_enrolled(person, tags)
    if campaign.kind is CampaignKind.SEQUENCE:
        return _next_of_sequence(campaign, person, tags, enrolled, after)
    dates, found = campaign.dates, None
    for one in enrolled:
        for first, last in _spans(one, campaign.audience):
            position = bisect_left(dates, max(first, after + _DAY))
            if position < len(dates) and dates[position] <= last:
                found = min(found or dates[position], dates[position])
    return found


def _next_of_sequence(
    campaign: Campaign, person: Person, tags: Collection[str], enrolled: Sequence[Enrolled], after: date
) -> date | None:
    days = campaign.days_after_start
    dates = {one.anchor_on + timedelta(days=day) for one in enrolled for day in days}
    ahead = sorted(on for on in dates if on > after)
    return next((on for on in ahead if slots_on(campaign, person, tags, on)), None)


def _spans(one: Enrolled, audience: Audience) -> Iterator[tuple[date, date]]:
    """From which to which date a program is running and in a phase of the audience, both included."""
    for phase in audience.phases or Phase:
        first_day, last_day = _PHASE_DAYS[phase]
        first = max(one.started_on, one.anchor_on + timedelta(days=first_day))
        yield first, one.anchor_on + timedelta(days=min(last_day, one.days - 1))


_DAY = timedelta(days=1)
_PHASE_DAYS = {
    Phase.EARLY: (-MAX_DAYS, LAST_EARLY_DAY),
    Phase.MIDDLE: (LAST_EARLY_DAY + 1, LAST_MIDDLE_DAY),
    Phase.LONG: (LAST_MIDDLE_DAY + 1, MAX_DAYS),
}
