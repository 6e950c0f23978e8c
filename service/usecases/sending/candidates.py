"""What a person's programs, campaigns and chosen meetings want to say on a local day. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service.domain.campaign import Campaign, CampaignKind, Enrolled, Person, next_date, slots_on
from service.domain.day_plan import Candidate, PersonHours
from service.domain.kinds import MessageKind
from service.domain.local_time import local_date, start_of_day, to_utc
from service.domain.meetings import ReminderPlan, occurrences_between, plan_reminder
from service.domain.program import LatePolicy, Program, next_day_with_steps, steps_on
from service.domain.quiet_hours import DEFAULT_WINDOW, SendingWindow

LOOK_AHEAD = timedelta(days=9)

CAMPAIGN_TEXT = "campaign/"
"""What the text of a campaign with its own words is called, before its slot."""


@dataclass(frozen=True, slots=True)
class DueProgram:
    """An active enrollment: its program, its day 0, and the moment before which nothing is planned."""

    enrollment_id: int
    program_id: str
    anchor_on: date
    started_on: date
    started_at: datetime

    def is_over(self, program: Program, on: date) -> bool:
        return (on - self.anchor_on).days >= program.days


@dataclass(frozen=True, slots=True)
class DueMeeting:
    """A meeting the person chose: weekly, in its own zone."""

    chosen_id: int
    version: int
    weekday: int
    starts_at: time
    timezone: str
    minutes_before: int
    chosen_at: datetime


@dataclass(frozen=True, slots=True)
class DueCampaign:
    """A campaign that runs. `tags` are the keyed hashes of its audience's labels."""

    source: str
    version: int
    campaign: Campaign
    tags: frozenset[str]
    scheduled_at: datetime
    resumed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """What may speak to anybody: programs by id, running campaigns, and the versions that count.

    `campaign_versions` has every campaign by source; None for one that is paused. `former_days` are, by
    program and step, days on which older versions said what the newest says on another day.
    """

    programs: Mapping[str, Program]
    campaigns: Sequence[DueCampaign] = ()
    campaign_versions: Mapping[str, int | None] = field(default_factory=dict)
    former_days: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)


@dataclass(slots=True)
class DuePerson:
    """A person whose day is to be planned, with everything that may speak on it.

    `said` is what went out on another day than it now stands on: campaigns that speak once, by source, and
    steps as `e<enrollment>:<step>`.
    """

    id: int
    hours_zones: tuple[ZoneInfo, ...]
    window: SendingWindow
    planned_through: date | None
    is_active: bool
    language: str = "en"
    programs: list[DueProgram] = field(default_factory=list)
    meetings: list[DueMeeting] = field(default_factory=list)
    tags: frozenset[str] = frozenset()
    said: set[str] = field(default_factory=set)
    audience: Person | None = None

    @property
    def zone(self) -> ZoneInfo:
        return self.hours_zones[0]

    @property
    def hours(self) -> PersonHours:
        return PersonHours(self.hours_zones, self.window)


def person_hours(row: Any) -> tuple[tuple[ZoneInfo, ...], SendingWindow]:
    """A participant row's zones and window. An unconfirmed zone must share its hours with the area code's."""
    zones = [ZoneInfo(row.timezone)]
    if not row.zone_is_confirmed and row.area_timezones:
        zones += [ZoneInfo(name) for name in row.area_timezones.split(",") if name != row.timezone]
    if row.window_opens is None and row.window_closes is None and row.window_opens_sunday is None:
        return tuple(zones), DEFAULT_WINDOW
    window = SendingWindow(
        opens_at=row.window_opens or DEFAULT_WINDOW.opens_at,
        closes_at=row.window_closes or DEFAULT_WINDOW.closes_at,
        sunday_opens_at=row.window_opens_sunday or DEFAULT_WINDOW.sunday_opens_at,
    )
    return tuple(zones), window


def list_candidates(person: DuePerson, sources: Sources, on: date) -> list[Candidate]:
    """Everything that wants to be said to `person` on their local day `on`."""
    found = _program_candidates(person, sources, on) + _meeting_candidates(person, on)
    return found + _campaign_candidates(person, sources, on) if sources.campaigns else found


def _program_candidates(person: DuePerson, sources: Sources, on: date) -> list[Candidate]:
    found = []
    for due in person.programs:
        program = sources.programs.get(due.program_id)
        if program is None or on < due.started_on:
            continue
        source = f"e{due.enrollment_id}"
        for step in steps_on(program, due.anchor_on, on):
            at = to_utc(on, step.at, person.zone)
            refused = "before_enrollment" if at < due.started_at and step.late is LatePolicy.SKIP else None
            if person.said and f"{source}:{step.step_id}" in person.said:
                refused = "already_sent"
            found.append(
                Candidate(
                    key=f"{source}:{person.id}:{on.isoformat()}:{step.step_id}",
                    source=source,
                    source_version=program.version,
                    kind=step.kind,
                    text_id=step.text_id or "",
                    check_in_id=step.check_in_id,
                    late=step.late,
                    at=at,
                    refused=refused,
                )
            )
    return found


