"""Check-ins as data: questions, the answers they accept, and what is said back to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from service.domain.data_record import DataError, DataRecord, show
from service.domain.wordings import normalize

SKIP_WORDS = frozenset({"skip", "saltar", "omitir", "paso"})
NUMBER_WORDS: Mapping[str, int] = {
    word: number
    for number, words in enumerate(
        (
            ("zero", "none", "nothing", "cero", "nada", "ninguno", "ninguna"),
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

_CHECK_IN_KEYS = (
    *("id", "version", "window_hours", "review", "source"),
    *("questions", "skipped", "closing", "unclear"),
)
_QUESTION_KEYS = ("id", "ask", "reask", "answers", "sensitive", "replies")


class CheckInError(DataError):
    """A check-in's data is wrong; one line says what and what was expected."""


class StaffTask(StrEnum):
    """What an answer asks of staff: the names of their tasks."""

    CALL = "call"
    NEEDS_REPLY = "needs_reply"


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `ask`, `reask` and the replies are ids of texts.

    `values` are the accepted answers; `highest` is the end of a scale, None for options; `words` leads from
    other wordings (normalized) to values; `tasks` are the values that put the answer on the staff list.
    `is_sensitive`: the answer needs more care than most when shown.
    """

    id: str
    ask: str
    reask: str
    values: tuple[str, ...]
    highest: int | None
    words: Mapping[str, str]
    replies: Mapping[str, str]
    tasks: Mapping[str, StaffTask] = field(default_factory=dict)
    is_sensitive: bool = False


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


def check_in_from_data(data: object) -> CheckIn:
    """Read a check-in. Raises CheckInError with one line and the place of the fault."""
    record = DataRecord.of(data, "check-in", CheckInError)
    record = record.named(f"check-in {record.get_text('id')}")
    record.refuse_others(_CHECK_IN_KEYS)
    questions: list[Question] = []
    for item in record.list_records("questions", "question"):
        question = _question(item)
        if question.id in {other.id for other in questions}:
            raise item.fault("its id is there twice; expected an id of its own", "id")
        questions.append(question)
    if not questions:
        raise record.fault("there are no questions; expected at least one", "questions")
    return CheckIn(
        id=record.get_text("id"),
        version=record.get_number("version", 1, 10_000),
        window_hours=record.get_number("window_hours", 1, 72, default=24),
        questions=tuple(questions),
        skipped=record.get_text("skipped"),
        closing=record.get_text("closing"),
        unclear=record.get_text("unclear"),
    )


def _question(item: DataRecord) -> Question:
    item.refuse_others(_QUESTION_KEYS)
    answers = item.record_at(item.values.get("answers"), f"{item.name}, answers", "answers")
    values, highest, words = _options(answers) if "options" in answers.values else _scale(answers)
    sensitive = item.values.get("sensitive", False)
    if not isinstance(sensitive, bool):
        raise item.fault(f"sensitive is {show(sensitive)}; expected true or false", "sensitive")
    return Question(
        id=item.get_text("id"),
        ask=item.get_text("ask"),
        reask=item.get_text("reask"),
        values=values,
        highest=highest,
        words=words,
        replies=_replies(item, values),
        tasks=_tasks(item),
        is_sensitive=sensitive,
    )


def _scale(answers: DataRecord) -> tuple[tuple[str, ...], int, dict[str, str]]:
    answers.refuse_others(("from", "to"))
    low = answers.get_number("from", 0, 98)
    high = answers.get_number("to", low + 1, 99)
    return tuple(str(value) for value in range(low, high + 1)), high, {}


def _options(answers: DataRecord) -> tuple[tuple[str, ...], None, dict[str, str]]:
    answers.refuse_others(("options",))
    options = answers.record_at(answers.values["options"], f"{answers.name}, options", "options")
    words: dict[str, str] = {}
    for value in options.values:
        if not value.isascii() or not value.isdigit() or str(int(value)) != value:
            raise options.fault(f"{show(value)} is no answer; expected a number like '1'", value)
        for word in map(normalize, options.list_texts(value)):
            _refuse_unclear(options, word, value, words)
            words[word] = value
    if len(options.values) < 2:
        raise options.fault("there is nothing to choose from; expected at least two answers")
    return tuple(options.values), None, words


def _refuse_unclear(options: DataRecord, word: str, value: str, words: Mapping[str, str]) -> None:
    """A word must mean one answer: not another option, nor another number, nor "skip"."""
    number = NUMBER_WORDS.get(word)
    if not word or word in SKIP_WORDS:
        raise options.fault(f"{show(word)} says nothing or means skip; expected another word", value)
    if words.get(word, value) != value:
        raise options.fault(f"{show(word)} means {words[word]} too; expected a word of its own", value)
    if word.isdigit() or (number is not None and str(number) in options.values and str(number) != value):
        raise options.fault(f"{show(word)} is a number; expected a word that means {value} only", value)


def _replies(item: DataRecord, values: Sequence[str]) -> dict[str, str]:
    replies: dict[str, str] = {}
    for record in item.list_records("replies", f"{item.name}, reply"):
        record.refuse_others(("values", "text", "task"))
        text_id = record.get_text("text")
        for value in map(str, record.list_values("values")):
            if value not in values:
                raise record.fault(f"{show(value)} is not accepted; expected {', '.join(values)}", "values")
            if value in replies:
                raise record.fault(f"the answer {value} has a reply already; expected one", "values")
            replies[value] = text_id
    for value in values:
        if value not in replies:
            raise item.fault(f"the answer {value} gets no reply; expected one for every answer", "replies")
    return replies


def _tasks(item: DataRecord) -> dict[str, StaffTask]:
    return {
        str(value): record.get_choice("task", StaffTask)
        for record in item.list_records("replies", f"{item.name}, reply")
        if "task" in record.values
        for value in record.list_values("values")
    }
