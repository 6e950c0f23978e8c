"""When a person may be texted unasked: every zone, every change of the clocks, 2026 to 2029."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.quiet_hours import (
    DEFAULT_WINDOW,
    LAST_MINUTES,
    SendingWindow,
    WindowError,
    closes_next,
    is_open,
    last_open,
    next_open,
)

NEW_YORK, LOS_ANGELES, SHANGHAI = (
    ZoneInfo(name) for name in ("America/New_York", "America/Los_Angeles", "Asia/Shanghai")
)
WIDEST = SendingWindow(time(8), time(21), time(8))
ZONES = sorted(name for name in available_timezones() if "/" in name)
MINUTE, WEEK = timedelta(minutes=1), timedelta(days=7)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2029, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
QUARTERS = st.integers(8 * 4, 21 * 4).map(lambda n: time(n // 4, n % 4 * 15))


@st.composite
def windows(draw: st.DrawFn) -> SendingWindow:
    opens, closes = sorted(draw(st.lists(QUARTERS, min_size=2, max_size=2, unique=True)))
    return SendingWindow(opens, closes, draw(QUARTERS))


def at(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def list_transitions(zone: ZoneInfo) -> list[datetime]:
    """Every change of the clocks in 2026 to 2029, to the hour."""
    found, day = [], datetime(2026, 1, 1, tzinfo=UTC)
    offset = day.astimezone(zone).utcoffset()
    while day.year < 2030:
        day += timedelta(days=1)
        if day.astimezone(zone).utcoffset() != offset:
            found.append(day)
            offset = day.astimezone(zone).utcoffset()
    return found


CHANGES = [(name, change) for name in ZONES for change in list_transitions(ZoneInfo(name))]


@pytest.mark.parametrize(
    ("reason", "moment", "expected"),
    [
        ("Monday before nine", "2026-03-02T08:59:59", False),
        ("Monday at nine", "2026-03-02T09:00", True),
        ("a moment before closing", "2026-03-02T19:59:59.999999", True),
        ("closing time is closed", "2026-03-02T20:00", False),
        ("Sunday morning", "2026-03-01T11:59", False),
        ("Sunday noon", "2026-03-01T12:00", True),
        ("Saturday morning", "2026-02-28T09:00", True),
        ("the Sunday of the spring change", "2026-03-08T12:00", True),
        ("the Sunday of the autumn change", "2026-11-01T11:59", False),
        ("night", "2026-03-02T03:00", False),
    ],
)
def test_the_default_window_is_nine_to_eight_and_sunday_from_noon(
    reason: str, moment: str, expected: bool
) -> None:
    assert is_open(at(moment), DEFAULT_WINDOW, [NEW_YORK]) is expected, reason


@pytest.mark.parametrize(
    ("opens", "closes", "sunday"),
    [
        (time(7, 59), time(20), time(12)),
        (time(9), time(21, 1), time(12)),
        (time(9), time(20), time(7)),
        (time(12), time(12), time(12)),
        (time(15), time(10), time(12)),
        (time(9, tzinfo=UTC), time(20), time(12)),
    ],
)
def test_a_window_that_is_too_wide_or_empty_is_refused(opens: time, closes: time, sunday: time) -> None:
    with pytest.raises(WindowError):
        SendingWindow(opens, closes, sunday)


def test_a_later_opening_holds_on_sundays_too() -> None:
    late = SendingWindow(time(15), time(20))
    assert not is_open(at("2026-03-01T12:30"), late, [NEW_YORK])
    assert is_open(at("2026-03-01T15:00"), late, [NEW_YORK])


def test_a_window_that_closes_before_noon_has_no_sunday() -> None:
    mornings = SendingWindow(time(9), time(11))
    assert next_open(at("2026-02-28T11:00"), mornings, [NEW_YORK]) == at("2026-03-02T09:00")
    assert last_open(at("2026-03-02T08:00"), mornings, [NEW_YORK], at("2026-02-20T00:00")) == at(
        "2026-02-28T10:55"
    )


def test_a_person_of_unknown_zone_is_texted_only_when_it_is_day_in_each() -> None:
    both = [NEW_YORK, LOS_ANGELES]
    assert next_open(at("2026-03-02T08:00"), DEFAULT_WINDOW, both) == at("2026-03-02T12:00")
    assert closes_next(at("2026-03-02T13:00"), DEFAULT_WINDOW, both) == at("2026-03-02T20:00")
    assert last_open(at("2026-03-02T22:00"), DEFAULT_WINDOW, both, at("2026-03-02T00:00")) == at(
        "2026-03-02T19:55"
    )
    assert last_open(at("2026-03-02T11:59"), DEFAULT_WINDOW, both, at("2026-03-02T00:00")) is None


def test_a_day_without_a_shared_hour_is_passed_over() -> None:
    # On Sunday both open from 19:00 to 20:00 only, seven hours apart.
    window = SendingWindow(time(8), time(20), time(19))
    both = [NEW_YORK, ZoneInfo("Europe/Helsinki")]
    found = next_open(at("2026-03-01T01:00"), window, both)
    assert found == at("2026-03-02T08:00")


def test_zones_that_share_no_hour_are_refused() -> None:
    both = [NEW_YORK, SHANGHAI]
    with pytest.raises(WindowError, match="8 days"):
        next_open(at("2026-01-05T12:00"), DEFAULT_WINDOW, both)
    assert last_open(at("2026-01-05T12:00"), DEFAULT_WINDOW, both, at("2025-01-05T12:00")) is None


def test_no_zone_and_no_known_instant_are_refused() -> None:
    with pytest.raises(WindowError, match="at least one"):
        is_open(at("2026-03-02T12:00"), DEFAULT_WINDOW, [])
    with pytest.raises(WindowError, match="instant"):
        next_open(datetime(2026, 3, 2), DEFAULT_WINDOW, [NEW_YORK])  # noqa: DTZ001


def test_a_closed_window_does_not_close() -> None:
    with pytest.raises(WindowError, match="not open"):
        closes_next(at("2026-03-02T20:00"), DEFAULT_WINDOW, [NEW_YORK])


@pytest.mark.parametrize(
    ("closes", "wish", "expected", "reason"),
    [
        (time(20), "19:54", "19:54", "as wished"),
        (time(20), "19:58", "19:55", "a worker and a carrier need some minutes"),
        (time(20), "20:00", "19:55", "closed"),
        (time(9, 3), "09:02", "09:00", "a window of three minutes has its opening"),
        (time(9, 3), "12:00", "09:00", "and it is not before that"),
    ],
)
def test_the_last_moment_of_a_window_leaves_some_of_it(
    closes: time, wish: str, expected: str, reason: str
) -> None:
    window, midnight = SendingWindow(time(9), closes), at("2026-03-02T00:00")
    found = last_open(at(f"2026-03-02T{wish}"), window, [NEW_YORK], midnight)
    assert found == at(f"2026-03-02T{expected}"), reason


def test_both_ends_of_the_search_for_the_last_moment_are_included() -> None:
    moment = at("2026-03-02T12:00")
    assert last_open(moment, DEFAULT_WINDOW, [NEW_YORK], moment) == moment
    assert last_open(moment, DEFAULT_WINDOW, [NEW_YORK], moment + MINUTE) is None


@given(MOMENTS, windows(), st.lists(st.sampled_from(ZONES), min_size=1, max_size=2))
def test_the_next_moment_is_permitted_and_none_before_it_is(
    moment: datetime, window: SendingWindow, names: list[str]
) -> None:
    zones = [ZoneInfo(name) for name in names]
    try:
        found = next_open(moment, window, zones)
    except WindowError:
        assert not any(is_open(moment + n * 15 * MINUTE, window, zones) for n in range(8 * 96))
        return
    assert found.tzinfo is UTC
    assert found >= moment
    assert is_open(found, window, zones)
    assert found == moment or not is_open(found - timedelta(microseconds=1), window, zones)
    steps = min(int((found - moment) / MINUTE), 4000)
    assert not any(is_open(found - n * MINUTE, window, zones) for n in range(1, steps, 7))


@given(MOMENTS, windows(), st.lists(st.sampled_from(ZONES), min_size=1, max_size=2))
def test_the_last_moment_is_permitted_and_no_later_minute_is(
    moment: datetime, window: SendingWindow, names: list[str]
) -> None:
    zones = [ZoneInfo(name) for name in names]
    moment = moment.replace(second=0, microsecond=0)
    found = last_open(moment, window, zones, moment - WEEK)
    later = range(0, 7 * 1440, 15) if found is None else range(0, int((moment - found) / MINUTE), 5)
    spare = (LAST_MINUTES - 1) * MINUTE
    assert not any(
        is_open(moment - n * MINUTE, window, zones) and is_open(moment - n * MINUTE + spare, window, zones)
        for n in later
    ), "later ones are at night, or leave less than five minutes"
    if found is not None:
        assert found <= moment
        assert is_open(found, window, zones)


@given(MOMENTS, windows(), st.sampled_from(ZONES))
def test_an_open_window_stays_open_until_it_closes(
    moment: datetime, window: SendingWindow, name: str
) -> None:
    zones = [ZoneInfo(name)]
    opened = next_open(moment, window, zones)
    closes = closes_next(opened, window, zones)
    assert closes > opened
    assert not is_open(closes, window, zones)
    assert is_open(closes - timedelta(microseconds=1), window, zones)
    assert is_open(opened + (closes - opened) / 2, window, zones)


def test_every_change_of_the_clocks_in_every_zone_keeps_the_hours() -> None:
    assert len(CHANGES) > 800
    for name, change in CHANGES:
        zone = ZoneInfo(name)
        for hours in (-30, -6, 6):
            found = next_open(change + timedelta(hours=hours), DEFAULT_WINDOW, [zone])
            local = found.astimezone(zone)
            opening = time(12) if local.weekday() == 6 else time(9)
            assert opening <= local.time() < time(20), name
            assert found - change <= timedelta(days=2), name
            closing = closes_next(found, DEFAULT_WINDOW, [zone]).astimezone(zone)
            assert (closing.date(), closing.time()) == (local.date(), time(20)), name


def test_no_zone_changes_its_clocks_inside_the_widest_window() -> None:
    """The rules would still hold; the hours around such a change would want a second look."""
    inside = []
    for name, day in CHANGES:
        zone = ZoneInfo(name)
        hour = day
        while hour.astimezone(zone).utcoffset() == day.astimezone(zone).utcoffset():
            hour -= MINUTE
        if is_open(hour, WIDEST, [zone]):
            inside.append((name, day))
    assert inside == []


def test_the_date_line_does_not_lose_a_day() -> None:
    kiritimati = ZoneInfo("Pacific/Kiritimati")
    on = date(2026, 3, 2)
    opening = datetime.combine(on, time(9), tzinfo=kiritimati)
    assert next_open(opening - timedelta(hours=9), DEFAULT_WINDOW, [kiritimati]) == opening
