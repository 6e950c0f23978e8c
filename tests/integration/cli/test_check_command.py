"""`aftercare messages check`: every planted fault is found, by file and line, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import time_machine
from click.testing import CliRunner, Result

from service.catalog import default_messages_path
from service.cli.main import main
from service.domain.wording_rules import EVERY_RULE
from tests.conftest import NOW

PLANTED = Path(__file__).parents[2] / "data" / "bad_messages"
SHIPPED_WORDS = ("keywords.yaml", "style.yaml")
_MARK = re.compile(r"# fault: (.+)$")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The planted catalog with the shipped words."""
    root = tmp_path / "messages"
    shutil.copytree(PLANTED, root)
    for name in SHIPPED_WORDS:
        shutil.copy(default_messages_path() / name, root / name)
    return root


def check(*arguments: str) -> Result:
    with time_machine.travel(NOW, tick=False):
        return CliRunner().invoke(main, ["messages", "check", *arguments])


def findings(folder: Path) -> list[dict[str, Any]]:
    found = json.loads(check(str(folder), "--json").stdout)
    assert isinstance(found, list)
    return found


def planted() -> set[tuple[str, int, str]]:
    """File, line and rule of every mark in the planted catalog."""
    return {
        (f"messages/{path.relative_to(PLANTED).as_posix()}", number, rule)
        for path in PLANTED.rglob("*.yaml")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (mark := _MARK.search(line))
        for rule in mark[1].split(", ")
    }


def place(file: str, marked: str) -> str:
    """Where some words stand in the planted catalog."""
    lines = (PLANTED / file).read_text(encoding="utf-8").splitlines()
    return f"messages/{file}:{next(number for number, line in enumerate(lines, 1) if marked in line)}"


def test_every_planted_fault_is_found_where_it_is_and_nothing_else(folder: Path) -> None:
    found = {(row["file"], row["line"], row["rule"]) for row in findings(folder) if row["rule"] != "unsigned"}

    assert found == planted()


def test_a_fault_is_planted_for_every_rule() -> None:
    per_kind = {"grade-of-kind"}  # takes a hundred words: its own test is with the rules
    rules = {rule.name for rule in EVERY_RULE} | {"load", "hotline"}

    assert rules - {rule for _, _, rule in planted()} == per_kind


def test_findings_come_by_file_and_line(folder: Path) -> None:
    places = [(row["file"], row["line"]) for row in findings(folder)]

    assert places == sorted(places)


def test_a_finding_is_one_line_that_says_where_which_what_and_what_to_do(folder: Path) -> None:
    lines = check(str(folder)).stdout.splitlines()

    for expected in (
        f"{place('texts/pushes.yaml', 'canción')}: tip/costly-letter: es: 'ó' forces UCS-2, 70 characters a "
        "segment (1 segment); write it without that character [error: alphabet]",
        f"{place('hotlines.yaml', 'fault')}: US Night Line: not verified since 2026-06-01, over 90 days; "
        "call it, then set last_verified [warning: hotline]",
        f"{place('texts/answers.yaml', 'Hello {name}')}: broken/field: en: {{name}} is not declared; "
        "expected it under fields [error: load]",
    ):
        assert expected in lines


def test_json_has_the_same_in_parts(folder: Path) -> None:
    row = next(row for row in findings(folder) if row["rule"] == "shouting")

    assert f"{row['file']}:{row['line']}" == place("texts/pushes.yaml", "Friday!")
    assert {key: row[key] for key in row if key not in {"file", "line"}} == {
        "id": "tip/shouting",
        "wording": "en",
        "rule": "shouting",
        "severity": "warning",
        "problem": "it has more than one '!'; keep one at most",
    }


def test_an_error_makes_the_command_fail(folder: Path) -> None:
    result = check(str(folder))

    assert result.exit_code == 1
    assert re.fullmatch(r"\d+ errors, \d+ warnings\n", result.stderr)


def test_warnings_alone_do_not(folder: Path) -> None:
    for path in (folder / "texts").iterdir():
        path.unlink()
    shutil.rmtree(folder / "check_ins")
    text = (PLANTED / "texts/answers.yaml").read_text(encoding="utf-8")
    (folder / "texts/answers.yaml").write_text(text.split("- id: mood/ask")[0], encoding="utf-8")

    result = check(str(folder))

    assert result.exit_code == 0, result.stdout
    assert result.stderr == "0 errors, 4 warnings\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("hotlines.yaml", "kind: crisis", "kind: poison", "US has no crisis line; expected one"),
        ("hotlines.yaml", "kind: emergency", "kind: crisis", "US has no emergency line; expected one"),
        ("keywords.yaml", "provider_words:", "words:", "keywords: unknown sections ['words']"),
        ("style.yaml", "\nasking:", "\nasks:", "style: unknown key 'asks'; expected one of"),
    ],
    ids=["no crisis line", "no emergency number", "keywords", "style"],
)
def test_a_part_that_cannot_be_loaded_is_a_finding_and_hides_no_other(
    folder: Path, file: str, old: str, new: str, problem: str
) -> None:
    path = folder / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")

    rows = [row for row in findings(folder) if row["rule"] == "load"]

    assert any(row["file"] == f"messages/{file}" and problem in row["problem"] for row in rows)
    assert any(row["id"] == "broken/field" for row in rows)


def test_a_folder_without_anything_is_a_finding_and_not_a_crash(tmp_path: Path) -> None:
    result = check(str(tmp_path))

    assert result.exit_code == 1
    assert f"{tmp_path.name}/hotlines.yaml:1: the file is missing; expected it to be there" in result.stdout


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = check(str(tmp_path / "nowhere"))

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_the_catalog_is_checked_without_settings_or_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    check("--json")

    assert list(tmp_path.iterdir()) == []
