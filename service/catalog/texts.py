"""The catalog as values: texts in their languages and wordings, programs, check-ins, hotlines, keywords."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from service.domain.check_ins import CheckIn
from service.domain.hotlines import Hotline
from service.domain.keywords import KeywordTable, normalize
from service.domain.kinds import MessageKind
from service.domain.program import Program


@dataclass(frozen=True, slots=True)
class Text:
    """One wording of a text: what is rendered."""

    id: str
    version: int
    kind: MessageKind
    language: str
    body: str
    is_plain: bool


@dataclass(frozen=True, slots=True)
class TextEntry:
    """A text with all its wordings and where it comes from. `wordings` is keyed `en`, `es`, `en_plain`..."""

    id: str
    version: int
    kind: MessageKind
    topic: str | None
    phase: tuple[str, ...]
    source: tuple[str, ...]
    review: str | Mapping[str, str]
    fields: Mapping[str, str]
    max_segments: int
    wordings: Mapping[str, str]
    file: str
    line: int

    @property
    def sha256(self) -> str:
        """What a reviewer signs: every wording of this text."""
        content = json.dumps(dict(self.wordings), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def is_signed(self) -> bool:
        return isinstance(self.review, Mapping) and self.review.get("sha256") == self.sha256


@dataclass(frozen=True)
class Catalog:
    """Everything under `messages/`, checked. Never changes after loading."""

    entries: Mapping[str, TextEntry]
    programs: Mapping[str, Program]
    program_definitions: Mapping[str, dict[str, Any]]
    check_ins: Mapping[str, CheckIn]
    hotlines: tuple[Hotline, ...]
    keywords: KeywordTable

    def get(self, text_id: str, language: str, *, plain: bool = False) -> Text:
        """A text in a language; English and discreet wording where there is no other. Raises KeyError."""
        entry = self.entries[text_id]
        names = [f"{language}_plain", language] if plain else [language]
        names += ["en_plain", "en"] if plain else ["en"]
        name = next(name for name in names if name in entry.wordings)
        return Text(
            entry.id, entry.version, entry.kind, name[:2], entry.wordings[name], name.endswith("_plain")
        )

    def check_in(self, check_in_id: str) -> CheckIn:
        """A check-in by id. Raises KeyError."""
        return self.check_ins[check_in_id]

    def find_program(self, word: str) -> Program | None:
        """A program by its id or its own join word."""
        return self._programs_by_word.get(normalize(word))

    def unsigned_ids(self) -> list[str]:
        """Texts without a clinical reviewer's signature over what they say today."""
        return sorted(entry.id for entry in self.entries.values() if not entry.is_signed)

    @cached_property
    def _programs_by_word(self) -> dict[str, Program]:
        words = {normalize(program.id): program for program in self.programs.values()}
        return words | {normalize(program.word): program for program in self.programs.values()}
