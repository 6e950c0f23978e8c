"""When a text that the provider surely does not have is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.provider_answers import CODES, AnswerClass
from service.domain.retry import MAX_TRIES_AFTER_RECEIPT, next_try_after_receipt, next_try_at

A = AnswerClass
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
LONG = NOW + 365 * DAY
AGAIN = (A.RETRY, A.RETRY_LATER, A.CONFIGURATION)

GAPS: list[tuple[int, AnswerClass, int | None, timedelta, str]] = [
    (1, A.RETRY, 20429, 5 * SECOND, "a crowd passes in seconds"),
    (2, A.RETRY, 20429, 30 * SECOND, "or in half a minute"),
    (3, A.RETRY, None, 2 * MINUTE, "gaps grow"),
    (4, A.RETRY, None, 10 * MINUTE, "gaps grow"),
    (5, A.RETRY, None, 10 * MINUTE, "and stay: an outage lasts as long as it lasts"),
    (400, A.RETRY, None, 10 * MINUTE, "however long"),
    (1, A.RETRY, 63017, MINUTE, "the code asks for a minute"),
    (4, A.RETRY, 63017, 10 * MINUTE, "by now we wait longer than the code asks for"),
    (1, A.RETRY, 99999, 5 * SECOND, "a code nobody knows asks for nothing"),
    (1, A.RETRY_LATER, None, 30 * MINUTE, "a queue"),
    (1, A.RETRY_LATER, 21611, HOUR, "a queue of ten hours"),
    (1, A.RETRY_LATER, 63038, HOUR, "a limit in 24 hours: room comes back little by little"),
    (2, A.RETRY_LATER, 21611, 2 * HOUR, "gaps grow"),
    (9, A.RETRY_LATER, None, 6 * HOUR, "and stay"),
    (1, A.CONFIGURATION, 20003, 15 * MINUTE, "the sender is stopped until staff repair it"),
    (7, A.CONFIGURATION, None, 15 * MINUTE, "and should go on at once when they have"),
]


@pytest.mark.parametrize(("tries", "answer", "code", "gap", "reason"), GAPS)
def test_the_wait_before_the_next_try(
    tries: int, answer: AnswerClass, code: int | None, gap: timedelta, reason: str
) -> None:
    assert next_try_at(tries, answer, NOW, LONG, code) == NOW + gap, reason


@pytest.mark.parametrize("answer", [answer for answer in A if answer not in AGAIN])
@pytest.mark.parametrize("tries", [1, 2, 9])
def test_any_other_answer_is_never_a_reason_to_try_again(tries: int, answer: AnswerClass) -> None:
    for code in (None, *CODES):
        assert next_try_at(tries, answer, NOW, LONG, code) is None
        assert next_try_after_receipt(tries, answer, NOW, LONG, code) is None


@pytest.mark.parametrize(
    ("left", "expected", "reason"),
    [
        (5 * SECOND + SECOND, NOW + 5 * SECOND, "it still helps a second longer"),
        (5 * SECOND, None, "it would come at the very moment when it is too late"),
        (SECOND, None, "it would come too late"),
    ],
)
def test_the_usefulness_of_a_text_ends_the_trying(
    left: timedelta, expected: datetime | None, reason: str
) -> None:
    assert next_try_at(1, A.RETRY, NOW, NOW + left) == expected, reason


def test_nothing_is_tried_again_that_was_not_tried() -> None:
    assert next_try_at(0, A.RETRY, NOW, LONG) is None
    assert next_try_at(-1, A.RETRY, NOW, LONG) is None


def test_after_receipts_a_few_tries_only() -> None:
    found = [next_try_after_receipt(tries, A.RETRY, NOW, LONG, 30003) for tries in range(1, 6)]
    assert found == [NOW + HOUR] * (MAX_TRIES_AFTER_RECEIPT - 1) + [None] * 3


@given(
    st.integers(1, 500),
    st.sampled_from(AGAIN),
    st.timedeltas(timedelta(0), 30 * DAY),
    st.none() | st.sampled_from([*CODES]) | st.integers(),
)
def test_a_next_try_is_later_than_now_in_time_and_never_sooner_than_the_one_before(
    tries: int, answer: AnswerClass, left: timedelta, code: int | None
) -> None:
    again = next_try_at(tries, answer, NOW, NOW + left, code)
    more = next_try_at(tries + 1, answer, NOW, NOW + left, code)

    if again is not None:
        assert NOW < again < NOW + left
        rule = CODES.get(code) if code is not None else None
        if rule is not None and rule.after is not None:
            assert again - NOW >= rule.after
    if again is not None and more is not None:
        assert more >= again
