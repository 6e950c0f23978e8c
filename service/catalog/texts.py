"""Texts in their languages and wordings: read, checked, and measured with the longest values expected."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType

from service.catalog.yaml_files import CatalogError, YamlFile, try_yaml_files
from service.domain.data_record import DataError, DataRecord, show
from service.domain.kinds import MessageKind
from service.domain.program_steps import PHASES
from service.domain.segments import count_segments
from service.domain.template import TemplateError, placeholders, render

UNPROMPTED_KINDS = frozenset(MessageKind) - {
    MessageKind.REPLY,
    MessageKind.OPT_OUT_REPLY,
    MessageKind.CRISIS_REPLY,
    MessageKind.ADMIN,
    MessageKind.STAFF_ALERT,
}
"""Kinds that arrive unasked: discreet, one segment. The rest may take two."""

WORDINGS = ("en", "es", "en_plain", "es_plain")

_KEYS = (
    *("id", "version", "kind", "topic", "phase", "source", "review", "fields", "max_segments"),
    *WORDINGS,
)
_ID = re.compile(r"[A-Za-z0-9]+([-/][A-Za-z0-9]+)*")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Text:
    """One wording of a text: what is rendered.

    `fields` are its placeholders with the longest values expected; `sha256` is what a reviewer signs, over
    all wordings of the text.
    """

    id: str
    version: int
    kind: MessageKind
    language: str
    body: str
    fields: Mapping[str, str]
    is_plain: bool
    sha256: str


@dataclass(frozen=True, slots=True)
class TextEntry:
    """A text with all its wordings and where it comes from. `wordings` is keyed `en`, `es`, `en_plain`...

    `line` and `wording_lines` are where it and its wordings stand in `file`.
    """

    id: str
    version: int
    kind: MessageKind
    topic: str | None
    phase: tuple[str, ...]
    source: tuple[str, ...]
    review: Mapping[str, str] | None
    fields: Mapping[str, str]
    max_segments: int
    wordings: Mapping[str, str]
    sha256: str
    file: str
    line: int
    wording_lines: Mapping[str, int]

    @property
    def is_signed(self) -> bool:
        """Whether a reviewer signed exactly these wordings."""
        return self.review is not None and self.review["sha256"] == self.sha256

    @property
    def is_unprompted(self) -> bool:
        return self.kind in UNPROMPTED_KINDS

    def list_texts(self) -> Iterator[tuple[str, Text]]:
        """Each wording by its name."""
        for name, body in self.wordings.items():
            yield (
                name,
                Text(
                    id=self.id,
                    version=self.version,
                    kind=self.kind,
                    language=name[:2],
                    body=body,
                    fields=MappingProxyType({key: self.fields[key] for key in sorted(placeholders(body))}),
                    is_plain=name.endswith("_plain"),
                    sha256=self.sha256,
                ),
            )


def load_texts(root: Path) -> dict[str, TextEntry]:
    """Every text under `texts/`, by id. Raises CatalogError."""
    entries, faults = read_texts(root)
    if faults:
        raise faults[0]
    return entries


def read_texts(root: Path) -> tuple[dict[str, TextEntry], list[CatalogError]]:
    """Every text that can be sent, by id, and every fault of the others, as the files go."""
    entries: dict[str, TextEntry] = {}
    faults: list[CatalogError] = []
    for file in try_yaml_files(root, "texts"):
        if isinstance(file, CatalogError):
            faults.append(file)
        elif not isinstance(file.data, list):
            faults.append(file.fault(f"found {show(file.data)}; expected a list of texts"))
        else:
            for position, item in enumerate(file.data):
                faults += map(file.fault_of, _read_text(file, position, item, entries))
    return entries, faults


def _read_text(
    file: YamlFile, position: int, item: object, entries: dict[str, TextEntry]
) -> Iterator[DataError]:
    """Add one text to the entries, or yield what is wrong with it."""
    try:
        entry = _entry(DataRecord.of(item, "text", DataError, (position,)), file)
    except DataError as error:
        yield error
        return
    faults = list(_find_faults(entry, position))
    if entry.id in entries:
        first = entries[entry.id]
        problem = f"text {entry.id} is already in {first.file}:{first.line}; expected an id of its own"
        faults.append(DataError(problem, (position, "id")))
    yield from faults
    if not faults:
        entries[entry.id] = entry


def _entry(record: DataRecord, file: YamlFile) -> TextEntry:
    text_id = record.get_text("id")
    if not _ID.fullmatch(text_id):
        raise record.fault(
            f"id is {show(text_id)}; expected letters, digits, - and / like tip/slow-breath", "id"
        )
    record = record.named(f"text {text_id}")
    record.refuse_others(_KEYS)
    wordings = {name: text for name in WORDINGS if (text := record.find_text(name)) is not None}
    for language in ("en", "es"):
        if language not in wordings:
            raise record.fault(f"{language} is missing; expected the wording in that language")
    kind = record.get_choice("kind", MessageKind)
    content = json.dumps(wordings, sort_keys=True, ensure_ascii=False)
    return TextEntry(
        id=text_id,
        version=record.get_number("version", 1, 10_000),
        kind=kind,
        topic=record.find_text("topic"),
        phase=_phase(record),
        source=_source(record),
        review=_review(record),
        fields=MappingProxyType(_fields(record)),
        max_segments=record.get_number("max_segments", 1, 4, default=1 if kind in UNPROMPTED_KINDS else 2),
        wordings=MappingProxyType(wordings),
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        file=file.name,
        line=file.line_of(record.place),
        wording_lines=MappingProxyType({name: file.line_of((*record.place, name)) for name in wordings}),
    )


def _phase(record: DataRecord) -> tuple[str, ...]:
    phase = record.list_texts("phase")
    for name in phase:
        if name not in PHASES:
            raise record.fault(f"phase has {show(name)}; expected some of {', '.join(PHASES)}", "phase")
    return phase


def _source(record: DataRecord) -> tuple[str, ...]:
    source = record.list_texts("source")
    if not source:
        raise record.fault("source is missing; expected where its facts come from", "source")
    return source


def _review(record: DataRecord) -> Mapping[str, str] | None:
    """The signature, or None for a draft."""
    value = record.values.get("review")
    if value == "draft":
        return None
    if not isinstance(value, dict) or set(value) != {"by", "on", "sha256"}:
        raise record.fault(f"review is {show(value)}; expected draft, or by, on and sha256", "review")
    signed_on = value["on"]
    plain = {**value, "on": signed_on.isoformat() if isinstance(signed_on, date) else signed_on}
    signature = record.record_at(plain, f"{record.name}, review", "review")
    return MappingProxyType({key: signature.get_text(key) for key in plain})


def _fields(record: DataRecord) -> dict[str, str]:
    fields = record.get_words("fields")
    for name in fields:
        if not _FIELD.fullmatch(name):
            raise record.fault(f"fields has {show(name)}; expected a name like org_phone", "fields", name)
    return fields


def _find_faults(entry: TextEntry, position: int) -> Iterator[DataError]:
    """What would fail when a wording is rendered, or make it dearer than it may be."""
    for name, wording in entry.wordings.items():
        try:
            undeclared = sorted(placeholders(wording) - set(entry.fields))
            problem = f"{{{undeclared[0]}}} is not declared; expected it under fields" if undeclared else None
            problem = problem or _find_cost(entry, name, render(wording, entry.fields))
        except TemplateError as error:
            problem = str(error)
        if problem:
            yield DataError(f"text {entry.id}: {name}: {problem}", (position, name))


def _find_cost(entry: TextEntry, name: str, body: str) -> str | None:
    """What makes a wording dearer than it may be: too many segments, or a letter outside the small alphabet.

    An unprompted English text has no need of such a letter; Spanish may, if it still fits.
    """
    count = count_segments(body)
    costly = ", ".join(repr(character) for character in count.costly)
    if count.costly and name.startswith("en") and entry.is_unprompted:
        return f"{costly} forces UCS-2; expected GSM-7 characters only"
    if count.segments > entry.max_segments:
        because = f" because {costly} forces UCS-2" if costly else f" at {count.units} characters"
        return f"it takes {count.segments} segments{because}; expected at most {entry.max_segments}"
    return None
