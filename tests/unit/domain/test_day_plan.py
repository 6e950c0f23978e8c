"""One person's whole local day: what is planned, moved or left out, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.day_plan import (
    NEVER_LATER_THAN,
    Candidate,
    DayCounts,
    PersonHours,
    PlannedText,
    plan_day,
)
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.local_time import local_date, start_of_day, to_utc
from service.domain.program import LatePolicy
from service.domain.quiet_hours import DEFAULT_WINDOW, is_open
from service.domain.release import DAILY_CAP, WEEKLY_CAP

K, S = MessageKind, MessageState
NEW_YORK = ZoneInfo("America/New_York")
WEDNESDAY, SATURDAY, SUNDAY = date(2026, 11, 25), date(2026, 11, 28), date(2026, 11, 29)
MONDAY_AFTER = date(2026, 11, 30)
HOURS = PersonHours((NEW_YORK,), DEFAULT_WINDOW)
EMPTY = DayCounts(0, 0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(on: date, text: str) -> datetime:
    return to_utc(on, time.fromisoformat(text), NEW_YORK)


def want(
    kind: MessageKind,
    on: date = WEDNESDAY,
    when: str = "12:00",
    *,
    key: str = "k",
    late: LatePolicy = LatePolicy.SEND,
    until: datetime | None = None,
) -> Candidate:
    return Candidate(key, "e1", 1, kind, "tip/x", None, late, at(on, when), until)


def plan(
    *candidates: Candidate, on: date = WEDNESDAY, counts: DayCounts = EMPTY, now: datetime | None = None
) -> list[PlannedText]:
    return plan_day(on, candidates, HOURS, frozenset(), counts, now or start_of_day(on, NEW_YORK))


PLACES: list[tuple[Candidate, datetime | None, MessageState, str | None, datetime, str]] = [
    (want(K.TIP), None, S.PLANNED, None, at(WEDNESDAY, "12:00"), "at its time"),
    (want(K.TIP, when="07:00"), None, S.PLANNED, None, at(WEDNESDAY, "09:00"), "too early: the window opens"),
    (
        want(K.TIP, when="20:00"),
        None,
        S.PLANNED,
        None,
        at(date(2026, 11, 26), "09:00"),
        "the window has closed: the next morning",
    ),
    (
        want(K.TIP, when="20:00", late=LatePolicy.SKIP),
        None,
        S.EXPIRED,
        "quiet_hours",
        at(WEDNESDAY, "20:00"),
        "useless by the next morning",
    ),
    (
        want(K.TIP),
        at(WEDNESDAY, "12:00") + NEVER_LATER_THAN,
        S.EXPIRED,
        "too_late",
        at(WEDNESDAY, "12:00"),
        "nothing older than 48 hours goes out",
    ),
    (
        want(K.TIP),
        at(WEDNESDAY, "12:00") + NEVER_LATER_THAN - timedelta(seconds=1),
        S.PLANNED,
        None,
        at(WEDNESDAY, "12:00"),
        "just within",
    ),
    (
        want(K.TIP, late=LatePolicy.SKIP),
        at(WEDNESDAY, "12:00") + KIND_RULES[K.TIP].useful_for,
        S.EXPIRED,
        "too_late",
        at(WEDNESDAY, "12:00"),
        "a step that is skipped when late",
    ),
    (
        want(K.MEETING_REMINDER, until=at(WEDNESDAY, "14:00")),
        at(WEDNESDAY, "14:00"),
        S.EXPIRED,
        "too_late",
        at(WEDNESDAY, "12:00"),
        "the meeting has begun",
    ),
]


@pytest.mark.parametrize(("candidate", "now", "state", "reason", "send_after", "because"), PLACES)
def test_where_a_text_finds_its_place(
    candidate: Candidate,
    now: datetime | None,
    state: MessageState,
    reason: str | None,
    send_after: datetime,
    because: str,
) -> None:
    [text] = plan(candidate, now=now)
    assert (text.state, text.reason, text.send_after) == (state, reason, send_after), because
    assert text.local_on == local_date(send_after, NEW_YORK), because


def test_on_a_full_day_precedence_decides_who_goes() -> None:
    wants = [want(kind, key=kind) for kind in (K.CARING, K.TIP, K.CHECKIN, K.MEETING_REMINDER, K.MILESTONE)]

    texts = {text.candidate.kind: (text.state, text.reason) for text in plan(*wants)}

    assert texts == {
        K.CHECKIN: (S.PLANNED, None),
        K.MEETING_REMINDER: (S.PLANNED, None),
        K.MILESTONE: (S.PLANNED, None),
        K.TIP: (S.EXPIRED, "cap_day"),
        K.CARING: (S.EXPIRED, "cap_day"),
    }


PUSHED: list[tuple[date, str, DayCounts, str, datetime, str]] = [
    (
        WEDNESDAY,
        "12:00",
        DayCounts(2, 4),
        "cap_day",
        at(date(2026, 11, 26), "12:00"),
        "the same hour tomorrow",
    ),
    (SATURDAY, "10:00", DayCounts(2, 4), "cap_day", at(SUNDAY, "12:00"), "Sundays begin at noon"),
    (WEDNESDAY, "12:00", DayCounts(0, 9), "cap_week", at(MONDAY_AFTER, "12:00"), "Monday begins a week"),
    (WEDNESDAY, "12:00", DayCounts(2, 9), "cap_week", at(MONDAY_AFTER, "12:00"), "tomorrow is full as well"),
    (SUNDAY, "12:00", DayCounts(0, 9), "cap_week", at(MONDAY_AFTER, "12:00"), "Monday is tomorrow"),
    (MONDAY_AFTER, "12:00", DayCounts(0, 9), "cap_week", at(date(2026, 12, 7), "12:00"), "a whole week on"),
]


@pytest.mark.parametrize(("on", "when", "counts", "reason", "due_at", "because"), PUSHED)
def test_a_text_that_must_not_be_dropped_moves_to_a_day_with_room(
    on: date, when: str, counts: DayCounts, reason: str, due_at: datetime, because: str
) -> None:
    [text] = plan(want(K.SAFETY, on, when), on=on, counts=counts)

    assert (text.state, text.reason, text.due_at) == (S.HELD, reason, due_at), because
    assert text.local_on == local_date(due_at, NEW_YORK), "it counts for the day it moved to"
    assert text.send_before > due_at, because
    [dropped] = plan(want(K.TIP, on, when), on=on, counts=counts)
    assert (dropped.state, dropped.reason) == (S.EXPIRED, reason), because


def test_what_is_planned_already_is_left_as_it_is() -> None:
    wants = [want(K.TIP, key="a"), want(K.TIP, key="b", when="13:00")]
    assert plan_day(WEDNESDAY, wants, HOURS, {"a", "b"}, DayCounts(2, 2), at(WEDNESDAY, "00:00")) == []


KINDS = st.sampled_from([kind for kind in K if kind not in (K.REPLY, K.CRISIS_REPLY, K.STAFF_ALERT)])
ZONES = st.sampled_from(["America/New_York", "America/Anchorage", "Pacific/Guam", "America/Sao_Paulo"])
DAYS = st.dates(date(2026, 1, 1), date(2028, 12, 31))


@st.composite
def some_days(
    draw: st.DrawFn,
) -> tuple[date, list[Candidate], PersonHours, DayCounts, datetime]:
    on, zone = draw(DAYS), ZoneInfo(draw(ZONES))
    times = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
    candidates = [
        replace(
            want(draw(KINDS), key=f"k{number}", late=draw(st.sampled_from(list(LatePolicy)))),
            at=to_utc(on, draw(times), zone),
        )
        for number in range(draw(st.integers(0, 8)))
    ]
    counts = DayCounts(draw(st.integers(0, 3)), draw(st.integers(0, 10)))
    now = start_of_day(on, zone) + draw(st.timedeltas(timedelta(0), 4 * DAY))
    return on, candidates, PersonHours((zone,), DEFAULT_WINDOW), counts, now.astimezone(UTC)


@given(some_days())
def test_whatever_a_day_wants_to_say_the_promises_hold(
    day: tuple[date, list[Candidate], PersonHours, DayCounts, datetime],
) -> None:
    on, candidates, person, counts, now = day

    texts = plan_day(on, candidates, person, frozenset(), counts, now)

    assert Counter(text.candidate.key for text in texts) == Counter(one.key for one in candidates)
    going = [text for text in texts if text.state is S.PLANNED and KIND_RULES[text.candidate.kind].is_capped]
    assert counts.today + len(going) <= max(DAILY_CAP, counts.today)
    assert counts.this_week + len(going) <= max(WEEKLY_CAP, counts.this_week)
    for text in texts:
        if text.state is S.EXPIRED:
            assert text.reason, "nothing is left out without a reason"
            continue
        assert is_open(text.due_at, person.window, person.zones), "never at night"
        assert text.candidate.at <= text.due_at < text.send_before
        assert text.local_on == local_date(text.due_at, person.zones[0])
        if text.state is S.PLANNED:
            assert now < text.send_before <= text.candidate.at + NEVER_LATER_THAN
    for text in texts:
        if KIND_RULES[text.candidate.kind].defers:
            assert text.reason not in ("cap_day", "cap_week") or text.state is S.HELD


@given(some_days())
def test_planning_the_same_day_again_adds_nothing_and_order_does_not_matter(
    day: tuple[date, list[Candidate], PersonHours, DayCounts, datetime],
) -> None:
    on, candidates, person, counts, now = day
    texts = plan_day(on, candidates, person, frozenset(), counts, now)

    assert plan_day(on, candidates[::-1], person, frozenset(), counts, now) == texts
    assert plan_day(on, candidates, person, {text.candidate.key for text in texts}, counts, now) == []


@pytest.mark.parametrize(
    ("on", "when", "to", "reason"),
    [
        (date(2026, 11, 1), "19:30", date(2026, 11, 2), "the clocks went back that night"),
        (date(2027, 3, 14), "12:30", date(2027, 3, 15), "the clocks went forward that night"),
    ],
)
def test_a_text_that_moves_to_another_day_keeps_its_wall_clock_time(
    on: date, when: str, to: date, reason: str
) -> None:
    full = DayCounts(0, WEEKLY_CAP)

    [text] = plan(want(K.SAFETY, on, when), on=on, counts=full)

    assert (text.state, text.due_at) == (S.HELD, at(to, when)), reason
