"""When to try again a text that the provider surely does not have."""

from __future__ import annotations

from datetime import datetime, timedelta

from service.domain.provider_answers import AnswerClass

_SOON = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
_LATER = (timedelta(minutes=30), timedelta(hours=2), timedelta(hours=6))
_GAPS = {
    AnswerClass.RETRY: _SOON,
    AnswerClass.RETRY_LATER: _LATER,
    AnswerClass.CONFIGURATION: _LATER,
}


def next_try_at(tries: int, answer: AnswerClass, now: datetime) -> datetime | None:
    """The time of the next try after `tries` of them, or None when no more are due.

    Gaps grow (provider's advice on 429: back off); a class without gaps is never tried again.
    """
    gaps = _GAPS.get(answer, ())
    return now + gaps[tries - 1] if 0 < tries <= len(gaps) else None
