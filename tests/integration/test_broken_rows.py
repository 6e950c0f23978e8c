"""Never silently lost: what breaks for one person is set aside for staff; everybody else gets their text."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import column, select, table, update

from service.domain.delivery import MessageState
from service.gateways.sms.recording import RecordingTransport
from service.store.inbound import Task, TaskKind, list_open_tasks
from service.store.messages import Message
from service.usecases.context import Context
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.plan import TRY_AGAIN_AFTER, plan_due
from tests.conftest import NOW
from tests.integration.test_import_participants import run_import

NUMBERS = ("+12025550121", "+12025550122", "+12025550123")
ROW = "{},Ana Example,America/New_York,en,,2026-11-20,written,2026-11-20T15:00,intake desk,"


@pytest.fixture
def people(context: Context) -> Context:
    run_import(context, *(ROW.format(number) for number in NUMBERS))
    return context


def break_second(context: Context, name: str, value: str) -> int:
    """Put something into a column of the second person that nobody can use; returns the person's id."""
    rows = table("participants", column("id"), column(name))
    with context.database.begin() as session:
        ids = list(session.scalars(select(rows.c.id).order_by(rows.c.id)))
        session.execute(update(rows).where(rows.c.id == ids[1]).values({name: value}))
    return int(ids[1])


def open_tasks(context: Context) -> list[Task]:
    with context.database.read() as session:
        return list(list_open_tasks(session))


def states(context: Context) -> dict[int | None, set[MessageState]]:
    with context.database.read() as session:
        found: dict[int | None, set[MessageState]] = {}
        for message in session.execute(select(Message.participant_id, Message.state)):
            found.setdefault(message.participant_id, set()).add(message.state)
        return found


def test_a_person_whose_row_no_key_opens_holds_up_nobody_elses_text(people: Context) -> None:
    broken = break_second(people, "phone", "not a token")
    transport = RecordingTransport()

    deliver_due(people, transport, lambda: NOW)

    assert sorted(sms.to.e164 for sms in transport.sent) == [NUMBERS[0], NUMBERS[2]]
    assert states(people)[broken] == {MessageState.FAILED}
    assert [(task.kind, task.reason) for task in open_tasks(people)] == [
        (TaskKind.FAILED_TEXT, "release_fault")
    ]


def test_a_person_whose_day_cannot_be_planned_holds_up_nobody_elses_day(people: Context) -> None:
    broken = break_second(people, "timezone", "Nowhere/Atall")

    counts = plan_due(people, NOW)

    assert counts.people == 2
    assert [(task.participant_id, task.reason) for task in open_tasks(people)] == [(broken, "plan_fault")]


def test_a_day_that_could_not_be_planned_is_tried_again_and_told_once(people: Context) -> None:
    broken = break_second(people, "timezone", "Nowhere/Atall")
    plan_due(people, NOW)
    plan_due(people, NOW + TRY_AGAIN_AFTER)
    assert len(open_tasks(people)) == 1

    break_second(people, "timezone", "America/New_York")
    counts = plan_due(people, NOW + 2 * TRY_AGAIN_AFTER + timedelta(minutes=1))

    assert counts.people == 1
    with people.database.read() as session:
        theirs = select(Message.id).where(
            Message.participant_id == broken, Message.dedupe_key.startswith("e")
        )
        assert session.scalars(theirs).first() is not None
