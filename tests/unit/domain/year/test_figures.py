"""Figures of a simulated year: who counts in which week, and what belongs to what."""

from __future__ import annotations

from datetime import date, timedelta

from service.domain.year.figures import count_stretches, count_tasks, list_months, list_phases, list_weeks
from service.domain.year.ledger import Asked, TextIn
from service.domain.year.promises import Phase
from tests.unit.domain.year.test_promises import DAY, JOINED, NOON, make_diary, make_text

LAST = date(2026, 1, 25)


def test_a_week_counts_days_texts_and_answers_of_who_is_in_it() -> None:
    weeks = list_weeks(21)
    diary = make_diary(stopped=[(NOON + 8 * DAY, None)])
    diary.asked = [Asked(NOON + DAY, is_answered=True), Asked(NOON + 2 * DAY)]
    texts = [
        make_text(NOON + DAY),
        make_text(NOON + DAY, 1, kind="admin"),
        make_text(NOON + 2 * DAY, has_arrived=False),
        make_text(NOON + 2 * DAY, is_reply=True),
    ]

    count_stretches(weeks, [diary], texts, LAST)
    count_tasks(weeks, [diary], [(7, date(2026, 1, 6)), (0, date(2026, 1, 6))])

    assert [week.days for week in weeks] == [7, 2, 0]
    assert weeks[0].weekly == {"program": 1.0, "campaigns": 0.0, "reminders": 0.0, "notices": 1.0}
    assert weeks[0].answer_rate == 0.5
    assert weeks[1].answer_rate is None
    assert [week.tasks for week in weeks] == [1, 0, 0]


def test_phases_cover_every_day_and_end_with_the_run() -> None:
    phases = [Phase("a", 1, 28), Phase("b", 29, 90), Phase("c", 91, 180)]

    assert [(one.name, one.first_day, one.last_day) for one in list_phases(phases, 40)] == [
        ("a", 0, 28),
        ("b", 29, 90),
    ]
    assert list_phases(phases, 200)[-1].name == "afterwards"


def test_months_count_what_was_paid_for() -> None:
    texts = [
        make_text(JOINED, segments=2),
        make_text(JOINED, 1, has_arrived=False),
        make_text(JOINED + timedelta(days=40), is_reply=True),
    ]

    months = list_months(texts, [TextIn(7, JOINED, 1)])

    assert [(one.name, one.all_segments) for one in months] == [("2026-01", 4), ("2026-02", 1)]
