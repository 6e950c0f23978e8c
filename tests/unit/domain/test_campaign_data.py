"""Campaign files: what they may say, and for each slip one line that names the place."""

from __future__ import annotations

import time as real_time
from datetime import date, datetime, time
from typing import Any

import pytest
import yaml

from service.domain.campaign import Campaign, Phase
from service.domain.campaign_data import CampaignError, campaign_from_data, campaign_to_data, with_start

MONDAY = date(2026, 11, 23)
WORDS = {"en": "Hello", "es": "Hola"}
ONCE: dict[str, Any] = {"name": "Picnic", "kind": "once", "at": "2026-12-01 10:00", "text": WORDS}
WEEKLY: dict[str, Any] = {
    "name": "Walk",
    "kind": "recurring",
    "rule": "FREQ=WEEKLY;BYDAY=MO",
    "time": "10:00",
    "text": WORDS,
}
STEP: dict[str, Any] = {"day": 3, "time": "11:00", "text": WORDS}
SERIES: dict[str, Any] = {"name": "Series", "kind": "sequence", "steps": [STEP]}


def read(data: dict[str, Any]) -> Campaign:
    return with_start(campaign_from_data(data), MONDAY)


WRONG: list[tuple[object, tuple[str | int, ...], str, str]] = [
    ([], (), "expected keys", "a list is no campaign"),
    (ONCE | {"name": None}, ("name",), "missing", "no name"),
    (ONCE | {"name": "x" * 81}, ("name",), "too long", "a name for a list, not a novel"),
    (ONCE | {"kind": "weekly"}, ("kind",), "once, recurring, sequence", "no such kind"),
    (ONCE | {"colour": "red"}, ("colour",), "unknown key", "a key that nothing reads"),
    (ONCE | {"steps": [STEP]}, ("steps",), "not for a campaign of kind once", "a key of another kind"),
    (ONCE | {"at": None}, ("at",), "missing", "no moment"),
    (ONCE | {"at": "tomorrow"}, ("at",), "local date and time", "no date"),
    (ONCE | {"at": "2026-13-01 10:00"}, ("at",), "local date and time", "no such month"),
    (ONCE | {"at": "2026-12-01T10:00Z"}, ("at",), "without a zone", "an instant is not everybody's ten"),
    (ONCE | {"at": yaml.safe_load("2026-12-01 10:00:00Z")}, ("at",), "without a zone", "an instant of YAML"),
    (ONCE | {"at": "2026-12-01 21:00"}, ("at",), "nobody is texted", "too late in the evening"),
    (ONCE | {"at": "2026-12-01 07:59"}, ("at",), "nobody is texted", "too early"),
    (ONCE | {"at": "1926-12-01 10:00"}, ("at",), "1926", "a slip of the century"),
    (ONCE | {"text": None}, ("text",), "text or template", "nothing to say"),
    (ONCE | {"template": "tip/x"}, ("text",), "text or template", "two things to say"),
    (ONCE | {"text": "Hello"}, ("text",), "under en and es", "one wording for everybody"),
    (ONCE | {"text": {"en": "Hello"}}, ("text",), "lacks es", "half of the audience could not read it"),
    (ONCE | {"text": WORDS | {"fr": "Salut"}}, ("text", "fr"), "expected en and es", "a language we lack"),
    (ONCE | {"audience": ["all"]}, ("audience",), "expected keys", "an audience is no list"),
    (ONCE | {"audience": {"phases": ["early"]}}, ("audience", "phases"), "expected phase", "a plural"),
    (ONCE | {"audience": {"phase": ["late"]}}, ("audience", "phase"), "early, middle, long", "no phase"),
    (ONCE | {"audience": {"language": "fr"}}, ("audience", "language"), "en, es", "no language of ours"),
    (ONCE | {"audience": {"tags": [7]}}, ("audience", "tags", 0), "expected text", "a number as a label"),
    (WEEKLY | {"rule": None}, ("rule",), "missing", "no rule"),
    (WEEKLY | {"rule": "every monday"}, ("rule",), "not understood", "words"),
    (WEEKLY | {"rule": "BYDAY=MO"}, ("rule",), "FREQ is missing", "no frequency"),
    (WEEKLY | {"rule": "FREQ=SECONDLY"}, ("rule",), "DAILY, WEEKLY", "a bomb"),
    (WEEKLY | {"rule": "FREQ=HOURLY"}, ("rule",), "DAILY, WEEKLY", "too often for anybody"),
    (WEEKLY | {"rule": "FREQ=WEEKLY;BYDAY=XX"}, ("rule",), "cannot be read", "no weekday"),
    (WEEKLY | {"rule": "FREQ=DAILY;FREQ=DAILY"}, ("rule",), "twice", "a part twice"),
    (WEEKLY | {"rule": "FREQ=DAILY;INTERVAL=0"}, ("rule",), "INTERVAL", "for ever on one day"),
    (WEEKLY | {"rule": "FREQ=DAILY;COUNT=1e9"}, ("rule",), "COUNT", "no number"),
    (WEEKLY | {"rule": "FREQ=DAILY;UNTIL=soon"}, ("rule",), "UNTIL", "no end"),
    (WEEKLY | {"rule": "FREQ=DAILY;BYHOUR=25"}, ("rule",), "no time of the day", "no such hour"),
    (WEEKLY | {"rule": "FREQ=DAILY;BYHOUR=9,12,15"}, ("rule",), "at most 2", "more than anybody gets"),
    (WEEKLY | {"rule": "FREQ=DAILY;BYHOUR=22"}, ("rule",), "nobody is texted", "at night"),
    (WEEKLY | {"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, ("rule",), "never comes true", "no such day"),
    (WEEKLY | {"rule": "FREQ=DAILY;BYSETPOS=2"}, ("rule",), "never comes true", "the second of one"),
    (WEEKLY | {"time": None}, ("rule",), "no time of the day", "when?"),
    (WEEKLY | {"time": "25:00"}, ("time",), "like '17:00'", "no time"),
    (WEEKLY | {"until": "soon"}, ("until",), "no date", "no end"),
    (WEEKLY | {"until": "2026-11-20"}, ("rule",), "never comes true", "over before it begins"),
    (WEEKLY | {"skip": ["xmas"]}, ("skip", 0), "no date", "no day to skip"),
    (WEEKLY | {"until": "2026-11-23", "skip": ["2026-11-23"]}, ("skip",), "no date", "all is skipped"),
    (WEEKLY | {"rule": {"until": "2027-01-01"}}, ("rule", "rrule"), "missing", "no rule inside"),
    (SERIES | {"steps": []}, ("steps",), "no steps", "no steps"),
    (SERIES | {"steps": [STEP, STEP]}, ("steps", 1, "time"), "expected one", "twice the same moment"),
    (SERIES | {"steps": [STEP | {"day": -1}]}, ("steps", 0, "day"), "from 0", "before day 0"),
    (SERIES | {"steps": [STEP | {"time": None}]}, ("steps", 0, "time"), "missing", "when?"),
    (SERIES | {"steps": [STEP | {"at": "x"}]}, ("steps", 0, "at"), "unknown key", "a key of another kind"),
]


@pytest.mark.parametrize(("data", "place", "says", "because"), WRONG)
def test_a_slip_in_a_campaign_file_is_told_with_its_place(
    data: Any, place: tuple[str | int, ...], says: str, because: str
) -> None:
    began = real_time.monotonic()
    with pytest.raises(CampaignError) as caught:
        read(data)
    assert says in str(caught.value), because
    assert caught.value.place == place, because
    assert "\n" not in str(caught.value)
    assert real_time.monotonic() - began < 5, "no rule may keep us busy"


MONDAYS = (MONDAY, date(2026, 11, 30), date(2026, 12, 7))
RULES: list[tuple[dict[str, Any], tuple[date, ...], tuple[time, ...], str]] = [
    ({}, MONDAYS, (time(10),), "from today on, at the time beside it"),
    ({"rule": "RRULE:FREQ=WEEKLY;BYDAY=MO"}, MONDAYS, (time(10),), "with its name in front"),
    ({"at": "2026-11-30 11:30", "time": None}, MONDAYS[1:], (time(11, 30),), "the first date and time"),
    ({"at": "11:30", "time": None}, MONDAYS, (time(11, 30),), "only a time"),
    ({"rule": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=30"}, MONDAYS, (time(9, 30),), "the rule's own time"),
    ({"time": 600}, MONDAYS, (time(10),), "YAML's reading of an unquoted 10:00"),
    ({"skip": ["2026-11-30"]}, (MONDAYS[0], MONDAYS[2]), (time(10),), "not on that day"),
    ({"skip": date(2026, 11, 30)}, (MONDAYS[0], MONDAYS[2]), (time(10),), "a single day as YAML reads it"),
    ({"until": date(2026, 12, 7)}, MONDAYS, (time(10),), "the last day is included"),
    ({"rule": "FREQ=WEEKLY;BYDAY=MO;UNTIL=20261130T235959Z"}, MONDAYS[:2], (time(10),), "the rule's end"),
    (
        {"rule": {"rrule": "FREQ=WEEKLY;BYDAY=MO", "until": "2026-11-30", "skip": ["2026-11-23"]}},
        MONDAYS[1:2],
        (time(10),),
        "all of it inside the rule",
    ),
    (
        {"rule": "DTSTART:20261130T113000\nRRULE:FREQ=WEEKLY;COUNT=2", "time": None},
        MONDAYS[1:],
        (time(11, 30),),
        "as a calendar writes it",
    ),
]


@pytest.mark.parametrize(("changes", "dates", "times", "because"), RULES)
def test_a_rule_falls_on_its_dates(
    changes: dict[str, Any], dates: tuple[date, ...], times: tuple[time, ...], because: str
) -> None:
    campaign = read({key: value for key, value in (WEEKLY | changes).items() if value is not None})

    assert campaign.dates[: len(dates)] == dates, because
    assert tuple(slot.at for slot in campaign.slots) == times, because


def test_a_leap_day_comes_every_four_years() -> None:
    campaign = read(WEEKLY | {"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"})

    assert campaign.dates == (date(2028, 2, 29), date(2032, 2, 29), date(2036, 2, 29))


FULL = {
    "audience": {"program": "first-year", "phase": ["early"], "language": ["en"], "tags": ["Evening  Group"]},
    "text": {"en": "Hello"},
}


@pytest.mark.parametrize(
    "data",
    [ONCE, ONCE | FULL, WEEKLY | {"skip": ["2026-11-30"], "until": "2027-02-01"}, SERIES, WEEKLY | FULL],
)
def test_a_campaign_reads_back_from_its_own_data_as_an_equal_one(data: dict[str, Any]) -> None:
    campaign = read(data)

    assert campaign_from_data(campaign_to_data(campaign)) == campaign


def test_an_audience_is_read_without_regard_to_case_and_spaces_in_labels() -> None:
    audience = read(ONCE | FULL).audience

    assert audience.tags == ("evening group",)
    assert audience.phases == {Phase.EARLY}
    assert read(ONCE).at == datetime.fromisoformat("2026-12-01T10:00")
