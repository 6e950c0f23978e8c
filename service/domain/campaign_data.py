"""Campaigns from and to plain data: a YAML file, or the encrypted definition in a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, TypeVar

from service.domain.campaign import Audience, Campaign, CampaignKind, CampaignText, Phase, SequenceStep
from service.domain.campaign_rule import MOST_TIMES_A_DAY, Recurrence, RuleError, read_rule
from service.domain.data_record import DataError, DataRecord, show
from service.domain.program_data import LANGUAGES
from service.domain.program_steps import MAX_DAYS

LONGEST_NAME = 80
MOST_STEPS = 400
EARLIEST, LATEST = time(8), time(21)

_SAYS = ("text", "template")
_KEYS: dict[CampaignKind, tuple[str, ...]] = {
    CampaignKind.ONCE: (*_SAYS, "at"),
    CampaignKind.RECURRING: (*_SAYS, "at", "time", "rule", "until", "skip"),
    CampaignKind.SEQUENCE: ("steps",),
}
_SHARED = ("name", "kind", "audience")
_ALL = (*_SHARED, "text", "template", "at", "time", "rule", "until", "skip", "steps")
_PLURALS = {"programs": "program", "phases": "phase", "languages": "language", "tag": "tags"}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d?:\d\d)(:00)?")
_CLOCK = re.compile(r"\d\d?:\d\d")
_MINUTES_A_DAY = 24 * 60


class CampaignError(DataError):
    """A campaign's data is wrong; one line says what and what was expected."""


_Value = TypeVar("_Value")


class _Language(StrEnum):
    EN = "en"
    ES = "es"


def campaign_from_data(data: object) -> Campaign:
    """Read a campaign. Raises CampaignError with one line and the place of the fault.

    Times lie from 08:00 to before 21:00, the widest hours that anybody may choose (47 CFR 64.1200(c)(1)).
    A text is there in each language that the audience may speak: nobody gets words they cannot read.
    """
    record = DataRecord.of(data, "campaign", CampaignError)
    name = " ".join(record.get_text("name").split())
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise record.fault(f"name is too long or has odd characters; expected 1 to {LONGEST_NAME}", "name")
    kind = record.get_choice("kind", CampaignKind)
    record.refuse_others(_ALL)
    for key in record.values:
        if key not in (*_SHARED, *_KEYS[kind]):
            known = ", ".join(_KEYS[kind])
            raise record.fault(f"{key} is not for a campaign of kind {kind}; expected {known}", key)
    audience = _audience(record)
    languages = audience.languages or frozenset(LANGUAGES)
    steps = _steps(record, languages) if kind is CampaignKind.SEQUENCE else ()
    return Campaign(
        name=name,
        kind=kind,
        audience=audience,
        text=None if kind is CampaignKind.SEQUENCE else _text(record, languages),
        at=_moment(record, "at") if kind is CampaignKind.ONCE else None,
        recurrence=_recurrence(record) if kind is CampaignKind.RECURRING else None,
        steps=steps,
    )


def campaign_to_data(campaign: Campaign) -> dict[str, Any]:
    """The plain data of a campaign; `campaign_from_data` reads it back as an equal one."""
    audience = campaign.audience
    data: dict[str, Any] = {
        "name": campaign.name,
        "kind": str(campaign.kind),
        "audience": {
            "program": sorted(audience.programs),
            "phase": sorted(audience.phases),
            "language": sorted(audience.languages),
            "tags": list(audience.tags),
        },
    }
    if campaign.text is not None:
        data |= _text_data(campaign.text)
    if campaign.at is not None:
        data["at"] = campaign.at.isoformat(timespec="minutes")
    if campaign.recurrence is not None:
        data |= _recurrence_data(campaign.recurrence)
    if campaign.steps:
        data["steps"] = [
            {"day": step.day, "time": step.at.strftime("%H:%M"), **_text_data(step.text)}
            for step in campaign.steps
        ]
    return data


def with_start(campaign: Campaign, starts_on: date) -> Campaign:
    """A campaign whose rule names no first date, counted from this one. Raises CampaignError.

    Also checks that the rule comes true at all: without a first date nobody can tell.
    """
    recurrence = campaign.recurrence
    if recurrence is None:
        return campaign
    recurrence = replace(recurrence, starts_on=recurrence.starts_on or starts_on)
    try:
        has_dates = bool(recurrence.dates)
    except RuleError as error:
        raise CampaignError(f"campaign: rule: {error}", ("rule",)) from None
    if not has_dates:
        raise CampaignError("campaign: skip leaves no date of the rule", ("skip",))
    return replace(campaign, recurrence=recurrence)


