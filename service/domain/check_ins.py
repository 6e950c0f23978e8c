"""Check-ins as data: questions, the answers they accept, and what is said back to each.

Answers are single digits or a few words; anything else is never guessed at, because a human reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.keywords import normalize

_SKIP_WORDS = frozenset({"skip", "saltar", "omitir", "paso"})
_OUT_OF = re.compile(r"^\s*(\d{1,2})\s*(?:/|out of|de)\s*(\d{1,2})\s*[.!]*\s*$", re.IGNORECASE)
_NUMBER = re.compile(r"^\s*#?\s*(\d{1,2})\s*[.!)]*\s*$")
_NUMBER_WORDS = {
    word: number
    for number, words in enumerate(
        (
            ("zero", "none", "cero", "ninguno", "ninguna"),
            ("one", "uno", "una"),
            ("two", "dos"),
            ("three", "tres"),
            ("four", "cuatro"),
            ("five", "cinco"),
            ("six", "seis"),
            ("seven", "siete"),
            ("eight", "ocho"),
            ("nine", "nueve"),
            ("ten", "diez"),
        )
    )
    for word in words
}


class CheckInError(ValueError):
    """A check-in's data is wrong; one line says what and what was expected."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `values` are the accepted answers; `words` leads from other wordings to them."""

    id: str
    ask: str
    reask: str
    values: tuple[str, ...]
    highest: int | None
    words: Mapping[str, str]
    replies: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckIn:
    """Questions asked one after the other, each only after an answer, within `window_hours`."""

    id: str
    version: int
    window_hours: int
    questions: tuple[Question, ...]
    skipped: str
    closing: str
    unclear: str

    def text_ids(self) -> frozenset[str]:
        """Every text this check-in may send."""
        ids = {self.skipped, self.closing, self.unclear}
        for question in self.questions:
            ids |= {question.ask, question.reask, *question.replies.values()}
        return frozenset(ids)


@dataclass(frozen=True, slots=True)
class Answered:
    value: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """The person would rather not say."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Not an answer: for a human."""


Reading = Answered | Skipped | Unclear


def read_answer(question: Question, body: str) -> Reading:
    """Read a whole text as an answer to a question. Pure; never raises, never guesses from a sentence."""
    words = normalize(body[:100])
    if words in _SKIP_WORDS:
        return Skipped()
    fraction = _OUT_OF.match(body[:100])
    if fraction and question.highest is not None and int(fraction[2]) == question.highest:
        return _accept(question, str(int(fraction[1])))
    number = _NUMBER.match(body[:100])
    if number:
        return _accept(question, str(int(number[1])))
    if words in question.words:
        return Answered(question.words[words])
    if words in _NUMBER_WORDS:
        return _accept(question, str(_NUMBER_WORDS[words]))
    return Unclear()


def _accept(question: Question, value: str) -> Reading:
    return Answered(value) if value in question.values else Unclear()


def reply_text_id(question: Question, value: str) -> str:
    """What is said back to an accepted answer."""
    return question.replies[value]


def check_in_from_data(data: Mapping[str, Any]) -> CheckIn:
    """Read a check-in from YAML. Raises CheckInError with one line."""
    check_in_id = _text(data, "id", "check-in")
    hours = data.get("window_hours", 24)
    if not isinstance(hours, int) or not 1 <= hours <= 72:
        raise CheckInError(f"check-in {check_in_id}: window_hours must be a whole number from 1 to 72")
    version = data.get("version")
    if not isinstance(version, int) or version < 1:
        raise CheckInError(f"check-in {check_in_id}: version must be a whole number from 1")
    questions = tuple(_question(item, check_in_id) for item in data.get("questions") or ())
    if not questions:
        raise CheckInError(f"check-in {check_in_id}: needs at least one question")
    where = f"check-in {check_in_id}"
    return CheckIn(
        id=check_in_id,
        version=version,
        window_hours=hours,
        questions=questions,
        skipped=_text(data, "skipped", where),
        closing=_text(data, "closing", where),
        unclear=_text(data, "unclear", where),
    )


def _question(item: Mapping[str, Any], check_in_id: str) -> Question:
    where = f"check-in {check_in_id}, question {item.get('id')}"
    values, highest, words = _answers(item.get("answers"), where)
    replies = {
        str(value): _text(reply, "text", where)
        for reply in item.get("replies") or ()
        for value in reply.get("values") or ()
    }
    missing = [value for value in values if value not in replies]
    if missing:
        raise CheckInError(f"{where}: the answer {missing[0]} gets no reply; every answer gets one")
    return Question(
        id=_text(item, "id", where),
        ask=_text(item, "ask", where),
        reask=_text(item, "reask", where),
        values=values,
        highest=highest,
        words=words,
        replies=replies,
    )


def _answers(data: Any, where: str) -> tuple[tuple[str, ...], int | None, dict[str, str]]:
    if not isinstance(data, Mapping):
        raise CheckInError(f"{where}: answers must be {{from, to}} or {{options}}")
    if "options" in data:
        options: Mapping[str, Sequence[str]] = data["options"]
        words = {normalize(word): str(value) for value, names in options.items() for word in names or ()}
        return tuple(str(value) for value in options), None, words
    low, high = data.get("from"), data.get("to")
    if not isinstance(low, int) or not isinstance(high, int) or not 0 <= low < high <= 99:
        raise CheckInError(f"{where}: answers need `from` and `to`, whole numbers with from < to")
    return tuple(str(value) for value in range(low, high + 1)), high, {}


def _text(data: Mapping[str, Any], name: str, where: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise CheckInError(f"{where}: `{name}` is missing or no text")
    return value
