"""Turns the simulated phones' rows into what their page shows: local times and plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from service.usecases.operations.phone_threads import Owner, PhoneThread, Trail, Upcoming
from service.usecases.operations.reason_words import explain
from service.web.page_texts import PhoneWords

_LOCALE = "en_US"


@dataclass(frozen=True, slots=True)
class AddedPhone:
    """A phone that a visitor put on the page: where it is and which language its owner speaks."""

    number: str
    timezone: str
    language: str


@dataclass(frozen=True, slots=True)
class BubbleView:
    body: str
    time: str
    machine_time: str
    day: str | None
    mark: str | None
    is_mine: bool


@dataclass(frozen=True, slots=True)
class UpcomingView:
    time: str
    kind: str
    state: str
    is_waiting: bool
    why: str | None


@dataclass(frozen=True, slots=True)
class TrailView:
    message_id: int
    kind: str
    origin: str
    planned: str
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PhoneView:
    """One phone, ready for the template."""

    key: str
    number: str
    name: str
    status: str
    status_word: str
    language: str
    local_time: str
    zone: str
    zone_note: str
    has_open_question: bool
    bubbles: tuple[BubbleView, ...]
    upcoming: tuple[UpcomingView, ...]
    next_day: str | None
    trails: tuple[TrailView, ...]
    tries: tuple[str, ...]


def build_phone_view(
    thread: PhoneThread, added: AddedPhone | None, words: PhoneWords, default_zone: str, now: datetime
) -> PhoneView:
    """Put one phone into words. Its clock is the zone it was added with, else the one the service knows."""
    owner = thread.owner
    name = added.timezone if added else (owner.timezone if owner else default_zone)
    zone = ZoneInfo(name)
    language = owner.language if owner else (added.language if added else "en")
    status = _status(owner, now)
    number = national_number(thread.phone.e164)
    return PhoneView(
        key=thread.key,
        number=number,
        name=(owner.name if owner else None) or number,
        status=status,
        status_word=words.statuses.get(status, status),
        language=language,
        local_time=format_moment(now, zone),
        zone=name.replace("_", " "),
        zone_note=_zone_note(owner, name),
        has_open_question=bool(owner and owner.has_open_question),
        bubbles=_bubbles(thread, zone),
        upcoming=tuple(_upcoming(entry, words, zone) for entry in thread.upcoming),
        next_day=format_datetime(owner.next_plan_at.astimezone(zone), "EEEE, MMM d", locale=_LOCALE)
        if owner and owner.next_plan_at
        else None,
        trails=tuple(_trail(trail, words, zone) for trail in thread.trails),
        tries=words.tries.get(language, words.tries["en"]),
    )


def national_number(e164: str) -> str:
    """A fictional number as people write it: 202-555-0123."""
    digits = e164.removeprefix("+1")
    return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"


def format_moment(at: datetime, zone: ZoneInfo) -> str:
    """Local day and time, such as "Mon, Nov 23, 10:00 AM"."""
    return format_datetime(at.astimezone(zone), "EEE, MMM d, h:mm a", locale=_LOCALE)


def _status(owner: Owner | None, now: datetime) -> str:
    if owner is None:
        return "new"
    if owner.status == "active" and owner.paused_until is not None and owner.paused_until > now:
        return "paused"
    return str(owner.status)


def _zone_note(owner: Owner | None, shown: str) -> str:
    if owner is None:
        return ""
    if owner.timezone != shown:
        return f"the service assumes {owner.timezone.replace('_', ' ')}"
    return "" if owner.is_zone_confirmed else "assumed"


def _bubbles(thread: PhoneThread, zone: ZoneInfo) -> tuple[BubbleView, ...]:
    views: list[BubbleView] = []
    last_on = None
    for bubble in thread.bubbles:
        local = bubble.at.astimezone(zone)
        is_new_day = local.date() != last_on
        last_on = local.date()
        views.append(
            BubbleView(
                body=bubble.body,
                time=format_datetime(local, "h:mm a", locale=_LOCALE),
                machine_time=local.isoformat(timespec="minutes"),
                day=format_datetime(local, "EEEE, MMM d", locale=_LOCALE) if is_new_day else None,
                mark=str(bubble.state) if bubble.state else None,
                is_mine=bubble.state is None,
            )
        )
    return tuple(views)


def _upcoming(entry: Upcoming, words: PhoneWords, zone: ZoneInfo) -> UpcomingView:
    return UpcomingView(
        time=format_moment(entry.at, zone),
        kind=words.kinds.get(entry.kind, entry.kind),
        state=words.states.get(entry.state, str(entry.state)),
        is_waiting=entry.is_waiting,
        why=explain(entry.state, entry.reason) if entry.reason else None,
    )


def _trail(trail: Trail, words: PhoneWords, zone: ZoneInfo) -> TrailView:
    return TrailView(
        message_id=trail.message_id,
        kind=words.kinds.get(trail.kind, trail.kind),
        origin=words.origin(trail.source, trail.step),
        planned=format_moment(trail.planned_at, zone),
        steps=tuple((format_moment(step.at, zone), explain(step.state, step.reason)) for step in trail.steps),
    )
