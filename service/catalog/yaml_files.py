"""YAML with line numbers, so that a fault in a text can be named by file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LINE = "__line__"


class CatalogError(Exception):
    """Something under messages/ is wrong: one line with file, line and what was expected."""


class _LineLoader(yaml.SafeLoader):
    """A safe loader whose mappings remember the line they began on."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        mapping[LINE] = node.start_mark.line + 1
        return mapping


def default_messages_path() -> Path:
    """The messages beside the package, or inside it when installed from a wheel."""
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "messages"
    return beside if beside.is_dir() else package / "_messages"


def read_yaml(root: Path, path: Path) -> Any:
    """Load one file. Raises CatalogError for one that is missing or no YAML."""
    name = path.relative_to(root.parent)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_LineLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise CatalogError(f"{name}: the file is missing") from None
    except UnicodeDecodeError:
        raise CatalogError(f"{name}: the file must be UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "it is not valid YAML"
        raise CatalogError(f"{name}:{line}: {problem}; expected valid YAML") from None


def fault(root: Path, path: Path, item: Any, problem: str) -> CatalogError:
    """An error that names where in which file."""
    line = item.get(LINE, 1) if isinstance(item, dict) else 1
    return CatalogError(f"{path.relative_to(root.parent)}:{line}: {problem}")


def without_lines(value: Any) -> Any:
    """The plain data, with the remembered line numbers taken out."""
    if isinstance(value, dict):
        return {key: without_lines(item) for key, item in value.items() if key != LINE}
    if isinstance(value, list):
        return [without_lines(item) for item in value]
    return value
