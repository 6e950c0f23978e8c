"""Nobody who opted out is texted: when to look for texts that never reached us, and what waits until then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.inbound_check import (
    FIRST_REACH,
    OVERLAP,
    InboundCheck,
    is_check_due,
    is_sending_blocked,
    reach_back_to,
)

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
TICK = NOW - 5 * SECOND


def check(checked: timedelta | None = None, **changes: object) -> InboundCheck:
    values: dict[str, object] = {"checked_at": None if checked is None else NOW - checked}
    values |= {name: NOW - v if isinstance(v, timedelta) else v for name, v in changes.items()}
    return InboundCheck(**values)  # type: ignore[arg-type]


CASES: list[tuple[InboundCheck, datetime | None, bool, bool, str]] = [
    (check(), None, True, True, "never looked, and nobody was ever here"),
    (check(), TICK, True, True, "never looked"),
    (check(10 * MINUTE), TICK, False, False, "looked ten minutes ago, and somebody was here all the time"),
    (check(59 * MINUTE), TICK, False, False, "less than an hour ago"),
    (check(HOUR), TICK, True, False, "every hour, and sending goes on meanwhile"),
    (check(2 * HOUR, tried_at=10 * SECOND), TICK, False, False, "two hours is the limit"),
    (check(2 * HOUR + SECOND, tried_at=10 * SECOND), TICK, False, True, "past it texts wait"),
    (check(10 * MINUTE), NOW - 61 * SECOND, True, True, "nobody was here for a minute"),
    (check(10 * MINUTE), NOW - 60 * SECOND, False, False, "not quite a minute"),
    (check(30 * SECOND), NOW - 5 * MINUTE, False, False, "looked after nobody had been here"),
    (check(10 * MINUTE, back_at=MINUTE), TICK, True, True, "somebody came back, and has not looked"),
    (check(MINUTE, back_at=MINUTE), TICK, False, False, "came back and looked at once"),
    (check(MINUTE, back_at=10 * MINUTE), TICK, False, False, "came back and looked since"),
    (check(10 * MINUTE, back_at=5 * MINUTE, tried_at=59 * SECOND), TICK, False, True, "failed just now"),
    (check(10 * MINUTE, back_at=5 * MINUTE, tried_at=MINUTE), TICK, True, True, "failed a minute ago"),
    (check(tried_at=59 * SECOND), TICK, False, True, "the first look failed just now"),
    (check(tried_at=MINUTE, is_refused=True), TICK, False, False, "not offered: asked every hour"),
    (check(tried_at=HOUR, is_refused=True), TICK, True, False, "not offered: waiting does not help"),
    (check(DAY, back_at=HOUR, tried_at=MINUTE, is_refused=True), None, False, False, "not offered any more"),
    (check(2 * MINUTE, tried_at=2 * MINUTE, again_at=SECOND), TICK, True, False, "some were too young then"),
    (check(2 * MINUTE, tried_at=2 * MINUTE, again_at=-SECOND), TICK, False, False, "they still are"),
]


@pytest.mark.parametrize(("state", "last_tick", "is_due", "is_blocked", "reason"), CASES)
def test_a_look_is_due_after_every_absence_and_every_hour(
    state: InboundCheck, last_tick: datetime | None, is_due: bool, is_blocked: bool, reason: str
) -> None:
    assert is_check_due(state, last_tick, NOW) is is_due, reason
    assert is_sending_blocked(state, last_tick, NOW) is is_blocked, reason


@pytest.mark.parametrize(
    ("state", "oldest", "since", "reason"),
    [
        (check(HOUR), None, NOW - HOUR - OVERLAP, "from the last look, and some more"),
        (check(40 * DAY), NOW - 90 * DAY, NOW - 40 * DAY - OVERLAP, "however long that is"),
        (check(), None, None, "nobody is listed: nothing can be lost"),
        (check(), NOW - HOUR, NOW - HOUR - OVERLAP, "what came before was for somebody else"),
        (check(), NOW - 90 * DAY, NOW - FIRST_REACH - OVERLAP, "the first look reaches back a week"),
    ],
)
def test_a_look_reaches_back_to_the_last_complete_one(
    state: InboundCheck, oldest: datetime | None, since: datetime | None, reason: str
) -> None:
    assert reach_back_to(state, oldest, NOW) == since, reason


def test_a_check_that_succeeds_ends_the_waiting() -> None:
    came_back = check(DAY).after_absence(NOW)
    assert is_sending_blocked(came_back, TICK, NOW)
    tried = came_back.after_start(NOW)
    assert not is_check_due(tried, TICK, NOW)
    done = tried.after_success(NOW, were_some_too_young=False)
    assert not is_sending_blocked(done, TICK, NOW)
    assert not is_check_due(done, TICK, NOW)
    assert not tried.after_refusal().after_success(NOW, were_some_too_young=True).is_refused
