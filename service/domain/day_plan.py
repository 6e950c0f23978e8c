"""One person's whole local day: what will be sent, moved, or left out, and why.

A day is planned at once so that caps and precedence see everything that falls on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.local_time import local_date, local_datetime, to_utc
from service.domain.program import LatePolicy
from service.domain.quiet_hours import SendingWindow, closes_next, is_open, next_open
from service.domain.release import DAILY_CAP, WEEKLY_CAP

NEVER_LATER_THAN = timedelta(hours=48)
"""Nothing older than this goes out after an outage, whatever its step says."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that wants to be said at `at` (aware UTC). `until` bounds it where the event itself does.

    `refused` is why it must not be said after all: then it only leaves a row with that reason.
    """

    key: str
    source: str
    source_version: int
    kind: MessageKind
    text_id: str
    check_in_id: str | None
    late: LatePolicy
    at: datetime
    until: datetime | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class PersonHours:
    """When a person may be texted. The first zone is the one their days are counted in."""

    zones: Sequence[ZoneInfo]
    window: SendingWindow


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Capped texts that the day and its week (from Monday) already hold."""

    today: int
    this_week: int


@dataclass(frozen=True, slots=True)
class PlannedText:
    """A candidate with its fate: planned for `due_at`, held until then with a reason, or expired with one.

    `message_id` is there when it is a row already, planned before, that may lose its place to a new one.
    """

    candidate: Candidate
    send_after: datetime
    send_before: datetime
    due_at: datetime
    local_on: date
    state: MessageState
    reason: str | None
    message_id: int | None = None


def plan_day(
    on: date,
    candidates: Iterable[Candidate],
    person: PersonHours,
    existing_keys: Collection[str],
    counts: DayCounts,
    now: datetime,
    seated: Sequence[PlannedText] = (),
    *,
    has_asked: bool = False,
) -> list[PlannedText]:
    """Decide every candidate of the local day `on`. Highest precedence first; ties by time, then key.

    A day asks one thing: of two questions the check-up goes before the check-in and that before the pulse,
    and where the day has asked already (`has_asked`) no other is planned. Answers could not be told apart.

    Candidates whose key exists already are left as they are, so that planning twice changes nothing.
    `seated` are capped texts of the day that wait as rows, not in `counts`: a new one of higher precedence
    takes the place of the lowest, which is then in the answer with its new fate. A text that was pushed out
    before is not among them: it has its place on the day it was moved to.
    """
    placed = [
        _place(candidate, person, now) for candidate in candidates if candidate.key not in existing_keys
    ]
    today, week = counts.today, counts.this_week
    decided: list[PlannedText] = []
    for text in sorted((*seated, *placed), key=_precedence):
        if _asks(text) and text.message_id is None:
            if has_asked:
                decided.append(replace(text, state=MessageState.EXPIRED, reason="other_question"))
                continue
            has_asked = True
        is_capped = KIND_RULES[text.candidate.kind].is_capped and text.state is MessageState.PLANNED
        if is_capped and week >= WEEKLY_CAP:
            decided.append(_push_out(text, person, on + timedelta(days=7 - on.weekday()), "cap_week"))
        elif is_capped and today >= DAILY_CAP:
            decided.append(_push_out(text, person, on + timedelta(days=1), "cap_day"))
        else:
            if is_capped:
                today, week = today + 1, week + 1
            if text.message_id is None:
                decided.append(text)
    return decided


def _asks(text: PlannedText) -> bool:
    return text.candidate.check_in_id is not None and text.state is MessageState.PLANNED


def _precedence(text: PlannedText) -> tuple[int, bool, datetime, str]:
    """Among equals, what has its place already keeps it."""
    candidate = text.candidate
    return KIND_RULES[candidate.kind].rank, text.message_id is None, candidate.at, candidate.key


def _place(candidate: Candidate, person: PersonHours, now: datetime) -> PlannedText:
    send_before = min(candidate.until or _useful_until(candidate, person), candidate.at + NEVER_LATER_THAN)
    if candidate.refused is not None:
        return _text(candidate, person, candidate.at, send_before, MessageState.EXPIRED, candidate.refused)
    if now >= send_before:
        return _text(candidate, person, candidate.at, send_before, MessageState.EXPIRED, "too_late")
    send_after = candidate.at
    if not is_open(send_after, person.window, person.zones):
        send_after = next_open(send_after, person.window, person.zones)
        if send_after >= send_before:
            return _text(candidate, person, candidate.at, send_before, MessageState.EXPIRED, "quiet_hours")
    return _text(candidate, person, send_after, send_before, MessageState.PLANNED, None)


def _useful_until(candidate: Candidate, person: PersonHours) -> datetime:
    if candidate.late is LatePolicy.SKIP:
        return candidate.at + KIND_RULES[candidate.kind].useful_for
    if candidate.late is LatePolicy.NEXT_WINDOW:
        return _end_of_next_window(candidate.at, person)
    return candidate.at + NEVER_LATER_THAN


def _end_of_next_window(at: datetime, person: PersonHours) -> datetime:
    """When the window after `at` closes: after the one that is open at `at`, if one is."""
    window, zones = person.window, person.zones
    shut = closes_next(at, window, zones) if is_open(at, window, zones) else at
    return closes_next(next_open(shut, window, zones), window, zones)


def _push_out(text: PlannedText, person: PersonHours, to: date, reason: str) -> PlannedText:
    """Over a cap: a text that must not be dropped moves to the day `to`, the others end with the reason.

    Over the week's cap that is Monday: on any day before, it would only be held again until it is too late.
    """
    candidate = text.candidate
    rule = KIND_RULES[candidate.kind]
    if not rule.defers:
        return replace(text, state=MessageState.EXPIRED, reason=reason)
    zone = person.zones[0]
    same_time = local_datetime(text.send_after, zone).time()
    due_at = next_open(to_utc(to, same_time, zone), person.window, person.zones)
    send_before = max(text.send_before, due_at + rule.useful_for)
    moved = _text(candidate, person, due_at, send_before, MessageState.HELD, reason)
    return replace(moved, message_id=text.message_id)


def _text(
    candidate: Candidate,
    person: PersonHours,
    send_after: datetime,
    send_before: datetime,
    state: MessageState,
    reason: str | None,
) -> PlannedText:
    return PlannedText(
        candidate=candidate,
        send_after=send_after,
        send_before=send_before,
        due_at=send_after,
        local_on=local_date(send_after, person.zones[0]),
        state=state,
        reason=reason,
    )
