"""Whom a campaign speaks to on which day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.campaign import Campaign, Enrolled, Person, Phase, next_date, phase_on, slots_on
from service.domain.campaign_data import campaign_from_data, with_start

MONDAY = date(2026, 11, 23)
WORDS = {"en": "Hello", "es": "Hola"}


def campaign(kind: str, **parts: object) -> Campaign:
    text = {} if kind == "sequence" else {"text": WORDS}
    return with_start(campaign_from_data({"name": "x", "kind": kind, **text, **parts}), MONDAY)


def person(day: int = 10, language: str = "en", program: str = "first-year", *tags: str) -> Person:
    """Somebody who is on `day` on that Monday, enrolled since day 0."""
    anchor = MONDAY - timedelta(days=day)
    return Person(language, frozenset(tags), [Enrolled(program, anchor, anchor, 365)])


@pytest.mark.parametrize(
    ("day", "phase"),
    [(0, Phase.EARLY), (90, Phase.EARLY), (91, Phase.MIDDLE), (365, Phase.MIDDLE), (366, Phase.LONG)],
)
def test_the_phase_follows_from_the_day(day: int, phase: Phase) -> None:
    assert phase_on(day) is phase


@pytest.mark.parametrize(
    ("audience", "who", "speaks", "because"),
    [
        ({}, person(), True, "everybody in a program"),
        ({}, Person("en", frozenset(), []), False, "in no program"),
        ({}, person(365), False, "the program is over"),
        ({"program": "first-year"}, person(), True, "their program"),
        ({"program": ["ninety-days"]}, person(), False, "another program"),
        ({"phase": "early"}, person(90), True, "the last early day"),
        ({"phase": "early"}, person(91), False, "early is over"),
        ({"phase": ["early", "middle"]}, person(91), True, "either phase"),
        ({"language": "es"}, person(), False, "another language"),
        ({"language": ["es", "en"]}, person(), True, "either language"),
        ({"tags": ["x"]}, person(), False, "no such label"),
        ({"tags": ["x", "y"]}, person(10, "en", "first-year", "h2"), True, "either label"),
        (
            {"tags": ["x"], "language": "es"},
            person(10, "en", "first-year", "h1"),
            False,
            "all parts must fit",
        ),
    ],
)
def test_whom_an_audience_holds(audience: dict[str, object], who: Person, speaks: bool, because: str) -> None:
    once = campaign("once", at="2026-11-23 10:00", audience=audience)

    assert bool(slots_on(once, who, {"h1", "h2"}, MONDAY)) is speaks, because
    assert (next_date(once, who, {"h1", "h2"}, MONDAY - timedelta(days=1)) == MONDAY) is speaks, because


def test_a_sequence_counts_from_day_0_and_says_nothing_from_before_the_enrollment() -> None:
    steps = [{"day": day, "time": "11:00", "text": WORDS} for day in (3, 10, 12)]
    series = campaign("sequence", steps=steps)
    late = Person("en", frozenset(), [Enrolled("first-year", MONDAY - timedelta(days=10), MONDAY, 365)])

    assert [slot.id for slot in slots_on(series, late, (), MONDAY)] == ["d10-1"]
    assert slots_on(series, late, (), MONDAY - timedelta(days=7)) == ()
    assert next_date(series, late, (), MONDAY) == MONDAY + timedelta(days=2)
    assert next_date(series, late, (), MONDAY + timedelta(days=2)) is None


def test_of_two_programs_the_first_one_counts_the_days_of_a_sequence() -> None:
    series = campaign("sequence", steps=[{"day": 3, "time": "11:00", "text": WORDS}])
    first = Enrolled("first-year", MONDAY, MONDAY, 365)
    second = Enrolled("ninety-days", MONDAY + timedelta(days=5), MONDAY + timedelta(days=5), 90)
    both = Person("en", frozenset(), [first, second])

    dates = [on for offset in range(15) if slots_on(series, both, (), on := MONDAY + timedelta(days=offset))]

    assert dates == [MONDAY + timedelta(days=3)]


DAYS = st.integers(-5, 420)


@given(
    st.lists(st.tuples(DAYS, st.integers(0, 30)), max_size=3),
    st.sampled_from(["once", "recurring", "sequence"]),
    st.sets(st.sampled_from(list(Phase))),
    st.integers(-10, 120),
)
def test_the_next_date_is_the_first_day_on_which_it_speaks(
    enrolled: list[tuple[int, int]], kind: str, phases: set[Phase], after: int
) -> None:
    parts: dict[str, dict[str, object]] = {
        "once": {"at": "2026-12-24 10:00"},
        "recurring": {"rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,FR;COUNT=20", "time": "10:00"},
        "sequence": {"steps": [{"day": day, "time": "11:00", "text": WORDS} for day in (0, 3, 89, 95)]},
    }
    spoken = campaign(kind, audience={"phase": sorted(phases)}, **parts[kind])
    programs = [
        Enrolled("first-year", anchor := MONDAY - timedelta(days=day), anchor + timedelta(days=late), 365)
        for day, late in enrolled
    ]
    who = Person("en", frozenset(), programs)
    start = MONDAY + timedelta(days=after)

    brute = (start + timedelta(days=number) for number in range(1, 500))
    expected = next((on for on in brute if slots_on(spoken, who, (), on)), None)

    assert next_date(spoken, who, (), start) == expected
