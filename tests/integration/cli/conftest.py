"""The command line as an operator uses it: a migrated SQLite database, settings in the environment."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from click.testing import CliRunner, Result

from service.cli.main import main
from service.store.database import Database
from service.store.keyring import Keyring
from tests.conftest import KEYS, NOW


@dataclass
class Cli:
    """Runs commands in process against one database."""

    database: Database
    folder: Path

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), input=stdin)

    def data(self, *arguments: str, stdin: str | None = None) -> Any:
        """Run with --json and return the one value that stdout must be."""
        result = self.run(*arguments, "--json", stdin=stdin)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def refusal(self, *arguments: str, stdin: str | None = None) -> str:
        """Run something that must be refused; returns the one line on stderr."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 2, (result.exit_code, result.output)
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    def file(self, content: str | bytes, name: str = "people.csv") -> str:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set the service's settings; the logging that commands set up is taken down again."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), value)

    yield put
    root.handlers, root.level = handlers, level


@pytest.fixture
def cli(
    tmp_path: Path, environment: Callable[..., None], sqlite_template: Path, keyring: Keyring
) -> Iterator[Cli]:
    path = tmp_path / "cli.db"
    shutil.copy(sqlite_template, path)
    environment(**KEYS, database_url=f"sqlite:///{path}", org_timezone="America/New_York")
    database = Database(f"sqlite:///{path}", keyring)
    with time_machine.travel(NOW, tick=False):
        yield Cli(database, tmp_path)
    database.dispose()
