"""The promises of a year, checked against the carrier's ledger by a reckoning of its own. Pure.

Nothing here asks the service's rules what they allow: hours, caps and gaps stand here a second time, so that
a mistake in a rule shows. What is found names a person's number in the simulation and a date, nothing else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from service.domain.year.ledger import Diary, LedgerText

MOST_A_DAY, MOST_A_WEEK, NO_REPEAT_DAYS = 2, 9, 60
OPENS, CLOSES, OPENS_ON_SUNDAY, SUNDAY = time(9), time(20), time(12), 6
UNCAPPED = frozenset({"admin", "meeting_reminder", "appointment_reminder", "medicine_reminder"})
"""What the person chose or must know: every other unprompted text counts."""

_DAY = timedelta(days=1)
LATEST_SAFETY = timedelta(days=7)
"""A safety text pushed out by the week's cap goes on Monday: never later than a week."""
LEAST_DAYS, MOST_RISE = 28, 0.75
"""Phases with fewer counted days say nothing; less than a text a week more is chance: who asked
for less has the same rhythm in two phases, with other milestones and check-ups."""
HARD_FOR = 30
"""Days after a hard answer in which the densest rhythm may hold."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept: to which person, on which date, and how."""

    promise: str
    person: int
    on: date
    how: str


@dataclass(frozen=True, slots=True)
class SafetyDay:
    """A day of the program with a safety text, and the ids it may have."""

    day: int
    text_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the program's days."""

    name: str
    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True)
class Course:
    """What of the program the promises are about. `chosen_kinds` are those whose texts are chosen freely."""

    safety_days: tuple[SafetyDay, ...]
    phases: tuple[Phase, ...]
    chosen_kinds: frozenset[str]
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class OnePerson:
    """Everything the promises look at about one person; `texts` in order of time."""

    diary: Diary
    texts: Sequence[LedgerText]
    course: Course

    @property
    def unprompted(self) -> list[LedgerText]:
        return [text for text in self.texts if not text.is_reply]

    @property
    def capped(self) -> list[LedgerText]:
        """Texts that count toward the caps: on the phone, or perhaps."""
        return [text for text in self.unprompted if text.has_arrived and text.kind not in UNCAPPED]

    def broken(self, promise: str, at: datetime, how: str) -> Broken:
        return Broken(promise, self.diary.number, self.diary.date_at(at), how)


def check_day_cap(one: OnePerson) -> Iterator[Broken]:
    """At most two capped texts on a local day."""
    days = Counter(one.diary.date_at(text.at) for text in one.capped)
    for on, number in sorted(days.items()):
        if number > MOST_A_DAY:
            yield Broken("day_cap", one.diary.number, on, f"{number} texts on one day")


def check_week_cap(one: OnePerson) -> Iterator[Broken]:
    """At most nine capped texts in a week that begins on Monday."""
    dates = [one.diary.date_at(text.at) for text in one.capped]
    weeks = Counter(on - _DAY * on.weekday() for on in dates)
    for monday, number in sorted(weeks.items()):
        if number > MOST_A_WEEK:
            yield Broken("week_cap", one.diary.number, monday, f"{number} texts in one week")


def check_hours(one: OnePerson) -> Iterator[Broken]:
    """Unprompted texts come from 09:00 to 20:00, on Sundays from 12:00, wherever the person may be."""
    for text in one.unprompted:
        for zone in one.diary.zones_at(text.at):
            local = text.at.astimezone(zone)
            opens = OPENS_ON_SUNDAY if local.weekday() == SUNDAY else OPENS
            if not opens <= local.time() < CLOSES:
                yield one.broken("hours", text.at, f"a {text.kind} text at {local:%H:%M} in {zone.key}")


def check_no_repeat(one: OnePerson) -> Iterator[Broken]:
    """A text that is chosen for somebody does not come again within sixty days."""
    last: dict[str, date] = {}
    for text in one.unprompted:
        if text.kind not in one.course.chosen_kinds or not text.has_arrived or text.source[:1] != "e":
            continue
        on = one.diary.date_at(text.at)
        days = (on - last[text.text_id]).days if text.text_id in last else None
        if days is not None and days < NO_REPEAT_DAYS:
            yield one.broken("no_repeat", text.at, f"{text.text_id} again after {days} days")
        last[text.text_id] = on


def check_taper(one: OnePerson) -> Iterator[Broken]:
    """Texts of the program grow rarer from phase to phase for who did not ask for more.

    Days paused, stopped, or within a month after a hard answer are left out, and nudges too: they follow from
    silence, not from the calendar.
    """
    if one.diary.wants_more or one.diary.anchor_on is None:
        return
    before: tuple[Phase, float] | None = None
    for phase, weekly in _weekly_by_phase(one, one.diary.anchor_on):
        if before is not None and weekly > before[1] + MOST_RISE:
            on = one.diary.anchor_on + phase.first_day * _DAY
            how = f"{weekly:.1f} a week in {phase.name}, {before[1]:.1f} in {before[0].name}"
            yield Broken("taper", one.diary.number, on, how)
        before = phase, weekly


def _weekly_by_phase(one: OnePerson, anchor_on: date) -> Iterator[tuple[Phase, float]]:
    said = {(one.diary.date_at(text.at), text.key) for text in one.unprompted if _belongs_to_rhythm(text)}
    texts = Counter(on for on, _ in said)
    for phase in one.course.phases:
        days = [anchor_on + day * _DAY for day in range(phase.first_day, phase.last_day + 1)]
        counted = [on for on in days if _is_ordinary(one, on)]
        if len(counted) >= LEAST_DAYS:
            yield phase, 7 * sum(texts[on] for on in counted) / len(counted)


