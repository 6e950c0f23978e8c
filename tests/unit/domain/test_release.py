"""May this text leave now: every rule, the order in which they speak, and what holds whatever the facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.consent import Standing
from service.domain.kinds import ANSWER_KINDS, KIND_RULES, MessageKind
from service.domain.quiet_hours import DEFAULT_WINDOW, is_open
from service.domain.release import (
    DAILY_CAP,
    LOOK_AGAIN,
    MAX_VALIDITY_SECONDS,
    MIN_VALIDITY_SECONDS,
    WEEKLY_CAP,
    Cancel,
    Expire,
    Hold,
    Release,
    ReleaseFacts,
    Verdict,
    decide_release,
)

K = MessageKind
NEW_YORK, LOS_ANGELES = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(text: str) -> datetime:
    """A moment in New York, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


NOON = at("2026-11-25T12:00")  # a Wednesday
NIGHT = at("2026-11-25T22:00")
MORNING = at("2026-11-26T09:00")

FACTS = ReleaseFacts(
    kind=K.TIP,
    send_before=NOON + 40 * HOUR,
    standing=Standing.ACTIVE,
    asks_for_consent=False,
    paused_until=None,
    window=DEFAULT_WINDOW,
    zones=(NEW_YORK,),
    capped_today=0,
    capped_this_week=0,
    is_reachable_in_trial=True,
)
DAY_FULL: dict[str, object] = {"capped_today": DAILY_CAP, "capped_this_week": DAILY_CAP}
WEEK_FULL: dict[str, object] = {"capped_this_week": WEEKLY_CAP}

