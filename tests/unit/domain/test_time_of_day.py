"""The part of the day in which somebody likes to be texted."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.time_of_day import TimeOfDay, chosen_time

TIMES = st.times(time(8), time(20, 59))


@pytest.mark.parametrize(
    ("at", "choice", "then", "reason"),
    [
        (time(17), None, time(17), "nothing was chosen"),
        (time(12), TimeOfDay.MORNING, time(9, 25), "noon of the day lies early in the morning"),
        (time(17), TimeOfDay.MORNING, time(10, 30), "and five o'clock later in it"),
        (time(12), TimeOfDay.MIDDAY, time(12, 25), "drawn together around noon"),
        (time(17), TimeOfDay.EVENING, time(19), "an evening text stays one"),
    ],
)
def test_texts_move_into_the_chosen_part_of_the_day(
    at: time, choice: TimeOfDay | None, then: time, reason: str
) -> None:
    assert chosen_time(at, choice) == then, reason


@given(TIMES, TIMES, st.sampled_from(TimeOfDay))
def test_texts_keep_their_order_and_stay_within_the_hours_of_day(
    first: time, second: time, choice: TimeOfDay
) -> None:
    moved = sorted((chosen_time(first, choice), chosen_time(second, choice)))

    assert moved == [chosen_time(at, choice) for at in sorted((first, second))]
    assert time(8, 30) <= moved[0]
    assert moved[1] <= time(20)
