"""The part of the day in which somebody likes to be texted (TIME). Pure."""

from __future__ import annotations

from datetime import time
from enum import StrEnum


class TimeOfDay(StrEnum):
    """What TIME offers: 1, 2 and 3."""

    MORNING = "morning"
    MIDDAY = "midday"
    EVENING = "evening"


_SPANS = {
    TimeOfDay.MORNING: (time(8, 30), time(11, 30)),
    TimeOfDay.MIDDAY: (time(11, 30), time(14, 30)),
    TimeOfDay.EVENING: (time(17), time(20)),
}
_FIRST, _LAST = 8 * 60, 21 * 60
_STEP = 5


def chosen_time(at: time, choice: TimeOfDay | None) -> time:
    """When a program's text of local time `at` goes to somebody who chose a part of the day.

    The day from 08:00 to 21:00 is drawn together into that part, so that texts keep their order and their
    distance from each other. In whole five minutes.
    """
    if choice is None:
        return at
    opens, closes = (_minutes(bound) for bound in _SPANS[choice])
    share = (_minutes(at) - _FIRST) / (_LAST - _FIRST)
    minutes = opens + int((closes - opens) * max(0.0, min(share, 1.0)) / _STEP) * _STEP
    return time(minutes // 60, minutes % 60)


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute
