"""Each promise of a simulated year can fail: a ledger with that fault, and one without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from service.domain.year.ledger import Diary, LedgerText
from service.domain.year.promises import (
    PROMISES,
    Course,
    OnePerson,
    Phase,
    SafetyDay,
    check_promises,
    list_safety_fates,
)

JOINED = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""
NOON = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)
DAY = timedelta(days=1)
COURSE = Course(
    safety_days=(SafetyDay(3, frozenset({"safety/near"})),),
    phases=(Phase("dense", 1, 28), Phase("sparse", 29, 84)),
    chosen_kinds=frozenset({"tip"}),
    ends_at=JOINED + 90 * DAY,
)


def make_diary(**changes: object) -> Diary:
    zones: list[tuple[datetime, tuple[str, ...]]] = [(JOINED, ("America/New_York",))]
    diary = Diary(7, "en", is_plain=False, zones=zones, listed_at=JOINED, joined_at=JOINED)
    diary.anchor_on = date(2026, 1, 5)
    for name, value in changes.items():
        setattr(diary, name, value)
    return diary


def make_text(at: datetime, number: int = 0, **changes: object) -> LedgerText:
    text = LedgerText(
        person=7,
        at=at,
        digest=f"words {number} {at}",
        segments=1,
        is_reply=False,
        has_arrived=True,
        kind="tip",
        text_id=f"tip/{number}/{at}",
        source="e1",
        key=f"e1:{at}:{number}",
    )
    return replace(text, **changes)  # type: ignore[arg-type]


SAFETY = make_text(NOON + 3 * DAY, 900, kind="safety", text_id="safety/near")


def find_broken(texts: Sequence[LedgerText], diary: Diary | None = None) -> dict[str, int]:
    found = check_promises([diary or make_diary()], [*texts], COURSE)
    return {name: len(broken) for name, broken in found.items() if broken}


def daily(first: int, last: int, every: int = 1) -> list[LedgerText]:
    return [make_text(NOON + day * DAY) for day in range(first, last + 1, every)]


ORDINARY = [SAFETY, *daily(1, 28), *daily(29, 84, 3)]
TWICE = make_text(NOON + 40 * DAY, 1)
STOPPED_AT = NOON + 10 * DAY
CONFIRMED = make_text(STOPPED_AT, 2, is_reply=True, kind="", key="", source="")

FAULTS: dict[str, tuple[dict[str, int], list[LedgerText], Diary]] = {
    "a text before consent": (
        {"consent": 1},
        [SAFETY, make_text(JOINED + timedelta(hours=1))],
        make_diary(joined_at=JOINED + timedelta(hours=2)),
    ),
    "a question before consent is no fault": (
        {},
        [SAFETY, make_text(JOINED + timedelta(hours=1), kind="admin")],
        make_diary(joined_at=JOINED + timedelta(hours=2)),
    ),
    "a text after a stop": (
        {"stop": 1},
        [SAFETY, CONFIRMED, make_text(STOPPED_AT + timedelta(hours=1))],
        make_diary(stopped=[(STOPPED_AT, None)]),
    ),
    "an answer after a stop": (
        {"stop": 1},
        [SAFETY, CONFIRMED, replace(CONFIRMED, at=STOPPED_AT + timedelta(hours=1))],
        make_diary(stopped=[(STOPPED_AT, None)]),
    ),
    "no confirmation of a stop": ({"stop": 1}, [SAFETY], make_diary(stopped=[(STOPPED_AT, None)])),
    "two confirmations of a stop": (
        {"stop": 1},
        [SAFETY, CONFIRMED, CONFIRMED],
        make_diary(stopped=[(STOPPED_AT, None)]),
    ),
    "a text after coming back is no fault": (
        {},
        [SAFETY, CONFIRMED, make_text(STOPPED_AT + 40 * DAY)],
        make_diary(stopped=[(STOPPED_AT, STOPPED_AT + 30 * DAY)]),
    ),
    "a text after the carrier refused": (
        {"stop": 1},
        [SAFETY, make_text(STOPPED_AT, has_arrived=False), make_text(STOPPED_AT + DAY, has_arrived=False)],
        make_diary(refused_at=STOPPED_AT),
    ),
    "before nine": ({"hours": 1}, [SAFETY, make_text(JOINED + DAY - timedelta(minutes=61))], make_diary()),
    "at eight in the evening": (
        {"hours": 1},
        [SAFETY, make_text(JOINED + DAY + timedelta(hours=10))],
        make_diary(),
    ),
    "a Sunday morning": ({"hours": 1}, [SAFETY, make_text(JOINED + 6 * DAY)], make_diary()),
    "a Sunday at noon is no fault": ({}, [SAFETY, make_text(NOON + 6 * DAY)], make_diary()),
    "night where the area code lies": (
        {"hours": 1},
        [SAFETY, make_text(NOON + 2 * DAY)],
        make_diary(
            zones=[
                (JOINED, ("America/New_York", "Pacific/Honolulu")),
                (NOON + 2.5 * DAY, ("America/New_York",)),
            ]
        ),
    ),
    "morning where they moved to": (
        {"hours": 1},
        [SAFETY, make_text(JOINED + 20 * DAY)],
        make_diary(zones=[(JOINED, ("America/New_York",)), (JOINED + 19 * DAY, ("America/Los_Angeles",))]),
    ),
    "three on a day": (
        {"day_cap": 1},
        [SAFETY, *(make_text(NOON + DAY + timedelta(hours=n), n) for n in range(3))],
        make_diary(),
    ),
    "reminders are not counted": (
        {},
        [
            SAFETY,
            *(make_text(NOON + DAY + timedelta(hours=n), n) for n in range(2)),
            make_text(NOON + DAY, 5, kind="meeting_reminder", source="m1"),
        ],
        make_diary(),
    ),
    "ten in a week": (
        {"week_cap": 1},
        [SAFETY, *(make_text(NOON + n // 2 * DAY + timedelta(hours=n % 2), n) for n in range(14, 24))],
        make_diary(),
    ),
    "the same intended text twice": (
        {"not_doubled": 1},
        [SAFETY, TWICE, replace(TWICE, at=TWICE.at + 2 * DAY, digest="other", text_id="tip/other")],
        make_diary(),
    ),
    "the same words twice on a day": (
        {"not_doubled": 1},
        [SAFETY, TWICE, replace(TWICE, at=TWICE.at + timedelta(hours=1), key="other", text_id="tip/other")],
        make_diary(),
    ),
    "a second try after a failed one is no fault": (
        {},
        [SAFETY, replace(TWICE, has_arrived=False), replace(TWICE, at=TWICE.at + timedelta(hours=1))],
        make_diary(),
    ),
    "no safety text": ({"safety_days": 1}, [], make_diary()),
    "another safety text": (
        {"safety_days": 1},
        [replace(SAFETY, text_id="safety/other")],
        make_diary(),
    ),
    "a chosen text again after 59 days": (
        {"no_repeat": 1},
        [SAFETY, *(make_text(NOON + day * DAY, day, text_id="tip/a") for day in (1, 60))],
        make_diary(),
    ),
    "a chosen text again after 60 days is no fault": (
        {},
        [SAFETY, *(make_text(NOON + day * DAY, day, text_id="tip/a") for day in (1, 61))],
        make_diary(),
    ),
    "denser later": ({"taper": 1}, [SAFETY, *daily(1, 28, 4), *daily(29, 84)], make_diary()),
    "denser later, and asked for": (
        {},
        [SAFETY, *daily(1, 28, 4), *daily(29, 84)],
        make_diary(wants_more=True),
    ),
    "denser after hard answers": (
        {},
        [SAFETY, *daily(1, 28, 4), *daily(29, 84)],
        make_diary(hard_on=[date(2026, 2, 3), date(2026, 3, 5), date(2026, 3, 20)]),
    ),
}


def test_an_ordinary_year_breaks_no_promise() -> None:
    assert find_broken(ORDINARY) == {}


@pytest.mark.parametrize(("expected", "texts", "diary"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_and_nothing_else(
    expected: dict[str, int], texts: list[LedgerText], diary: Diary
) -> None:
    assert find_broken(texts, diary) == expected


def test_every_promise_can_fail() -> None:
    assert {name for expected, _, _ in FAULTS.values() for name in expected} == set(PROMISES)


@pytest.mark.parametrize(
    ("fate", "texts", "diary"),
    [
        ("sent", [SAFETY], make_diary()),
        ("undelivered", [replace(SAFETY, has_arrived=False)], make_diary()),
        ("stopped", [], make_diary(stopped=[(NOON + 2 * DAY, None)])),
        ("paused", [], make_diary(paused=[(NOON + 2 * DAY, NOON + 6 * DAY)])),
        ("missing", [], make_diary()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_safety_day_has_a_text_or_a_reason(fate: str, texts: list[LedgerText], diary: Diary) -> None:
    assert [told for _, told in list_safety_fates(OnePerson(diary, texts, COURSE))] == [fate]


def test_what_is_broken_names_the_person_and_the_day() -> None:
    found = check_promises([make_diary()], [], COURSE)["safety_days"]

    assert [(each.person, each.on) for each in found] == [(7, date(2026, 1, 8))]
