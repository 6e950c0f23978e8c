"""Machines that text each other fall silent; a person in distress never is left without an answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.loop_guard import (
    ANSWERED_LIMITS,
    BUSY_LIMITS,
    HELP_AGAIN_AFTER,
    HELP_LIMIT,
    LOOK_BACK,
    MOST_LOOKED_AT,
    SAME_LIMITS,
    EarlierText,
    LoopSign,
    find_loop,
)

REPEATED, REPEATED_HELP = LoopSign.MANY_ANSWERED.meaning, LoopSign.MUCH_HELP.meaning
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
AWAY = "I am driving and will answer later"
QUESTION = "How is today going? Reply 1 good, 2 so-so, 3 hard"


def sent(
    count: int,
    every: timedelta,
    body: str = "",
    meaning: str = "join",
    answered_with: str | None = "You are in already",
) -> list[EarlierText]:
    """So many texts, the last one `every` ago; without a body each says something else."""
    return [
        EarlierText(NOW - (number + 1) * every, body or f"text {number}", meaning, answered_with)
        for number in range(count)
    ]


def help_answered(ago: timedelta) -> EarlierText:
    return EarlierText(NOW - ago, "HELP", "help", "Call or text 988")


SILENT: list[tuple[str, list[EarlierText], bool, LoopSign, str]] = [
    ("join", sent(20, SECOND), False, LoopSign.MANY_ANSWERED, "twenty answers in twenty seconds"),
    ("join", sent(20, 29 * SECOND), False, LoopSign.MANY_ANSWERED, "twenty answers within ten minutes"),
    ("join", sent(60, 179 * SECOND), False, LoopSign.MANY_ANSWERED, "slow, but for hours"),
    ("x", sent(12, SECOND) + sent(8, SECOND, meaning=REPEATED, answered_with=None), False,
     LoopSign.MANY_ANSWERED, "what was silenced counts on"),
    (AWAY, sent(10, 5 * SECOND, AWAY, "unclear_answer"), True, LoopSign.SAME_TEXT, "an auto-responder"),
    (AWAY + " ", sent(10, 5 * SECOND, AWAY.upper()), False, LoopSign.SAME_TEXT, "however it is written"),
    (AWAY, sent(10, 5 * SECOND, AWAY, "free_text", None), False, LoopSign.SAME_TEXT, "answered or not"),
    (AWAY, sent(20, HOUR, AWAY, "free_text"), False, LoopSign.SAME_TEXT, "once an hour all day"),
    (QUESTION, sent(1, SECOND, answered_with=QUESTION), True, LoopSign.ECHO, "our own words"),
    ("how is  today going? reply 1 GOOD, 2 so-so, 3 hard", sent(1, SECOND, answered_with=QUESTION), True,
     LoopSign.ECHO, "however they come back"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "earlier", "is_question_open", "sign", "reason"), SILENT)
def test_a_machine_is_not_answered(
    body: str, earlier: list[EarlierText], is_question_open: bool, sign: LoopSign, reason: str
) -> None:
    found = find_loop(body, earlier, NOW, is_call_for_help=False, is_question_open=is_question_open)
    assert found is sign, reason


ANSWERED: list[tuple[str, list[EarlierText], bool, str]] = [
    ("hello", [], False, "a first text"),
    ("join", sent(19, SECOND), False, "nineteen answers"),
    ("join", sent(20, 31 * SECOND), False, "the first of twenty is longer ago than ten minutes"),
    ("join", sent(30, SECOND, answered_with=None), False, "in many short texts, of which none was answered"),
    ("1", sent(40, 9 * SECOND, "1", "answer"), True, "a long check-up, always the same digit"),
    ("please", sent(9, SECOND, "please", "free_text"), False, "nine times the same word"),
    ("please", sent(19, HOUR, "please", "free_text"), False, "every hour of a bad day"),
    ("", sent(15, SECOND, " ", "free_text"), False, "fifteen pictures without a word"),
    ("join", sent(50, SECOND, AWAY, "loop_same_text", None), False, "their phone's loop is not theirs"),
    ("join", sent(40, SECOND, "HELP", "help"), False, "calls for help silence nothing else"),
    ("join", sent(40, SECOND, "HELP", REPEATED_HELP, None), False, "answered or not"),
    (QUESTION, sent(1, SECOND, answered_with=QUESTION), False, "our words, while nothing is asked"),
    ("You are in", sent(1, SECOND, answered_with="You are in"), True, "words too short to tell"),
    ("I am hurting today, can you call", sent(1, SECOND, answered_with=QUESTION), True, "their own words"),
]


@pytest.mark.parametrize(("body", "earlier", "is_question_open", "reason"), ANSWERED)
def test_a_person_is_answered(
    body: str, earlier: list[EarlierText], is_question_open: bool, reason: str
) -> None:
    found = find_loop(body, earlier, NOW, is_call_for_help=False, is_question_open=is_question_open)
    assert found is None, reason


HELPS: list[tuple[list[EarlierText], bool, str]] = [
    (sent(5, 12 * SECOND, "HELP", "help"), True, "five within a minute"),
    (sent(9, SECOND, "HELP", "help"), True, "nine within ten seconds"),
    (sent(10, SECOND, "HELP", "help"), False, "ten within ten seconds"),
    (sent(30, 59 * SECOND, "HELP", "help"), False, "one a minute"),
    (sent(30, 61 * SECOND, "HELP", "help"), True, "hardly ten in ten minutes, all day"),
    (sent(50, SECOND), True, "nothing else silences it"),
    (sent(50, SECOND, "HELP", REPEATED, None), True, "not even a loop"),
    (
        [*sent(40, SECOND, "HELP", REPEATED_HELP, None), help_answered(5 * MINUTE)],
        True,
        "five minutes after the last answer, however many came since",
    ),
    (
        [*sent(40, SECOND, "HELP", REPEATED_HELP, None), help_answered(299 * SECOND)],
        False,
        "a second too soon",
    ),
    (sent(60, SECOND, "HELP", REPEATED_HELP, None), True, "nobody knows when the last answer went"),
]


@pytest.mark.parametrize(("earlier", "is_answered", "reason"), HELPS)
def test_a_call_for_help_gets_its_hotlines_and_gets_them_again(
    earlier: list[EarlierText], is_answered: bool, reason: str
) -> None:
    found = find_loop("HELP", earlier, NOW, is_call_for_help=True, is_question_open=False)
    assert found is (None if is_answered else LoopSign.MUCH_HELP), reason


def play(
    every: timedelta, length: timedelta, say: Callable[[int], str], *, is_help: bool = False
) -> list[datetime]:
    """Text for so long; returns when an answer came."""
    earlier: list[EarlierText] = []
    answers: list[datetime] = []
    for number in range(int(length / every)):
        at, body = NOW + number * every, say(number)
        seen = [text for text in earlier[:MOST_LOOKED_AT] if text.at > at - LOOK_BACK]
        sign = find_loop(body, seen, at, is_call_for_help=is_help, is_question_open=True)
        if sign is None:
            answers.append(at)
            text = EarlierText(at, body, "help" if is_help else "unclear_answer", "Sorry?")
        else:
            text = EarlierText(at, body, sign.meaning, None)
        earlier.insert(0, text)
    return answers


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 30), st.booleans())
def test_a_machine_that_takes_its_time_is_not_answered_for_ever(minutes: int, is_same: bool) -> None:
    every = MINUTE * (minutes if is_same else min(minutes, 2.9))
    answers = play(every, 24 * HOUR, lambda number: AWAY if is_same else f"code {number}")
    assert len(answers) <= (SAME_LIMITS if is_same else ANSWERED_LIMITS)[-1].texts


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 25), st.booleans())
def test_a_fast_machine_is_silenced_within_minutes(seconds: int, is_same: bool) -> None:
    answers = play(seconds * SECOND, 30 * MINUTE, lambda number: AWAY if is_same else f"code {number}")
    assert len(answers) <= (SAME_LIMITS if is_same else ANSWERED_LIMITS)[0].texts + 1


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 900))
def test_a_call_for_help_is_never_unanswered_for_long(seconds: int) -> None:
    every = seconds * SECOND
    answers = play(every, max(HOUR, 3 * every), lambda _: "HELP", is_help=True)

    gaps = [later - sooner for sooner, later in pairwise(answers)]
    assert answers[:3] == [NOW, NOW + every, NOW + 2 * every]
    assert max(gaps) <= max(every, HELP_AGAIN_AFTER + every)
    in_ten_minutes = [at for at in answers if at < NOW + HELP_LIMIT.within]
    texts = int(HELP_LIMIT.within / every) + 1
    assert len(in_ten_minutes) <= HELP_LIMIT.texts + texts // MOST_LOOKED_AT + 2


def test_silence_ends_when_the_texts_slow_down() -> None:
    earlier = sent(20, SECOND)
    assert find_loop("x", earlier, NOW, is_call_for_help=False, is_question_open=True)
    later = NOW + 10 * MINUTE
    assert find_loop("x", earlier, later, is_call_for_help=False, is_question_open=True) is None


@given(
    st.lists(
        st.tuples(
            st.timedeltas(timedelta(0), LOOK_BACK),
            st.sampled_from([AWAY, "HELP", "1", "hm"]),
            st.sampled_from(["help", "answer", "receipt", "free_text", REPEATED, REPEATED_HELP]),
            st.sampled_from([None, "Sorry?"]),
        ),
        max_size=70,
    ),
    st.sampled_from([AWAY, "HELP", "1"]),
)
def test_whoever_sent_few_texts_is_in_no_loop(
    texts: list[tuple[timedelta, str, str, str | None]], body: str
) -> None:
    """Texts answered at once are not looked at below these limits: so none of them may matter there."""
    earlier = [EarlierText(NOW - ago, said, meaning, answer) for ago, said, meaning, answer in texts]
    is_busy = any(
        sum(text.at > NOW - limit.within for text in earlier) >= limit.texts for limit in BUSY_LIMITS
    )

    sign = find_loop(body, earlier, NOW, is_call_for_help=body == "HELP", is_question_open=False)

    assert sign is None or is_busy