def as_audience(person: DuePerson, programs: Mapping[str, Program]) -> Person:
    """A person as the audience of a campaign sees them; put together once everything about them is read."""
    if person.audience is not None:
        return person.audience
    enrolled = [
        Enrolled(due.program_id, due.anchor_on, due.started_on, programs[due.program_id].days)
        for due in person.programs
        if due.program_id in programs
    ]
    person.audience = Person(person.language, person.tags, enrolled)
    return person.audience


def _campaign_candidates(person: DuePerson, sources: Sources, on: date) -> list[Candidate]:
    found = []
    audience = as_audience(person, sources.programs)
    for due in sources.campaigns:
        if on < local_date(due.scheduled_at, person.zone):
            continue
        for slot in slots_on(due.campaign, audience, due.tags, on):
            at = to_utc(on, slot.at, person.zone)
            found.append(
                Candidate(
                    key=f"{due.source}:{person.id}:{on.isoformat()}:{slot.id}",
                    source=due.source,
                    source_version=due.version,
                    kind=MessageKind.CAMPAIGN,
                    text_id=slot.text.template or f"{CAMPAIGN_TEXT}{slot.id}",
                    check_in_id=None,
                    late=LatePolicy.SKIP,
                    at=at,
                    refused=_find_refusal(person, due, at),
                )
            )
    return found


def _find_refusal(person: DuePerson, due: DueCampaign, at: datetime) -> str | None:
    if due.campaign.kind is CampaignKind.ONCE and due.source in person.said:
        return "already_sent"
    if due.resumed_at is not None and at < due.resumed_at:
        return "paused_campaign"
    joined_at = min(program.started_at for program in person.programs)
    return "before_enrollment" if at < joined_at else None


def _meeting_candidates(person: DuePerson, on: date) -> list[Candidate]:
    """Reminders whose moment falls on `on`: a meeting tomorrow morning may speak this evening."""
    if not person.meetings:
        return []
    found = []
    day_start = start_of_day(on, person.zone)
    for meeting in person.meetings:
        for starts_at, plan in _reminders(person, meeting, day_start, timedelta(days=3)):
            if local_date(plan.send_at, person.zone) != on:
                continue
            meeting_on = local_date(starts_at, ZoneInfo(meeting.timezone))
            found.append(
                Candidate(
                    key=f"m{meeting.chosen_id}:{person.id}:{meeting_on.isoformat()}:reminder",
                    source=f"m{meeting.chosen_id}",
                    source_version=meeting.version,
                    kind=MessageKind.MEETING_REMINDER,
                    text_id="meeting/today",
                    check_in_id=None,
                    late=LatePolicy.SEND,
                    at=plan.send_at,
                    until=plan.send_before,
                )
            )
    return found


def _reminders(
    person: DuePerson, meeting: DueMeeting, after: datetime, ahead: timedelta
) -> Sequence[tuple[datetime, ReminderPlan]]:
    """Reminders of the meetings that begin within `ahead` of `after`, as they were due then.

    What was due while nothing ran is planned all the same, and ends as expired with its reason. So does a
    reminder for which no moment is permitted: it stands on the meeting's own day, and the window refuses it.
    """
    zone = ZoneInfo(meeting.timezone)
    offset = timedelta(minutes=meeting.minutes_before)
    reminders = []
    for starts_at in occurrences_between(meeting.weekday, meeting.starts_at, zone, after, after + ahead):
        if starts_at <= meeting.chosen_at:
            continue
        plan = plan_reminder(starts_at, offset, person.window, person.hours_zones, after)
        if not isinstance(plan, ReminderPlan):
            morning = start_of_day(local_date(starts_at, person.zone), person.zone)
            plan = ReminderPlan(max(starts_at - offset, morning), starts_at)
        reminders.append((starts_at, plan))
    return reminders


def next_day_to_plan(person: DuePerson, sources: Sources, through: date) -> date | None:
    """The next local day after `through` on which anything wants to be said; None when nothing does."""
    if not person.is_active:
        return None
    programs = sources.programs
    days = [
        day
        for due in person.programs
        if due.program_id in programs
        and (day := next_day_with_steps(programs[due.program_id], due.anchor_on, through)) is not None
    ]
    for meeting in person.meetings:
        tomorrow = start_of_day(through + timedelta(days=1), person.zone)
        days += [
            local_date(plan.send_at, person.zone)
            for _, plan in _reminders(person, meeting, tomorrow, LOOK_AHEAD)
        ]
    if sources.campaigns:
        audience = as_audience(person, programs)
        days += [
            day
            for due in sources.campaigns
            if (day := next_date(due.campaign, audience, due.tags, through)) is not None
        ]
    return min(days, default=None)


def find_stale(person: DuePerson, sources: Sources, source: str, version: int) -> str | None:
    """Why a text that waits is void: what it comes from was changed since. None when it stands."""
    kind, number = source[0], source[1:]
    if kind == "c":
        current = sources.campaign_versions.get(source, 0)
        if current is None:
            return "paused_campaign"
        return None if current == version else "edited"
    if kind == "e":
        programs = sources.programs
        current = next(
            (
                programs[due.program_id].version
                for due in person.programs
                if str(due.enrollment_id) == number and due.program_id in programs
            ),
            version,
        )
        return None if current == version else "edited"
    if kind == "m":
        chosen = (meeting.version for meeting in person.meetings if str(meeting.chosen_id) == number)
        return None if next(chosen, version) == version else "meeting_choice_changed"
    return None
