"""Answers to a check-in are read when they are clear, and never guessed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.check_ins import (
    Answered,
    CheckInError,
    Skipped,
    Unclear,
    check_in_from_data,
    read_answer,
    reply_text_id,
)

DATA: dict[str, Any] = {
    "id": "weekly",
    "version": 2,
    "window_hours": 24,
    "review": "draft",
    "source": ["items"],
    "questions": [
        {
            "id": "urge",
            "ask": "urge/ask",
            "reask": "urge/again",
            "answers": {"from": 0, "to": 10},
            "replies": [
                {"values": [0, 1, 2, 3], "text": "urge/low"},
                {"values": ["4", "5", "6", "7", "8", "9", "10"], "text": "urge/high"},
            ],
        },
        {
            "id": "mood",
            "ask": "mood/ask",
            "reask": "mood/again",
            "sensitive": True,
            "answers": {
                "options": {
                    "1": ["good", "bien", "none"],
                    "2": ["ok", "así así"],
                    "3": ["up and down"],
                    "4": [],
                }
            },
            "replies": [{"values": ["1", "2", "3", "4"], "text": "mood/any"}],
        },
    ],
    "skipped": "skipped",
    "closing": "closing",
    "unclear": "unclear",
}
URGE, MOOD = check_in_from_data(DATA).questions


@pytest.mark.parametrize(
    ("reason", "body", "value"),
    [
        ("a digit", "7", "7"),
        ("space around it", "  7\n", "7"),
        ("a full stop", "7.", "7"),
        ("more feeling", "7!!", "7"),
        ("in doubt, but an answer", "7?", "7"),
        ("a list habit", "7)", "7"),
        ("in brackets", "(7)", "7"),
        ("with a hash", "#7", "7"),
        ("with a hash and a space", "# 7", "7"),
        ("two digits", "10", "10"),
        ("nothing", "0", "0"),
        ("a leading zero", "07", "7"),
        ("a drawn key", "7️⃣", "7"),
        ("out of ten", "7/10", "7"),
        ("out of ten with spaces", "7 / 10.", "7"),
        ("out of ten in words", "7 out of 10", "7"),
        ("out of ten in Spanish", "7 de 10", "7"),
        ("ten of ten", "10/10", "10"),
        ("an English word", "Seven", "7"),
        ("a Spanish word", "siete.", "7"),
        ("zero in words", "none", "0"),
        ("the word that the Spanish question uses for 0", "nada", "0"),
        ("the largest in words", "DIEZ", "10"),
    ],
)
def test_a_number_on_a_scale_is_read(reason: str, body: str, value: str) -> None:
    assert read_answer(URGE, body) == Answered(value), reason


@pytest.mark.parametrize(
    ("reason", "body", "value"),
    [
        ("its digit", "2", "2"),
        ("its word", "OK", "2"),
        ("punctuation", "ok...", "2"),
        ("several words", "Up and down", "3"),
        ("Spanish", "¡Bien!", "1"),
        ("with and without accents", "asi asi", "2"),
        ("the digit as a word", "dos", "2"),
        ("an emoji beside it says nothing else", "good 🙂", "1"),
        ("the question's own words before numbers", "none", "1"),
    ],
)
def test_an_option_is_read_by_its_digit_or_its_words(reason: str, body: str, value: str) -> None:
    assert read_answer(MOOD, body) == Answered(value), reason


@pytest.mark.parametrize("body", ["SKIP", "skip.", " Saltar ", "omitir", "paso"])
def test_anyone_may_skip_a_question(body: str) -> None:
    assert read_answer(URGE, body) == Skipped()
    assert read_answer(MOOD, body) == Skipped()


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        ("outside the scale", "11"),
        ("far outside the scale", "100"),
        ("below the scale", "-3"),
        ("a decimal", "7.5"),
        ("a decimal comma", "7,5"),
        ("a range", "7-8"),
        ("two answers", "7 or 8"),
        ("two numbers", "7 8"),
        ("out of something else", "7/5"),
        ("more than all", "11/10"),
        ("a date or a time", "7/10/26"),
        ("a time", "7:30"),
        ("a sentence with a number", "maybe 7 today"),
        ("a number of something", "7 pills"),
        ("a sentence that begins with the answer", "7 but I want to die"),
        ("a question", "what"),
        ("another word for skip inside a sentence", "skip it please"),
        ("nothing", ""),
        ("only a sign", "#"),
        ("only punctuation", "..."),
        ("only an emoji", "🙂"),
        ("a number in another script", "٧"),
        ("a superscript", "7²"),
    ],
)
def test_everything_else_is_left_to_a_human(reason: str, body: str) -> None:
    assert read_answer(URGE, body) == Unclear(), reason


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        ("not an option", "5"),
        ("not an option either", "0"),
        ("a number word outside the options", "diez"),
        ("a fraction has no meaning here", "2/4"),
        ("the opposite of an option", "not good"),
        ("an option and more", "ok but tired"),
    ],
)
def test_options_are_not_stretched(reason: str, body: str) -> None:
    assert read_answer(MOOD, body) == Unclear(), reason


@pytest.mark.parametrize("answer", ["3", "three", "skip", "3/10"])
def test_words_after_a_long_gap_are_still_words(answer: str) -> None:
    assert read_answer(URGE, answer + " " * 200 + "I want to die") == Unclear()
    assert read_answer(URGE, answer + "\n" * 30 + "I want to die") == Unclear()


@given(body=st.text())
def test_any_text_can_be_read(body: str) -> None:
    for question in (URGE, MOOD):
        reading = read_answer(question, body)
        assert isinstance(reading, Skipped | Unclear) or reading.value in question.values


@given(number=st.integers(0, 10**6))
def test_a_number_is_that_number_or_unclear(number: int) -> None:
    assert read_answer(URGE, str(number)) == (Answered(str(number)) if number <= 10 else Unclear())


def test_every_accepted_answer_gets_a_reply() -> None:
    for question in (URGE, MOOD):
        assert {reply_text_id(question, value) for value in question.values} <= {
            "urge/low",
            "urge/high",
            "mood/any",
        }
    assert reply_text_id(URGE, "3") == "urge/low"
    assert reply_text_id(URGE, "4") == "urge/high"


def test_a_check_in_knows_every_text_it_may_send() -> None:
    assert check_in_from_data(DATA).text_ids() == {
        *("urge/ask", "urge/again", "urge/low", "urge/high"),
        *("mood/ask", "mood/again", "mood/any"),
        *("skipped", "closing", "unclear"),
    }


def test_a_sensitive_question_says_so() -> None:
    assert (URGE.is_sensitive, MOOD.is_sensitive) == (False, True)


OPTIONS = ("questions", 1, "answers", "options")


@pytest.mark.parametrize(
    ("reason", "path", "value", "problem"),
    [
        ("a misspelled key", ("windowhours",), 2, "check-in weekly: unknown key 'windowhours'"),
        ("no id", ("id",), None, "check-in: id is missing"),
        ("no version", ("version",), 0, "check-in weekly: version is 0"),
        ("too long a window", ("window_hours",), 100, "check-in weekly: window_hours is 100"),
        ("no questions", ("questions",), [], "check-in weekly: there are no questions"),
        ("no closing", ("closing",), None, "check-in weekly: closing is missing"),
        ("a question twice", ("questions", 1, "id"), "urge", "question urge: its id is there twice"),
        ("a misspelled question", ("questions", 0, "rask"), "x", "question urge: unknown key 'rask'"),
        ("nothing to ask", ("questions", 0, "ask"), "", "question urge: ask is ''"),
        ("no answers", ("questions", 0, "answers"), None, "question urge, answers: found None"),
        (
            "an empty scale",
            ("questions", 0, "answers"),
            {"from": 5, "to": 5},
            "question urge, answers: to is 5",
        ),
        ("both kinds", (*OPTIONS[:3], "from"), 1, "question mood, answers: unknown key 'from'"),
        ("sensitive in words", ("questions", 0, "sensitive"), "yes", "question urge: sensitive is 'yes'"),
        ("one option", OPTIONS, {"1": []}, "question mood, answers, options: there is nothing to choose"),
        (
            "an option without quotes",
            OPTIONS,
            {1: []},
            "question mood, answers, options: the key 1 is not text",
        ),
        ("an option that is a word", (*OPTIONS, "good"), [], "question mood, answers, options: 'good' is no"),
        (
            "a word that YAML read as false",
            (*OPTIONS, "4"),
            [False],
            "question mood, answers, options: 4 has Fal",
        ),
        ("words without a list", (*OPTIONS, "4"), "bad", "question mood, answers, options: 4 is 'bad'"),
        (
            "a word of two answers",
            (*OPTIONS, "4"),
            ["Good!"],
            "question mood, answers, options: 'good' means 1",
        ),
        (
            "the word of another number",
            (*OPTIONS, "4"),
            ["two"],
            "question mood, answers, options: 'two' is a",
        ),
        ("a number as a word", (*OPTIONS, "4"), ["44"], "question mood, answers, options: '44' is a number"),
        ("the word for skipping", (*OPTIONS, "4"), ["skip"], "question mood, answers, options: 'skip' says"),
        ("a word of no letters", (*OPTIONS, "4"), ["?!"], "question mood, answers, options: '' says nothing"),
        (
            "an answer without a reply",
            ("questions", 0, "replies"),
            [{"values": [0], "text": "x"}],
            "question urge: the answer 1 gets no reply",
        ),
        (
            "a reply to no answer",
            ("questions", 0, "replies", 0, "values"),
            [0, 1, 2, 3, 11],
            "question urge, reply: '11' is not accepted",
        ),
        (
            "two replies to one answer",
            ("questions", 0, "replies", 0, "values"),
            [0, 1, 2, 3, 4],
            "question urge, reply: the answer 4 has a reply already",
        ),
    ],
)
def test_a_faulty_check_in_is_refused(
    reason: str, path: tuple[Any, ...], value: object, problem: str
) -> None:
    data: Any = copy.deepcopy(DATA)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(CheckInError) as error:
        check_in_from_data(data)
    assert str(error.value).startswith(problem), reason
    assert "; expected " in str(error.value), reason


@pytest.mark.parametrize("data", [None, [], "weekly"])
def test_data_that_is_no_check_in_is_refused(data: object) -> None:
    with pytest.raises(CheckInError, match=r"^check-in: found .*; expected "):
        check_in_from_data(data)