CASES: list[tuple[dict[str, object], datetime, Verdict | type, str]] = [
    ({}, NOON, Release, "nothing speaks against it"),
    ({"send_before": NOON}, NOON, Expire("too_late"), "the moment itself is too late"),
    ({"send_before": NOON + MINUTE}, NOON, Release, "a minute before it is not"),
    (
        {"send_before": NOON + timedelta(seconds=9)},
        NOON,
        Expire("too_late"),
        "the provider would keep it for longer than it is of use",
    ),
    (
        {"send_before": NOON + timedelta(seconds=9), "kind": K.REPLY},
        NOON,
        Expire("too_late"),
        "the same for an answer",
    ),
    ({"standing": Standing.OPTED_OUT}, NOON, Cancel("opted_out"), "they said stop"),
    ({"standing": Standing.OPTED_OUT, "kind": K.REPLY}, NOON, Cancel("opted_out"), "answers too"),
    ({"standing": Standing.OPTED_OUT, "asks_for_consent": True}, NOON, Cancel("opted_out"), "requests too"),
    ({"standing": Standing.OPTED_OUT, "kind": K.CRISIS_REPLY}, NOON, Release, "their own call for help"),
    ({"standing": Standing.OPTED_OUT, "kind": K.OPT_OUT_REPLY}, NOON, Release, "the one confirmation"),
    ({"blocked": "inbound_not_checked"}, NOON, Hold(NOON + 2 * MINUTE, "inbound_not_checked"), "soon again"),
    ({"standing": Standing.ASKED}, NOON, Cancel("no_consent"), "asked is not agreed"),
    ({"standing": Standing.LISTED}, NOON, Cancel("no_consent"), "listed is not agreed"),
    ({"standing": Standing.UNKNOWN}, NOON, Cancel("no_consent"), "nobody we know"),
    ({"standing": Standing.UNKNOWN, "kind": K.REPLY}, NOON, Release, "a stranger is answered"),
    ({"standing": Standing.LISTED, "kind": K.REPLY}, NOON, Release, "who was not asked is answered"),
    ({"standing": Standing.ASKED, "kind": K.ADMIN, "asks_for_consent": True}, NOON, Release, "the request"),
    (
        {"standing": Standing.LISTED, "kind": K.ADMIN, "asks_for_consent": True},
        NOON,
        Cancel("no_consent"),
        "a request that nobody recorded as made",
    ),
    ({"subject_gone": "meeting_closed"}, NOON, Cancel("meeting_closed"), "nothing left to tell"),
    ({"blocked": "sending_stopped"}, NOON, Hold(NOON + LOOK_AGAIN, "sending_stopped"), "sender stopped"),
    (
        {"blocked": "sending_stopped", "send_before": NOON + LOOK_AGAIN},
        NOON,
        Expire("sending_stopped"),
        "no use to look again after its end",
    ),
    ({"blocked": "lookup_key_missing", "kind": K.REPLY}, NOON, Release, "answers go on while stopped"),
    ({"is_reachable_in_trial": False}, NOON, Hold(NOON + LOOK_AGAIN, "trial_mode"), "not a staff number"),
    ({"is_reachable_in_trial": False, "kind": K.REPLY}, NOON, Release, "who writes in a trial is answered"),
    ({"paused_until": NOON + HOUR}, NOON, Hold(NOON + HOUR, "paused"), "they asked for quiet"),
    ({"paused_until": NOON}, NOON, Release, "the pause is over"),
    ({"paused_until": NOON + 50 * HOUR}, NOON, Expire("paused"), "the pause outlasts it"),
    ({"paused_until": NOON + HOUR, "kind": K.CRISIS_REPLY}, NOON, Release, "answers ignore a pause"),
    ({}, NIGHT, Hold(MORNING, "quiet_hours"), "night"),
    ({"send_before": MORNING}, NIGHT, Expire("quiet_hours"), "useless before the morning"),
    ({}, at("2026-11-25T19:59"), Release, "the last minute of the window is enough"),
    ({}, at("2026-11-25T19:59:01"), Hold(MORNING, "quiet_hours"), "less might arrive after eight"),
    (
        {"send_before": NIGHT},
        at("2026-11-25T19:59:55"),
        Expire("quiet_hours"),
        "too late for the window, and useless tomorrow",
    ),
    ({"kind": K.REPLY}, at("2026-11-25T19:59:55"), Release, "an answer knows no window"),
    ({"kind": K.REPLY}, NIGHT, Release, "an answer to their own text, at night"),
    (
        {"zones": (NEW_YORK, LOS_ANGELES)},
        at("2026-11-25T11:59"),
        Hold(NOON, "quiet_hours"),
        "the zone is not confirmed, and it is 08:59 where the area code is",
    ),
    ({"zones": (NEW_YORK, LOS_ANGELES)}, NOON, Release, "the window is open in both"),
    (
        {"asks_question": True, "open_question_until": NOON + 2 * HOUR, "kind": K.CHECKIN},
        NOON,
        Hold(NOON + 2 * HOUR, "open_question"),
        "one question at a time",
    ),
    (
        {"asks_question": True, "open_question_until": NOON + 41 * HOUR, "kind": K.CHECKIN},
        NOON,
        Expire("open_question"),
        "the other question outlasts it",
    ),
    ({"asks_question": True, "open_question_until": NOON}, NOON, Release, "the other question is over"),
    ({"open_question_until": NOON + HOUR}, NOON, Release, "a tip asks nothing"),
    ({"awaits_welcome": True}, NOON, Hold(NOON + LOOK_AGAIN, "welcome_first"), "nothing before the welcome"),
    ({"awaits_welcome": True, "kind": K.ADMIN}, NOON, Release, "it is the welcome itself"),
    ({"awaits_welcome": True, "kind": K.REPLY}, NOON, Release, "an answer waits for nothing"),
    (
        {"awaits_welcome": True, "send_before": NOON + MINUTE},
        NOON,
        Expire("welcome_first"),
        "useless by the time the welcome has gone",
    ),
    (DAY_FULL, NOON, Hold(MORNING, "cap_day"), "two a day"),
    ({"capped_today": DAILY_CAP - 1}, NOON, Release, "the second"),
    (DAY_FULL | {"kind": K.MEETING_REMINDER}, NOON, Release, "reminders they chose are not counted"),
    (DAY_FULL | {"kind": K.REPLY}, NOON, Release, "answers are not counted"),
    (DAY_FULL | {"send_before": MORNING}, NOON, Expire("cap_day"), "useless tomorrow"),
    (WEEK_FULL, NOON, Expire("cap_week"), "nine a week, and Monday is too far"),
    (
        WEEK_FULL | {"kind": K.SAFETY},
        NOON,
        Hold(at("2026-11-30T09:00"), "cap_week", at("2026-12-02T09:00")),
        "a safety text is never dropped: it is of use on Monday too",
    ),
    (
        DAY_FULL | {"kind": K.SAFETY, "send_before": MORNING},
        NOON,
        Hold(MORNING, "cap_day", MORNING + 48 * HOUR),
        "nor for a full day",
    ),
    (
        WEEK_FULL | {"send_before": NOON + 8 * DAY},
        NOON,
        Hold(at("2026-11-30T09:00"), "cap_week"),
        "nine a week: Monday",
    ),
    (
        WEEK_FULL | DAY_FULL | {"capped_this_week": WEEKLY_CAP, "send_before": NOON + 8 * DAY},
        NOON,
        Hold(at("2026-11-30T09:00"), "cap_week"),
        "tomorrow would only be held again",
    ),
    (
        {"standing": Standing.OPTED_OUT, "blocked": "sending_stopped", "paused_until": NOON + HOUR},
        NOON,
        Cancel("opted_out"),
        "a stop outweighs what would only hold",
    ),
    (
        {"subject_gone": "meeting_closed", "paused_until": NOON + HOUR},
        NOON,
        Cancel("meeting_closed"),
        "no use to wait for what is gone",
    ),
]


