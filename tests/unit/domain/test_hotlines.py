"""Hotlines: found by country, missed loudly, and not trusted for ever."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from service.domain.hotlines import (
    Hotline,
    HotlineError,
    countries_of,
    find_hotline,
    hotline_from_data,
    missing_lines,
    stale_lines,
)

LINE: dict[str, Any] = {
    "country": "US",
    "kind": "crisis",
    "name": "Night Line",
    "voice": "202-555-0142",
    "sms": None,
    "sms_keyword": None,
    "languages": ["en", "es"],
    "hours": "24/7",
    "url": None,
    "source": "its own page",
    "last_verified": date(2026, 11, 20),
}


def line(**changes: object) -> Hotline:
    return hotline_from_data(LINE | changes)


def test_a_line_is_read_as_it_is_written() -> None:
    read = line(sms="741741", sms_keyword="HOME", url="https://example.org")
    assert (read.country, read.kind, read.voice, read.sms) == ("US", "crisis", "202-555-0142", "741741")
    assert (read.sms_keyword, read.languages, read.url) == ("HOME", ("en", "es"), "https://example.org")
    assert read.last_verified == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("reason", "changes", "problem", "place"),
    [
        ("no source", {"source": None}, "hotline Night Line: source is missing", ("source",)),
        ("no hours", {"hours": " "}, "hotline Night Line: hours is ' '", ("hours",)),
        ("digits without quotes", {"voice": 988}, "hotline Night Line: voice is 988", ("voice",)),
        ("letters in a number", {"voice": "1-800-HELP"}, "hotline Night Line: voice is", ("voice",)),
        ("no number at all", {"voice": None}, "hotline Night Line: there is no number", ()),
        ("a country by name", {"country": "Canada"}, "hotline Night Line: country is 'Canada'", ("country",)),
        (
            "a date in quotes",
            {"last_verified": "2026"},
            "hotline Night Line: last_verified",
            ("last_verified",),
        ),
        (
            "no date",
            {"last_verified": None},
            "hotline Night Line: last_verified is missing",
            ("last_verified",),
        ),
        (
            "one language as text",
            {"languages": "en"},
            "hotline Night Line: languages is 'en'",
            ("languages",),
        ),
        ("no language", {"languages": []}, "hotline Night Line: languages is missing", ("languages",)),
        ("a slip of the pen", {"houres": "24/7"}, "hotline Night Line: unknown key 'houres'", ("houres",)),
        ("no name", {"name": None}, "hotline: name is missing", ("name",)),
    ],
)
def test_a_line_that_cannot_be_trusted_is_refused(
    reason: str, changes: dict[str, object], problem: str, place: tuple[str, ...]
) -> None:
    with pytest.raises(HotlineError) as error:
        line(**changes)
    assert str(error.value).startswith(problem), reason
    assert "; expected " in str(error.value), reason
    assert error.value.place == place, reason


def test_a_line_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(HotlineError, match="hotline: found '988'; expected keys with values"):
        hotline_from_data("988", (3,))


def test_the_first_line_of_a_kind_is_the_one_that_texts_show() -> None:
    first, second, abroad = line(), line(name="Day Line"), line(name="Far Line", country="CA")
    assert find_hotline([abroad, first, second], "US", "crisis") is first
    assert find_hotline([abroad, first, second], "CA", "crisis") is abroad
    assert find_hotline([first], "US", "treatment") is None
    assert countries_of([first, abroad]) == {"US", "CA"}


@pytest.mark.parametrize(
    ("reason", "lines", "expected"),
    [
        ("both there", [line(), line(kind="emergency")], []),
        ("no emergency number", [line()], ["US has no emergency line"]),
        ("no crisis line", [line(kind="emergency")], ["US has no crisis line"]),
        ("nothing", [], ["US has no emergency line", "US has no crisis line"]),
        (
            "another country's lines do not count",
            [line(), line(kind="emergency", country="CA")],
            ["US has no emergency line"],
        ),
        (
            "an emergency number must be one to call",
            [line(), line(kind="emergency", voice=None, sms="911")],
            ["US has no emergency line"],
        ),
    ],
)
def test_every_country_needs_an_emergency_number_and_a_crisis_line(
    reason: str, lines: list[Hotline], expected: list[str]
) -> None:
    assert missing_lines(lines, {"US"}) == expected, reason


@pytest.mark.parametrize(
    ("reason", "on", "is_stale"),
    [
        ("the day itself", date(2026, 11, 20), False),
        ("the last good day", date(2027, 5, 19), False),
        ("one day more", date(2027, 5, 20), True),
    ],
)
def test_a_line_goes_stale_after_180_days(reason: str, on: date, is_stale: bool) -> None:
    lines = [line()]
    assert stale_lines(lines, on, 180) == (lines if is_stale else []), reason
