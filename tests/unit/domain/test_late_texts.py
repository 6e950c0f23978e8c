"""Texts whose time has passed: what still goes, what waits, and what ends with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.consent import Standing
from service.domain.day_plan import (
    NEVER_LATER_THAN,
    Candidate,
    DayCounts,
    PersonHours,
    PlannedText,
    plan_day,
)
from service.domain.delivery import MessageState
from service.domain.kinds import ANSWER_KINDS, KIND_RULES, MessageKind
from service.domain.local_time import local_date, to_utc
from service.domain.meetings import SHORTEST_NOTICE, ReminderPlan, plan_reminder
from service.domain.program import LatePolicy
from service.domain.quiet_hours import DEFAULT_WINDOW, LAST_MINUTES, is_open, last_open, next_open
from service.domain.release import (
    MAX_VALIDITY_SECONDS,
    MIN_VALIDITY_SECONDS,
    Expire,
    Hold,
    Release,
    ReleaseFacts,
    Verdict,
    decide_release,
)
from tests.unit.domain.clock_changes import (
    BACK,
    DAY,
    HOUR,
    MINUTE,
    ClockChange,
    date_of,
    list_changes,
    next_true,
)

K, S, L = MessageKind, MessageState, LatePolicy
PARTS = 6
PART = pytest.mark.parametrize("part", range(PARTS))
NEW_YORK = ZoneInfo("America/New_York")
EMPTY = DayCounts(0, 0)


def changes_of(part: int) -> Sequence[ClockChange]:
    return list_changes()[part::PARTS]


def want(
    at: datetime, late: LatePolicy = L.SEND, kind: MessageKind = K.TIP, until: datetime | None = None
) -> Candidate:
    return Candidate(f"{kind}:{late}:{at}", "e1", 1, kind, "tip/x", None, late, at, until)


def plan(candidate: Candidate, now: datetime, *zones: ZoneInfo, counts: DayCounts = EMPTY) -> PlannedText:
    person = PersonHours(zones or (NEW_YORK,), DEFAULT_WINDOW)
    on = local_date(candidate.at, person.zones[0])
    [text] = plan_day(on, [candidate], person, frozenset(), counts, now)
    return text


def facts_of(
    kind: MessageKind, send_before: datetime, zones: Sequence[ZoneInfo], capped_today: int = 0
) -> ReleaseFacts:
    return ReleaseFacts(
        kind=kind,
        send_before=send_before,
        standing=Standing.ACTIVE,
        asks_for_consent=False,
        paused_until=None,
        window=DEFAULT_WINDOW,
        zones=zones,
        capped_today=capped_today,
        capped_this_week=capped_today,
        is_reachable_in_trial=True,
    )


def follow(text: PlannedText, now: datetime, zones: Sequence[ZoneInfo]) -> tuple[datetime, Verdict]:
    """What becomes of a planned text when a worker looks at it from `now` on, and when."""
    facts = facts_of(text.candidate.kind, text.send_before, zones)
    moment = max(now, text.due_at)
    for _ in range(10):
        verdict = decide_release(facts, moment)
        if not isinstance(verdict, Hold):
            return moment, verdict
        moment = verdict.until
    raise AssertionError("held for ever")


# Wednesday, Saturday and Sunday, New York time; a tip is of use for eight hours.
LATE: list[tuple[str, str, dict[LatePolicy, str], str]] = [
    ("25 12:00", "25 12:00", {L.SEND: "25 12:00", L.SKIP: "25 12:00", L.NEXT_WINDOW: "25 12:00"}, "in time"),
    ("25 09:30", "25 17:29", {L.SEND: "25 17:29", L.SKIP: "25 17:29", L.NEXT_WINDOW: "25 17:29"}, "of use"),
    ("25 09:30", "25 17:30", {L.SEND: "25 17:30", L.SKIP: "too_late", L.NEXT_WINDOW: "25 17:30"}, "stale"),
    ("25 14:00", "25 21:00", {L.SEND: "26 09:00", L.SKIP: "quiet_hours", L.NEXT_WINDOW: "26 09:00"}, "night"),
    (
        "25 14:00",
        "26 11:00",
        {L.SEND: "26 11:00", L.SKIP: "too_late", L.NEXT_WINDOW: "26 11:00"},
        "a day late",
    ),
    ("25 14:00", "26 21:00", {L.SEND: "27 09:00", L.SKIP: "too_late", L.NEXT_WINDOW: "too_late"}, "its last"),
    ("25 14:00", "27 13:59", {L.SEND: "27 13:59", L.SKIP: "too_late", L.NEXT_WINDOW: "too_late"}, "two days"),
    ("25 14:00", "27 14:00", {L.SEND: "too_late", L.SKIP: "too_late", L.NEXT_WINDOW: "too_late"}, "48 hours"),
    ("25 20:00", "25 20:00", {L.SEND: "26 09:00", L.SKIP: "quiet_hours", L.NEXT_WINDOW: "26 09:00"}, "shut"),
    (
        "25 20:00",
        "26 20:00",
        {L.SEND: "27 09:00", L.SKIP: "too_late", L.NEXT_WINDOW: "too_late"},
        "once shut",
    ),
    ("28 19:00", "29 19:00", {L.SEND: "29 19:00", L.SKIP: "too_late", L.NEXT_WINDOW: "29 19:00"}, "Sunday"),
    ("28 19:00", "30 10:00", {L.SEND: "30 10:00", L.SKIP: "too_late", L.NEXT_WINDOW: "too_late"}, "Monday"),
]


@pytest.mark.parametrize(("at", "now", "fates", "reason"), LATE)
def test_a_late_text_goes_is_skipped_or_waits_for_the_next_window(
    at: str, now: str, fates: dict[LatePolicy, str], reason: str
) -> None:
    for late, expected in fates.items():
        text = plan(want(november(at), late), november(now))
        if text.state is S.EXPIRED:
            assert text.reason == expected, (reason, late)
            continue
        moment, verdict = follow(text, november(now), (NEW_YORK,))
        if isinstance(verdict, Release):
            assert moment == november(expected), (reason, late)
        else:
            assert verdict == Expire(expected), (reason, late)


def november(text: str) -> datetime:
    day, clock = text.split()
    return to_utc(date(2026, 11, int(day)), time.fromisoformat(clock), NEW_YORK)


@PART
def test_late_policies_hold_on_days_on_which_the_clocks_change(part: int) -> None:
    for change in changes_of(part):
        flags = change.is_open(DEFAULT_WINDOW)
        opens, shuts = next_true(flags), next_true([not flag for flag in flags])
        zone = change.zone
        for index in range(BACK - 1500, BACK + 1440, 211):
            at = change.instant(index)
            first = opens[index]
            assert first is not None
            end = shuts[first]
            if end is not None and flags[index]:
                following = opens[end]
                end = shuts[following] if following is not None else None
            for late in range(0, 50, 7):
                now = at + late * HOUR
                send, skip = plan(want(at), now, zone), plan(want(at, L.SKIP), now, zone)
                waits = plan(want(at, L.NEXT_WINDOW), now, zone)
                if end is not None:
                    last = min(change.instant(end), at + NEVER_LATER_THAN)
                    assert waits.send_before == last, str(change)
                    assert (waits.state is S.PLANNED) is (now < last), str(change)
                assert send.send_before == at + NEVER_LATER_THAN
                assert skip.send_before == at + KIND_RULES[K.TIP].useful_for
                for text in (send, skip, waits):
                    if text.state is S.EXPIRED:
                        assert text.reason in ("too_late", "quiet_hours")
                        continue
                    moment, verdict = follow(text, now, (zone,))
                    assert moment - at < NEVER_LATER_THAN
                    assert isinstance(verdict, (Release, Expire)), str(change)
                    if isinstance(verdict, Release):
                        assert is_open(moment, DEFAULT_WINDOW, [zone]), str(change)


@PART
def test_a_text_let_go_at_any_minute_is_gone_before_night_and_before_it_is_useless(part: int) -> None:
    for number, change in enumerate(changes_of(part)):
        flags = change.is_open(DEFAULT_WINDOW)
        opens, shuts = next_true(flags), next_true([not flag for flag in flags])
        zones = (change.zone,)
        turns = [index for index in range(1, len(flags)) if flags[index] != flags[index - 1]]
        near = {turn + step for turn in turns for step in range(-3, 4)}
        for index in sorted(near | set(range(BACK - 1440 + number % 13, BACK + 1440, 13))):
            for seconds in (0, 31):
                now = change.instant(index) + timedelta(seconds=seconds)
                send_before = now + timedelta(hours=number % 40, seconds=5 + index % 11)
                verdict = decide_release(facts_of(K.TIP, send_before, zones), now)
                closing = shuts[index]
                if isinstance(verdict, Release):
                    assert flags[index], str(change)
                    assert MIN_VALIDITY_SECONDS <= verdict.validity_seconds <= MAX_VALIDITY_SECONDS
                    dropped_at = now + timedelta(seconds=verdict.validity_seconds)
                    assert dropped_at <= send_before, str(change)
                    assert closing is None or dropped_at <= change.instant(closing), str(change)
                    continue
                is_soon_shut = closing is not None and change.instant(closing) - now < MINUTE
                is_useless = send_before - now < timedelta(seconds=MIN_VALIDITY_SECONDS)
                assert not flags[index] or is_soon_shut or is_useless, str(change)
                if isinstance(verdict, Hold):
                    reopens = opens[closing] if flags[index] and closing is not None else opens[index]
                    assert reopens is None or verdict.until == change.instant(reopens), str(change)


@PART
def test_an_answer_is_dropped_when_it_is_useless_whatever_the_hour(part: int) -> None:
    for change in changes_of(part)[::4]:
        for index in range(BACK - 720, BACK + 720, 47):
            now = change.instant(index)
            for kind in ANSWER_KINDS:
                verdict = decide_release(facts_of(kind, now + 2 * HOUR, (change.zone,)), now)
                assert verdict == Release(7200), str(change)


@PART
def test_a_reminder_outside_the_hours_moves_earlier_and_never_past_the_start(part: int) -> None:
    for number, change in enumerate(changes_of(part)):
        flags = change.is_open(DEFAULT_WINDOW)
        zones = [change.zone, NEW_YORK] if number % 5 == 0 else [change.zone]
        for index in range(BACK - 300, BACK + 2000, 173):
            starts_at = change.instant(index)
            for offset in (2 * HOUR, 24 * HOUR):
                decision = plan_reminder(starts_at, offset, DEFAULT_WINDOW, zones, starts_at - 2 * DAY)
                if not isinstance(decision, ReminderPlan):
                    assert len(zones) == 2, "somebody in one place is always reminded"
                    continue
                assert all(is_open(decision.send_at, DEFAULT_WINDOW, [zone]) for zone in zones), str(change)
                assert decision.send_at <= starts_at - SHORTEST_NOTICE, str(change)
                assert decision.send_before == starts_at
                wish = index - int(offset / MINUTE)
                if len(zones) == 1 and wish > 0 and all(flags[wish : wish + LAST_MINUTES]):
                    assert decision.send_at == change.instant(wish), "a wish in the hours is granted"
                verdict = decide_release(facts_of(K.MEETING_REMINDER, starts_at, zones), decision.send_at)
                assert isinstance(verdict, Release), "and it does go at that moment"


@PART
def test_a_reminder_moved_to_the_last_moment_survives_a_worker_that_is_minutes_late(part: int) -> None:
    for change in changes_of(part):
        for index in range(BACK - 700, BACK + 1400, 331):
            moment = last_open(change.instant(index), DEFAULT_WINDOW, [change.zone], change.instant(0))
            if moment is not None:
                late = moment + (LAST_MINUTES - 1) * MINUTE
                facts = facts_of(K.MEETING_REMINDER, moment + 9 * HOUR, (change.zone,))
                assert isinstance(decide_release(facts, late), Release), str(change)


KINDS = st.sampled_from([kind for kind in K if kind not in ANSWER_KINDS and kind is not K.STAFF_ALERT])
ZONES = st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Europe/Dublin"])


@st.composite
def outages(draw: st.DrawFn) -> tuple[list[Candidate], PersonHours, datetime, datetime]:
    """Texts of six days, and an outage of any length, from no time at all to two weeks."""
    zone = ZoneInfo(draw(ZONES))
    first = draw(st.dates(date(2026, 11, 1), date(2029, 11, 30)))
    quarters = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
    candidates = []
    for number in range(draw(st.integers(1, 9))):
        on = first + timedelta(days=draw(st.integers(0, 5)))
        at = to_utc(on, draw(quarters), zone)
        span = draw(st.none() | st.timedeltas(MINUTE, 9 * DAY))
        until = at + span if span else None
        candidate = Candidate(
            f"k{number}", "e1", 1, draw(KINDS), "tip/x", None, draw(st.sampled_from(list(L))), at, until
        )
        candidates.append(candidate)
    down = to_utc(first, time(0), zone) + draw(st.timedeltas(timedelta(0), 3 * DAY))
    up = down + draw(st.timedeltas(timedelta(0), 14 * DAY))
    return candidates, PersonHours((zone,), DEFAULT_WINDOW), down, up


def plan_days(
    candidates: Sequence[Candidate], person: PersonHours, done: set[str], now: datetime, first: date
) -> Iterator[PlannedText]:
    """What a planning run at `now` adds: every day from `first` to today, as `plan_due` does."""
    today = local_date(now, person.zones[0])
    on = first
    while on <= today:
        of_day = [one for one in candidates if local_date(one.at, person.zones[0]) == on]
        for text in plan_day(on, of_day, person, done, EMPTY, now):
            done.add(text.candidate.key)
            yield text
        on += timedelta(days=1)


@given(outages())
def test_after_an_outage_of_any_length_nothing_older_than_two_days_goes_and_nothing_is_lost(
    outage: tuple[list[Candidate], PersonHours, datetime, datetime],
) -> None:
    candidates, person, down, up = outage
    zone, done, texts = person.zones[0], set[str](), list[tuple[datetime, PlannedText]]()
    first = local_date(min(candidate.at for candidate in candidates), zone)
    moments = [to_utc(first + timedelta(days=number), time(0), zone) for number in range(22)]
    for moment in sorted(moment for moment in [*moments, up] if not down <= moment < up):
        texts += [(moment, text) for text in plan_days(candidates, person, done, moment, first)]

    assert done == {candidate.key for candidate in candidates}, "every text has its row"
    for planned_at, text in texts:
        if text.state is S.EXPIRED:
            assert text.reason, "and what does not go has its reason"
            continue
        due_at = max(planned_at, text.due_at)
        moment, verdict = follow(text, up if down <= due_at < up else due_at, person.zones)
        assert not isinstance(verdict, (Expire, Hold)) or verdict.reason
        if isinstance(verdict, Release):
            moved_to = text.due_at if text.state is S.HELD else text.candidate.at
            assert moment - moved_to < NEVER_LATER_THAN, "what a cap moved counts from where it moved to"
            assert is_open(moment, person.window, person.zones)


def test_what_an_event_bounds_is_bounded_by_two_days_as_well() -> None:
    at = november("25 12:00")

    text = plan(want(at, until=at + 5 * DAY), at)

    assert text.send_before == at + NEVER_LATER_THAN


def test_whoever_is_in_two_zones_at_once_gets_a_late_text_in_the_hours_of_both() -> None:
    zones = (NEW_YORK, ZoneInfo("America/Los_Angeles"))
    at = november("25 14:00")

    text = plan(want(at, L.NEXT_WINDOW), november("25 21:00"), *zones)

    assert text.due_at == at
    assert text.send_before == november("26 20:00"), "when the next window of both has closed"
    assert follow(text, november("25 21:00"), zones) == (november("26 12:00"), Release(8 * 3600))
    assert next_open(november("25 21:00"), DEFAULT_WINDOW, zones) == november("26 12:00")


def test_the_changes_include_days_with_a_date_of_their_own() -> None:
    """A change at midnight is the one that a date is easily lost at."""
    at_midnight = [change for change in list_changes() if change.walls[BACK - 1] % 1440 == 1439]
    assert {"Africa/Cairo", "Asia/Beirut"} <= {name for change in at_midnight for name in change.names}
    assert all(date_of(change.walls[BACK]) >= date(2026, 11, 1) for change in at_midnight)
    assert list_changes()[0].at.tzinfo is UTC
