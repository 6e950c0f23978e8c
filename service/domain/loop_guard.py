"""Two machines texting each other: when to fall silent toward a sender (decision 13).

Everything is counted from the sender's own texts of the last day, so that silence ends by itself when the
texts slow down, and no process needs to remember anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LOOK_BACK = timedelta(hours=24)
MOST_LOOKED_AT = 60
"""The newest texts of a sender that are looked at; no limit needs more."""

_SHORTEST_ECHO = 20
_MINUTE = timedelta(minutes=1)


class LoopSign(StrEnum):
    """By what a loop is known."""

    MANY_ANSWERED = "many_answered"
    SAME_TEXT = "same_text"
    ECHO = "echo"
    MUCH_HELP = "much_help"

    @property
    def meaning(self) -> str:
        """What a text is recorded as that got no answer for this."""
        return f"loop_{self}"


SILENCED = frozenset(sign.meaning for sign in LoopSign)
_HELP = frozenset({"help", LoopSign.MUCH_HELP.meaning})


@dataclass(frozen=True, slots=True)
class Limit:
    """So many texts within so long are as many as a person sends."""

    texts: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class EarlierText:
    """A text of the same sender: when it came, what it was taken as, and the words that answered it."""

    at: datetime
    body: str
    meaning: str | None
    answered_with: str | None


ANSWERED_LIMITS = (Limit(20, 10 * _MINUTE), Limit(60, timedelta(hours=3)))
SAME_LIMITS = (Limit(10, 10 * _MINUTE), Limit(20, LOOK_BACK))
HELP_LIMIT = Limit(10, 10 * _MINUTE)
HELP_AGAIN_AFTER = 5 * _MINUTE
"""However often a machine texts HELP, the hotlines go out again after this: it may be no machine. Sooner, if
nobody can tell: the last answer is no longer among the texts looked at."""

BUSY_LIMITS = SAME_LIMITS
"""Whoever sent fewer texts than each of these, of whatever kind, is in no loop: nothing needs a look."""


def find_loop(
    body: str,
    earlier: Sequence[EarlierText],
    now: datetime,
    *,
    is_call_for_help: bool,
    is_question_open: bool,
) -> LoopSign | None:
    """Whether a text that came at `now` belongs to a loop; `earlier` are the sender's, of the last day.

    What was silenced for its number counts on toward that, so that silence lasts as long as the loop does.
    One text that comes again and again silences only itself: a phone may send it, beside its owner's texts.

    Not for a stop: that is always obeyed. Answers to our questions count for nothing, because each brings the
    conversation to its end, and calls for help count apart, so that they silence nothing else. An echo of
    ours counts while a question is open, because only then is each text answered.
    """
    if is_call_for_help:
        return LoopSign.MUCH_HELP if _is_help_repeated(earlier, now) else None
    others = [text for text in earlier if text.meaning != "answer" and text.meaning not in _HELP]
    said = _plain(body)
    may_be_echo = is_question_open and len(said) >= _SHORTEST_ECHO
    if may_be_echo and any(said == _plain(text.answered_with or "") for text in earlier):
        return LoopSign.ECHO
    if said and _is_reached(SAME_LIMITS, (text for text in others if _plain(text.body) == said), now):
        return LoopSign.SAME_TEXT
    many = LoopSign.MANY_ANSWERED
    answered = (text for text in others if text.answered_with or text.meaning == many.meaning)
    return many if _is_reached(ANSWERED_LIMITS, answered, now) else None


def _is_help_repeated(earlier: Sequence[EarlierText], now: datetime) -> bool:
    calls = [text for text in earlier if text.meaning in _HELP]
    if not _is_reached((HELP_LIMIT,), calls, now):
        return False
    answered_at = max((text.at for text in calls if text.answered_with), default=None)
    return answered_at is not None and now - answered_at < HELP_AGAIN_AFTER


def _is_reached(limits: Iterable[Limit], texts: Iterable[EarlierText], now: datetime) -> bool:
    times = [text.at for text in texts]
    return any(sum(at > now - limit.within for at in times) >= limit.texts for limit in limits)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
