"""Every send and every non-send can be explained: a trail begins with how its text came to be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.gateways.sms.recording import RecordingTransport
from service.store.bulk import add_planned
from service.store.messages import Message, MessageEvent
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.operations.explain_message import explain_message
from service.usecases.sending.deliver import deliver_due
from tests.conftest import NOW
from tests.integration.test_import_participants import run_import

S = MessageState
PERSON = "+12025550101,Ana Example,America/New_York,en,,2025-11-10,written,2026-11-20T15:00,intake desk,"
Steps = list[tuple[str | None, str, str | None]]


def trail_of(context: Context, message_id: int) -> Steps:
    """As staff read it."""
    events = explain_message(context, message_id, "test", NOW)["events"]
    return [(row["from"], row["to"], row["reason"]) for row in events]


def receive(context: Context, sid: str, body: str) -> str:
    form = {"MessageSid": sid, "From": "+12025550101", "To": "+12025550199", "Body": body}
    return receive_text(context, IncomingText(form), NOW)


def find_answer(context: Context) -> int:
    with context.database.read() as session:
        return session.scalars(select(Message.id).order_by(Message.id.desc()).limit(1)).one()


@pytest.mark.parametrize("sender", ["a stranger", "a participant"])
def test_an_answer_in_a_response_has_its_first_line_from_the_start(context: Context, sender: str) -> None:
    """A participant's HELP is answered in two statements on PostgreSQL, a stranger's in a transaction."""
    if sender == "a participant":
        run_import(context, PERSON)
        deliver_due(context, RecordingTransport(), lambda: NOW)
        receive(context, "SM0", "INFO")  # from here on the look-up key is known as recorded
    assert "<Message" in receive(context, "SM1", "HELP")

    assert trail_of(context, find_answer(context)) == [(None, "sending", "answer")]
    with context.database.read() as session:
        lines = session.scalars(select(MessageEvent).where(MessageEvent.reason == "answer")).all()
    assert {line.at for line in lines} == {NOW}


def test_the_line_costs_no_further_statement_on_postgresql(context: Context) -> None:
    if context.database.is_sqlite:
        pytest.skip("SQLite knows no statement that fills several tables")
    statements = []

    @event.listens_for(context.database.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    receive(context, "SM1", "HELP")

    assert sum("message_events" in one for one in statements) == 1
    assert [one for one in statements if "message_events" in one and "inbound_messages" not in one] == []


def planned_row(context: Context, key: str, state: MessageState, reason: str | None) -> dict[str, Any]:
    with context.database.read() as session:
        owner = session.scalars(select(Message.participant_id).limit(1)).one()
    return {
        "participant_id": owner,
        "dedupe_key": key,
        "source": "e1",
        "source_version": 1,
        "kind": MessageKind.TIP,
        "lane": 2,
        "text_id": "tip/sleep-wind-down",
        "check_in_id": None,
        "late": "send",
        "local_on": NOW.date(),
        "send_after": NOW,
        "send_before": NOW + timedelta(hours=8),
        "due_at": NOW,
        "state": state,
        "reason": reason,
        "final_at": NOW if state is S.EXPIRED else None,
    }


def test_what_a_plan_holds_or_gives_up_keeps_that_reason_whatever_comes_after(context: Context) -> None:
    run_import(context, PERSON)
    transport = RecordingTransport()
    deliver_due(context, transport, lambda: NOW)
    rows = [
        planned_row(context, "a", S.PLANNED, None),
        planned_row(context, "b", S.HELD, "cap_day"),
        planned_row(context, "c", S.EXPIRED, "too_late"),
    ]
    for _ in range(2):  # planning again adds nothing
        with context.database.begin() as session:
            add_planned(session, rows, NOW)
    deliver_due(context, transport, lambda: NOW)

    assert len(transport.sent) == 3, "the welcome and two texts"
    with context.database.read() as session:
        found = session.scalars(
            select(Message).where(Message.dedupe_key.in_(("a", "b", "c"))).order_by(Message.id)
        )
        ids = {row.dedupe_key: row.id for row in found}
    assert trail_of(context, ids["a"])[:2] == [(None, "planned", None), ("claimed", "sending", None)]
    assert trail_of(context, ids["b"])[:2] == [(None, "held", "cap_day"), ("claimed", "sending", None)]
    assert trail_of(context, ids["c"]) == [(None, "expired", "too_late")]
