"""Never twice: what the provider says in a code that nobody knows is for a human, not for another try."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.domain.provider_answers import CODES
from service.store.inbound import Task, TaskKind
from service.store.messages import Message
from service.usecases.operations.live_mode import find_block
from tests.acceptance.line import Line, running_line
from tests.conftest import FakeClock
from tests.integration.test_import_participants import run_import
from tests.standin import status

# Their program is long over, so that the welcome is the only text they get.
PERSON = "{},Ana Example,America/New_York,en,,2025-11-01,written,2026-11-20T15:00,intake desk,"
UNKNOWN_CODES = (1, 19999, 21999, 30999, 63999, 99999, 2**31 - 1)
REFUSALS = (400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 431, 451)


@pytest.fixture
def line(database_url: str, clock: FakeClock) -> Iterator[Line]:
    with running_line(database_url, clock) as running:
        running.standin.auto_receipts = False
        yield running


def plan_texts(line: Line, count: int) -> None:
    """List people who agreed on paper, one welcome for each."""
    run_import(line.runtime.context, *(PERSON.format(f"+1202555{110 + n:04d}") for n in range(count)))


def read_states(line: Line) -> set[MessageState]:
    with line.runtime.database.read() as session:
        return set(session.scalars(select(Message.state)))


def read_tasks(line: Line) -> dict[int | None, TaskKind]:
    with line.runtime.database.read() as session:
        return {task.message_id: task.kind for task in session.scalars(select(Task))}


def test_a_refusal_with_an_unknown_code_fails_the_text_with_a_task_and_one_request(line: Line) -> None:
    assert not CODES.keys() & set(UNKNOWN_CODES)
    faults = [
        status(refusal, UNKNOWN_CODES[position % len(UNKNOWN_CODES)])
        for position, refusal in enumerate(REFUSALS)
    ]
    plan_texts(line, len(faults))
    line.standin.script(*faults)

    line.pass_time(line.clock() + timedelta(hours=30), timedelta(hours=3))

    assert line.standin.creates == len(faults), "each was asked for once"
    assert line.standin.accepted == []
    assert read_states(line) == {MessageState.FAILED}
    assert set(read_tasks(line).values()) == {TaskKind.FAILED_TEXT}
    assert len(read_tasks(line)) == len(faults)
    with line.runtime.database.read() as session:
        assert find_block(line.runtime.context, session, line.clock()) is None, "one text stops no other"


@pytest.mark.parametrize("word", ["failed", "undelivered"])
def test_a_receipt_with_an_unknown_code_ends_the_text_with_a_task_and_one_request(
    line: Line, word: str
) -> None:
    plan_texts(line, len(UNKNOWN_CODES))
    line.work()
    texts = list(line.standin.accepted)
    assert len(texts) == len(UNKNOWN_CODES)
    for text, code in zip(texts, UNKNOWN_CODES, strict=True):
        assert line.standin.deliver(text["sid"], ("sent", word), code) == [204, 204]

    line.pass_time(line.clock() + timedelta(hours=30), timedelta(hours=3))

    assert line.standin.creates == len(UNKNOWN_CODES)
    assert read_states(line) == {MessageState(word)}
    assert set(read_tasks(line).values()) == {TaskKind.FAILED_TEXT}
    assert len(read_tasks(line)) == len(UNKNOWN_CODES)
