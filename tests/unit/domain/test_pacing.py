"""The sender's pace: never a burst, never a text that would wait longer than consent holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.pacing import (
    BOOKED_AHEAD,
    CONSENT_HOLDS_FOR,
    MAX_BACKOFF_STEP,
    backoff,
    batch_size,
    book_times,
    sending_threads,
)

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SEGMENTS = st.lists(st.integers(1, 10), max_size=60)
RATES = st.floats(0.1, 1000)


@given(SEGMENTS, RATES, st.integers(-86_400, 5))
def test_texts_start_no_faster_than_the_pace_and_an_idle_sender_saves_up_no_burst(
    segments: list[int], rate: float, booked: int
) -> None:
    next_at = NOW + booked * SECOND
    starts = book_times(next_at, NOW, segments, rate)

    assert all(start >= max(NOW, next_at) for start in starts)
    for number, start in enumerate(starts[1:], 1):
        gap = (start - starts[number - 1]).total_seconds()
        assert gap == pytest.approx(segments[number - 1] / rate, abs=1e-4)


@given(SEGMENTS, RATES, st.integers(-10, 5))
def test_nothing_is_booked_that_would_wait_longer_than_consent_holds(
    segments: list[int], rate: float, booked: int
) -> None:
    starts = book_times(NOW + booked * SECOND, NOW, segments, rate)

    assert all(start - NOW <= BOOKED_AHEAD < CONSENT_HOLDS_FOR for start in starts)
    if booked <= 0 and segments:
        assert starts, "an idle sender always has time for one text, however long"


def test_the_wait_after_too_many_requests_doubles_and_ends_at_thirty_seconds() -> None:
    gaps = [backoff(step, 0).total_seconds() for step in range(1, MAX_BACKOFF_STEP + 3)]

    assert gaps[:4] == [0.1, 0.2, 0.4, 0.8]
    assert gaps[-1] == 30.0
    assert gaps == sorted(gaps)
    assert backoff(1, 1.0) == timedelta(milliseconds=110), "spread by up to a tenth"


@pytest.mark.parametrize(
    ("threads", "busy", "wanted", "reason"),
    [
        (16, 0.98, 12, "a busy interpreter gains nothing from more threads"),
        (3, 0.98, 2, "one fewer at a time at the end"),
        (2, 1.4, 2, "two stay, or one slow answer would hold up all"),
        (5, 0.8, 5, "neither busy nor idle: as it is"),
        (2, 0.3, 4, "the provider takes long: more answers are awaited side by side"),
        (12, 0.0, 16, "never more than the most"),
    ],
)
def test_threads_are_as_many_as_help(threads: int, busy: float, wanted: int, reason: str) -> None:
    assert sending_threads(threads, busy, 16) == wanted, reason


@pytest.mark.parametrize(
    ("threads", "rate", "handed", "size", "reason"),
    [
        (16, None, 0, 16, "nothing is known yet: one text a thread"),
        (16, None, 1000, 200, "as many as leave in a fifth of a second"),
        (16, None, 5000, 250, "never more than the most"),
        (16, 3.0, 0, 3, "a slow number takes what it can start soon enough"),
        (16, 0.5, 0, 1, "and always one"),
        (16, 100.0, 0, 16, "a fast number still begins with one a thread"),
        (16, None, 20, 16, "a slow provider gets no more than the threads can hold"),
    ],
)
def test_a_batch_is_no_larger_than_what_leaves_within_the_second(
    threads: int, rate: float | None, handed: float, size: int, reason: str
) -> None:
    assert batch_size(threads, rate, handed, 250) == size, reason
