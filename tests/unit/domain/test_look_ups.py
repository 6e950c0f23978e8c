"""Never twice, never silently lost: what a look-up at the provider may conclude, and what it may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.look_ups import (
    ABSENT_AFTER,
    ASK_AFTER,
    GIVE_UP_AFTER,
    STOP_ASKING_AFTER,
    AbsentDecision,
    AbsentText,
    ListedText,
    LostTry,
    NotFound,
    decide_absent,
    is_from_us,
    match_try,
    next_asking_at,
    next_look_at,
)

AT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
BODY = 'It\u2019s group tonight - "bring" a friend'
TRY = LostTry("api", BODY, AT, AT + 15 * SECOND)
ANSWER = LostTry("twiml", BODY, AT, None)


def listed(
    name: str, at: timedelta = SECOND, body: str = BODY, direction: str = "outbound-api"
) -> ListedText:
    return ListedText(name, direction, body, AT + at)


def elsewhere(name: str) -> ListedText:
    return replace(listed(name), is_ours=False)


ABSENT, AMBIGUOUS = NotFound.ABSENT, NotFound.AMBIGUOUS
MATCHES: list[tuple[LostTry, list[ListedText], set[str], str, str]] = [
    (TRY, [], set(), ABSENT, "the provider has nothing for the number"),
    (TRY, [listed("A")], set(), "A", "one text with the same words while the try ran"),
    (TRY, [listed("A")], {"A"}, ABSENT, "it belongs to another try"),
    (TRY, [listed("A"), listed("B")], set(), AMBIGUOUS, "two that could be it: nobody guesses"),
    (TRY, [listed("A"), listed("B")], {"A"}, "B", "the other one is another try's"),
    (TRY, [listed("A", body="")], set(), "A", "bodies are redacted: the time alone"),
    (TRY, [listed("A", body=""), listed("B", body="")], set(), AMBIGUOUS, "redacted, and two of them"),
    (TRY, [listed("A", body=""), listed("B")], set(), AMBIGUOUS, "the redacted one could be it as well"),
    (TRY, [listed("A"), listed("B", body="Other")], set(), "A", "other words are some other text"),
    (TRY, [listed("A", body="Other")], set(), AMBIGUOUS, "rewritten by the provider? Not absent, not it"),
    (TRY, [listed("A", body="Other")], {"A"}, ABSENT, "other words, and another try's"),
    (TRY, [listed("A", body='It\'s group tonight – "bring" a friend ')], set(), "A", "quotes were replaced"),
    (TRY, [listed("A", body="")], {"A"}, ABSENT, "redacted, and another try's"),
    (TRY, [listed("A", -MINUTE)], set(), "A", "their clock is a minute behind"),
    (TRY, [listed("A", -3 * MINUTE)], set(), ABSENT, "the same words, but before we tried"),
    (TRY, [listed("A", 2 * MINUTE)], set(), "A", "their clock is ahead, or they were slow"),
    (TRY, [listed("A", 10 * MINUTE)], set(), AMBIGUOUS, "much later, but nobody else's: not absent"),
    (TRY, [listed("A", 10 * MINUTE)], {"A"}, ABSENT, "the next reminder with the same words"),
    (TRY, [listed("A", 10 * MINUTE, "Other")], set(), ABSENT, "a later text with other words"),
    (TRY, [listed("A", direction="outbound-reply")], set(), ABSENT, "an answer is no text by API"),
    (TRY, [listed("A", direction="inbound")], set(), ABSENT, "their own words, quoted back"),
    (TRY, [listed("A", direction="outbound-call")], set(), ABSENT, "not ours"),
    (ANSWER, [listed("A", direction="outbound-reply")], set(), "A", "an answer that rode in a response"),
    (ANSWER, [listed("A")], set(), ABSENT, "a text by API is no such answer"),
    (ANSWER, [listed("A", 3 * MINUTE, direction="outbound-reply")], set(), "A", "no end was written down"),
    (TRY, [elsewhere("A")], set(), ABSENT, "another line of the account texts the same person"),
    (TRY, [elsewhere("A"), listed("B")], set(), "B", "the same words on both lines: ours is ours"),
    (LostTry("api", BODY, AT, AT, "A"), [elsewhere("A")], set(), "A", "named before, and our sender changed"),
    (LostTry("api", BODY, AT, AT, "A"), [listed("A", body="Other"), listed("B")], set(), "A", "named before"),
]


@pytest.mark.parametrize(("lost", "texts", "owned", "result", "reason"), MATCHES)
def test_a_try_is_adopted_only_when_there_is_no_doubt(
    lost: LostTry, texts: list[ListedText], owned: set[str], result: str, reason: str
) -> None:
    assert match_try(lost, texts, owned) == result, reason
    assert match_try(lost, texts[::-1], owned) == result, reason


OURS, THEIRS = "+12025550100", "+12025550101"
SENDERS: list[tuple[str, str, str, str | None, bool, str]] = [
    (OURS, "", OURS, None, True, "our number"),
    (OURS, "", THEIRS, None, False, "another number of the account"),
    (OURS, "", THEIRS, "MG1", False, "another number, of a service"),
    (OURS, "", OURS, "MG1", True, "our number, which is in a service's pool, too"),
    (OURS, "", "", None, True, "nobody is named: it may be ours"),
    (OURS, "", "", "MG1", False, "queued with a service that is not ours"),
    ("", "MG1", THEIRS, "MG1", True, "some number of our service's pool"),
    ("", "MG1", "", "MG1", True, "queued with our service: its sender is not chosen yet"),
    ("", "MG1", "", None, True, "nobody is named: it may be ours"),
    ("", "MG1", THEIRS, None, True, "an answer names no service: it may be ours"),
    ("", "MG1", THEIRS, "MG2", False, "another service"),
    ("", "MG1", "", "MG2", False, "queued with another service"),
    (OURS, "MG1", OURS, None, True, "both are set: our number"),
    (OURS, "MG1", THEIRS, "MG1", True, "both are set: our service chose a number"),
    (OURS, "MG1", OURS, "MG2", True, "both are set: our number all the same"),
    (OURS, "MG1", THEIRS, "MG2", False, "both are set: neither"),
    ("", "", THEIRS, "MG2", True, "we do not know who we are"),
]


@pytest.mark.parametrize(("number", "service", "sender", "of_service", "is_ours", "reason"), SENDERS)
def test_a_text_of_another_line_is_not_taken_for_ours(
    number: str, service: str, sender: str, of_service: str | None, reason: str, *, is_ours: bool
) -> None:
    assert is_from_us(sender, of_service, our_number=number, our_service=service) is is_ours, reason


def text(**changes: object) -> AbsentText:
    values: dict[str, object] = {
        "kind": MessageKind.MEETING_REMINDER,
        "channel": "api",
        "absences": ABSENT_AFTER,
        "was_absent_before": False,
        "send_before": AT + HOUR,
    }
    return AbsentText(**(values | changes))  # type: ignore[arg-type]


D = AbsentDecision
DECISIONS: list[tuple[AbsentText, AbsentDecision, str]] = [
    (text(absences=1), D.LOOK_AGAIN, "once is not enough: the provider may list late"),
    (text(), D.RESEND, "a reminder, in time, for the first time"),
    (text(was_absent_before=True), D.HAND_OVER, "sent again once already"),
    (text(send_before=AT), D.HAND_OVER, "too late to help"),
    (text(kind=MessageKind.CHECKIN), D.HAND_OVER, "two answers to a question cannot be told apart"),
    (text(kind=MessageKind.CHECKUP), D.HAND_OVER, "two answers to a question cannot be told apart"),
    (text(kind=MessageKind.REPLY), D.HAND_OVER, "an answer is not repeated"),
    (text(kind=MessageKind.CRISIS_REPLY), D.RESEND, "hotlines twice are better than none"),
    (text(kind=MessageKind.CRISIS_REPLY, channel="twiml"), D.FAIL, "the response has gone: staff phone"),
    (text(channel="twiml", absences=1), D.LOOK_AGAIN, "once is not enough there either"),
]


@pytest.mark.parametrize(("absent", "decision", "reason"), DECISIONS)
def test_a_text_goes_out_again_once_in_time_and_only_if_its_kind_allows(
    absent: AbsentText, decision: AbsentDecision, reason: str
) -> None:
    assert decide_absent(absent, AT) is decision, reason


@given(
    st.sampled_from(list(MessageKind)),
    st.sampled_from(["api", "twiml"]),
    st.integers(0, 5),
    st.booleans(),
    st.integers(-100, 100),
)
def test_nothing_is_sent_again_outside_these_rules(
    kind: MessageKind, channel: str, absences: int, was_absent: bool, minutes: int
) -> None:
    send_before = AT + minutes * MINUTE
    absent = AbsentText(kind, channel, absences, was_absent, send_before)
    may = (
        KIND_RULES[kind].may_resend and channel == "api" and absences >= 2 and not was_absent and minutes > 0
    )
    assert (decide_absent(absent, AT) is D.RESEND) is may


def test_looks_that_fail_come_at_growing_gaps_until_the_day_is_over() -> None:
    at, looks = AT + 15 * MINUTE, []
    while (again := next_look_at(AT, at)) is not None:
        assert again > at
        looks.append(again)
        at = again
    gaps = [later - earlier for earlier, later in pairwise(looks[:-1])]
    assert gaps == sorted(gaps)
    assert looks[-1] == AT + GIVE_UP_AFTER
    assert 10 < len(looks) < 40


def test_texts_without_a_last_word_are_asked_about_at_growing_gaps_for_three_days() -> None:
    at, asked = AT + ASK_AFTER, []
    while (again := next_asking_at(AT, at)) is not None:
        asked.append(again)
        at = again
    assert asked[-1] == AT + STOP_ASKING_AFTER
    assert 3 <= len(asked) <= 6