def _text_data(text: CampaignText) -> dict[str, Any]:
    return {"template": text.template} if text.template else {"text": dict(text.wordings)}


def _recurrence_data(recurrence: Recurrence) -> dict[str, Any]:
    hours = ",".join(f"{at:%H:%M}" for at in recurrence.times)
    data: dict[str, Any] = {"rule": recurrence.text, "time": hours.split(",")}
    if recurrence.starts_on:
        data["at"] = recurrence.starts_on.isoformat()
    if recurrence.until:
        data["until"] = recurrence.until.isoformat()
    if recurrence.skip:
        data["skip"] = sorted(on.isoformat() for on in recurrence.skip)
    return data


def _audience(record: DataRecord) -> Audience:
    value = record.values.get("audience")
    if value is None:
        return Audience()
    inner = record.record_at(value, f"{record.name}, audience", "audience")
    for wrong, right in _PLURALS.items():
        if wrong in inner.values:
            raise inner.fault(f"unknown key {show(wrong)}; expected {right}", wrong)
    inner.refuse_others(("program", "phase", "language", "tags"))
    phases, languages = _words(inner, "phase"), _words(inner, "language")
    _check_choices(inner, "phase", phases, Phase)
    _check_choices(inner, "language", languages, _Language)
    return Audience(
        programs=frozenset(_words(inner, "program")),
        phases=frozenset(Phase(one) for one in phases),
        languages=frozenset(languages),
        tags=tuple(dict.fromkeys(" ".join(one.split()).casefold() for one in _words(inner, "tags"))),
    )


def _words(record: DataRecord, name: str) -> tuple[str, ...]:
    """One word or a list of them."""
    if isinstance(record.values.get(name), str):
        return (record.get_text(name),)
    return record.list_texts(name)


def _check_choices(record: DataRecord, name: str, values: tuple[str, ...], choices: type[StrEnum]) -> None:
    for value in values:
        if value not in list(choices):
            raise record.fault(f"{name} has {show(value)}; expected some of {', '.join(choices)}", name)


def _text(record: DataRecord, languages: frozenset[str]) -> CampaignText:
    has_text, has_template = (record.values.get(key) is not None for key in _SAYS)
    if has_text == has_template:
        raise record.fault("it must say one thing; expected either text or template", "text")
    if has_template:
        return CampaignText(record.get_text("template"), {})
    if not isinstance(record.values["text"], Mapping):
        raise record.fault("text is one wording; expected one for each language, under en and es", "text")
    wordings = {key: value.strip() for key, value in record.get_words("text").items()}
    for key in wordings:
        if key not in LANGUAGES:
            raise record.fault(f"text has {show(key)}; expected en and es", "text", key)
    for language in sorted(languages):
        if language not in wordings:
            raise record.fault(
                f"text lacks {language}; expected that wording, or an audience that does not speak it", "text"
            )
    return CampaignText(None, wordings)


def _steps(record: DataRecord, languages: frozenset[str]) -> tuple[SequenceStep, ...]:
    count = len(record.list_values("steps"))
    if not 1 <= count <= MOST_STEPS:
        raise record.fault(f"there are {count or 'no'} steps; expected 1 to {MOST_STEPS}", "steps")
    items = record.list_records("steps", "step")
    steps: dict[tuple[int, time], SequenceStep] = {}
    for item in items:
        item.refuse_others(("day", "time", *_SAYS))
        step = SequenceStep(item.get_number("day", 0, MAX_DAYS), _clock(item, "time"), _text(item, languages))
        if (step.day, step.at) in steps:
            raise item.fault(f"two steps are on day {step.day} at {step.at:%H:%M}; expected one", "time")
        steps[step.day, step.at] = step
    return tuple(steps.values())


def _recurrence(record: DataRecord) -> Recurrence:
    """A rule with its times: in the rule itself, beside it as `time`, or in `at` with the first date."""
    record = _unfold_rule(record)
    try:
        text, starts_on, times, until = read_rule(record.get_text("rule"))
    except RuleError as error:
        raise record.fault(f"rule: {error}", "rule") from None
    given_on, given_times = _start(record)
    times = times or given_times
    if not times:
        raise record.fault("there is no time of the day; expected time beside rule, like '10:00'", "rule")
    if len(times) > MOST_TIMES_A_DAY:
        raise record.fault(f"it speaks {len(times)} times a day; expected at most {MOST_TIMES_A_DAY}", "rule")
    for at in times:
        _check_hours(record, at, "rule")
    until = min(filter(None, (until, _date(record, "until"))), default=None)
    skip = frozenset(
        _as_date(record, value, "skip", position) for position, value in enumerate(_skipped(record))
    )
    return Recurrence(text, given_on or starts_on, times, until, skip)


