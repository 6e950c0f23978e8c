"""Never at night, and at the right local time: every zone, every change of the clocks of three years."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from service.domain.local_time import local_date, local_datetime, start_of_day, to_utc
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
from tests.unit.domain.clock_changes import (
    AHEAD,
    BACK,
    DAY,
    HOUR,
    MINUTE,
    NAMES,
    ClockChange,
    date_of,
    list_changes,
    next_true,
    wall_of,
)

PARTS = 6
PART = pytest.mark.parametrize("part", range(PARTS))
WINDOWS = {
    "the default": DEFAULT_WINDOW,
    "the widest": SendingWindow(time(8), time(21), time(8)),
    "evenings": SendingWindow(time(18, 30), time(20, 15), time(19)),
    "no Sundays": SendingWindow(time(8), time(11), time(12)),
}
SECOND_ZONES = [ZoneInfo(name) for name in ("America/New_York", "Europe/London", "Australia/Lord_Howe")]


def changes_of(part: int) -> Sequence[ClockChange]:
    """A share of all changes, so that several processes may look at them."""
    return list_changes()[part::PARTS]


def edges(flags: Sequence[bool], around: int) -> list[int]:
    """Indexes worth asking about: both sides of each opening and closing, of the change, and some between."""
    turns = [index for index, (left, right) in enumerate(pairwise(flags), 1) if left != right]
    near = {turn + step for turn in (*turns, around) for step in (-61, -6, -5, -1, 0, 1, 59)}
    return sorted(index for index in near | set(range(0, len(flags), 397)) if 0 <= index < len(flags))


def test_the_search_finds_what_there_is_to_find() -> None:
    changes = list_changes()
    kinds = Counter(change.after - change.before for change in changes)
    names = {name for change in changes for name in change.names}

    assert set(kinds) >= {-60, -30, 30, 60}, "hours, and Lord Howe's half hours"
    assert {"Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "Africa/Casablanca"} <= names
    assert len(names) > 150
    assert sum(len(change.names) for change in changes) > 1000
    per_zone: dict[str, list[datetime]] = {}
    for change in changes:
        for name in change.names:
            per_zone.setdefault(name, []).append(change.at)
    near = timedelta(minutes=BACK + AHEAD)
    for name, moments in per_zone.items():
        assert all(after - before > near for before, after in pairwise(moments)), name


@PART
def test_the_clocks_show_what_the_zone_says(part: int) -> None:
    for change in changes_of(part):
        walls = change.walls
        for name in change.names:
            zone = ZoneInfo(name)
            for index in (0, BACK - 1440, BACK - 1, BACK, BACK + 1440, BACK + AHEAD - 1):
                shown = local_datetime(change.instant(index), zone).replace(tzinfo=None)
                assert shown == wall_of(walls[index]), name


@PART
def test_a_skipped_time_moves_by_the_gap_and_of_a_repeated_one_the_first_is_meant(part: int) -> None:
    for change in changes_of(part):
        walls = change.walls[BACK - 1440 : BACK + 1440]
        first_shown: dict[int, int] = {}
        for index, wall in enumerate(walls, BACK - 1440):
            first_shown.setdefault(wall, index)
        last_before, first_after = walls[1439], walls[1440]
        gap = first_after - last_before - 1
        near = set(range(last_before - 125, first_after + 125)) | set(range(walls[0], walls[-1], 61))
        for wall in sorted(near):
            index = first_shown[wall if wall in first_shown else wall + gap]
            meant = wall_of(wall)
            instant = to_utc(meant.date(), meant.time(), change.zone)
            assert instant == change.instant(index), (str(change), meant)
        for name in change.names[1:]:
            for wall in (last_before, last_before + 1, first_after, first_after - 1):
                meant = wall_of(wall)
                there = to_utc(meant.date(), meant.time(), ZoneInfo(name))
                assert there == to_utc(meant.date(), meant.time(), change.zone), name


@PART
def test_a_time_that_is_shown_once_comes_back_as_itself(part: int) -> None:
    for change in changes_of(part):
        walls = change.walls
        times = Counter(walls[BACK - 1440 : BACK + 1440])
        for index in range(BACK - 1440, BACK + 1440, 7):
            moment, wall = change.instant(index), wall_of(walls[index])
            back = to_utc(wall.date(), wall.time(), change.zone)
            assert back == moment or (times[walls[index]] == 2 and back < moment), str(change)


@PART
def test_a_day_starts_at_the_first_minute_of_its_date(part: int) -> None:
    for change in changes_of(part):
        dates = [date_of(wall) for wall in change.walls[BACK - 2880 : BACK + 2880]]
        for on in sorted(set(dates))[1:]:
            first = change.instant(BACK - 2880 + dates.index(on))
            for name in change.names:
                assert start_of_day(on, ZoneInfo(name)) == first, (name, on)
            assert local_date(first - timedelta(microseconds=1), change.zone) < on


@PART
@pytest.mark.parametrize("kind", WINDOWS)
def test_the_next_moment_is_the_first_that_is_open(part: int, kind: str) -> None:
    window = WINDOWS[kind]
    for change in changes_of(part):
        flags = change.is_open(window)
        following = next_true(flags)
        for index in edges(flags, BACK):
            moment = change.instant(index)
            assert is_open(moment, window, [change.zone]) is flags[index], (str(change), moment)
            expected = following[index]
            if expected is not None:
                found = next_open(moment, window, [change.zone])
                assert found == change.instant(expected), (str(change), moment)


@PART
@pytest.mark.parametrize("kind", WINDOWS)
def test_a_window_closes_at_the_first_minute_that_is_not_open(part: int, kind: str) -> None:
    window = WINDOWS[kind]
    for change in changes_of(part):
        flags = change.is_open(window)
        shut = next_true([not flag for flag in flags])
        for index in edges(flags, BACK):
            if flags[index] and (closing := shut[index]) is not None:
                found = closes_next(change.instant(index), window, [change.zone])
                assert found == change.instant(closing), str(change)
                assert not is_open(found, window, [change.zone]), "half-open: the closing time is closed"


@PART
@pytest.mark.parametrize("kind", WINDOWS)
def test_the_last_moment_is_the_latest_that_still_leaves_some_minutes(part: int, kind: str) -> None:
    window = WINDOWS[kind]
    for change in changes_of(part):
        flags = change.is_open(window)
        spare = [
            flag and index + LAST_MINUTES < len(flags) and all(flags[index : index + LAST_MINUTES])
            for index, flag in enumerate(flags)
        ]
        latest: int | None = None
        asked = set(edges(flags, BACK))
        for index, is_spare in enumerate(spare):
            latest = index if is_spare else latest
            if index in asked and latest is not None:
                found = last_open(change.instant(index), window, [change.zone], change.instant(0))
                assert found == change.instant(latest), (str(change), change.instant(index))


@PART
def test_whose_zone_is_not_sure_is_texted_only_when_it_is_day_in_both(part: int) -> None:
    window = WINDOWS["the widest"]
    for number, change in enumerate(changes_of(part)):
        other = SECOND_ZONES[number % len(SECOND_ZONES)]
        # The other zone is asked at every minute, rather than told from its own change.
        both = [
            flag and is_shown_open(change.instant(index), other, window)
            for index, flag in enumerate(change.is_open(window))
        ]
        following = next_true(both)
        zones = [change.zone, other]
        for index in edges(both, BACK):
            moment, expected = change.instant(index), following[index]
            assert is_open(moment, window, zones) is both[index], str(change)
            if expected is not None:
                assert next_open(moment, window, zones) == change.instant(expected), str(change)
            elif index == 0:
                with pytest.raises(WindowError):
                    next_open(moment, window, zones)
            if both[index]:
                closing = both.index(False, index) if False in both[index:] else None
                found = closes_next(moment, window, zones)
                assert closing is None or found == change.instant(closing), str(change)


def is_shown_open(moment: datetime, zone: ZoneInfo, window: SendingWindow) -> bool:
    shown = moment.astimezone(zone)
    opens = max(window.opens_at, window.sunday_opens_at) if shown.isoweekday() == 7 else window.opens_at
    return (
        (opens.hour, opens.minute)
        <= (shown.hour, shown.minute)
        < (
            window.closes_at.hour,
            window.closes_at.minute,
        )
    )


@pytest.mark.parametrize("first", range(0, len(NAMES), 100))
def test_a_zone_that_never_changes_its_clock_keeps_the_hours_as_well(first: int) -> None:
    start = datetime(2027, 2, 26, tzinfo=list_changes()[0].at.tzinfo)
    for name in NAMES[first : first + 100]:
        zone = ZoneInfo(name)
        for hours in range(0, 96, 5):
            moment = start + hours * HOUR
            found = next_open(moment, DEFAULT_WINDOW, [zone])
            assert is_shown_open(found, zone, DEFAULT_WINDOW), name
            assert found == moment or not is_shown_open(found - MINUTE, zone, DEFAULT_WINDOW), name
            assert found - moment < 2 * DAY, name
            assert not is_shown_open(closes_next(found, DEFAULT_WINDOW, [zone]), zone, DEFAULT_WINDOW), name
