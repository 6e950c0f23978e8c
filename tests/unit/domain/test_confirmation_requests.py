"""How often the sign-up page may cause a text to one number, and by all numbers together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.confirmation_requests import (
    LINE_LIMIT,
    EarlierRequest,
    RequestFacts,
    RequestVerdict,
    decide_request,
)
from service.domain.delivery import MessageState

NOW = datetime(2026, 11, 23, 5, 0, 30, tzinfo=UTC)
"""Half a minute past midnight in New York."""

S, V = MessageState, RequestVerdict


def asked(
    hours_ago: float, *, tried: float | None = None, state: MessageState = S.DELIVERED
) -> EarlierRequest:
    """A request planned so many hours ago, and handed to the provider so many hours ago."""
    tried_at = None if tried is None else NOW - timedelta(hours=tried)
    return EarlierRequest(NOW - timedelta(hours=hours_ago), tried_at, state)


def heard(hours_ago: float) -> datetime:
    return NOW - timedelta(hours=hours_ago)


TWICE = (asked(100, tried=100), asked(50, tried=50))

CASES = [
    (RequestFacts(), V.PLAN, "nobody was ever asked"),
    (RequestFacts((asked(0.01, tried=0.01),)), V.ASKED_LATELY, "a minute ago, yesterday by the calendar"),
    (RequestFacts((asked(23.99, tried=23.99),)), V.ASKED_LATELY, "not yet a day"),
    (RequestFacts((asked(24, tried=24),)), V.PLAN, "a day has passed"),
    (RequestFacts((asked(30, tried=20),)), V.ASKED_LATELY, "waited for the morning: counts from then"),
    (RequestFacts((asked(23, state=S.CANCELED),)), V.ASKED_LATELY, "one that never left counts for its day"),
    (RequestFacts((asked(30, state=S.PLANNED),)), V.STILL_WAITING, "no worker has looked at it yet"),
    (RequestFacts((asked(30, state=S.HELD),)), V.STILL_WAITING, "it waits for the morning"),
    (RequestFacts((asked(30, state=S.CLAIMED),)), V.STILL_WAITING, "a worker has it"),
    (RequestFacts((asked(30, tried=0, state=S.SENDING),)), V.STILL_WAITING, "it is leaving"),
    (RequestFacts((asked(90, tried=40, state=S.UNKNOWN),)), V.STILL_WAITING, "its fate is not settled"),
    (RequestFacts((asked(50, state=S.PLANNED), *TWICE)), V.STILL_WAITING, "waiting is looked at first"),
    (RequestFacts(TWICE), V.UNANSWERED, "two without an answer"),
    (
        RequestFacts((asked(9000, tried=9000), asked(8000, tried=8000))),
        V.UNANSWERED,
        "a year changes nothing",
    ),
    (RequestFacts((TWICE[0], asked(50, tried=50, state=S.UNDELIVERED))), V.UNANSWERED, "a landline, say"),
    (RequestFacts((TWICE[0], asked(50, state=S.EXPIRED))), V.PLAN, "one of the two never left"),
    (RequestFacts((TWICE[0], asked(50, state=S.CANCELED))), V.PLAN, "one of the two was taken back"),
    (RequestFacts(TWICE, heard_at=heard(49)), V.PLAN, "they texted us after the second"),
    (RequestFacts(TWICE, heard_at=heard(60)), V.PLAN, "they texted us after the first"),
    (RequestFacts(TWICE, heard_at=heard(101)), V.UNANSWERED, "they texted us before both"),
    (
        RequestFacts((*TWICE, asked(26, tried=26)), heard_at=heard(60)),
        V.UNANSWERED,
        "two since they texted us",
    ),
    (RequestFacts(TWICE, heard_at=heard(50)), V.PLAN, "heard at the very moment it went"),
    (RequestFacts(line_count=LINE_LIMIT - 1), V.PLAN, "the last one of the line's hour"),
    (RequestFacts(line_count=LINE_LIMIT), V.LINE_FULL, "the line's hour is full"),
    (RequestFacts(TWICE, line_count=LINE_LIMIT), V.UNANSWERED, "would not have been planned anyway"),
    (RequestFacts((asked(-1),)), V.ASKED_LATELY, "planned by a machine whose clock is ahead"),
]


@pytest.mark.parametrize(("facts", "verdict", "reason"), CASES, ids=[case[2] for case in CASES])
def test_the_page_causes_a_request_only_when_it_may(
    facts: RequestFacts, verdict: RequestVerdict, reason: str
) -> None:
    assert decide_request(facts, NOW) is verdict, reason


@pytest.mark.parametrize("state", list(MessageState))
def test_no_request_is_planned_within_a_day_whatever_became_of_the_last(state: MessageState) -> None:
    facts = RequestFacts((asked(1, tried=1, state=state),))

    assert decide_request(facts, NOW) is not RequestVerdict.PLAN
