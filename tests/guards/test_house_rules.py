"""Rules of the house that a machine can read off the tree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted((ROOT / "service").rglob("*.py"))
TEXTS = [
    path
    for folder in ("service", "messages", "migrations", "tests", "docs", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".yaml", ".md", ".toml", ".txt", ".html", ".js", ".css", ".csv"}
]
FULL_NUMBER = re.compile(r"\+1([2-9]\d{2})(\d{3})(\d{4})(?!\d)")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=_name)
def test_only_entry_points_read_the_clock(path: Path) -> None:
    if _name(path) in {"service/store/clock.py"}:
        return
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
        if isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
    ]
    assert not calls, f"{_name(path)} reads the clock itself; take `now` as an argument"


@pytest.mark.parametrize("path", CODE, ids=_name)
def test_only_use_cases_and_the_database_commit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ".commit()" not in text, f"{_name(path)} commits by hand; use `database.begin()`"


@pytest.mark.parametrize("path", CODE, ids=_name)
def test_module_names_say_what_is_inside(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "common", "misc", "manager", "util"}


def test_every_full_number_in_the_tree_is_fictional_or_unassigned() -> None:
    found = set()
    for path in TEXTS:
        for match in FULL_NUMBER.finditer(path.read_text(encoding="utf-8", errors="replace")):
            area, exchange, line = match.groups()
            is_fictional = (exchange == "555" and line.startswith("01")) or area == "999"
            if not is_fictional and area != "500" and path.name != "test_phone.py":
                found.add(_name(path))
    assert not found, f"numbers of somebody in {sorted(found)}"


def test_the_processes_named_in_the_procfile_exist() -> None:
    lines = dict(
        line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines() if line
    )
    assert set(lines) == {"release", "web", "worker"}
    assert lines["release"] == "aftercare db upgrade"
    assert "service.web.wsgi:app" in lines["web"]
    assert lines["worker"] == "aftercare worker"


def test_lock_files_carry_hashes_and_no_address() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text, name
        assert "--index" not in text, name
        assert text.count("--hash=sha256:") > 50, name


def test_the_example_environment_names_every_setting() -> None:
    from service.config import Settings

    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = {line.split("=", 1)[0] for line in text.splitlines() if "=" in line and not line.startswith("#")}
    assert named == {name.upper() for name in Settings.model_fields}
