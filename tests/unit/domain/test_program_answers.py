"""What single answers change: which topic comes next, and when the densest row is back."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from service.domain.program_answers import (
    AnswerRule,
    Flag,
    GivenAnswer,
    StepUp,
    list_wanted_topics,
    steps_up,
)

DAY_0 = date(2026, 11, 23)
RULES = (
    AnswerRule("urge", frozenset({"7", "8"}), 7, ("breathe", "peer")),
    AnswerRule("mood", frozenset({"5"}), 3, ("mood", "peer")),
)
RULE = StepUp(
    red=(Flag("plan", frozenset({"3"}), 0, 365), Flag("plan", frozenset({"2"}), 0, 28)),
    amber=(Flag("plan", frozenset({"2"}), 0, 365), Flag("urge", frozenset({"7"}), 0, 365)),
    ambers=2,
    within_days=14,
    for_days=14,
)


def given(question: str, value: str, day: int) -> GivenAnswer:
    return GivenAnswer(question, value, DAY_0 + timedelta(days=day))


@pytest.mark.parametrize(
    ("answers", "day", "topics", "reason"),
    [
        ([], 9, [], "nothing was said"),
        ([given("urge", "7", 3)], 9, ["breathe", "peer"], "an answer of this week"),
        ([given("urge", "7", 1)], 9, [], "too long ago"),
        ([given("urge", "7", 3), given("urge", "2", 5)], 9, [], "the newest answer counts: it is over"),
        ([given("urge", "2", 5), given("urge", "7", 3)], 9, [], "in whatever order they were read"),
        ([given("mood", "5", 8), given("urge", "8", 8)], 9, ["breathe", "peer", "mood"], "rules in order"),
        ([given("mood", "4", 8)], 9, [], "another value"),
        ([given("urge", "7", 10)], 9, [], "not yet said on that day"),
    ],
)
def test_the_newest_answers_say_what_a_text_should_be_about(
    answers: list[GivenAnswer], day: int, topics: list[str], reason: str
) -> None:
    assert list_wanted_topics(RULES, answers, DAY_0 + timedelta(days=day)) == topics, reason


@pytest.mark.parametrize(
    ("answers", "day", "is_up", "reason"),
    [
        ([given("plan", "3", 40)], 40, True, "wants help: at once"),
        ([given("plan", "3", 39)], 40, False, "it had its effect on its own day"),
        ([given("plan", "2", 20)], 20, True, "slipped in the first four weeks: at once"),
        ([given("plan", "2", 40)], 40, False, "later, one alone is not enough"),
        ([given("plan", "2", 30), given("urge", "7", 40)], 40, True, "two within two weeks"),
        ([given("plan", "2", 26), given("urge", "7", 40)], 40, False, "fifteen days are more than two weeks"),
        (
            [given("plan", "2", 40), given("urge", "7", 40)],
            40,
            False,
            "one day is one, whatever was asked on it",
        ),
        ([given("urge", "7", 30), given("urge", "7", 35)], 40, False, "nothing was said today"),
        ([given("urge", "6", 30), given("urge", "6", 40)], 40, False, "other values"),
    ],
)
def test_red_answers_at_once_and_amber_ones_together_step_up(
    answers: list[GivenAnswer], day: int, is_up: bool, reason: str
) -> None:
    assert steps_up(RULE, answers, DAY_0, DAY_0 + timedelta(days=day)) is is_up, reason
