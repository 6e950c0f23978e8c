"""How fast texts may leave: the sender's pace in segments, and how far to back off when told to wait.

Pure: values in, values out. Instants are the database's real time, which all machines share.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

CONSENT_HOLDS_FOR = timedelta(seconds=1)
"""The longest time between reading consent under lock and handing the text to the provider."""

BOOKED_AHEAD = timedelta(seconds=0.7)
"""No text is let go that would have to wait longer for the sender; the rest of the second is for the call."""

_FIRST_BACKOFF = timedelta(milliseconds=100)
_LONGEST_BACKOFF = timedelta(seconds=30)
MAX_BACKOFF_STEP = 10


def book_times(next_at: datetime, now: datetime, segments: Sequence[int], rate: float) -> list[datetime]:
    """When each text of so many `segments` may start, for the first of them that may start soon enough.

    `rate` is in segments a second. A sender that was idle saves up no burst: nothing is booked before `now`.
    """
    starts = []
    at = max(next_at, now)
    for count in segments:
        if at - now > BOOKED_AHEAD:
            break
        starts.append(at)
        at += timedelta(seconds=count / rate)
    return starts


def backoff(step: int, jitter: float) -> timedelta:
    """How long the sender rests after the provider said "too many requests" for the `step`-th time in a row.

    Doubles from 0.1 s to 30 s, lengthened by up to a tenth: `jitter` is from 0 to 1 (the provider's advice
    on 429).
    """
    doublings = max(0, min(step, MAX_BACKOFF_STEP) - 1)
    gap = min(_FIRST_BACKOFF * (1 << doublings), _LONGEST_BACKOFF)
    return gap * (1 + jitter / 10)


def batch_size(threads: int, rate: float | None, handed_per_second: float, most: int) -> int:
    """How many texts to let go at once, so that the last of them leaves well within the second.

    By the sender's pace, and by what the `threads` that hand over managed lately (0 while nothing is known).
    """
    size = max(threads, int(handed_per_second * 0.2))
    if rate is not None:
        size = min(size, int(rate * BOOKED_AHEAD.total_seconds()) + 1)
    return max(1, min(size, most))


_FEWEST_THREADS = 2
_BUSY, _IDLE = 0.9, 0.7


def sending_threads(threads: int, busy: float, most: int) -> int:
    """How many threads should hand texts over from now on.

    `busy` is the share of a processor that this process used lately. One interpreter computes in one thread
    at a time: when it has no time left, more threads only wait for each other (two were measured to hand over
    a third more than 16 to a provider that answers at once). When it has, the provider is what takes long,
    and more of its answers can be awaited side by side.
    """
    if busy > _BUSY:
        return max(_FEWEST_THREADS, threads - max(1, threads // 4))
    return min(2 * threads, most) if busy < _IDLE else threads
