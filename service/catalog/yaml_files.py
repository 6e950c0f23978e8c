"""YAML files with their lines, so that a fault in a text can be named by file and line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from service.domain.data_record import DataError, Place

LARGEST_GIVEN = 200_000
"""Bytes of a file that somebody hands us."""
MOST_NODES = 10_000
DEEPEST = 10
LONGEST_VALUE = 3_000


class CatalogError(Exception):
    """Something under messages/ is wrong: one line with file, line and what was expected."""


class _Reading(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """Knows the line of a value that cannot be, like a thirteenth month.

    Of YAML 1.1's booleans it keeps only true and false, as YAML 1.2 does: `on` and `no` are words here.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # the library's own shape
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None


_Reading.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), ["t", "f"])


class _GivenLoader(_Reading, yaml.SafeLoader):
    """For what we are given: it is parsed as it was when it was looked through."""


class _OwnLoader(_Reading, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """For our own files: six times as fast, where the library was built with it."""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """One file: its name from the messages folder on, its plain data, and the nodes that know their lines."""

    name: str
    data: Any
    node: yaml.Node | None

    def fault(self, problem: str, place: Place = ()) -> CatalogError:
        """An error that names where in this file."""
        return CatalogError(f"{self.name}:{self.line_of(place)}: {' '.join(problem.split())}")

    def fault_of(self, error: DataError) -> CatalogError:
        return self.fault(str(error), error.place)

    def line_of(self, place: Place) -> int:
        """The line of what stands at a place; of what surrounds it, when there is nothing."""
        node, line = self.node, 1
        if node is not None and node.value:
            line = node.start_mark.line + 1
        for step in place:
            found = _find_inside(node, step)
            if found is None:
                break
            line, node = found
        return line


def default_messages_path() -> Path:
    """The messages beside the package, or inside it when installed from a wheel."""
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "messages"
    return beside if beside.is_dir() else package / "_messages"


def list_yaml_files(root: Path, folder: str) -> Iterator[YamlFile]:
    """Every file of a folder, read, by name. Raises CatalogError; also for a file that would be ignored."""
    for file in try_yaml_files(root, folder):
        if isinstance(file, CatalogError):
            raise file
        yield file


def try_yaml_files(root: Path, folder: str) -> Iterator[YamlFile | CatalogError]:
    """Every file of a folder, by name, or why it cannot be read or would be ignored."""
    for path in sorted((root / folder).rglob("*")):
        if path.suffix in {".yml", ".YAML", ".YML", ".json"}:
            yield CatalogError(f"{_name(root, path)}:1: {path.suffix} is never read; expected .yaml")
        if path.suffix == ".yaml":
            try:
                yield read_yaml_file(root, path)
            except CatalogError as error:
                yield error


def read_yaml_file(root: Path, path: Path) -> YamlFile:
    """Read one file of our own. Raises CatalogError: it is missing or no YAML, or has a key twice."""
    return _read(_name(root, path), path, is_given=False)


def read_given_file(path: Path) -> YamlFile:
    """Read a file that somebody wrote for us, in bounded time and memory. Raises CatalogError.

    Refused is also what no file for us needs and what can do harm: aliases, types, depth, control characters.
    """
    try:
        if path.stat().st_size > LARGEST_GIVEN:
            limit = LARGEST_GIVEN // 1_000
            raise CatalogError(f"{path.name}: it is larger than {limit} kilobytes; expected less")
    except FileNotFoundError:
        pass  # said below
    return _read(path.name, path, is_given=True)


def _read(name: str, path: Path, *, is_given: bool) -> YamlFile:
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if is_given:
            _refuse_harm(name, text)
        loader = _GivenLoader(text) if is_given else _OwnLoader(text)  # type: ignore[call-arg]
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except FileNotFoundError:
        raise CatalogError(f"{name}:1: the file is missing; expected it to be there") from None
    except UnicodeDecodeError:
        raise CatalogError(f"{name}:1: the file has other bytes in it; expected UTF-8") from None
    except RecursionError:
        raise CatalogError(f"{name}:1: it is nested too deeply; expected a few levels") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise CatalogError(f"{name}:{line}: {error.reason}; expected YAML") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise CatalogError(f"{name}:{_line(mark)}: {problem}; expected YAML") from None
    file = YamlFile(name, data, node)
    _refuse_double_keys(file, node, set())
    return file


def _refuse_harm(name: str, text: str) -> None:
    """Look through a file before anything is built of it: a few lines of aliases can fill all memory."""
    depth = nodes = 0
    with suppress(yaml.YAMLError):  # what is no YAML is said by whoever reads it
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            is_start = isinstance(event, yaml.CollectionStartEvent)
            depth += is_start - isinstance(event, yaml.CollectionEndEvent)
            nodes += isinstance(event, yaml.NodeEvent)
            problem = _find_harm(event)
            if depth > DEEPEST:
                problem = f"it is nested more than {DEEPEST} levels deep; expected a few"
            elif nodes > MOST_NODES:
                problem = f"there is too much in it; expected at most {MOST_NODES} values"
            if problem is not None:
                raise CatalogError(f"{name}:{_line(event.start_mark)}: {problem}")


def _line(mark: Any) -> int:
    return int(mark.line) + 1 if mark else 1


def _find_harm(event: yaml.Event) -> str | None:
    if isinstance(event, yaml.AliasEvent):
        return "it has an alias (*); expected the value itself"
    if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
        return None
    if event.anchor is not None:
        return "it has an anchor (&); expected plain values"
    if event.tag is not None:
        return "it has a type (!) before a value; expected the value alone"
    if isinstance(event, yaml.ScalarEvent):
        if len(event.value) > LONGEST_VALUE:
            return f"a value has {len(event.value)} characters; expected at most {LONGEST_VALUE}"
        odd = next(filter(_is_odd, event.value), None)
        if odd is not None:
            return f"it has the character U+{ord(odd):04X}, which no phone shows; expected text"
    return None


def _is_odd(char: str) -> bool:
    """Controls, halves of characters, and what is no character; not the line break and the tab."""
    return (unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t") or char in "\ufffe\uffff"


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root.parent).as_posix()


def _find_inside(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def _refuse_double_keys(file: YamlFile, node: yaml.Node | None, seen: set[int]) -> None:
    """YAML readers keep the last of two equal keys, and a wording would be lost without a word."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_double_keys(file, item, seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if str(key.value) in keys:
                line = key.start_mark.line + 1
                raise CatalogError(f"{file.name}:{line}: the key {key.value} is there twice; expected once")
            keys.add(str(key.value))
            _refuse_double_keys(file, value, seen)
