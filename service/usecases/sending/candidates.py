"""What a person's programs, campaigns and chosen meetings want to say on a local day. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from service.domain.campaign import Campaign, CampaignKind, Enrolled, Person, next_date, slots_on
from service.domain.day_plan import Candidate, PersonHours
from service.domain.kinds import MessageKind
from service.domain.local_time import local_date, start_of_day, to_utc
from service.domain.meetings import ReminderPlan, occurrences_between, plan_reminder
from service.domain.program import (
    STANDARD_CADENCE,
    Cadence,
    LatePolicy,
    Program,
    StepDue,
    next_day_with_steps,
    steps_on,
)
from service.domain.program_answers import GivenAnswer, list_wanted_topics
from service.domain.quiet_hours import DEFAULT_WINDOW, SendingWindow, is_open
from service.domain.text_choice import NO_REPEAT_DAYS, Bank, choose_text
from service.domain.time_of_day import TimeOfDay, chosen_time

LOOK_AHEAD = timedelta(days=9)
_DAY = timedelta(days=1)

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
    cadence: Cadence = STANDARD_CADENCE

    def is_over(self, program: Program, on: date) -> bool:
        """Whether `on` is after the last day: on that day itself an edit may still change what it says."""
        return on >= self.over_on(program)

    def over_on(self, program: Program) -> date:
        """The first local date on which it is over."""
        return self.anchor_on + timedelta(days=program.length(self.cadence) + 1)

    def find_next_day(self, program: Program, after: date) -> date | None:
        """The first date after `after` that says something, or on which it is over; None when it is over."""
        found = next_day_with_steps(program, self.anchor_on, after, self.cadence)
        if found is not None:
            return found
        return over_on if (over_on := self.over_on(program)) > after else None


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
    """What may speak to anybody: programs, the bank of texts, running campaigns, the versions that count.

    `campaign_versions` has every campaign by source; None for one that is paused. `former_days` are, by
    program and step, days on which older versions said what the newest says on another day.
    """

    programs: Mapping[str, Program]
    bank: Bank = field(default_factory=lambda: Bank({}))
    campaigns: Sequence[DueCampaign] = ()
    campaign_versions: Mapping[str, int | None] = field(default_factory=dict)
    former_days: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)


@dataclass(slots=True)
class DuePerson:
    """A person whose day is to be planned, with everything that may speak on it.

    `said` is what went out on another day than it now stands on: campaigns that speak once, by source, and
    steps as `e<enrollment>:<step>`. `used` are the texts of the last sixty days, by id with the newest date;
    `answers` those of the last weeks; both only for whom a text must be chosen. `unanswered` are the keys of
    questions that went out lately and met silence.
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
    time_of_day: TimeOfDay | None = None
    used: dict[str, date] = field(default_factory=dict)
    answers: list[GivenAnswer] = field(default_factory=list)
    unanswered: set[str] = field(default_factory=set)
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


def cadence_of(row: Any) -> Cadence:
    """What an enrollment's row says about the person's own rhythm."""
    return Cadence(
        row.cadence_shift, row.stepped_up_on, row.stepped_up_until, is_kept=row.kept_on is not None
    )


def list_candidates(person: DuePerson, sources: Sources, on: date) -> list[Candidate]:
    """Everything that wants to be said to `person` on their local day `on`."""
    found = _program_candidates(person, sources, on) + _meeting_candidates(person, on)
    return found + _campaign_candidates(person, sources, on) if sources.campaigns else found


def _program_candidates(person: DuePerson, sources: Sources, on: date) -> list[Candidate]:
    found = []
    said: set[tuple[MessageKind, str | None]] = set()
    for due in person.programs:
        program = sources.programs.get(due.program_id)
        if program is None or on < due.started_on:
            continue
        source = f"e{due.enrollment_id}"
        for step in steps_on(program, due.anchor_on, on, due.cadence):
            if step.nudges and not _met_silence(person, source, on - _DAY, step.nudges):
                continue
            at = _time_of(step, person, on)
            refused = _find_step_refusal(person, due, step, at, said)
            text_id = step.text_id
            if refused is None:
                said.add((step.kind, step.check_in_id or step.text_id))
                if step.topics:
                    text_id = _choose(person, sources.bank, program, step, (on - due.anchor_on).days, on)
                    refused = "no_fresh_text" if text_id is None else None
            found.append(
                Candidate(
                    key=key_of(source, person.id, on, step.step_id),
                    source=source,
                    source_version=program.version,
                    kind=step.kind,
                    text_id=text_id or "",
                    check_in_id=step.check_in_id,
                    late=step.late,
                    at=at,
                    refused=refused,
                )
            )
    return found


