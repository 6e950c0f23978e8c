"""Wall-clock time and instants, across every change of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.local_time import (
    UnknownZoneError,
    get_zone,
    local_date,
    local_datetime,
    start_of_day,
    to_utc,
)

NEW_YORK = ZoneInfo("America/New_York")
ZONES = sorted(name for name in available_timezones() if "/" in name)
DATES = st.dates(date(2026, 1, 1), date(2029, 12, 31))


@pytest.mark.parametrize(
    ("reason", "on", "at", "zone", "utc"),
    [
        ("winter", date(2026, 1, 15), time(9), "America/New_York", datetime(2026, 1, 15, 14, tzinfo=UTC)),
        ("summer", date(2026, 7, 15), time(9), "America/New_York", datetime(2026, 7, 15, 13, tzinfo=UTC)),
        (
            "gap: forward",
            date(2026, 3, 8),
            time(2, 30),
            "America/New_York",
            datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
        ),
        (
            "overlap: first",
            date(2026, 11, 1),
            time(1, 30),
            "America/New_York",
            datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        ),
        (
            "half-hour gap",
            date(2026, 10, 4),
            time(2, 15),
            "Australia/Lord_Howe",
            datetime(2026, 10, 3, 15, 45, tzinfo=UTC),
        ),
        (
            "no change",
            date(2026, 3, 8),
            time(2, 30),
            "America/Phoenix",
            datetime(2026, 3, 8, 9, 30, tzinfo=UTC),
        ),
        (
            "a date that was skipped",
            date(2011, 12, 30),
            time(9),
            "Pacific/Apia",
            datetime(2011, 12, 30, 19, tzinfo=UTC),
        ),
    ],
)
def test_a_wall_clock_time_becomes_one_instant(
    reason: str, on: date, at: time, zone: str, utc: datetime
) -> None:
    assert to_utc(on, at, ZoneInfo(zone)) == utc, reason


def test_a_fold_or_a_zone_in_the_time_is_not_read() -> None:
    on = date(2026, 11, 1)
    first = to_utc(on, time(1, 30), NEW_YORK)
    assert to_utc(on, time(1, 30, fold=1), NEW_YORK) == first
    assert to_utc(on, time(1, 30, tzinfo=UTC), NEW_YORK) == first


@given(DATES, st.times(), st.sampled_from(ZONES))
def test_the_instant_shows_that_time_or_lies_after_the_gap(on: date, at: time, name: str) -> None:
    zone = ZoneInfo(name)
    instant = to_utc(on, at, zone)
    shown = local_datetime(instant, zone).replace(tzinfo=None)
    meant = datetime.combine(on, at)
    assert instant.tzinfo is UTC
    assert shown >= meant
    if shown != meant:
        # A skipped time moves by the whole gap, so the gap is what the offset grew by.
        before, after = instant - (shown - meant), instant
        grown = local_datetime(after, zone).utcoffset(), local_datetime(before, zone).utcoffset()
        assert None not in grown
        assert grown[0] - grown[1] == shown - meant  # type: ignore[operator]
    earlier = instant - timedelta(hours=1)
    assert local_datetime(earlier, zone).replace(tzinfo=None) != meant


@pytest.mark.parametrize(
    ("reason", "on", "zone", "utc"),
    [
        ("midnight exists", date(2026, 1, 15), "America/New_York", datetime(2026, 1, 15, 5, tzinfo=UTC)),
        ("midnight is skipped", date(2026, 4, 24), "Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
        (
            "the clock leaps over midnight",
            date(1919, 3, 31),
            "America/Toronto",
            datetime(1919, 3, 31, 4, 30, tzinfo=UTC),
        ),
        (
            "midnight is repeated: the first",
            date(2026, 11, 1),
            "America/Havana",
            datetime(2026, 11, 1, 4, tzinfo=UTC),
        ),
        ("the date was skipped", date(2011, 12, 30), "Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_day_starts_at_its_first_instant(reason: str, on: date, zone: str, utc: datetime) -> None:
    assert start_of_day(on, ZoneInfo(zone)) == utc, reason


@pytest.mark.parametrize("year", [2026, 2027, 2028, 2029])
def test_every_day_of_every_zone_starts_where_its_date_begins(year: int) -> None:
    for name in ZONES[:: 1 if year == 2026 else 7]:
        zone = ZoneInfo(name)
        for day in range(0, 365, 1 if year == 2026 else 3):
            on = date(year, 1, 1) + timedelta(days=day)
            start = start_of_day(on, zone)
            assert local_date(start, zone) == on, name
            assert local_date(start - timedelta(seconds=1), zone) < on, name


def test_a_local_date_is_that_of_the_person() -> None:
    assert local_date(datetime(2026, 1, 2, 4, 59, tzinfo=UTC), NEW_YORK) == date(2026, 1, 1)
    assert local_date(datetime(2026, 1, 2, 5, 0, tzinfo=UTC), NEW_YORK) == date(2026, 1, 2)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        local_datetime(datetime(2026, 1, 1), NEW_YORK)  # noqa: DTZ001


@pytest.mark.parametrize(
    "name", ["America/New_York", "America/Indiana/Knox", "Etc/GMT+5", "UTC", "US/Eastern"]
)
def test_an_iana_name_is_a_zone(name: str) -> None:
    assert get_zone(name).key == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../etc",
        "/etc/localtime",
        "EST5EDT;",
        "EST",
        "EST5EDT",
        "america/new_york",
        "America/New_York ",
        "New York",
        "Factory",
        "America/Atlantis",
        "America",
        "\x00",
        "\ud800",
        "America/New_York\x00",
        "(202) 555-0123",
    ],
)
def test_anything_else_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(UnknownZoneError) as error:
        get_zone(name)
    assert str(error.value) == "unknown time zone: use an IANA name such as America/Chicago"
