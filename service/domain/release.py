"""May this text leave now? The last decision before a text goes, made from facts read under lock.

Rules are tried in order; the first that speaks decides. A new rule is one more function in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from service.domain.consent import Standing
from service.domain.kinds import AFTER_OPT_OUT, ANSWER_KINDS, KIND_RULES, MessageKind
from service.domain.local_time import local_date, start_of_day
from service.domain.quiet_hours import SendingWindow, closes_next, is_open, next_open

DAILY_CAP = 2
WEEKLY_CAP = 9
LOOK_AGAIN = timedelta(minutes=15)
LOOK_AGAIN_SOON = timedelta(minutes=2)
INBOUND_NOT_CHECKED = "inbound_not_checked"
"""Why texts wait after an outage: it passes as soon as the provider has said what came in meanwhile."""
MIN_VALIDITY_SECONDS = 10
MAX_VALIDITY_SECONDS = 36_000
"""The provider's bounds for how long it may keep a text before dropping it (message resource). A text with
less time than the least is too late: with any more it would outlive its use."""

LEAST_OF_WINDOW = timedelta(minutes=1)
"""A text that leaves later than this before its window closes may reach the phone after it has."""


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """Everything the decision needs, read in the transaction that lets the text go.

    `blocked` names why unprompted texts are stopped for everybody (a switch, a lapse),
    `is_reachable_in_trial` whether trial mode may text this number,
    `open_question_until` when the person's one open question ends, `awaits_welcome` that the disclosure
    which comes before everything else has not surely gone.
    """

    kind: MessageKind
    send_before: datetime
    standing: Standing
    asks_for_consent: bool
    paused_until: datetime | None
    window: SendingWindow
    zones: Sequence[ZoneInfo]
    capped_today: int
    capped_this_week: int
    is_reachable_in_trial: bool
    blocked: str | None = None
    asks_question: bool = False
    open_question_until: datetime | None = None
    subject_gone: str | None = None
    awaits_welcome: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """Let it go. The carrier should drop it after `validity_seconds`."""

    validity_seconds: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: look again at `until`. With `send_before` the text stays of use until then."""

    until: datetime
    reason: str
    send_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Not at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    """It was due, and now it is too late to help."""

    reason: str


Verdict = Release | Hold | Cancel | Expire
Rule = Callable[[ReleaseFacts, datetime], Verdict | None]


def _too_late(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    is_too_late = facts.send_before - now < timedelta(seconds=MIN_VALIDITY_SECONDS)
    return Expire("too_late") if is_too_late else None


def _consent(facts: ReleaseFacts, _now: datetime) -> Verdict | None:
    if facts.kind in AFTER_OPT_OUT or (
        facts.kind in ANSWER_KINDS and facts.standing is not Standing.OPTED_OUT
    ):
        return None
    if facts.standing is Standing.OPTED_OUT:
        return Cancel("opted_out")
    if facts.asks_for_consent and facts.standing in (Standing.ASKED, Standing.ACTIVE):
        return None
    return None if facts.standing is Standing.ACTIVE else Cancel("no_consent")


def _subject(facts: ReleaseFacts, _now: datetime) -> Verdict | None:
    return Cancel(facts.subject_gone) if facts.subject_gone else None


def _blocked(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    if facts.blocked and facts.kind not in ANSWER_KINDS:
        wait = LOOK_AGAIN_SOON if facts.blocked == INBOUND_NOT_CHECKED else LOOK_AGAIN
        return _hold_or_expire(facts, now + wait, facts.blocked)
    return None


def _trial(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    if facts.is_reachable_in_trial or facts.kind in ANSWER_KINDS:
        return None
    return _hold_or_expire(facts, now + LOOK_AGAIN, "trial_mode")


def _welcome_first(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    """Who agreed in writing reads first who texts them and how to end it (carriers' rule, provider 3.4)."""
    if not facts.awaits_welcome or facts.kind in ANSWER_KINDS or facts.kind is MessageKind.ADMIN:
        return None
    return _hold_or_expire(facts, now + LOOK_AGAIN, "welcome_first")


def _paused(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    if facts.kind in ANSWER_KINDS or facts.paused_until is None or facts.paused_until <= now:
        return None
    if facts.kind is MessageKind.ADMIN:
        # The question and the goodbye at the end, what the line is not: said once, so they wait for the end.
        return Hold(facts.paused_until, "paused", facts.paused_until + KIND_RULES[facts.kind].useful_for)
    return _hold_or_expire(facts, facts.paused_until, "paused")


def _quiet_hours(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    if facts.kind in ANSWER_KINDS:
        return None
    shut = now
    if is_open(now, facts.window, facts.zones):
        shut = closes_next(now, facts.window, facts.zones)
        if shut - now >= LEAST_OF_WINDOW:
            return None
    return _hold_or_expire(facts, next_open(shut, facts.window, facts.zones), "quiet_hours")


def _open_question(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    until = facts.open_question_until
    if not facts.asks_question or until is None or until <= now:
        return None
    return _hold_or_expire(facts, until, "open_question")


def _caps(facts: ReleaseFacts, now: datetime) -> Verdict | None:
    if not KIND_RULES[facts.kind].is_capped:
        return None
    zone = facts.zones[0]
    today = local_date(now, zone)
    if facts.capped_this_week >= WEEKLY_CAP:
        monday = today + timedelta(days=7 - today.weekday())
        return _hold_to_day(facts, start_of_day(monday, zone), "cap_week")
    if facts.capped_today >= DAILY_CAP:
        return _hold_to_day(facts, start_of_day(today + timedelta(days=1), zone), "cap_day")
    return None


RULES: tuple[Rule, ...] = (
    _too_late,
    _consent,
    _subject,
    _blocked,
    _trial,
    _welcome_first,
    _paused,
    _quiet_hours,
    _open_question,
    _caps,
)


def decide_release(facts: ReleaseFacts, now: datetime) -> Verdict:
    """Return what happens to a claimed text at `now` (aware UTC)."""
    for rule in RULES:
        verdict = rule(facts, now)
        if verdict is not None:
            return verdict
    return Release(_validity(facts, now))


def _validity(facts: ReleaseFacts, now: datetime) -> int:
    until = facts.send_before
    if facts.kind not in ANSWER_KINDS:
        until = min(until, closes_next(now, facts.window, facts.zones))
    return min(MAX_VALIDITY_SECONDS, int((until - now).total_seconds()))


def _hold_or_expire(facts: ReleaseFacts, until: datetime, reason: str) -> Verdict:
    return Hold(until, reason) if until < facts.send_before else Expire(reason)


def _hold_to_day(facts: ReleaseFacts, day_start: datetime, reason: str) -> Verdict:
    """Over a cap: until that day. A text that moves to another day and never drops stays of use there."""
    until = next_open(day_start, facts.window, facts.zones)
    rule = KIND_RULES[facts.kind]
    if rule.defers and until + rule.useful_for > facts.send_before:
        return Hold(until, reason, until + rule.useful_for)
    return _hold_or_expire(facts, until, reason)