def _find_step_refusal(
    person: DuePerson,
    due: DueProgram,
    step: StepDue,
    at: datetime,
    said: Collection[tuple[MessageKind, str | None]],
) -> str | None:
    """Why a step must not be said after all. `said` is what the person's other programs say that day."""
    if person.said and f"e{due.enrollment_id}:{step.step_id}" in person.said:
        return "already_sent"
    if at < due.started_at and step.late is LatePolicy.SKIP:
        return "before_enrollment"
    what = step.check_in_id or step.text_id
    return "said_already" if what is not None and (step.kind, what) in said else None


def _time_of(step: StepDue, person: DuePerson, on: date) -> datetime:
    """When a step is due (aware UTC): in the chosen part of the day where the person's hours permit it."""
    at = to_utc(on, chosen_time(step.at, person.time_of_day), person.zone)
    if person.time_of_day is not None and not is_open(at, person.window, person.hours_zones):
        return to_utc(on, step.at, person.zone)
    return at


def _met_silence(person: DuePerson, source: str, on: date, step_id: str) -> bool:
    return bool(person.unanswered) and key_of(source, person.id, on, step_id) in person.unanswered


def key_of(source: str, participant_id: int, on: date, slot: str) -> str:
    """What a text is for: who says it, to whom, on which local date, in which place. Unique."""
    return f"{source}:{participant_id}:{on.isoformat()}:{slot}"


def _choose(person: DuePerson, bank: Bank, program: Program, step: StepDue, day: int, on: date) -> str | None:
    """Choose a text of the bank for somebody, and note that they have it."""
    oldest = on - timedelta(days=NO_REPEAT_DAYS)
    used = {text_id for text_id, last_on in person.used.items() if last_on > oldest}
    wanted = list_wanted_topics(program.choices, person.answers, on) if person.answers else ()
    text_id = choose_text(bank, step.kind, step.topics, program.phase_of(day), step.turn, used, wanted)
    if text_id is not None:
        person.used[text_id] = on
    return text_id


def list_steps_of_choice(
    person: DuePerson, sources: Sources, planned: Collection[str], first: date, last: date
) -> Iterator[tuple[Program, date, StepDue]]:
    """The steps from `first` to `last`, local dates, for which a text must be chosen for somebody.

    `planned` are the keys of what is planned or gone: a question that is not among them has no nudge.
    """
    for due in person.programs:
        program = sources.programs.get(due.program_id)
        on: date | None = first if program is not None else None
        while program is not None and on is not None and on <= last:
            for step in steps_on(program, due.anchor_on, on, due.cadence):
                if step.nudges is not None:
                    source = f"e{due.enrollment_id}"
                    if planned and key_of(source, person.id, on - _DAY, step.nudges) in planned:
                        yield program, on, step
                elif step.topics:
                    yield program, on, step
            on = next_day_with_steps(program, due.anchor_on, on, due.cadence) if on < last else None


def as_audience(person: DuePerson, programs: Mapping[str, Program]) -> Person:
    """A person as the audience of a campaign sees them; put together once everything about them is read."""
    if person.audience is not None:
        return person.audience
    enrolled = [
        Enrolled(due.program_id, due.anchor_on, due.started_on, programs[due.program_id].length(due.cadence))
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
                    key=key_of(due.source, person.id, on, slot.id),
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
                    key=key_of(f"m{meeting.chosen_id}", person.id, meeting_on, "reminder"),
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
        and (day := due.find_next_day(programs[due.program_id], through)) is not None
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
