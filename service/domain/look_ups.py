"""Looking texts up in the provider's own records: is this try there, what if not, and when to ask again.

The provider's create call cannot be repeated safely, so a try whose fate nobody knows is looked for among
the texts that the provider lists for the number. All of it errs on one side: what may be there is not absent.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto

from service.domain.kinds import KIND_RULES, MessageKind

CLOCK_SKEW = timedelta(minutes=2)
"""How far the provider's clock and ours may be apart; its dates are whole seconds, too."""
LONGEST_TRY = timedelta(minutes=2)
"""From letting a text go to the end of its HTTP call, when nobody wrote down the end."""

LOOK_AGAIN_AFTER = timedelta(minutes=15)
"""Two look-ups that find nothing count as two only this far apart: the provider may list a text late."""
ABSENT_AFTER = 2
GIVE_UP_AFTER = timedelta(hours=24)
"""How long a text of unknown fate is looked for before staff are asked to."""

ASK_AFTER = timedelta(hours=12)
"""A text without a final state for so long is asked for (provider's guide on logging messages)."""
STOP_ASKING_AFTER = timedelta(days=3)

_DIRECTIONS = {"api": "outbound-api", "twiml": "outbound-reply"}


@dataclass(frozen=True, slots=True)
class ListedText:
    """A text as the provider remembers it. A redacted one has an empty body."""

    provider_message_id: str
    direction: str
    body: str
    created_at: datetime
    is_ours: bool = True
    """Whether our own line may have sent it; an account may have others that text the same people."""


@dataclass(frozen=True, slots=True)
class LostTry:
    """A try whose fate nobody knows. `channel` is `api` or `twiml`; `ended_at` None if its worker died."""

    channel: str
    body: str
    started_at: datetime
    ended_at: datetime | None
    provider_message_id: str | None = None

    @property
    def listed_from(self) -> datetime:
        """Before this the provider cannot have created it."""
        return self.started_at - CLOCK_SKEW

    @property
    def listed_until(self) -> datetime:
        """After this it is some other text."""
        return (self.ended_at or self.started_at + LONGEST_TRY) + CLOCK_SKEW


class NotFound(StrEnum):
    """Why no single text is the one."""

    ABSENT = auto()
    """The provider has nothing that could be it."""
    AMBIGUOUS = auto()
    """It has something that could be it, or several; nobody may guess."""


def is_from_us(sender: str, service: str | None, *, our_number: str, our_service: str) -> bool:
    """Whether a text that the provider lists may be of our line: our number, or our messaging service.

    What the provider does not name may be ours: the sender of a text that is queued with a service is not
    chosen yet, and a service's number may be any of its pool.
    """
    if not our_number and not our_service:
        return True
    if sender and sender == our_number:
        return True
    if our_service:
        return service in (None, our_service)
    return not sender and service is None


def match_try(lost: LostTry, listed: Sequence[ListedText], owned: Collection[str]) -> str | NotFound:
    """Return the provider's id of the one text that is this try, or why there is none.

    `owned` are ids that belong to other tries. Adopted is exactly one text of the right direction, created
    while the try ran, with the same words (or with none, where the provider keeps no bodies). Absent is the
    opposite extreme: nothing of the kind from our line, not even with other words (the provider may
    rewrite quotes and accents) or a little later. Whatever lies between is ambiguous.
    """
    if any(text.provider_message_id == lost.provider_message_id for text in listed):
        return lost.provider_message_id or NotFound.AMBIGUOUS
    free = [
        text
        for text in listed
        if text.is_ours
        and text.direction == _DIRECTIONS.get(lost.channel)
        and text.created_at >= lost.listed_from
        and text.provider_message_id not in owned
    ]
    in_time = [text for text in free if text.created_at <= lost.listed_until]
    same = [text for text in in_time if _may_be(text, lost)]
    if len(same) == 1:
        return same[0].provider_message_id
    if not in_time and not any(_may_be(text, lost) for text in free):
        return NotFound.ABSENT
    return NotFound.AMBIGUOUS


def _may_be(text: ListedText, lost: LostTry) -> bool:
    return not text.body or _letters(text.body) == _letters(lost.body)


def _letters(body: str) -> str:
    """What stays when a provider replaces quotes, dashes, spaces and accents to save a segment."""
    return "".join(char for char in unicodedata.normalize("NFKD", body).casefold() if char.isalnum())


class AbsentDecision(StrEnum):
    """What becomes of a text that the provider does not have."""

    LOOK_AGAIN = auto()
    RESEND = auto()
    FAIL = auto()
    """An answer that rode in a webhook's response: its moment has passed, so a human takes over."""
    HAND_OVER = auto()
    """Never sent again by itself: staff decide."""


@dataclass(frozen=True, slots=True)
class AbsentText:
    """A text whose last try was not found. `absences` counts the look-ups so far, this one included."""

    kind: MessageKind
    channel: str
    absences: int
    was_absent_before: bool
    """An earlier try of the same text was absent, too: it has been sent again once already."""
    send_before: datetime


def decide_absent(text: AbsentText, now: datetime) -> AbsentDecision:
    """Decide after a look-up that found nothing. Sent again once, in time, and only if its kind allows."""
    if text.absences < ABSENT_AFTER:
        return AbsentDecision.LOOK_AGAIN
    if text.channel != "api":
        return AbsentDecision.FAIL
    if text.was_absent_before or now >= text.send_before or not KIND_RULES[text.kind].may_resend:
        return AbsentDecision.HAND_OVER
    return AbsentDecision.RESEND


_SHORTEST_GAP = timedelta(minutes=2)


def next_look_at(started_at: datetime, now: datetime) -> datetime | None:
    """When to look again for a try that could not be settled; None when it is time to give up.

    Gaps grow with the age of the try, and the last look falls on the end of the day it is given.
    """
    end = started_at + GIVE_UP_AFTER
    if now >= end:
        return None
    return min(now + max(_SHORTEST_GAP, (now - started_at) / 4), end)


def next_asking_at(accepted_at: datetime, now: datetime) -> datetime | None:
    """When to ask again about a text that is still on its way; None when three days are over."""
    end = accepted_at + STOP_ASKING_AFTER
    if now >= end:
        return None
    return min(now + max(timedelta(hours=1), (now - accepted_at) / 2), end)
