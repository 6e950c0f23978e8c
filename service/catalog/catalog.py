"""The catalog: everything participants read, as values that never change after loading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from service.catalog.loading import (
    check_fault_text,
    load_check_ins,
    load_hotlines,
    load_keywords,
    load_programs,
)
from service.catalog.style import load_style
from service.catalog.texts import Text, TextEntry, load_texts
from service.catalog.yaml_files import CatalogError
from service.domain.check_ins import CheckIn
from service.domain.hotlines import Hotline
from service.domain.keywords import KeywordTable, normalize
from service.domain.kinds import MessageKind
from service.domain.program import Program
from service.domain.style_words import Style
from service.domain.template import choose_wording
from service.domain.text_choice import Bank, BankText


@dataclass(frozen=True)
class Catalog:
    """Everything under `messages/`, checked. Never changes after loading."""

    entries: Mapping[str, TextEntry]
    programs: Mapping[str, Program]
    program_definitions: Mapping[str, dict[str, Any]]
    check_ins: Mapping[str, CheckIn]
    hotlines: tuple[Hotline, ...]
    keywords: KeywordTable
    style: Style

    @classmethod
    def load(cls, root: Path) -> Catalog:
        """Load and check a messages folder. Raises CatalogError: one line with file, line, what is wrong."""
        if not root.is_dir():
            raise CatalogError(f"{root.name}:1: there is no such folder; expected the messages")
        entries = load_texts(root)
        check_fault_text(root, entries)
        hotlines = load_hotlines(root)
        keywords = load_keywords(root)
        check_ins = load_check_ins(root, entries, keywords)
        programs, definitions = load_programs(root, entries, check_ins, keywords)
        return cls(
            MappingProxyType(entries),
            MappingProxyType(programs),
            MappingProxyType(definitions),
            MappingProxyType(check_ins),
            hotlines,
            keywords,
            load_style(root),
        )

    def get(self, text_id: str, language: str, *, plain: bool = False) -> Text:
        """A text in a language; English and discreet wording where there is no other. Raises KeyError."""
        wordings = self._texts[text_id]
        return wordings[choose_wording(wordings, language, plain=plain)]

    def text(self, text_id: str) -> TextEntry:
        """A text with all its wordings. Raises KeyError."""
        return self.entries[text_id]

    def check_in(self, check_in_id: str) -> CheckIn:
        """A check-in by id. Raises KeyError."""
        return self.check_ins[check_in_id]

    def find_program(self, word: str) -> Program | None:
        """A program by its id or its own join word, in any case."""
        return self._programs_by_word.get(normalize(word))

    def unsigned_ids(self) -> list[str]:
        """Texts without a clinical reviewer's signature over what they say today."""
        return sorted(entry.id for entry in self.entries.values() if not entry.is_signed)

    @cached_property
    def bank(self) -> Bank:
        """The texts among which programs choose, by kind, in the order of the files."""
        texts: dict[MessageKind, list[BankText]] = defaultdict(list)
        for entry in self.entries.values():
            if entry.is_unprompted and entry.topic and entry.phase:
                texts[entry.kind].append(BankText(entry.id, entry.topic, frozenset(entry.phase)))
        return Bank({kind: tuple(found) for kind, found in texts.items()})

    @cached_property
    def _texts(self) -> Mapping[str, Mapping[str, Text]]:
        return {text_id: dict(entry.list_texts()) for text_id, entry in self.entries.items()}

    @cached_property
    def _programs_by_word(self) -> Mapping[str, Program]:
        words = {normalize(program.id): program for program in self.programs.values()}
        return words | {normalize(program.word): program for program in self.programs.values()}


def load_catalog(root: Path) -> Catalog:
    """Load and check a messages folder, as `Catalog.load` does. Raises CatalogError.

    The catalog of a folder whose files are unchanged since this process read them is given again.
    """
    return _load_as_it_stands(root, _fingerprint(root))


def _fingerprint(root: Path) -> tuple[tuple[str, int, int], ...]:
    files = ((path, path.stat()) for path in sorted(root.rglob("*")))
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in files)


@lru_cache(maxsize=2)
def _load_as_it_stands(root: Path, _files: tuple[tuple[str, int, int], ...]) -> Catalog:
    return Catalog.load(root)
