"""YAML files with their lines, so that a fault in a text can be named by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from service.domain.data_record import DataError, Place


class CatalogError(Exception):
    """Something under messages/ is wrong: one line with file, line and what was expected."""


class _Loader(yaml.SafeLoader):
    """A safe loader that knows the line of a value that cannot be, like a thirteenth month.

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


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), ["t", "f"])


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
    for path in sorted((root / folder).rglob("*")):
        if path.suffix in {".yml", ".YAML", ".YML", ".json"}:
            raise CatalogError(f"{_name(root, path)}:1: {path.suffix} is never read; expected .yaml")
        if path.suffix == ".yaml":
            yield read_yaml_file(root, path)


def read_yaml_file(root: Path, path: Path) -> YamlFile:
    """Read one file. Raises CatalogError for one that is missing or no YAML, or has a key twice."""
    name = _name(root, path)
    try:
        loader = _Loader(path.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except FileNotFoundError:
        raise CatalogError(f"{name}:1: the file is missing; expected it to be there") from None
    except UnicodeDecodeError:
        raise CatalogError(f"{name}:1: the file has other bytes in it; expected UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise CatalogError(f"{name}:{mark.line + 1 if mark else 1}: {problem}; expected YAML") from None
    file = YamlFile(name, data, node)
    _refuse_double_keys(file, node, set())
    return file


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
