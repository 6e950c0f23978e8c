"""`aftercare simulate` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--participants", "0"], "0 is not in the range"),
        (["--days", "lots"], "'lots' is not a valid integer"),
        (["--start", "yesterday"], "'yesterday' does not match the format"),
        (["--program", "second-year"], "there is no program second-year; expected one of first-year"),
        (["--out", "no/such/folder"], "the folder cannot be made"),
        (["--price-per-segment", "-1"], "-1.0 is not in the range"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_bad_argument_is_one_line(arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(main, ["simulate", *arguments])

    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_run_writes_both_reports_and_needs_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    monkeypatch.setenv("PORT", "nonsense")
    out = tmp_path / "year"

    result = CliRunner().invoke(main, ["simulate", "--participants", "3", "--days", "2", "--out", str(out)])

    assert result.exit_code == 0, result.stderr
    assert "every promise was kept" in result.stderr
    assert json.loads((out / "report.json").read_text())["options"]["people"] == 3
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")
