"""May the sign-up page cause a text that asks somebody to confirm?

Anybody can type anybody's number there. The text to it is the one thing that a stranger can make us send, so
how often that happens is decided here, from what is known and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.domain.delivery import STOPPABLE, MessageState

ASK_AGAIN_AFTER = timedelta(hours=24)
"""Hours, not calendar days: two days meet at midnight."""

UNANSWERED_LIMIT = 2
"""One may be overlooked. Who answered neither of two does not want it, or is not who filled in the form."""

LINE_WINDOW = timedelta(hours=1)
LINE_LIMIT = 60
"""Requests within LINE_WINDOW over all numbers together. More than a busy intake day needs; few enough that
somebody with many addresses neither runs up a bill nor gets the line blocked as a source of spam."""

_STILL_LEAVING = STOPPABLE | {MessageState.SENDING, MessageState.REJECTED, MessageState.UNKNOWN}


class RequestVerdict(StrEnum):
    """Whether a request is planned, and if not, why."""

    PLAN = "plan"
    STILL_WAITING = "still_waiting"
    ASKED_LATELY = "asked_lately"
    UNANSWERED = "unanswered"
    LINE_FULL = "line_full"


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """A request to confirm that was planned before. `tried_at` is when it was last handed to the provider."""

    created_at: datetime
    tried_at: datetime | None
    state: MessageState


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the decision needs.

    `earlier` are the requests to this person that no text of theirs asked for; `heard_at` is when they last
    texted us or a consent of theirs was documented; `line_count` how many requests the page caused within
    LINE_WINDOW, to whomever.
    """

    earlier: Sequence[EarlierRequest] = ()
    heard_at: datetime | None = None
    line_count: int = 0


def decide_request(facts: RequestFacts, now: datetime) -> RequestVerdict:
    """Return whether the page may plan a request at `now` (aware UTC).

    The line's own limit comes last: it is reached only by a request that would otherwise have been planned.
    """
    if any(request.state in _STILL_LEAVING for request in facts.earlier):
        return RequestVerdict.STILL_WAITING
    if any(now - _last_moment(request) < ASK_AGAIN_AFTER for request in facts.earlier):
        return RequestVerdict.ASKED_LATELY
    if sum(_is_unanswered(request, facts.heard_at) for request in facts.earlier) >= UNANSWERED_LIMIT:
        return RequestVerdict.UNANSWERED
    if facts.line_count >= LINE_LIMIT:
        return RequestVerdict.LINE_FULL
    return RequestVerdict.PLAN


def _last_moment(request: EarlierRequest) -> datetime:
    # One that waited for the morning, or for a repair, reached the person long after it was planned.
    return max(request.created_at, request.tried_at or request.created_at)


def _is_unanswered(request: EarlierRequest, heard_at: datetime | None) -> bool:
    if request.tried_at is None:
        return False
    return heard_at is None or heard_at < request.tried_at
