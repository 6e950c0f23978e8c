"""Look through a messages folder and name every fault, where loading it names the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from service.catalog.catalog import Catalog
from service.catalog.loading import load_check_ins, load_hotlines, load_keywords
from service.catalog.style import load_style
from service.catalog.texts import TextEntry, read_texts
from service.catalog.yaml_files import CatalogError, read_yaml_file
from service.domain.check_ins import CheckIn
from service.domain.hotlines import Hotline
from service.domain.keywords import KeywordTable
from service.domain.style_words import Style

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class PlacedHotline:
    """A hotline and where it stands."""

    hotline: Hotline
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What could be read of a messages folder, and every fault of the rest. What has a fault is left out."""

    entries: Mapping[str, TextEntry]
    hotlines: tuple[PlacedHotline, ...]
    keywords: KeywordTable | None
    style: Style | None
    check_ins: Mapping[str, CheckIn]
    faults: tuple[CatalogError, ...]


def survey_messages(root: Path) -> Survey:
    """Read every part by itself; without a fault in any, load the folder as the service does.

    Never raises for what is in the folder.
    """
    entries, faults = read_texts(root)

    def attempt(load: Callable[[], _Part], *, follows: bool = False) -> _Part | None:
        """What was read. One that `follows` may fail because of the faults before it: they are told alone."""
        try:
            return load()
        except CatalogError as error:
            if not (follows and faults):
                faults.append(error)
            return None

    hotlines = attempt(lambda: _place_hotlines(root))
    keywords = attempt(lambda: load_keywords(root))
    style = attempt(lambda: load_style(root))
    check_ins: dict[str, CheckIn] | None = None
    if keywords is not None:
        check_ins = attempt(lambda: load_check_ins(root, entries, keywords), follows=True)
    attempt(lambda: Catalog.load(root), follows=True)
    return Survey(entries, hotlines or (), keywords, style, check_ins or {}, tuple(faults))


def _place_hotlines(root: Path) -> tuple[PlacedHotline, ...]:
    hotlines = load_hotlines(root)
    file = read_yaml_file(root, root / "hotlines.yaml")
    lines = [file.line_of((position,)) for position in range(len(hotlines))]
    return tuple(PlacedHotline(each, file.name, line) for each, line in zip(hotlines, lines, strict=True))
