"""Nobody who agreed in writing gets a program text before the one that says who we are and how to end it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from service.domain.delivery import MessageState
from service.gateways.sms.recording import RecordingTransport
from service.store.messages import Message
from service.usecases.context import Context
from service.usecases.operations.live_mode import go_live
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.plan import plan_due
from tests.conftest import NOW, FakeClock, make_settings
from tests.integration.test_import_participants import WRITTEN, run_import

WELCOME = Message.text_id == "admin/welcome-written"


@pytest.fixture
def welcomed(context: Context) -> Context:
    """Somebody whose welcome and first program text are both due."""
    run_import(context, WRITTEN)
    plan_due(context, NOW)
    with context.database.begin() as session:
        session.execute(update(Message).where(~WELCOME).values(due_at=NOW, send_after=NOW))
    return context


def list_waiting(context: Context) -> list[tuple[MessageState, str | None]]:
    """State and reason of the program texts that are still to go."""
    query = select(Message.state, Message.reason).where(~WELCOME, Message.state != MessageState.EXPIRED)
    with context.database.read() as session:
        return [(state, reason) for state, reason in session.execute(query)]


@pytest.mark.parametrize(
    ("state", "is_sent", "reason"),
    [
        (MessageState.HELD, False, "it waits for the morning"),
        (MessageState.SENDING, False, "another worker has it on the wire"),
        (MessageState.UNKNOWN, False, "nobody knows whether it went"),
        (MessageState.ACCEPTED, True, "the provider has it"),
        (MessageState.DELIVERED, True, "they have it"),
        (MessageState.UNRESOLVED, True, "staff have been told"),
    ],
)
def test_a_program_text_goes_only_when_the_welcome_has(
    welcomed: Context, state: MessageState, is_sent: bool, reason: str
) -> None:
    with welcomed.database.begin() as session:
        far = NOW.replace(year=NOW.year + 1)
        session.execute(update(Message).where(WELCOME).values(state=state, due_at=far, lease_until=far))
    transport = RecordingTransport()

    deliver_due(welcomed, transport, lambda: NOW)

    assert (len(transport.sent) > 0) is is_sent, reason
    if not is_sent:
        assert set(list_waiting(welcomed)) == {(MessageState.HELD, "welcome_first")}


def test_both_due_at_once_go_in_order(welcomed: Context) -> None:
    clock, transport = FakeClock(), RecordingTransport()

    deliver_due(welcomed, transport, clock)
    first = len(transport.sent)
    for _ in range(3):
        clock.advance(timedelta(minutes=20))
        deliver_due(welcomed, transport, clock)

    assert first == 1, "the welcome alone"
    assert "agreed in writing" in transport.sent[0].body
    assert len(transport.sent) > 1, "then the program"


def test_a_list_imported_in_trial_mode_is_welcomed_when_the_line_goes_live(context: Context) -> None:
    run_import(context, WRITTEN)
    transport, live_at = RecordingTransport(), NOW + timedelta(days=9)
    plan_due(context, NOW)
    trial = Context(
        context.database,
        context.catalog,
        make_settings(
            database_url=context.settings.database_url,
            transport="twilio",
            twilio_account_sid="AC" + "0" * 32,
            twilio_auth_token="token",
            twilio_from="+12025550100",
            twilio_optout_mode="app",
        ),
    )
    clock = FakeClock()
    while clock.at < live_at:
        deliver_due(trial, transport, clock)
        clock.advance(timedelta(days=1))
    assert transport.sent == [], "trial mode texts nobody but listed staff"

    go_live(trial, "test", live_at, force=True)
    plan_due(trial, live_at)
    for _ in range(3):
        deliver_due(trial, transport, clock)
        clock.advance(timedelta(hours=1))

    assert "agreed in writing" in transport.sent[0].body
