"""Texts that have their place on a day already, and new ones of higher precedence that want it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from service.domain.day_plan import Candidate, DayCounts, PersonHours, PlannedText, plan_day
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.local_time import start_of_day, to_utc
from service.domain.program import LatePolicy
from service.domain.quiet_hours import DEFAULT_WINDOW, is_open
from service.domain.release import DAILY_CAP, WEEKLY_CAP

K, S = MessageKind, MessageState
ZONE = ZoneInfo("America/New_York")
ON = date(2026, 11, 25)
HOURS = PersonHours((ZONE,), DEFAULT_WINDOW)
CAPPED = [kind for kind, rule in KIND_RULES.items() if rule.is_capped]
MORNING = start_of_day(ON, ZONE)


def want(kind: MessageKind, key: str, when: str = "12:00", *, refused: str | None = None) -> Candidate:
    at = to_utc(ON, time.fromisoformat(when), ZONE)
    return Candidate(key, "e1", 1, kind, "tip/x", None, LatePolicy.SEND, at, refused=refused)


def seat(*wants: Candidate) -> list[PlannedText]:
    """Plan a day, and give each planned text a row."""
    texts = plan_day(ON, wants, HOURS, frozenset(), DayCounts(0, 0), MORNING)
    return [replace(text, message_id=number) for number, text in enumerate(texts) if text.state is S.PLANNED]


def fates(texts: list[PlannedText]) -> dict[str, tuple[MessageState, str | None]]:
    return {text.candidate.key: (text.state, text.reason) for text in texts}


def test_a_new_text_of_higher_precedence_takes_the_place_of_the_lowest_that_waits() -> None:
    seated = seat(want(K.TIP, "tip"), want(K.CARING, "note"))

    texts = plan_day(ON, [want(K.CAMPAIGN, "new")], HOURS, {"tip", "note"}, DayCounts(0, 0), MORNING, seated)

    assert fates(texts) == {"new": (S.PLANNED, None), "note": (S.EXPIRED, "cap_day")}
    assert next(text for text in texts if text.candidate.key == "note").message_id is not None


def test_what_went_out_already_keeps_its_place_whatever_its_precedence() -> None:
    texts = plan_day(ON, [want(K.CHECKIN, "new")], HOURS, frozenset(), DayCounts(2, 2), MORNING)

    assert fates(texts) == {"new": (S.EXPIRED, "cap_day")}


def test_a_safety_text_that_loses_its_place_moves_to_the_next_day_with_its_row() -> None:
    seated = seat(want(K.SAFETY, "safety"), want(K.CHECKIN, "asks"))

    [new, moved] = plan_day(
        ON, [want(K.PULSE, "new")], HOURS, {"safety", "asks"}, DayCounts(0, 0), MORNING, seated
    )

    assert (new.candidate.key, new.state) == ("new", S.PLANNED)
    assert (moved.message_id, moved.state, moved.reason) == (seated[1].message_id, S.HELD, "cap_day")
    assert moved.local_on == ON + timedelta(days=1)
    assert moved.due_at < moved.send_before


def test_what_must_not_be_said_leaves_its_reason_and_takes_no_place() -> None:
    wants = [want(K.CHECKIN, "no", refused="already_sent"), want(K.TIP, "a"), want(K.CARING, "b")]

    texts = plan_day(ON, wants, HOURS, frozenset(), DayCounts(0, 0), MORNING)

    assert fates(texts) == {
        "no": (S.EXPIRED, "already_sent"),
        "a": (S.PLANNED, None),
        "b": (S.PLANNED, None),
    }


@st.composite
def two_rounds(draw: st.DrawFn) -> tuple[list[Candidate], list[Candidate], DayCounts, datetime]:
    """What is planned in the morning, what comes on top later in the day, and what went out before."""
    kinds = draw(st.lists(st.sampled_from([*CAPPED, K.MEETING_REMINDER]), max_size=8))
    times = st.integers(36, 79).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
    wants = [want(kind, f"k{number}", draw(times)) for number, kind in enumerate(kinds)]
    split = draw(st.integers(0, len(wants)))
    gone = draw(st.integers(0, 3))
    counts = DayCounts(gone, gone + draw(st.integers(0, 8)))
    return (
        wants[:split],
        wants[split:],
        counts,
        MORNING + draw(st.timedeltas(timedelta(0), timedelta(hours=9))),
    )


@given(two_rounds())
def test_in_whatever_order_texts_come_the_caps_and_the_precedence_hold(
    rounds: tuple[list[Candidate], list[Candidate], DayCounts, datetime],
) -> None:
    first, then, counts, later = rounds
    planned = plan_day(ON, first, HOURS, frozenset(), counts, MORNING)
    rows = {number: replace(text, message_id=number) for number, text in enumerate(planned)}
    seated = [
        row for row in rows.values() if row.state is S.PLANNED and KIND_RULES[row.candidate.kind].is_capped
    ]
    pushed = [row for row in rows.values() if row.state is S.HELD]

    texts = plan_day(ON, then, HOURS, {one.key for one in first}, counts, later, seated)

    for text in texts:
        rows[text.message_id if text.message_id is not None else len(rows) + 100] = text
    final = list(rows.values())
    assert sorted(text.candidate.key for text in final) == sorted(one.key for one in (*first, *then))
    going = [text for text in final if text.state is S.PLANNED and KIND_RULES[text.candidate.kind].is_capped]
    assert len(going) <= max(0, DAILY_CAP - counts.today)
    assert len(going) <= max(0, WEEKLY_CAP - counts.this_week)
    lowest = max((KIND_RULES[text.candidate.kind].rank for text in going), default=0)
    for text in final:
        if text.reason in ("cap_day", "cap_week"):
            assert not going or KIND_RULES[text.candidate.kind].rank >= lowest, "the lowest loses"
            assert (text.state is S.HELD) is (text.candidate.kind is K.SAFETY)
        if text.state is S.HELD:
            assert is_open(text.due_at, HOURS.window, HOURS.zones)
            assert text.due_at < text.send_before
        elif text.state is S.EXPIRED:
            assert text.reason
    again = [text for text in going if text.message_id is None]
    numbered = [replace(text, message_id=900 + number) for number, text in enumerate(again)]
    still = [text for text in going if text.message_id is not None] + numbered
    keys = {text.candidate.key for text in final}
    assert plan_day(ON, (*first, *then), HOURS, keys, counts, later, still) == []
    assert all(row.local_on > ON for row in pushed)