def _belongs_to_rhythm(text: LedgerText) -> bool:
    return text.source[:1] == "e" and text.kind not in UNCAPPED and text.kind != "nudge"


def _is_ordinary(one: OnePerson, on: date) -> bool:
    diary = one.diary
    noon = datetime.combine(on, time(12), tzinfo=diary.zones_at(one.course.ends_at)[0])
    if diary.joined_at is None or not diary.joined_at + _DAY <= noon <= one.course.ends_at - _DAY:
        return False
    if diary.is_stopped_at(noon + _DAY) or diary.is_stopped_at(noon):
        return False
    if any(since - _DAY <= noon <= until + _DAY for since, until in diary.paused):
        return False
    return not any(0 <= (on - hard_on).days <= HARD_FOR for hard_on in diary.hard_on)


def check_safety(one: OnePerson) -> Iterator[Broken]:
    """Every safety day of the program has its text, unless the person stopped, paused or was not reached."""
    for on, fate in list_safety_fates(one):
        if fate == "missing":
            yield Broken("safety_days", one.diary.number, on, "no safety text for this day")


def list_safety_fates(one: OnePerson) -> Iterator[tuple[date, str]]:
    """Each safety day that came while the person was in the program: sent, or why not, or missing."""
    diary = one.diary
    if diary.anchor_on is None or diary.joined_at is None:
        return
    texts = [text for text in one.unprompted if text.kind == "safety"]
    for step in one.course.safety_days:
        on = diary.anchor_on + step.day * _DAY
        noon = datetime.combine(on, time(15), tzinfo=diary.zones_at(one.course.ends_at)[0])
        if noon < diary.joined_at or noon + LATEST_SAFETY > one.course.ends_at:
            continue
        mine = [
            text
            for text in texts
            if text.text_id in step.text_ids
            and -1 <= (diary.date_at(text.at) - on).days <= LATEST_SAFETY.days
        ]
        yield on, _safety_fate(diary, mine, noon)


def _safety_fate(diary: Diary, texts: Sequence[LedgerText], noon: datetime) -> str:
    if any(text.has_arrived for text in texts):
        return "sent"
    if texts:
        return "undelivered"
    if any(diary.is_stopped_at(noon + day * _DAY) for day in range(3)):
        return "stopped"
    if any(since <= noon + 3 * _DAY and noon <= until + _DAY for since, until in diary.paused):
        return "paused"
    return "missing"


def check_stop(one: OnePerson) -> Iterator[Broken]:
    """After a stop comes one confirmation and nothing else, until the person starts again."""
    for since, until in one.diary.stopped:
        confirmations = 0
        for text in one.texts:
            if text.at < since or (until is not None and text.at >= until):
                continue
            if text.is_reply and text.at == since:
                confirmations += 1
            else:
                yield one.broken("stop", text.at, f"a {text.kind or 'reply'} text after STOP")
        if confirmations != 1:
            yield one.broken("stop", since, f"{confirmations} confirmations of STOP")
    refused = [text for text in one.texts if one.diary.refused_at and text.at > one.diary.refused_at]
    for text in refused:
        yield one.broken("stop", text.at, f"a {text.kind or 'reply'} text after the carrier's refusal")


def check_not_doubled(one: OnePerson) -> Iterator[Broken]:
    """No intended text arrives twice, and no words come twice on a day unasked."""
    intended: dict[str, datetime] = {}
    said: set[tuple[date, str]] = set()
    for text in one.unprompted:
        if not text.has_arrived:
            continue
        words = one.diary.date_at(text.at), text.digest
        if (text.key and text.key in intended) or words in said:
            yield one.broken("not_doubled", text.at, f"a {text.kind} text twice")
        intended[text.key] = text.at
        said.add(words)


def check_consent(one: OnePerson) -> Iterator[Broken]:
    """Before somebody agreed they are asked, and nothing else is sent unasked."""
    for text in one.unprompted:
        is_agreed = one.diary.joined_at is not None and text.at >= one.diary.joined_at
        if not is_agreed and text.kind != "admin":
            yield one.broken("consent", text.at, f"a {text.kind} text before consent")


PROMISES: Mapping[str, tuple[str, Callable[[OnePerson], Iterator[Broken]]]] = {
    "consent": ("Nothing but the question goes to who has not agreed", check_consent),
    "stop": ("After STOP one confirmation, then silence", check_stop),
    "hours": ("Unprompted texts only 9:00-20:00, Sundays from 12:00", check_hours),
    "day_cap": ("At most 2 a day", check_day_cap),
    "week_cap": ("At most 9 a week", check_week_cap),
    "not_doubled": ("Nothing twice", check_not_doubled),
    "safety_days": ("Every safety day has its text", check_safety),
    "no_repeat": ("No chosen text again within 60 days", check_no_repeat),
    "taper": ("Rarer from phase to phase", check_taper),
}
"""Every promise: its name, its words in the report, and its check."""


def check_promises(
    diaries: Sequence[Diary], texts: Sequence[LedgerText], course: Course
) -> dict[str, list[Broken]]:
    """Check everybody; by promise, in order of person and date, what was broken."""
    by_person: dict[int, list[LedgerText]] = defaultdict(list)
    for text in texts:
        by_person[text.person].append(text)
    found: dict[str, list[Broken]] = {name: [] for name in PROMISES}
    for diary in diaries:
        one = OnePerson(diary, sorted(by_person[diary.number], key=lambda text: text.at), course)
        for name, (_, check) in PROMISES.items():
            found[name] += check(one)
    return {name: sorted(broken, key=lambda each: (each.person, each.on)) for name, broken in found.items()}
