"""Keys that change: a token in rotation loses no text; a look-up key that is gone stops sending, loudly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from service.catalog import Catalog
from service.domain.delivery import MessageState
from service.gateways.sms.recording import RecordingTransport
from service.gateways.sms.signature import SIGNATURE_HEADER, sign
from service.store.database import Database
from service.store.inbound import InboundMessage, TaskKind
from service.store.keyring import Keyring
from service.store.messages import Message
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.operations.checkup import list_findings
from service.usecases.operations.explain_message import explain_message
from service.usecases.operations.live_mode import read_live
from service.usecases.operations.staff_tasks import list_tasks
from service.usecases.sending.work import work_once
from service.web.app import create_app
from service.wiring import build_runtime
from tests.conftest import KEYS, NOW, FakeClock, make_settings
from tests.integration.test_import_participants import run_import

OURS, PHONE, STRANGER = "+12025550199", "+12025550111", "+12025550122"
PERSON = f"{PHONE},Ana Example,America/New_York,en,,2025-11-10,written,2026-11-20T15:00,intake desk,"
OLD, NEW = "old-token-0123456789", "new-token-0123456789"
OTHER_KEY = "another-lookup-key-0123456789"
MINUTE = timedelta(minutes=1)
Reopen = Callable[[str], Context]


@pytest.mark.parametrize(
    ("tokens", "accepted", "refused", "reason"),
    [
        (OLD, {OLD}, {NEW}, "before the rotation"),
        (f"{NEW},{OLD}", {OLD, NEW}, {"neither-token-0123456789", ""}, "while it lasts both sign"),
        (f" {OLD} , {NEW} ", {OLD, NEW}, {f" {OLD} "}, "in any order and with spaces between"),
        (NEW, {NEW}, {OLD}, "after it the old one signs nothing any more"),
    ],
)
def test_while_the_token_changes_both_are_accepted_and_the_removed_one_is_refused(
    context: Context, database_url: str, tokens: str, accepted: set[str], refused: set[str], reason: str
) -> None:
    settings = make_settings(
        database_url=database_url,
        transport="twilio",
        twilio_account_sid="AC1",
        twilio_auth_token=tokens,
        twilio_from=OURS,
        twilio_optout_mode="app",
    )
    client = create_app(build_runtime(settings, database=context.database)).test_client()
    url = f"{settings.public_url}/twilio/inbound"

    def post(token: str) -> int:
        form = {"MessageSid": f"SM{token}", "From": PHONE, "To": OURS, "Body": "HELP"}
        headers = {SIGNATURE_HEADER: sign(url, form, token) if token else ""}
        return client.post("/twilio/inbound", data=form, headers=headers).status_code

    assert {token: post(token) for token in refused} == dict.fromkeys(refused, 403), reason
    with context.database.read() as session:
        assert session.scalar(select(func.count(InboundMessage.id))) == 0, reason
    assert {token: post(token) for token in accepted} == dict.fromkeys(accepted, 200), reason


@pytest.fixture
def reopen(database_url: str, catalog: Catalog) -> Iterator[Reopen]:
    """Open the same database with other look-up keys, as a process after a deployment does."""
    opened: list[Database] = []

    def open_with(lookup_keys: str) -> Context:
        settings = make_settings(database_url=database_url, lookup_keys=lookup_keys)
        opened.append(
            Database(database_url, Keyring([KEYS["encryption_keys"]], secrets(settings.lookup_keys)))
        )
        return Context(opened[-1], catalog, settings)

    yield open_with
    for database in opened:
        database.dispose()


def secrets(values: list[SecretStr]) -> list[str]:
    return [value.get_secret_value() for value in values]


def text_in(context: Context, phone: str, body: str, sid: str) -> str:
    form = {"MessageSid": sid, "From": phone, "To": OURS, "Body": body}
    return receive_text(context, IncomingText(form), NOW)


def get_message(context: Context) -> Message:
    with context.database.read() as session:
        return session.scalars(select(Message).where(Message.inbound_id.is_(None))).one()


def test_without_a_look_up_key_that_rows_need_nothing_unprompted_is_sent_and_everybody_says_so(
    context: Context, reopen: Reopen
) -> None:
    run_import(context, PERSON)
    text_in(context, STRANGER, "STOP", "SM1")
    without, transport, clock = reopen(OTHER_KEY), RecordingTransport(), FakeClock(NOW)

    for _ in range(3):
        work_once(without, transport, clock)
        clock.advance(20 * MINUTE)

    assert transport.sent == []
    message = get_message(without)
    assert (message.state, message.reason) == (MessageState.HELD, "lookup_key_missing")
    tasks = [(task["kind"], task["reason"]) for task in list_tasks(without, clock())]
    assert tasks.count((TaskKind.CONFIGURATION, "lookup_key_missing")) == 1, "staff are told once"
    errors = {one.check: one.message for one in list_findings(without, clock()) if one.level == "error"}
    assert "LOOKUP_KEYS" in errors["keys"]
    assert "lookup_key_missing" in errors["sending"]
    assert read_live(without, clock())["sending_blocked"] == "lookup_key_missing"
    why = explain_message(without, message.id, "test", clock())
    assert "look-up key is missing" in why["explanation"]


def test_without_that_key_texts_that_come_in_are_answered_and_a_stop_is_kept(
    context: Context, reopen: Reopen
) -> None:
    run_import(context, PERSON)
    without = reopen(OTHER_KEY)

    assert "988" in text_in(without, PHONE, "HELP", "SM1")
    assert "<Message" in text_in(without, STRANGER, "my sister came by today", "SM2")
    assert "<Message" in text_in(without, PHONE, "STOP", "SM3")

    transport, clock = RecordingTransport(), FakeClock(NOW)
    both = reopen(f"{OTHER_KEY},{KEYS['lookup_keys']}")
    work_once(both, transport, clock)
    assert transport.sent == [], "the stop that came meanwhile holds under every key"
    assert get_message(both).state is MessageState.CANCELED


def test_with_the_key_put_back_what_was_held_goes_out_once(context: Context, reopen: Reopen) -> None:
    run_import(context, PERSON)
    transport, clock = RecordingTransport(), FakeClock(NOW)
    work_once(reopen(OTHER_KEY), transport, clock)

    # Nothing was stored under the other key, so nothing of it is missing now.
    for _ in range(3):
        clock.advance(20 * MINUTE)
        work_once(context, transport, clock)

    assert [sms.to.e164 for sms in transport.sent] == [PHONE]
    assert get_message(context).state is MessageState.ACCEPTED
