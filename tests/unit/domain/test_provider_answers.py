"""What we do about each answer of the provider."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.delivery import find_receipt_state
from service.domain.provider_answers import CODES, AnswerClass, Where, classify_create, classify_receipt

A = AnswerClass

KNOWN_CODES = [
    (20003, A.CONFIGURATION, "authentication failed: not the recipient's fault"),
    (20404, A.CONFIGURATION, "a wrong account id makes a wrong address"),
    (20429, A.RETRY, "the provider says it is safe to retry"),
    (20500, A.UNKNOWN, "an internal error says nothing about the text"),
    (21211, A.PERMANENT, "no such number"),
    (21212, A.CONFIGURATION, "our number is wrong for everybody"),
    (21606, A.CONFIGURATION, "our number cannot text"),
    (21659, A.CONFIGURATION, "our number is not ours"),
    (21660, A.CONFIGURATION, "our number is in another account"),
    (21408, A.PERMANENT, "one foreign number must not stop the sender for all"),
    (21602, A.BUG, "we sent nothing"),
    (21619, A.BUG, "we sent nothing"),
    (21608, A.CONFIGURATION, "a trial account reaches nobody"),
    (21610, A.CONSENT, "they opted out there"),
    (21611, A.RETRY_LATER, "ten hours of queue do not pass in a minute"),
    (21612, A.PERMANENT, "this pair never works"),
    (21614, A.PERMANENT, "cannot receive texts"),
    (21617, A.BUG, "we rendered too much"),
    (14107, A.RETRY, "passes after 30 seconds"),
    (14109, A.BUG, "we answered too often"),
    (14106, A.BUG, "we answered too often"),
    (30001, A.RETRY_LATER, "the queue was full"),
    (30002, A.CONFIGURATION, "nothing goes out of a suspended account"),
    (30003, A.RETRY, "a phone that is off may come back"),
    (30004, A.PERMANENT, "the person may have blocked us"),
    (30005, A.PERMANENT, "disconnected"),
    (30006, A.PERMANENT, "a landline stays one"),
    (30007, A.FILTERED, "the same wording is filtered again"),
    (30008, A.RETRY, "retryable once or twice"),
    (30010, A.REVIEW, "a limit that no longer exists"),
    (30017, A.RETRY, "congestion passes"),
    (30022, A.RETRY, "a rate passes"),
    (30020, A.RETRY, "their internal failure"),
    (30023, A.RETRY_LATER, "a daily limit"),
    (30032, A.CONFIGURATION, "not verified"),
    (30034, A.CONFIGURATION, "not registered"),
    (30036, A.RETRY, "it was not sent; whether it still helps is for the message to say"),
    (30047, A.RETRY, "neither queued nor sent"),
    (30450, A.REVIEW, "they take us for a fraud"),
    (30610, A.RETRY_LATER, "quiet hours end"),
    (30640, A.PERMANENT, "legal review first"),
    (35125, A.RETRY_LATER, "a full schedule empties slowly"),
    (63038, A.RETRY_LATER, "a rolling day"),
    (63017, A.RETRY, "slow down"),
    (11200, A.BUG, "our webhook failed"),
    (12300, A.BUG, "our content type"),
    (12100, A.BUG, "our XML"),
    (13803, A.CONFIGURATION, "wrong region"),
    (57012, A.BUG, "our URL or form handling"),
]


@pytest.mark.parametrize(("code", "answer", "reason"), KNOWN_CODES)
def test_every_known_code_has_its_class(code: int, answer: AnswerClass, reason: str) -> None:
    assert CODES[code].answer is answer, reason


def test_the_table_holds_exactly_the_known_codes_and_says_why() -> None:
    assert sorted(CODES) == sorted(code for code, _, _ in KNOWN_CODES)
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


@given(st.integers().filter(lambda code: code not in CODES), st.integers(400, 499))
def test_an_unknown_code_is_never_resent_by_itself(code: int, status: int) -> None:
    if status not in {408, 429}:
        assert classify_create(code, status) in {A.REVIEW, A.CONFIGURATION}


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
