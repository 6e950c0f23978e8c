"""Reading a text as the answer to a check-in's question.

Answers are single digits or a few words; anything else is never guessed at, because a human reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.domain.check_in_data import (
    NUMBER_WORDS,
    SKIP_WORDS,
    CheckIn,
    CheckInError,
    Question,
    StaffTask,
    check_in_from_data,
)
from service.domain.wordings import normalize

__all__ = [
    "Answered",
    "CheckIn",
    "CheckInError",
    "Question",
    "Reading",
    "Skipped",
    "StaffTask",
    "Unclear",
    "check_in_from_data",
    "read_answer",
    "reply_text_id",
]

_LONGEST_ANSWER = 60
_NUMBER = re.compile(r"[#(]?\s*([0-9]{1,2})\s*[.,!?)]*")
_OUT_OF = re.compile(r"([0-9]{1,2})\s*(?:/|out of|de)\s*([0-9]{1,2})\s*[.,!?]*", re.IGNORECASE)
_KEYCAP = str.maketrans("", "", "\ufe0f\u20e3")
"""What phones add to a digit to draw it as a key."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One of the question's values."""

    value: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """The person would rather not say."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Not an answer: for a human."""


Reading = Answered | Skipped | Unclear


def read_answer(question: Question, body: str) -> Reading:
    """Read a whole text as an answer to a question. Never raises, never guesses from a sentence.

    A fraction counts on a scale that ends at its lower number ("7/10").
    """
    text = body.translate(_KEYCAP).strip()
    if len(text) > _LONGEST_ANSWER:
        return Unclear()
    if fraction := _OUT_OF.fullmatch(text):
        fits = question.highest is not None and int(fraction[2]) == question.highest
        return _accept(question, int(fraction[1])) if fits else Unclear()
    if number := _NUMBER.fullmatch(text):
        return _accept(question, int(number[1]))
    words = normalize(text)
    if words in SKIP_WORDS:
        return Skipped()
    if words in question.words:
        return Answered(question.words[words])
    if words in NUMBER_WORDS:
        return _accept(question, NUMBER_WORDS[words])
    return Unclear()


def _accept(question: Question, number: int) -> Answered | Unclear:
    return Answered(str(number)) if str(number) in question.values else Unclear()


def reply_text_id(question: Question, value: str) -> str:
    """What is said back to an accepted answer. Raises KeyError for a value the question does not accept."""
    return question.replies[value]