def _unfold_rule(record: DataRecord) -> DataRecord:
    """`until` and `skip` may stand beside the rule or, with it as `rrule`, inside it."""
    value = record.values.get("rule")
    if not isinstance(value, Mapping):
        return record
    inner = record.record_at(value, f"{record.name}, rule", "rule")
    inner.refuse_others(("rrule", "until", "skip"))
    outer = {key: found for key, found in record.values.items() if key != "rule"}
    doubled = set(inner.values) & set(outer)
    if doubled:
        raise inner.fault(f"{min(doubled)} is there twice; expected it once", min(doubled))
    own = {key: found for key, found in inner.values.items() if key != "rrule"}
    return replace(record, values={**outer, **own, "rule": inner.get_text("rrule")})


def _skipped(record: DataRecord) -> list[Any]:
    value = record.values.get("skip")
    return [value] if isinstance(value, str | date) else record.list_values("skip")


def _start(record: DataRecord) -> tuple[date | None, tuple[time, ...]]:
    """The first date and the times that stand beside a rule. `at` may be a moment, a date or a time."""
    times: tuple[time, ...] = ()
    if record.values.get("time") is not None:
        value = record.values["time"]
        values = value if isinstance(value, list) else [value]
        times = tuple(sorted({_as_clock(record, one, "time") for one in values}))
    at = record.values.get("at")
    if at is None:
        return None, times
    if isinstance(at, datetime) or (isinstance(at, str) and _MOMENT.fullmatch(at.strip())):
        moment = _moment(record, "at")
        return moment.date(), times or (moment.time(),)
    if isinstance(at, date) or (isinstance(at, str) and not _CLOCK.fullmatch(at.strip())):
        return _as_date(record, at, "at"), times
    return None, times or (_as_clock(record, at, "at"),)


def _moment(record: DataRecord, name: str) -> datetime:
    value = record.values.get(name)
    if isinstance(value, str) and (match := _MOMENT.fullmatch(value.strip())):
        value = _try(lambda: datetime.fromisoformat(f"{match[1]}T{match[2].zfill(5)}"))
    if not isinstance(value, datetime) or value.tzinfo is not None or value.second or value.microsecond:
        found = "missing" if record.values.get(name) is None else show(record.values[name])
        expected = "a local date and time without a zone, like 2026-12-01 10:00"
        raise record.fault(f"{name} is {found}; expected {expected}", name)
    _check_hours(record, value.time(), name)
    _check_year(record, value.date(), name)
    return value


def _clock(record: DataRecord, name: str) -> time:
    at = _as_clock(record, record.values.get(name), name)
    _check_hours(record, at, name)
    return at


def _as_clock(record: DataRecord, value: object, name: str) -> time:
    """A time of the day. YAML 1.1 reads an unquoted 17:30 as the number of its minutes."""
    at = None
    if isinstance(value, str) and _CLOCK.fullmatch(value.strip()):
        at = _try(lambda: time.fromisoformat(value.strip().zfill(5)))
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MINUTES_A_DAY:
        at = time(value // 60, value % 60)
    if at is None:
        found = "missing" if value is None else show(value)
        raise record.fault(f"{name} is {found}; expected it in quotes, like '17:00'", name)
    return at


def _date(record: DataRecord, name: str) -> date | None:
    value = record.values.get(name)
    return None if value is None else _as_date(record, value, name)


def _as_date(record: DataRecord, value: object, *place: str | int) -> date:
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, str):
        text = value.strip()
        value = _try(lambda: date.fromisoformat(text))
    if not isinstance(value, date):
        raise record.fault(f"{place[0]} has no date; expected one like 2026-12-25", *place)
    _check_year(record, value, *place)
    return value


def _check_year(record: DataRecord, on: date, *place: str | int) -> None:
    if not 2000 <= on.year < 2200:
        raise record.fault(f"{place[0]} is in the year {on.year}; expected one of ours", *place)


def _check_hours(record: DataRecord, at: time, name: str) -> None:
    if not EARLIEST <= at < LATEST:
        raise record.fault(f"{at:%H:%M} is when nobody is texted; expected 08:00 to 20:59", name)


def _try(read: Callable[[], _Value]) -> _Value | None:
    try:
        return read()
    except ValueError:
        return None
