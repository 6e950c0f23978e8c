"""Hotlines as dated, sourced data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

REQUIRED_KINDS = ("emergency", "crisis")


@dataclass(frozen=True, slots=True)
class Hotline:
    """One line of help: how to reach it, where that was read, and when it was last checked."""

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
    """What a country lacks: each needs an emergency number and a crisis line."""
    return [
        f"{country} has no {kind} line"
        for country in sorted(countries)
        for kind in REQUIRED_KINDS
        if find_hotline(hotlines, country, kind) is None
    ]


def stale_lines(hotlines: Sequence[Hotline], on: date, days: int) -> list[Hotline]:
    """Lines last checked more than `days` days before `on`."""
    return [line for line in hotlines if on - line.last_verified > timedelta(days=days)]
