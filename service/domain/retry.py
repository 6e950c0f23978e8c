"""When to try again a text that the provider surely does not have."""

from __future__ import annotations

from datetime import datetime, timedelta

from service.domain.provider_answers import CODES, AnswerClass

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_GAPS = {
    AnswerClass.RETRY: (timedelta(seconds=5), timedelta(seconds=30), 2 * _MINUTE, 10 * _MINUTE),
    AnswerClass.RETRY_LATER: (30 * _MINUTE, 2 * _HOUR, 6 * _HOUR),
    # The sender is stopped meanwhile; once staff let it go on, nothing should wait long.
    AnswerClass.CONFIGURATION: (15 * _MINUTE,),
}

MAX_TRIES_AFTER_RECEIPT = 3
"""A phone that three tries did not reach is for a human (provider's note on 30003 and 30008)."""


def next_try_at(
    tries: int, answer: AnswerClass, now: datetime, send_before: datetime, code: int | None = None
) -> datetime | None:
    """The time of the next try after `tries` of them, or None when it should not be tried again.

    Gaps grow and then stay (provider's advice on 429: back off), and are never shorter than what `code` asks
    for. It is the usefulness of the text (`send_before`) that ends the trying, not a count: an outage of ours
    or of the provider lasts as long as it lasts. A class without gaps is never tried again.
    """
    gaps = _GAPS.get(answer)
    if gaps is None or tries < 1:
        return None
    gap = gaps[min(tries, len(gaps)) - 1]
    rule = CODES.get(code) if code is not None else None
    if rule is not None and rule.after is not None:
        gap = max(gap, rule.after)
    again = now + gap
    return again if again < send_before else None


def next_try_after_receipt(
    tries: int, answer: AnswerClass, now: datetime, send_before: datetime, code: int | None = None
) -> datetime | None:
    """The same for a text that the provider took and then reported as not delivered: a few tries only."""
    if tries >= MAX_TRIES_AFTER_RECEIPT:
        return None
    return next_try_at(tries, answer, now, send_before, code)
