"""What we do about each answer of the provider."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.delivery import find_receipt_state
from service.domain.provider_answers import CODES, AnswerClass, Where, classify_create, classify_receipt
from service.domain.retry import next_try_after_receipt, next_try_at

A, W = AnswerClass, Where
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

KNOWN_CODES: list[tuple[int, AnswerClass, Where, timedelta | None, str]] = [
    (20003, A.CONFIGURATION, W.CREATE, None, "authentication failed: not the recipient's fault"),
    (20404, A.CONFIGURATION, W.BOTH, None, "a wrong account id makes a wrong address"),
    (20429, A.RETRY, W.CREATE, None, "the provider says it is safe to retry"),
    (20500, A.UNKNOWN, W.CREATE, None, "an internal error says nothing about the text"),
    (21211, A.PERMANENT, W.CREATE, None, "no such number"),
    (21212, A.CONFIGURATION, W.CREATE, None, "our number is wrong for everybody"),
    (21606, A.CONFIGURATION, W.CREATE, None, "our number cannot text"),
    (21659, A.CONFIGURATION, W.CREATE, None, "our number is not ours"),
    (21660, A.CONFIGURATION, W.CREATE, None, "our number is in another account"),
    (21408, A.PERMANENT, W.CREATE, None, "one foreign number must not stop the sender for all"),
    (21602, A.BUG, W.CREATE, None, "we sent nothing"),
    (21619, A.BUG, W.CREATE, None, "we sent nothing"),
    (21608, A.CONFIGURATION, W.CREATE, None, "a trial account reaches nobody"),
    (21610, A.CONSENT, W.BOTH, None, "they opted out there"),
    (21611, A.RETRY_LATER, W.CREATE, HOUR, "ten hours of queue do not pass in a minute"),
    (21612, A.PERMANENT, W.CREATE, None, "this pair never works"),
    (21614, A.PERMANENT, W.CREATE, None, "cannot receive texts"),
    (21617, A.BUG, W.CREATE, None, "we rendered too much"),
    (14107, A.RETRY, W.RECEIPT, MINUTE, "passes after 30 seconds"),
    (14109, A.BUG, W.DEBUGGER, None, "we answered too often"),
    (14106, A.BUG, W.DEBUGGER, None, "we answered too often"),
    (30001, A.RETRY_LATER, W.RECEIPT, HOUR, "the queue was full"),
    (30002, A.CONFIGURATION, W.RECEIPT, None, "nothing goes out of a suspended account"),
    (30003, A.RETRY, W.RECEIPT, HOUR, "a phone that is off may come back"),
    (30004, A.PERMANENT, W.RECEIPT, None, "the person may have blocked us"),
    (30005, A.PERMANENT, W.RECEIPT, None, "disconnected"),
    (30006, A.PERMANENT, W.RECEIPT, None, "a landline stays one"),
    (30007, A.FILTERED, W.RECEIPT, None, "the same wording is filtered again"),
    (30008, A.RETRY, W.RECEIPT, 15 * MINUTE, "retryable once or twice"),
    (30010, A.REVIEW, W.RECEIPT, None, "a limit that no longer exists"),
    (30017, A.RETRY, W.RECEIPT, 5 * MINUTE, "congestion passes"),
    (30022, A.RETRY, W.RECEIPT, 5 * MINUTE, "a rate passes"),
    (30020, A.RETRY, W.RECEIPT, MINUTE, "their internal failure"),
    (30023, A.RETRY_LATER, W.RECEIPT, DAY, "a daily limit"),
    (30032, A.CONFIGURATION, W.RECEIPT, None, "not verified"),
    (30034, A.CONFIGURATION, W.RECEIPT, None, "not registered"),
    (30036, A.RETRY, W.RECEIPT, None, "it was not sent; whether it still helps is for the message to say"),
    (30047, A.RETRY, W.RECEIPT, 15 * MINUTE, "neither queued nor sent"),
    (30450, A.REVIEW, W.BOTH, None, "they take us for a fraud"),
    (30610, A.RETRY_LATER, W.RECEIPT, 3 * HOUR, "quiet hours end"),
    (30640, A.PERMANENT, W.RECEIPT, None, "legal review first"),
    (35125, A.RETRY_LATER, W.CREATE, HOUR, "a full schedule empties slowly"),
    (63038, A.RETRY_LATER, W.BOTH, HOUR, "a rolling day: room comes back little by little"),
    (63017, A.RETRY, W.BOTH, MINUTE, "slow down"),
    (11200, A.BUG, W.DEBUGGER, None, "our webhook failed"),
    (12300, A.BUG, W.DEBUGGER, None, "our content type"),
    (12100, A.BUG, W.DEBUGGER, None, "our XML"),
    (13803, A.CONFIGURATION, W.DEBUGGER, None, "wrong region"),
    (57012, A.BUG, W.DEBUGGER, None, "our URL or form handling"),
    (10001, A.CONFIGURATION, W.BOTH, None, "nothing goes out of a suspended account"),
    (20005, A.CONFIGURATION, W.CREATE, None, "not active yet, or out of funds"),
    (20403, A.CONFIGURATION, W.CREATE, None, "a closed account"),
    (21266, A.PERMANENT, W.CREATE, None, "we would text ourselves"),
    (90010, A.CONFIGURATION, W.BOTH, None, "the same account fault, told late"),
]


@pytest.mark.parametrize(("code", "answer", "where", "after", "reason"), KNOWN_CODES)
def test_every_known_code_has_its_class_its_place_and_its_wait(
    code: int, answer: AnswerClass, where: Where, after: timedelta | None, reason: str
) -> None:
    rule = CODES[code]
    assert (rule.answer, rule.where, rule.after) == (answer, where, after), reason


def test_the_table_holds_exactly_the_known_codes_and_says_why() -> None:
    assert sorted(CODES) == sorted(code for code, *_ in KNOWN_CODES)
    assert all(rule.code == code and len(rule.note) > 5 for code, rule in CODES.items())


def test_waits_belong_to_answers_that_allow_another_try() -> None:
    for rule in CODES.values():
        if rule.after is not None:
            assert rule.answer in {A.RETRY, A.RETRY_LATER}
            assert rule.after > timedelta(0)


def test_much_later_means_an_hour_at_least() -> None:
    waits = [rule.after for rule in CODES.values() if rule.answer is A.RETRY_LATER]
    assert waits
    assert all(wait is not None and wait >= timedelta(hours=1) for wait in waits)


@pytest.mark.parametrize(
    ("code", "status", "answer", "reason"),
    [
        (None, 429, A.RETRY, "429 is never processed"),
        (20429, 429, A.RETRY, "the usual 429"),
        (63038, 429, A.RETRY_LATER, "a daily limit answers 429 too, and retrying soon is pointless"),
        (99999, 429, A.RETRY, "429 outweighs an unknown code"),
        (20500, 429, A.RETRY, "429 outweighs an unclear code"),
        (None, 500, A.UNKNOWN, "it may have been sent before the failure"),
        (21211, 503, A.UNKNOWN, "a status above 499 outweighs any code"),
        (20429, 503, A.UNKNOWN, "the same, even for a code that would be retried"),
        (None, 401, A.CONFIGURATION, "a wrong token without a code"),
        (20003, 401, A.CONFIGURATION, "a wrong token"),
        (None, 403, A.CONFIGURATION, "the account may not do this"),
        (None, 404, A.CONFIGURATION, "a wrong address"),
        (21610, 403, A.CONSENT, "the code outweighs the status within 4xx"),
        (21610, 400, A.CONSENT, "opted out"),
        (21211, 400, A.PERMANENT, "bad number"),
        (99999, 400, A.REVIEW, "unknown code: surely not sent, never resent by itself"),
        (99999, 401, A.REVIEW, "the same where the status alone would name the account"),
        (99999, 403, A.REVIEW, "the same"),
        (99999, 404, A.REVIEW, "the same"),
        (None, 400, A.REVIEW, "no code at all"),
        (None, 408, A.UNKNOWN, "a time-out on the way"),
        (None, 302, A.UNKNOWN, "we do not know who answered"),
        (None, 100, A.UNKNOWN, "no answer at all"),
    ],
)
def test_a_refused_request_is_classified(
    code: int | None, status: int, answer: AnswerClass, reason: str
) -> None:
    assert classify_create(code, status) is answer, reason


@pytest.mark.parametrize(
    ("status", "code", "answer", "reason"),
    [
        ("delivered", None, None, "it arrived"),
        ("sent", None, None, "it left"),
        ("delivered", 30008, None, "it arrived, whatever else is said"),
        ("queued", None, None, "on its way"),
        ("something-new", 30008, None, "a word we do not know decides nothing"),
        ("failed", 21610, A.CONSENT, "opt-out told late"),
        ("undelivered", 30003, A.RETRY, "phone off"),
        ("undelivered", 30005, A.PERMANENT, "disconnected"),
        ("undelivered", 30007, A.FILTERED, "filtered"),
        ("failed", 30034, A.CONFIGURATION, "not registered"),
        ("failed", None, A.REVIEW, "no reason given"),
        ("undelivered", 99999, A.REVIEW, "unknown reason"),
        ("failed", 20500, A.REVIEW, "failed is a clear word, whatever its code"),
        ("canceled", None, A.REVIEW, "we never cancel at the provider"),
    ],
)
def test_a_receipt_is_classified(
    status: str, code: int | None, answer: AnswerClass | None, reason: str
) -> None:
    assert classify_receipt(status, code) is answer, reason


@given(st.one_of(st.none(), st.integers()), st.integers(500, 599))
def test_no_server_error_is_ever_a_reason_to_send_again(code: int | None, status: int) -> None:
    assert classify_create(code, status) is A.UNKNOWN


@given(st.integers().filter(lambda code: code not in CODES), st.integers(-1, 999), st.integers(1, 50))
def test_an_unknown_code_is_never_resent_by_itself(code: int, status: int, tries: int) -> None:
    answer = classify_create(code, status)
    if status == 429:
        assert answer is A.RETRY, "the provider says of every 429 that it was not processed"
    else:
        assert answer in {A.REVIEW, A.UNKNOWN}
        assert next_try_at(tries, answer, NOW, NOW + 2 * DAY, code) is None


@given(st.integers().filter(lambda code: code not in CODES), st.text(max_size=12), st.integers(1, 50))
def test_an_unknown_code_in_a_receipt_is_never_resent_by_itself(code: int, word: str, tries: int) -> None:
    for status in ("failed", "undelivered", "canceled", "sent", "delivered", word):
        answer = classify_receipt(status, code)
        assert answer in {A.REVIEW, None}
        if answer is not None:
            assert next_try_after_receipt(tries, answer, NOW, NOW + 2 * DAY, code) is None


@given(
    st.sampled_from(["failed", "undelivered"]), st.one_of(st.none(), st.integers(), st.sampled_from([*CODES]))
)
def test_a_failure_always_has_a_class_and_its_status_moves_the_message(status: str, code: int | None) -> None:
    assert classify_receipt(status, code) not in {None, A.UNKNOWN}
    assert find_receipt_state(status) is not None


def test_notes_hold_no_number_that_could_be_a_person() -> None:
    assert not any(re.search(r"\+\d|\d{7}", rule.note) for rule in CODES.values())


def test_codes_about_our_webhook_are_marked_as_such() -> None:
    ours = {code for code, rule in CODES.items() if rule.where is Where.DEBUGGER}
    assert ours == {11200, 12100, 12300, 13803, 14106, 14109, 57012}
