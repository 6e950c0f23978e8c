"""Load `messages/` and refuse anything that would fail later, in front of a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from service.catalog.texts import Catalog, TextEntry
from service.catalog.yaml_files import LINE, CatalogError, fault, read_yaml, without_lines
from service.domain.check_ins import CheckIn, CheckInError, check_in_from_data
from service.domain.hotlines import Hotline, countries_of, missing_lines
from service.domain.keywords import KeywordTable, KeywordTableError, normalize, parse_keyword_table
from service.domain.kinds import MessageKind
from service.domain.program import Program, ProgramError, program_from_data
from service.domain.segments import count_segments
from service.domain.template import TemplateError, placeholders, render

ANSWER_LIKE = frozenset(
    {MessageKind.REPLY, MessageKind.CRISIS_REPLY, MessageKind.ADMIN, MessageKind.STAFF_ALERT}
)
"""Kinds that may take two segments; everything unprompted takes one."""

_ENTRY_KEYS = frozenset(
    {"id", "version", "kind", "topic", "phase", "source", "review", "fields", "max_segments"}
    | {"en", "es", "en_plain", "es_plain", LINE}
)
_HOTLINE_KEYS = frozenset(Hotline.__dataclass_fields__) | {LINE}
_LANGUAGES = ("en", "es")


def load_catalog(root: Path) -> Catalog:
    """Load and check everything under `root`. Raises CatalogError with file, line and what was expected."""
    if not root.is_dir():
        raise CatalogError(f"{root.name}: the messages folder is missing")
    entries = _load_entries(root)
    hotlines = _load_hotlines(root)
    keywords = _load_keywords(root)
    check_ins = _load_check_ins(root, entries)
    programs, definitions = _load_programs(root, entries, check_ins, keywords)
    return Catalog(entries, programs, definitions, check_ins, hotlines, keywords)


def _load_entries(root: Path) -> dict[str, TextEntry]:
    entries: dict[str, TextEntry] = {}
    for path in sorted((root / "texts").rglob("*.yaml")):
        items = read_yaml(root, path)
        if not isinstance(items, list):
            raise fault(root, path, items, "expected a list of texts")
        for item in items:
            entry = _entry(root, path, item)
            if entry.id in entries:
                first = entries[entry.id]
                raise fault(root, path, item, f"text {entry.id} is already in {first.file}:{first.line}")
            entries[entry.id] = entry
    if "reply/fault" not in entries:
        raise CatalogError(f"{root.name}/texts: the text reply/fault is missing; faults are answered with it")
    if entries["reply/fault"].fields:
        raise CatalogError(f"{entries['reply/fault'].file}: reply/fault must have no fields")
    return entries


def _entry(root: Path, path: Path, item: Any) -> TextEntry:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise fault(root, path, item, "expected a text with an id")
    unknown = sorted(str(key) for key in set(item) - _ENTRY_KEYS)
    if unknown:
        raise fault(root, path, item, f"text {item['id']}: unknown key {unknown[0]}")
    try:
        kind = MessageKind(str(item.get("kind")))
    except ValueError:
        raise fault(root, path, item, f"text {item['id']}: kind {item.get('kind')!r} is not known") from None
    for language in _LANGUAGES:
        if not isinstance(item.get(language), str) or not item[language].strip():
            raise fault(root, path, item, f"text {item['id']}: the {language} wording is missing")
    version = item.get("version")
    if not isinstance(version, int) or version < 1:
        raise fault(root, path, item, f"text {item['id']}: version must be a whole number from 1")
    entry = TextEntry(
        id=item["id"],
        version=version,
        kind=kind,
        topic=item.get("topic"),
        phase=tuple(item.get("phase") or ()),
        source=tuple(str(source) for source in item.get("source") or ()),
        review=without_lines(item.get("review", "draft")),
        fields={key: str(value) for key, value in without_lines(item.get("fields") or {}).items()},
        max_segments=int(item.get("max_segments") or (2 if kind in ANSWER_LIKE else 1)),
        wordings={name: item[name] for name in ("en", "es", "en_plain", "es_plain") if item.get(name)},
        file=str(path.relative_to(root.parent)),
        line=item[LINE],
    )
    _check_wordings(root, path, item, entry)
    return entry


def _check_wordings(root: Path, path: Path, item: Any, entry: TextEntry) -> None:
    for name, wording in entry.wordings.items():
        try:
            undeclared = sorted(placeholders(wording) - set(entry.fields))
            if undeclared:
                raise fault(
                    root,
                    path,
                    item,
                    f"text {entry.id} ({name}): placeholder {{{undeclared[0]}}} is not under `fields`",
                )
            counted = count_segments(render(wording, entry.fields))
        except TemplateError as error:
            raise fault(root, path, item, f"text {entry.id} ({name}): {error}") from None
        if counted.segments > entry.max_segments:
            costly = f"; {counted.costly[0]!r} forces UCS-2" if counted.costly else ""
            problem = f"takes {counted.segments} segments, {entry.max_segments} allowed{costly}"
            raise fault(root, path, item, f"text {entry.id} ({name}): {problem}")


def _load_hotlines(root: Path) -> tuple[Hotline, ...]:
    path = root / "hotlines.yaml"
    lines = []
    for item in read_yaml(root, path) or []:
        unknown = sorted(str(key) for key in set(item) - _HOTLINE_KEYS)
        if unknown:
            raise fault(root, path, item, f"hotline: unknown key {unknown[0]}")
        if not isinstance(item.get("last_verified"), date) or not item.get("source"):
            raise fault(root, path, item, "hotline: needs a source and last_verified as a date")
        values = {key: value for key, value in item.items() if key != LINE}
        lines.append(Hotline(**{**values, "languages": tuple(values.get("languages") or ())}))
    missing = missing_lines(lines, countries_of(lines))
    if missing or not lines:
        raise CatalogError(f"{path.relative_to(root.parent)}:1: {missing[0] if missing else 'no lines'}")
    return tuple(lines)


def _load_keywords(root: Path) -> KeywordTable:
    path = root / "keywords.yaml"
    data = read_yaml(root, path)
    try:
        return parse_keyword_table(without_lines(data))
    except KeywordTableError as error:
        raise fault(root, path, data, str(error)) from None


def _load_check_ins(root: Path, entries: Mapping[str, TextEntry]) -> dict[str, CheckIn]:
    check_ins: dict[str, CheckIn] = {}
    for path in sorted((root / "check_ins").glob("*.yaml")):
        data = read_yaml(root, path)
        try:
            check_in: CheckIn = check_in_from_data(without_lines(data))
        except (CheckInError, AttributeError) as error:
            raise fault(root, path, data, str(error)) from None
        unknown = sorted(check_in.text_ids() - set(entries))
        for text_id in unknown:
            raise fault(root, path, data, f"check-in {check_in.id}: there is no text {text_id}")
        check_ins[check_in.id] = check_in
    return check_ins


def _load_programs(
    root: Path,
    entries: Mapping[str, TextEntry],
    check_ins: Mapping[str, CheckIn],
    keywords: KeywordTable,
) -> tuple[dict[str, Program], dict[str, dict[str, Any]]]:
    programs: dict[str, Program] = {}
    definitions: dict[str, dict[str, Any]] = {}
    words: dict[str, str] = {}
    for path in sorted((root / "programs").glob("*.yaml")):
        data = read_yaml(root, path)
        try:
            program = program_from_data(without_lines(data))
        except (ProgramError, AttributeError, TypeError) as error:
            raise fault(root, path, data, str(error)) from None
        _check_references(root, path, data, program, entries, check_ins)
        for word in {normalize(program.word), normalize(program.id)}:
            if word in words or word in keywords.words:
                raise fault(root, path, data, f"program {program.id}: the word {word!r} is taken")
            words[word] = program.id
        programs[program.id] = program
        definitions[program.id] = without_lines(data)
    return programs, definitions


def _check_references(
    root: Path,
    path: Path,
    data: Any,
    program: Program,
    entries: Mapping[str, TextEntry],
    check_ins: Mapping[str, CheckIn],
) -> None:
    texts = {text for step in program.steps for text in step.text_ids}
    texts |= {text for step in program.weekly for text in step.text_ids}
    asked = {step.check_in_id for step in program.steps if step.check_in_id}
    asked |= {check_in for step in program.weekly for check_in in step.check_in_ids}
    for text_id in sorted(texts - set(entries)):
        raise fault(root, path, data, f"program {program.id}: there is no text {text_id}")
    for check_in_id in sorted(asked - set(check_ins)):
        raise fault(root, path, data, f"program {program.id}: there is no check-in {check_in_id}")
