"""When a weekly meeting takes place, when somebody is reminded of it, and how two listings differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.domain.local_time import local_date
from service.domain.meetings import (
    DEFAULT_OFFSET,
    SHORTEST_NOTICE,
    MeetingListing,
    NoReminder,
    NoReminderReason,
    ReminderPlan,
    Venue,
    day_word,
    diff_listings,
    fingerprint,
    next_occurrence,
    occurrence_on,
    occurrences_between,
    plan_reminder,
    shrinks_too_much,
)
from service.domain.quiet_hours import DEFAULT_WINDOW, SendingWindow, WindowError, is_open

NEW_YORK = ZoneInfo("America/New_York")
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
PHOENIX = ZoneInfo("America/Phoenix")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
HONOLULU = ZoneInfo("Pacific/Honolulu")
LONDON = ZoneInfo("Europe/London")

MON, TUE, THU, FRI, SAT, SUN = 1, 2, 4, 5, 6, 7
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)

zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
instants = st.timedeltas(timedelta(0), timedelta(days=365 * 66)).map(lambda age: EARLIEST + age)
weekdays = st.integers(1, 7)
clocks = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("weekday", "starts_at", "zone", "on", "expected"),
    [
        pytest.param(MON, time(19), NEW_YORK, "2026-11-23", "2026-11-24 00:00", id="already tomorrow in UTC"),
        pytest.param(TUE, time(19), NEW_YORK, "2026-11-23", None, id="another weekday"),
        pytest.param(MON, time(0), NEW_YORK, "2026-11-23", "2026-11-23 05:00", id="midnight begins its day"),
        pytest.param(SUN, time(2, 30), NEW_YORK, "2026-03-08", "2026-03-08 07:30", id="gap: an hour later"),
        pytest.param(SUN, time(1, 30), NEW_YORK, "2026-11-01", "2026-11-01 05:30", id="overlap: the first"),
        pytest.param(SUN, time(2, 30), PHOENIX, "2026-03-08", "2026-03-08 09:30", id="Arizona has no gap"),
        pytest.param(SUN, time(2, 15), LORD_HOWE, "2026-10-04", "2026-10-03 15:45", id="a gap of 30 minutes"),
        pytest.param(
            SUN, time(1, 45), LORD_HOWE, "2026-04-05", "2026-04-04 14:45", id="overlap of 30 minutes"
        ),
        pytest.param(FRI, time(10), APIA, "2011-12-30", "2011-12-30 20:00", id="a skipped date: a day later"),
    ],
)
def test_a_meeting_begins_by_the_clock_on_its_wall(
    weekday: int, starts_at: time, zone: ZoneInfo, on: str, expected: str | None
) -> None:
    found = occurrence_on(weekday, starts_at, zone, date.fromisoformat(on))

    assert found == (utc(expected) if expected else None)


def test_a_meeting_keeps_its_local_time_when_the_clocks_change() -> None:
    found = occurrences_between(SUN, time(19), NEW_YORK, utc("2026-10-24"), utc("2026-11-10"))

    assert found == [utc("2026-10-25 23:00"), utc("2026-11-02 00:00"), utc("2026-11-09 00:00")]


@pytest.mark.parametrize(
    ("after", "before", "count", "reason"),
    [
        ("2026-11-24 00:00", "2026-11-24 00:01", 1, "the first moment belongs to the span"),
        ("2026-11-23 00:00", "2026-11-24 00:00", 0, "the last does not"),
        ("2026-11-24 00:01", "2026-11-26 00:01", 0, "it was a minute ago"),
        ("2026-11-24 00:01", "2026-12-01 00:01", 1, "a week holds one"),
        ("2026-11-24 00:00", "2026-11-23 00:00", 0, "a span that runs backwards is empty"),
    ],
)
def test_a_span_holds_its_beginning_and_not_its_end(after: str, before: str, count: int, reason: str) -> None:
    found = occurrences_between(MON, time(19), NEW_YORK, utc(after), utc(before))
    assert len(found) == count, reason


@pytest.mark.parametrize(
    ("zone", "on", "reason"),
    [
        ("Pacific/Kiritimati", "2026-11-24", "14 hours ahead of UTC: the date has begun there"),
        ("Pacific/Pago_Pago", "2026-11-24", "11 hours behind"),
        ("America/Toronto", "2026-11-01", "the day of an overlap"),
    ],
)
def test_the_shortest_span_holds_the_meeting_wherever_it_is(zone: str, on: str, reason: str) -> None:
    day = date.fromisoformat(on)
    for starts_at in (time(0), time(0, 30), time(23, 59)):
        start = occurrence_on(day.isoweekday(), starts_at, ZoneInfo(zone), day)
        assert start is not None
        moment = timedelta(microseconds=1)

        found = occurrences_between(day.isoweekday(), starts_at, ZoneInfo(zone), start, start + moment)

        assert found == [start], reason


def test_a_meeting_that_begins_right_now_is_the_next() -> None:
    start = next_occurrence(MON, time(19), NEW_YORK, utc("2026-11-23"))

    assert next_occurrence(MON, time(19), NEW_YORK, start) == start


@given(weekdays, clocks, zones, instants, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_a_span_holds_exactly_the_meetings_of_its_dates(
    weekday: int, starts_at: time, zone: ZoneInfo, after: datetime, length: timedelta
) -> None:
    every_date = [after.date() + DAY * number for number in range(-4, 26)]
    all_starts = {occurrence_on(weekday, starts_at, zone, on) for on in every_date} - {None}

    found = occurrences_between(weekday, starts_at, zone, after, after + length)

    assert found == sorted(start for start in all_starts if start and after <= start < after + length)


@given(weekdays, clocks, zones, instants)
def test_the_next_meeting_is_the_first_of_the_coming_ones(
    weekday: int, starts_at: time, zone: ZoneInfo, after: datetime
) -> None:
    found = next_occurrence(weekday, starts_at, zone, after)

    assert found == occurrences_between(weekday, starts_at, zone, after, after + 10 * DAY)[0]
    assert found.utcoffset() == timedelta(0)


def reminder_of(
    starts_at: datetime,
    *,
    now: str = "2026-01-01",
    offset: timedelta = DEFAULT_OFFSET,
    window: SendingWindow = DEFAULT_WINDOW,
    at: Sequence[ZoneInfo] = (NEW_YORK,),
) -> ReminderPlan | NoReminder:
    return plan_reminder(starts_at, offset, window, at, utc(now))


NO_SUNDAY = SendingWindow(closes_at=time(12))

REMINDERS = [
    pytest.param("2026-11-23 19:00", NEW_YORK, {}, "2026-11-23 17:00", id="two hours ahead"),
    pytest.param("2026-11-24 07:00", NEW_YORK, {}, "2026-11-23 19:55", id="7 am: the evening before"),
    pytest.param("2026-11-24 00:00", NEW_YORK, {}, "2026-11-23 19:55", id="midnight: that evening"),
    pytest.param("2026-11-23 22:30", NEW_YORK, {}, "2026-11-23 19:55", id="late: before the window closes"),
    pytest.param("2026-11-23 22:00", NEW_YORK, {}, "2026-11-23 19:55", id="the closing minute is closed"),
    pytest.param("2026-11-23 11:00", NEW_YORK, {}, "2026-11-23 09:00", id="the opening minute is open"),
    pytest.param("2026-11-22 10:00", NEW_YORK, {}, "2026-11-21 19:55", id="Sunday 10 am: Saturday evening"),
    pytest.param("2026-11-22 13:00", NEW_YORK, {}, "2026-11-21 19:55", id="Sunday 1 pm: noon is too late"),
    pytest.param("2026-11-22 14:00", NEW_YORK, {}, "2026-11-22 12:00", id="Sunday 2 pm: at noon"),
    pytest.param("2026-11-23 07:00", NEW_YORK, {}, "2026-11-22 19:55", id="Monday 7 am: Sunday evening"),
    pytest.param("2026-03-09 02:30", NEW_YORK, {}, "2026-03-08 19:55", id="the day of the spring change"),
    pytest.param("2026-11-02 10:30", NEW_YORK, {}, "2026-11-01 19:55", id="the day of the autumn change"),
    pytest.param(
        "2026-11-23 19:00", NEW_YORK, {"at": [LOS_ANGELES]}, "2026-11-23 17:00", id="2 pm in Los Angeles"
    ),
    pytest.param(
        "2026-11-23 13:00", NEW_YORK, {"at": [LOS_ANGELES]}, "2026-11-22 22:55", id="8 am in Los Angeles"
    ),
    pytest.param(
        "2026-07-06 19:00", NEW_YORK, {"at": [PHOENIX]}, "2026-07-06 17:00", id="Arizona, three hours behind"
    ),
    pytest.param(
        "2026-10-04 12:00", LORD_HOWE, {"at": [LORD_HOWE]}, "2026-10-03 19:55", id="Lord Howe, a Sunday noon"
    ),
    pytest.param(
        "2026-11-23 11:30",
        NEW_YORK,
        {"at": [NEW_YORK, LOS_ANGELES]},
        "2026-11-22 19:55",
        id="an unconfirmed zone: open in both",
    ),
    pytest.param(
        "2026-11-24 01:00",
        NEW_YORK,
        {"at": [NEW_YORK, LOS_ANGELES], "offset": DAY},
        "2026-11-23 12:00",
        id="an unconfirmed zone: tomorrow is the word of the first",
    ),
    pytest.param(
        "2026-11-24 07:00",
        NEW_YORK,
        {"offset": DAY},
        "2026-11-23 09:00",
        id="a day ahead, as early as may be",
    ),
    pytest.param(
        "2026-11-24 19:00", NEW_YORK, {"offset": DAY}, "2026-11-23 19:00", id="a day ahead, as wished"
    ),
    pytest.param(
        "2026-11-26 15:00",
        NEW_YORK,
        {"offset": 3 * DAY},
        "2026-11-25 09:00",
        id="three days ahead has no word: the day before",
    ),
    pytest.param(
        "2026-11-23 19:00", NEW_YORK, {"offset": -HOUR}, "2026-11-23 18:50", id="never after the start"
    ),
]


@pytest.mark.parametrize(("starts", "zone", "options", "expected"), REMINDERS)
def test_a_reminder_goes_out_ahead_and_moves_earlier_into_the_window(
    starts: str, zone: ZoneInfo, options: dict[str, Any], expected: str
) -> None:
    starts_at = local(starts, zone)

    assert reminder_of(starts_at, **options) == ReminderPlan(local(expected, zone), starts_at)


def test_a_reminder_in_a_spring_gap_precedes_the_shifted_start() -> None:
    starts_at = next_occurrence(SUN, time(2, 30), NEW_YORK, utc("2026-03-07"))

    assert starts_at == local("2026-03-08 03:30", NEW_YORK)
    assert reminder_of(starts_at) == ReminderPlan(local("2026-03-07 19:55", NEW_YORK), starts_at)


LATE = [
    pytest.param("17:00", "17:00", id="the very moment"),
    pytest.param("17:01", "17:01", id="missed by a minute: now"),
    pytest.param("18:50", "18:50", id="ten minutes left: now"),
    pytest.param("18:51", NoReminderReason.TOO_LATE, id="nine minutes left"),
    pytest.param("19:00", NoReminderReason.BEGUN, id="it begins"),
    pytest.param("19:30", NoReminderReason.BEGUN, id="it has begun"),
]


@pytest.mark.parametrize(("now", "expected"), LATE)
def test_a_missed_reminder_goes_out_at_once_while_it_still_helps(
    now: str, expected: str | NoReminderReason
) -> None:
    starts_at = local("2026-11-23 19:00", NEW_YORK)

    decision = reminder_of(starts_at, now=f"{local(f'2026-11-23 {now}', NEW_YORK):%Y-%m-%d %H:%M}")

    if isinstance(expected, NoReminderReason):
        assert decision == NoReminder(expected)
    else:
        assert decision == ReminderPlan(local(f"2026-11-23 {expected}", NEW_YORK), starts_at)


def test_a_missed_reminder_does_not_go_out_at_night() -> None:
    starts_at = local("2026-11-24 07:00", NEW_YORK)

    decision = reminder_of(starts_at, now="2026-11-24 11:00")

    assert decision == NoReminder(NoReminderReason.QUIET_HOURS)


@pytest.mark.parametrize(
    ("starts", "window", "at", "reason"),
    [
        ("2026-11-23 00:30", NO_SUNDAY, [NEW_YORK], "Saturday is too far for tomorrow, Sunday is closed"),
        ("2026-11-24 19:00", NO_SUNDAY, [LONDON, HONOLULU], "these zones are never open at the same time"),
    ],
)
def test_without_a_permitted_moment_nobody_is_reminded(
    starts: str, window: SendingWindow, at: list[ZoneInfo], reason: str
) -> None:
    decision = reminder_of(local(starts, NEW_YORK), window=window, at=at)
    assert decision == NoReminder(NoReminderReason.NO_PERMITTED_MOMENT), reason


def test_a_reminder_needs_to_know_where_the_person_is() -> None:
    with pytest.raises(WindowError):
        reminder_of(utc("2026-11-23 19:00"), at=[])


@given(
    st.tuples(weekdays, clocks, zones),
    st.lists(zones, min_size=1, max_size=2),
    st.timedeltas(SHORTEST_NOTICE, DAY),
    instants,
)
def test_a_planned_reminder_is_permitted_ahead_of_the_start_and_has_a_word_for_the_day(
    meeting: tuple[int, time, ZoneInfo], at: list[ZoneInfo], offset: timedelta, now: datetime
) -> None:
    starts_at = next_occurrence(*meeting, now)

    decision = plan_reminder(starts_at, offset, DEFAULT_WINDOW, at, now)

    assume(isinstance(decision, ReminderPlan))
    assert isinstance(decision, ReminderPlan)
    assert is_open(decision.send_at, DEFAULT_WINDOW, at)
    assert now <= decision.send_at <= starts_at - SHORTEST_NOTICE
    assert decision.send_before == starts_at
    assert day_word(decision.send_at, starts_at, at[0]) is not None


@given(weekdays, clocks, zones, instants)
def test_whoever_is_in_one_known_place_is_reminded_when_asked_a_day_and_a_half_ahead(
    weekday: int, starts_at: time, zone: ZoneInfo, after: datetime
) -> None:
    start = next_occurrence(weekday, starts_at, zone, after)

    decision = plan_reminder(start, DEFAULT_OFFSET, DEFAULT_WINDOW, [zone], start - 1.5 * DAY)

    assert isinstance(decision, ReminderPlan)


@pytest.mark.parametrize(
    ("now", "starts", "zone", "expected", "reason"),
    [
        ("2026-11-23 22:00", "2026-11-24 00:00", NEW_YORK, "today", "17:00 for 19:00"),
        ("2026-11-24 00:59", "2026-11-24 12:00", NEW_YORK, "tomorrow", "19:59 for 07:00"),
        ("2026-11-24 00:59", "2026-11-24 05:00", NEW_YORK, "tomorrow", "midnight belongs to the next day"),
        ("2026-11-24 00:59", "2026-11-24 05:00", LOS_ANGELES, "today", "the same midnight is 9 pm there"),
        ("2026-11-22 20:00", "2026-11-24 12:00", NEW_YORK, None, "the day after tomorrow"),
        ("2026-11-24 00:00", "2026-11-24 00:00", NEW_YORK, None, "it begins"),
        ("2026-11-24 00:10", "2026-11-24 00:00", NEW_YORK, None, "it has begun"),
        ("2026-11-01 05:30", "2026-11-01 06:30", NEW_YORK, "today", "the clock shows 1:30 twice"),
    ],
)
def test_the_day_is_called_what_the_reader_would_call_it(
    now: str, starts: str, zone: ZoneInfo, expected: str | None, reason: str
) -> None:
    assert day_word(utc(now), utc(starts), zone) == expected, reason


@given(instants, st.timedeltas(timedelta(minutes=1), 3 * DAY), zones)
def test_today_is_the_same_date_and_tomorrow_the_next(
    now: datetime, ahead: timedelta, zone: ZoneInfo
) -> None:
    today, then = local_date(now, zone), local_date(now + ahead, zone)
    # Going back over midnight, a later moment may have the earlier date.
    assume(then >= today)

    word = day_word(now, now + ahead, zone)

    assert word == {today: "today", today + DAY: "tomorrow"}.get(then)


LISTING = MeetingListing(
    external_id="1",
    name="Evening Circle",
    fellowship="NA",
    weekday=TUE,
    starts_at=time(18, 30),
    duration=timedelta(minutes=60),
    timezone="America/Chicago",
    venue=Venue.HYBRID,
    place="Example Hall",
    latitude=43.1,
    formats=("O", "D"),
)
CHANGES: dict[str, Any] = {
    "external_id": "2",
    "name": "Morning Circle",
    "fellowship": None,
    "weekday": THU,
    "starts_at": time(18, 31),
    "duration": None,
    "timezone": "America/Denver",
    "venue": Venue.PHONE,
    "place": None,
    "address": "1 Example Street",
    "city": "Utica",
    "region": "NY",
    "postal_code": "13501",
    "latitude": 43.2,
    "longitude": -75.2,
    "join_url": "https://example.org/join",
    "join_phone": "+12025550123",
    "join_notes": "side door",
    "formats": ("O",),
    "language": "en",
    "is_published": False,
    "is_temporarily_closed": True,
}


@pytest.mark.parametrize("name", [field.name for field in fields(MeetingListing)])
def test_a_fingerprint_changes_with_every_fact_but_the_sources_own_time(name: str) -> None:
    if name == "source_updated_at":
        touched = replace(LISTING, source_updated_at=utc("2026-11-23"))
        assert fingerprint(touched) == fingerprint(LISTING)
    else:
        assert fingerprint(replace(LISTING, **{name: CHANGES[name]})) != fingerprint(LISTING)


def test_a_fingerprint_stays_the_same_from_release_to_release() -> None:
    """A new way to compute it would report every meeting of every source as changed."""
    assert fingerprint(LISTING) == "da0a51cef63b43382d31f79689a6f096e3b8fc119154b0161be47118cf335769"


def test_listings_are_compared_by_the_sources_ids() -> None:
    old = {number: fingerprint(replace(LISTING, external_id=number)) for number in ("1", "2", "3")}
    changed = replace(LISTING, external_id="2", name="Other name")
    added = replace(LISTING, external_id="4")

    diff = diff_listings(old, [LISTING, changed, added])

    assert (diff.added, diff.changed, diff.vanished, diff.unchanged) == ((added,), (changed,), ("3",), ("1",))


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_every_id_is_counted_once(old_ids: set[int], new_ids: set[int]) -> None:
    old = {str(number): "f" for number in old_ids}

    diff = diff_listings(old, [replace(LISTING, external_id=str(number)) for number in new_ids])

    assert {listing.external_id for listing in diff.added} == {str(one) for one in new_ids - old_ids}
    assert {listing.external_id for listing in diff.changed} == {str(one) for one in new_ids & old_ids}
    assert set(diff.vanished) == {str(one) for one in old_ids - new_ids}


@pytest.mark.parametrize(
    ("old_count", "left", "expected", "reason"),
    [
        (10, 8, False, "a fifth less is believed"),
        (10, 7, True, "more than a fifth is not"),
        (10, 0, True, "an empty answer is not"),
        (15, 12, False, "exactly a fifth, whatever floats make of it"),
        (0, 0, False, "a new source has nothing to lose"),
        (1, 0, True, "the only meeting is gone"),
    ],
)
def test_a_listing_that_lost_more_than_a_fifth_shrinks_too_much(
    old_count: int, left: int, expected: bool, reason: str
) -> None:
    old = {str(number): "f" for number in range(old_count)}
    diff = diff_listings(old, [replace(LISTING, external_id=str(number)) for number in range(left)])

    assert shrinks_too_much(diff, old_count) is expected, reason