@pytest.mark.parametrize(("changes", "now", "expected", "reason"), CASES)
def test_the_first_rule_that_speaks_decides(
    changes: dict[str, object], now: datetime, expected: Verdict | type, reason: str
) -> None:
    facts = replace(FACTS, **({"kind": K.TIP} | changes))  # type: ignore[arg-type]

    verdict = decide_release(facts, now)

    if isinstance(expected, type):
        assert isinstance(verdict, expected), reason
    else:
        assert verdict == expected, reason


@pytest.mark.parametrize(
    ("kind", "now", "send_before", "seconds", "reason"),
    [
        (K.TIP, NOON, NOON + HOUR, 3600, "until it is of no use"),
        (K.TIP, at("2026-11-25T19:59"), NIGHT + 9 * HOUR, 60, "until the window closes"),
        (K.TIP, NOON, NOON + timedelta(seconds=10), MIN_VALIDITY_SECONDS, "the provider's least"),
        (K.REPLY, NIGHT, NIGHT + 2 * HOUR, 7200, "an answer knows no window"),
        (K.TIP, at("2026-11-25T09:00"), NOON + 40 * HOUR, MAX_VALIDITY_SECONDS, "the provider's most"),
    ],
)
def test_the_carrier_drops_what_would_arrive_too_late(
    kind: MessageKind, now: datetime, send_before: datetime, seconds: int, reason: str
) -> None:
    facts = replace(FACTS, kind=kind, send_before=send_before)
    assert decide_release(facts, now) == Release(seconds), reason


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
SPANS = st.timedeltas(-3 * DAY, 3 * DAY)


@st.composite
def some_facts(draw: st.DrawFn) -> tuple[ReleaseFacts, datetime]:
    now = draw(MOMENTS)
    later = SPANS.map(lambda span: now + span)
    facts = ReleaseFacts(
        kind=draw(st.sampled_from(list(K))),
        send_before=draw(later),
        standing=draw(st.sampled_from(list(Standing))),
        asks_for_consent=draw(st.booleans()),
        paused_until=draw(st.none() | later),
        window=DEFAULT_WINDOW,
        zones=draw(st.sampled_from([(NEW_YORK,), (NEW_YORK, LOS_ANGELES), (ZoneInfo("Pacific/Guam"),)])),
        capped_today=draw(st.integers(0, 4)),
        capped_this_week=draw(st.integers(0, 12)),
        is_reachable_in_trial=draw(st.booleans()),
        blocked=draw(st.none() | st.just("sending_stopped")),
        asks_question=draw(st.booleans()),
        open_question_until=draw(st.none() | later),
        subject_gone=draw(st.none() | st.just("meeting_closed")),
    )
    return facts, now


@given(some_facts())
def test_whatever_the_facts_a_text_that_leaves_breaks_no_promise(
    given_: tuple[ReleaseFacts, datetime],
) -> None:
    facts, now = given_
    verdict = decide_release(facts, now)
    if not isinstance(verdict, Release):
        return

    assert facts.standing is not Standing.OPTED_OUT or facts.kind in (K.CRISIS_REPLY, K.OPT_OUT_REPLY)
    assert now < facts.send_before
    assert MIN_VALIDITY_SECONDS <= verdict.validity_seconds <= MAX_VALIDITY_SECONDS
    if facts.kind in ANSWER_KINDS:
        return
    assert facts.standing is Standing.ACTIVE or (facts.standing is Standing.ASKED and facts.asks_for_consent)
    assert is_open(now, facts.window, facts.zones), "never at night"
    assert facts.blocked is None
    assert facts.is_reachable_in_trial
    if KIND_RULES[facts.kind].is_capped:
        assert facts.capped_today < DAILY_CAP
        assert facts.capped_this_week < WEEKLY_CAP


@given(some_facts())
def test_a_text_is_only_held_until_a_moment_at_which_it_still_helps(
    given_: tuple[ReleaseFacts, datetime],
) -> None:
    facts, now = given_
    verdict = decide_release(facts, now)
    if isinstance(verdict, Hold):
        assert now < verdict.until < facts.send_before
        if verdict.reason in ("quiet_hours", "cap_day", "cap_week"):
            assert is_open(verdict.until, facts.window, facts.zones)
