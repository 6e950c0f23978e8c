"""A long import and a server that goes on answering: both write, neither waits for the other's end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import func, select

from service.store.database import Database
from service.store.participants import Participant
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.people.import_participants import (
    BATCH,
    ImportRefusedError,
    ImportRequest,
    import_participants,
)
from service.usecases.people.imported_person import RowOutcome
from tests.conftest import NOW

ROWS = 500
LONGEST_WAIT = 3 * BATCH
"""Rows that go by while a writer waits: one batch, and two more that a busy machine overslept."""
FEWEST_TURNS = 3
FILE = "\n".join(["phone", *(f"+1999{number:07d}" for number in range(ROWS))]).encode()


class DiedError(Exception):
    """Stands for a process that was killed between two transactions."""


@dataclass
class Webhook:
    """Writes a row, again and again, in short transactions; notes how far the import was at each."""

    database: Database
    done: int = 0
    turns: list[tuple[int, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def write_until_stopped(self) -> None:
        while not self._stop.is_set():
            asked_at = self.done
            with self.database.begin() as session:
                session.add(AuditEvent(at=NOW, actor="webhook", action="test"))
            self.turns.append((asked_at, self.done))
            self._stop.wait(0.01)

    @contextmanager
    def writing(self) -> Iterator[None]:
        thread = threading.Thread(target=self.write_until_stopped)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(60)
            assert not thread.is_alive()

    def note(self, done: int, _total: int) -> None:
        self.done = done


def count_people(context: Context) -> int:
    with context.database.read() as session:
        return session.execute(select(func.count()).select_from(Participant)).scalar_one()


@pytest.mark.parametrize(
    "open_other",
    [
        pytest.param(lambda context: context.database, id="in the same process"),
        pytest.param(
            lambda context: Database(
                context.database.engine.url.render_as_string(hide_password=False), context.keyring
            ),
            id="in another process, which sees only the database's own lock",
        ),
    ],
)
def test_another_writer_gets_its_turn_within_three_batches_of_a_long_import(
    context: Context, open_other: Callable[[Context], Database]
) -> None:
    other = open_other(context)
    webhook = Webhook(other)

    with webhook.writing():
        result = import_participants(context, ImportRequest(FILE, "cli:test"), NOW, webhook.note)
    other.dispose()

    assert sum(result.counts.values()) == ROWS
    during = [(asked, written) for asked, written in webhook.turns if written < ROWS]
    assert len(during) >= FEWEST_TURNS
    assert max(written - asked for asked, written in webhook.turns) <= LONGEST_WAIT


def test_a_wrong_row_at_the_end_of_a_long_file_keeps_every_batch_out(context: Context) -> None:
    with pytest.raises(ImportRefusedError):
        import_participants(context, ImportRequest(FILE + b"\nnobody", "cli:test"), NOW)

    assert count_people(context) == 0


def test_an_import_that_died_between_two_batches_is_finished_by_the_same_file(context: Context) -> None:
    request = ImportRequest(
        b"phone,consent,consent_at,consent_by\n"
        + b"\n".join(
            f"+1999{number:07d},written,2026-11-20,intake desk".encode() for number in range(3 * BATCH)
        ),
        "cli:test",
    )

    def die(done: int, _total: int) -> None:
        if done >= 2 * BATCH:
            raise DiedError

    with pytest.raises(DiedError):
        import_participants(context, request, NOW, die)
    assert count_people(context) == 2 * BATCH

    result = import_participants(context, request, NOW)

    assert count_people(context) == 3 * BATCH
    assert result.counts == {RowOutcome.UNCHANGED: 2 * BATCH, RowOutcome.WELCOMED: BATCH}
