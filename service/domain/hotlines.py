"""Hotlines as dated, sourced data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from service.domain.data_record import DataError, DataRecord, Place, show

REQUIRED_KINDS = ("emergency", "crisis")

_NUMBER = re.compile(r"\+?[0-9][0-9 ()-]*")


class HotlineError(DataError):
    """A hotline's data is wrong; one line says what and what was expected."""


@dataclass(frozen=True, slots=True)
class Hotline:
    """One line of help: how to reach it, where that was read, and when it was last checked.

    `country` is ISO 3166 (US); `kind` is emergency, crisis, treatment, overdose or any other word; numbers
    are as texts show them; `sms_keyword` is the word to send, if the line wants one.
    """

    country: str
    kind: str
    name: str
    voice: str | None
    sms: str | None
    sms_keyword: str | None
    languages: tuple[str, ...]
    hours: str
    url: str | None
    source: str
    last_verified: date


def find_hotline(hotlines: Sequence[Hotline], country: str, kind: str) -> Hotline | None:
    """The first line of a kind in a country: the one that texts show."""
    return next((line for line in hotlines if line.country == country and line.kind == kind), None)


def countries_of(hotlines: Iterable[Hotline]) -> frozenset[str]:
    return frozenset(line.country for line in hotlines)


def missing_lines(hotlines: Sequence[Hotline], countries: Iterable[str]) -> list[str]:
    """What a country lacks: each needs an emergency number and a crisis line that can be called."""
    return [
        f"{country} has no {kind} line"
        for country in sorted(countries)
        for kind in REQUIRED_KINDS
        if not (line := find_hotline(hotlines, country, kind)) or not line.voice
    ]


def stale_lines(hotlines: Sequence[Hotline], on: date, days: int) -> list[Hotline]:
    """Lines last checked more than `days` days before `on`."""
    return [line for line in hotlines if on - line.last_verified > timedelta(days=days)]


def hotline_from_data(data: object, place: Place = ()) -> Hotline:
    """Read one line from YAML. Raises HotlineError with one line."""
    record = DataRecord.of(data, "hotline", HotlineError, place)
    record = record.named(f"hotline {record.get_text('name')}")
    record.refuse_others(Hotline.__dataclass_fields__)
    country = record.get_text("country")
    if not re.fullmatch(r"[A-Z]{2}", country):
        raise record.fault(f"country is {show(country)}; expected two capitals, like US", "country")
    line = Hotline(
        country=country,
        kind=record.get_text("kind"),
        name=record.get_text("name"),
        voice=_number(record, "voice"),
        sms=_number(record, "sms"),
        sms_keyword=record.find_text("sms_keyword"),
        languages=record.list_texts("languages"),
        hours=record.get_text("hours"),
        url=record.find_text("url"),
        source=record.get_text("source"),
        last_verified=_verified_on(record),
    )
    if line.voice is None and line.sms is None:
        raise record.fault("there is no number; expected voice or sms")
    if not line.languages:
        raise record.fault("languages is missing; expected a list like [en, es]", "languages")
    return line


def _number(record: DataRecord, name: str) -> str | None:
    value = record.find_text(name)
    if value is not None and not _NUMBER.fullmatch(value):
        raise record.fault(f"{name} is {show(value)}; expected digits, spaces and hyphens", name)
    return value


def _verified_on(record: DataRecord) -> date:
    value = record.values.get("last_verified")
    if type(value) is not date:
        found = "missing" if value is None else show(value)
        raise record.fault(f"last_verified is {found}; expected a date like 2026-11-20", "last_verified")
    return value
