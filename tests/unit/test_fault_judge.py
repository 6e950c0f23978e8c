"""What the fault run would notice: each way to break a promise, made up, and what the judge makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from tests.faults.judge import Evidence, IntendedText, Person, Stop, judge, percentile
from tests.standin.ledger import CreateRequest, PhoneText

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC).timestamp()
"""A Monday, 12:00 in New York."""
PHONE = "+19990000001"
PERSON = Person(PHONE, "America/New_York")
TEXT = IntendedText(1, "k1", PHONE, "tip", "delivered", None, NOON, NOON)
REQUEST = CreateRequest(NOON + 1, PHONE, "r1", "none")
TAKEN = PhoneText("SM1", PHONE, "r1", "outbound-api", "delivered", None, NOON + 1, NOON + 2)
GOOD = Evidence(
    people=[PERSON],
    texts=[TEXT],
    tries={"r1": 1, "r2": 1},
    requests=[REQUEST],
    taken=[TAKEN],
    stops=[],
    expected_keys=frozenset({"k1"}),
    faults_began_at=NOON - 10,
    faults_ended_at=NOON + 100,
    ended_at=NOON + 1000,
)
AGAIN = TAKEN._replace(sid="SM2", reference="r2", at=NOON + 60, final_at=NOON + 61)


def broken(evidence: Evidence) -> dict[str, int]:
    return {name: number for name, number in judge(evidence).must_be_0.items() if number}


def with_state(state: str, reason: str | None = None, **changes: object) -> Evidence:
    text = replace(TEXT, state=state, reason=reason, **changes)  # type: ignore[arg-type]
    return replace(GOOD, texts=[text], taken=[], requests=[])


def test_a_text_that_was_taken_once_in_time_is_fine() -> None:
    verdict = judge(GOOD)
    assert verdict.is_good
    assert (verdict.due, verdict.sent_once) == (1, 1)
    assert verdict.under_faults == verdict.under_faults_at_once == [1.0]


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (replace(GOOD, taken=[TAKEN, AGAIN]), "sent twice"),
        (replace(GOOD, taken=[TAKEN._replace(status="accepted", final_at=None), AGAIN]), "sent twice"),
        # The first failed, but only after the second was taken: nobody could know.
        (replace(GOOD, taken=[TAKEN._replace(status="failed", final_at=NOON + 99), AGAIN]), "sent twice"),
        (replace(GOOD, taken=[]), "lost"),
        (with_state("planned"), "lost"),
        (with_state("held", "welcome_first"), "lost"),
        (with_state("sending"), "lost"),
        (with_state("claimed"), "lost"),
        (with_state("canceled"), "lost"),
        (with_state("unresolved", "absent"), "lost"),
        (replace(GOOD, expected_keys=frozenset({"k1", "k2"})), "lost"),
        (replace(GOOD, stops=[Stop(PHONE, NOON - 0.5)]), "sent after STOP"),
        (replace(GOOD, people=[replace(PERSON, closes=time(11))]), "sent outside the person's hours"),
        (replace(GOOD, people=[replace(PERSON, zone="Asia/Tokyo")]), "sent outside the person's hours"),
        (
            replace(GOOD, tries={}, texts=[with_state("failed", "x").texts[0]]),
            "taken by the provider and unknown to us",
        ),
        (replace(with_state("expired", "too_late"), taken=[TAKEN]), "recorded otherwise than it was"),
    ],
)
def test_each_broken_promise_is_noticed(evidence: Evidence, name: str) -> None:
    assert name in broken(evidence)


@pytest.mark.parametrize(
    "evidence",
    [
        # Tried again after the provider itself said that the first surely did not arrive.
        replace(GOOD, taken=[TAKEN._replace(status="undelivered", final_at=NOON + 5), AGAIN]),
        with_state("expired", "too_late"),
        with_state("held", "quiet_hours", due_at=NOON + 5000),
        with_state("unresolved", "absent", has_task=True),
        replace(GOOD, stops=[Stop(PHONE, NOON + 0.2)]),
        replace(GOOD, stops=[Stop(PHONE, None)]),
    ],
)
def test_what_may_happen_is_no_broken_promise(evidence: Evidence) -> None:
    assert broken(evidence) == {}


@pytest.mark.parametrize(
    ("local", "seconds"),
    [
        ("2026-11-23T09:00:00", 0),
        ("2026-11-23T08:59:58", 2),
        ("2026-11-23T19:59:59", 0),
        ("2026-11-23T20:00:03", 3),
        ("2026-11-22T11:59:50", 10),  # a Sunday
        ("2026-11-23T02:30:00", 6.5 * 3600),
    ],
)
def test_how_far_outside_the_hours_a_moment_is(local: str, seconds: float) -> None:
    at = datetime.fromisoformat(local + "-05:00").timestamp()
    assert PERSON.seconds_outside(at) == pytest.approx(seconds, abs=0.01)


def test_how_near_a_stop_was_is_told_either_way() -> None:
    before = judge(replace(GOOD, stops=[Stop(PHONE, NOON + 1.25)]))
    assert before.nearest_before_stop == pytest.approx(-0.25)
    assert before.latest_after_stop is None
    after = judge(replace(GOOD, stops=[Stop(PHONE, NOON + 0.5)]))
    assert after.nearest_before_stop is None
    assert after.latest_after_stop == pytest.approx(0.5)


def test_percentiles() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99)] == [51, 96, 100]
    assert percentile([], 0.5) is None
