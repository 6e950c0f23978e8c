"""Nobody who opted out is texted: when to look for texts that never reached us, and what waits until then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.inbound_check import (
    FIRST_REACH,
    FIRST_REACH_FROM_NEWEST,
    OVERLAP,
    YOUNGEST,
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


def left_young(written: timedelta, **changes: object) -> InboundCheck:
    """Came back half a minute ago, looked at once and left a text that was too young."""
    back = 30 * SECOND
    values = {"back_at": back, "tried_at": back, "again_at": -SECOND, "left_from": back + written}
    return check(back, **values | changes)


CASES: list[tuple[InboundCheck, datetime | None, bool, bool, str]] = [
    (check(), None, True, True, "never looked, and nobody was ever here"),
    (check(), TICK, True, True, "never looked"),
    (check(9 * MINUTE), TICK, False, False, "looked lately, and somebody was here all the time"),
    (check(10 * MINUTE), TICK, True, False, "every ten minutes, and sending goes on meanwhile"),
    (check(HOUR), TICK, True, False, "long ago: the looks since then failed"),
    (check(2 * HOUR, tried_at=10 * SECOND), TICK, False, False, "two hours is the limit"),
    (check(2 * HOUR + SECOND, tried_at=10 * SECOND), TICK, False, True, "past it texts wait"),
    (check(10 * MINUTE), NOW - 61 * SECOND, True, True, "nobody was here for a minute"),
    (check(9 * MINUTE), NOW - 60 * SECOND, False, False, "not quite a minute"),
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
    (left_young(40 * SECOND), TICK, False, True, "one may be a stop that was lost while we were away"),
    (left_young(40 * SECOND, again_at=SECOND), TICK, True, True, "soon looked at again, and not settled yet"),
    (left_young(-31 * SECOND), TICK, False, False, "written when somebody was here again"),
    (left_young(40 * SECOND, back_at=10 * SECOND, again_at=-MINUTE), TICK, True, True, "away once more"),
]


@pytest.mark.parametrize(("state", "last_tick", "is_due", "is_blocked", "reason"), CASES)
def test_a_look_is_due_after_every_absence_and_every_ten_minutes(
    state: InboundCheck, last_tick: datetime | None, is_due: bool, is_blocked: bool, reason: str
) -> None:
    assert is_check_due(state, last_tick, NOW) is is_due, reason
    assert is_sending_blocked(state, last_tick, NOW) is is_blocked, reason


@pytest.mark.parametrize(
    ("state", "oldest", "newest_text", "since", "reason"),
    [
        (check(HOUR), None, None, HOUR + OVERLAP, "from the last look, and some more"),
        (check(40 * DAY), 90 * DAY, None, 40 * DAY + OVERLAP, "however long that is"),
        (check(HOUR, reached_at=MINUTE), DAY, DAY, MINUTE, "from where a long look had come"),
        (check(), None, None, None, "nobody is listed: nothing can be lost"),
        (check(), HOUR, None, HOUR + OVERLAP, "what came before was for somebody else"),
        (check(), 90 * DAY, None, FIRST_REACH + OVERLAP, "the first look reaches back a week at most"),
        (check(), 90 * DAY, HOUR, HOUR + FIRST_REACH_FROM_NEWEST + OVERLAP, "until lately texts came in"),
        (check(), HOUR, MINUTE, HOUR + OVERLAP, "not before anybody was listed"),
    ],
)
def test_a_look_reaches_back_to_the_last_complete_one(
    state: InboundCheck,
    oldest: timedelta | None,
    newest_text: timedelta | None,
    since: timedelta | None,
    reason: str,
) -> None:
    first, newest, expected = (None if ago is None else NOW - ago for ago in (oldest, newest_text, since))
    assert reach_back_to(state, first, newest, NOW) == expected, reason


def test_a_check_that_succeeds_ends_the_waiting() -> None:
    came_back = check(DAY).after_absence(NOW)
    assert is_sending_blocked(came_back, TICK, NOW)
    tried = came_back.after_start(NOW)
    assert not is_check_due(tried, TICK, NOW)
    done = tried.after_success(NOW, left_from=None)
    assert not is_sending_blocked(done, TICK, NOW)
    assert not is_check_due(done, TICK, NOW)
    assert not tried.after_refusal().after_success(NOW, left_from=NOW).is_refused


@pytest.mark.parametrize("written", [NOW - 119 * SECOND, NOW - SECOND, NOW, NOW + 10 * SECOND])
def test_a_young_text_keeps_unprompted_texts_waiting_until_it_is_taken_in(written: datetime) -> None:
    state, now = check(DAY).after_absence(NOW).after_start(NOW).after_success(NOW, left_from=written), NOW
    while is_sending_blocked(state, now - SECOND, now):
        now += 10 * SECOND
        if is_check_due(state, now - SECOND, now):
            left = written if written > now - YOUNGEST else None
            state = state.after_start(now).after_success(now, left_from=left)
        assert now < NOW + 3 * MINUTE, "nothing waits for ever"
    assert written <= now - YOUNGEST


def test_a_busy_line_is_settled_though_there_is_always_a_young_text() -> None:
    state = check(DAY).after_absence(NOW).after_start(NOW).after_success(NOW, left_from=NOW)
    now = NOW + 40 * SECOND
    assert is_check_due(state, TICK + MINUTE, now)
    state = state.after_start(now).after_success(now, left_from=now - SECOND)
    assert not is_sending_blocked(state, now - SECOND, now)


def test_a_look_that_ran_out_of_time_goes_on_at_the_next_tick() -> None:
    part = check(DAY).after_absence(NOW).after_start(NOW).after_part(NOW - HOUR, 60)
    assert not is_check_due(part, TICK, NOW)
    paused = part.after_pause()
    assert is_check_due(paused, TICK, NOW)
    assert is_sending_blocked(paused, TICK, NOW)
    done = paused.after_success(NOW, left_from=None)
    assert (done.reached_at, done.slice_seconds) == (None, None)
