"""Receipts come late, doubled and out of order: states only move forward, and repeats change nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service.config import Settings
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.gateways.sms.protocol import Accepted, OutgoingSms, SendOutcome, Unknown
from service.gateways.sms.recording import RecordingTransport
from service.gateways.sms.signature import SIGNATURE_HEADER, sign
from service.store.base import Base
from service.store.consent import ConsentEvent, ConsentKind
from service.store.inbound import Task, TaskKind
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Participant, ParticipantStatus
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.receipts import Receipt, record_receipt
from service.usecases.sending.recover import recover_abandoned
from service.web.app import create_app
from service.wiring import build_runtime
from tests.conftest import NOW, FakeClock, make_settings
from tests.integration.test_import_participants import run_import

S = MessageState
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PERSON = "{},Ana Example,America/New_York,en,,2025-11-10,written,2026-11-20T15:00,intake desk,"
Told = tuple[str, int | None]


@dataclass(frozen=True)
class Sent:
    """A text at the provider, and what its receipts need."""

    message_id: int
    reference: str
    provider_message_id: str

    def receipt(self, status: str, error_code: int | None = None) -> Receipt:
        return Receipt(self.reference, self.provider_message_id, status, error_code)


class Provider(RecordingTransport):
    """Takes every text, and gives each a name of its own."""

    def send(self, sms: OutgoingSms) -> SendOutcome:
        super().send(sms)
        return Accepted(f"SM{sms.reference}", segments=1)


def number_of(position: int) -> str:
    return f"+1202555{100 + position:04d}"


def send(context: Context, count: int = 1, transport: RecordingTransport | None = None) -> list[Sent]:
    """Let people who agreed on paper be welcomed; returns the texts in the order of the people."""
    run_import(context, *(PERSON.format(number_of(position)) for position in range(count)))
    deliver_due(context, transport or Provider(), lambda: NOW)
    return list_sent(context)


def list_sent(context: Context) -> list[Sent]:
    """Every try there was, oldest text first."""
    with context.database.read() as session:
        rows = session.scalars(select(Attempt).order_by(Attempt.message_id, Attempt.id))
        return [Sent(row.message_id, row.reference, row.provider_message_id or f"SM{row.id}") for row in rows]


def get_message(context: Context, message_id: int) -> Message:
    with context.database.read() as session:
        return session.scalars(select(Message).where(Message.id == message_id)).one()


def snapshot(context: Context) -> dict[str, list[Any]]:
    """Every row of every table."""
    with context.database.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table))))
            for table in Base.metadata.sorted_tables
        }


def count(context: Context, column: Any, *where: Any) -> int:
    with context.database.read() as session:
        return session.scalar(select(func.count(column)).where(*where)) or 0


def list_tasks(context: Context) -> list[tuple[TaskKind, str]]:
    with context.database.read() as session:
        return [(task.kind, task.reason) for task in session.scalars(select(Task).order_by(Task.id))]


ORDERS: list[tuple[list[Told], MessageState, int, str]] = [
    ([("sent", None), ("delivered", None)], S.DELIVERED, 2, "in order"),
    ([("delivered", None), ("sent", None)], S.DELIVERED, 1, "the last one came first"),
    ([("delivered", None), ("queued", None), ("sent", None)], S.DELIVERED, 1, "all of them late"),
    ([*[("sent", None)] * 3, *[("delivered", None)] * 3], S.DELIVERED, 2, "each of them three times"),
    ([("queued", None), ("sending", None), ("accepted", None)], S.ACCEPTED, 0, "nothing we did not know"),
    ([("sent", None), ("queued", None), ("sending", None)], S.SENT, 1, "earlier stages told late"),
    ([("read", None)], S.DELIVERED, 1, "read is delivered"),
    ([("undelivered", 30005), ("delivered", None)], S.UNDELIVERED, 1, "the first last word stays"),
    ([("delivered", None), ("undelivered", 30008)], S.DELIVERED, 1, "the first last word stays"),
    ([("failed", None), ("sent", None), ("failed", None)], S.FAILED, 1, "failed stays failed"),
    ([("sent", None), ("undelivered", 99999)], S.UNDELIVERED, 2, "a reason nobody knows: staff look"),
    ([("canceled", None)], S.FAILED, 1, "somebody took it back at the provider"),
    ([("something-new", None), ("", None), ("x" * 300, None)], S.ACCEPTED, 0, "words nobody knows"),
]


def test_receipts_in_any_order_move_a_text_forward_only(context: Context) -> None:
    texts = send(context, len(ORDERS))

    for text, (told, state, moves, reason) in zip(texts, ORDERS, strict=True):
        for status, error_code in told:
            assert record_receipt(context, text.receipt(status, error_code), NOW + MINUTE)
        message = get_message(context, text.message_id)
        assert message.state is state, reason
        told_by_receipt = MessageEvent.reason.like("receipt_%")
        trail = count(context, MessageEvent.id, MessageEvent.message_id == text.message_id, told_by_receipt)
        assert trail == moves, reason
        is_lost = state in (S.FAILED, S.UNDELIVERED)
        assert count(context, Task.id, Task.message_id == text.message_id) == int(is_lost), reason


@pytest.mark.parametrize(
    "told",
    [[("sent", None), ("delivered", None)], [("sent", None), ("undelivered", 30005)], [("failed", 21610)]],
)
def test_receipts_told_again_hours_later_change_nothing_at_all(context: Context, told: list[Told]) -> None:
    [text] = send(context)
    for status, error_code in told:
        record_receipt(context, text.receipt(status, error_code), NOW + MINUTE)
    before = snapshot(context)

    for status, error_code in [*told, *reversed(told)]:
        record_receipt(context, text.receipt(status, error_code), NOW + 9 * HOUR)

    assert snapshot(context) == before


def test_a_text_keeps_the_times_at_which_it_was_first_told(context: Context) -> None:
    [text] = send(context)

    record_receipt(context, text.receipt("sent"), NOW + MINUTE)
    record_receipt(context, text.receipt("delivered"), NOW + 40 * HOUR)

    message = get_message(context, text.message_id)
    assert (message.state, message.accepted_at, message.sent_at) == (S.DELIVERED, NOW, NOW + MINUTE)
    assert message.final_at == NOW + 40 * HOUR


@pytest.mark.parametrize("reference", ["", "0" * 32, "' OR 1=1 --", "a\0b", "ä" * 64])
def test_a_receipt_with_a_reference_that_is_not_ours_changes_nothing(
    context: Context, reference: str
) -> None:
    [text] = send(context)
    before = snapshot(context)

    receipt = replace(text.receipt("failed", 21610), reference=reference)

    assert record_receipt(context, receipt, NOW) is False
    assert snapshot(context) == before


@pytest.mark.parametrize("code", [2**63, 2**31, 0, -1])
def test_a_code_that_is_none_of_the_providers_counts_as_no_code(context: Context, code: int) -> None:
    [text] = send(context)

    assert record_receipt(context, text.receipt("undelivered", code), NOW + MINUTE)

    assert get_message(context, text.message_id).state is S.UNDELIVERED
    with context.database.read() as session:
        assert session.scalars(select(Attempt.error_code)).one() is None


def test_the_largest_code_is_kept(context: Context) -> None:
    [text] = send(context)

    assert record_receipt(context, text.receipt("undelivered", 2**31 - 1), NOW + MINUTE)

    with context.database.read() as session:
        assert session.scalars(select(Attempt.error_code)).one() == 2**31 - 1


TOKEN = "token-0123456789"


def signed_settings(database_url: str) -> Settings:
    """Of a line whose receipts the provider signs with TOKEN."""
    return make_settings(
        database_url=database_url,
        transport="twilio",
        twilio_account_sid="AC1",
        twilio_auth_token=TOKEN,
        twilio_from="+12025550199",
        twilio_optout_mode="app",
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("30005", 30005),
        ("2147483647", 2**31 - 1),
        ("2147483648", None),
        (str(2**63), None),
        ("9" * 5_000, None),
        ("0", None),
        ("-5", None),
        ("\u0663", None),
        ("30005 ", None),
        ("", None),
    ],
)
def test_whatever_stands_for_a_code_in_a_receipt_is_no_fault(
    context: Context, database_url: str, given: str, kept: int | None
) -> None:
    [text] = send(context)
    settings = signed_settings(database_url)
    client = create_app(build_runtime(settings, database=context.database)).test_client()
    path = f"/twilio/status?ref={text.reference}"
    form = {"MessageStatus": "undelivered", "ErrorCode": given}
    headers = {SIGNATURE_HEADER: sign(settings.public_url + path, form, TOKEN)}

    assert client.post(path, data=form, headers=headers).status_code == 204

    with context.database.read() as session:
        assert session.scalars(select(Attempt.error_code)).one() == kept


def test_a_receipt_that_names_the_provider_id_of_another_text_does_not_take_it_over(context: Context) -> None:
    [first] = send(context, transport=RecordingTransport(Unknown("no answer")))
    second = send(context, 2)[1]

    receipt = replace(first.receipt("delivered"), provider_message_id=second.provider_message_id)
    assert record_receipt(context, receipt, NOW)

    assert list_sent(context)[1] == second
    assert count(context, Attempt.id, Attempt.provider_message_id.is_(None)) == 1
    states = [get_message(context, text.message_id).state for text in (first, second)]
    assert states == [S.DELIVERED, S.ACCEPTED]


def test_a_receipt_that_overtakes_the_answer_is_not_undone_by_it(context: Context) -> None:
    class Overtaken(RecordingTransport):
        def send(self, sms: OutgoingSms) -> SendOutcome:
            record_receipt(context, Receipt(sms.reference, "SM" + "e" * 32, "delivered", None), NOW)
            return Unknown("no answer")

    [text] = send(context, transport=Overtaken())

    assert get_message(context, text.message_id).state is S.DELIVERED
    assert text.provider_message_id == "SM" + "e" * 32
    recover_abandoned(context, NOW + 48 * HOUR)
    assert list_tasks(context) == []


def answer_to(context: Context, body: str) -> Sent:
    """Let somebody nobody knows text the line; returns the answer that rode in the webhook's response."""
    form = {"MessageSid": "SM1", "From": number_of(0), "To": "+12025550199", "Body": body}
    assert "<Message" in receive_text(context, IncomingText(form), NOW)
    [answer] = list_sent(context)
    return answer


def test_an_answer_in_a_webhooks_response_learns_its_fate_from_receipts(context: Context) -> None:
    answer = answer_to(context, "JOIN")
    assert get_message(context, answer.message_id).state is S.SENDING

    record_receipt(context, answer.receipt("sent"), NOW + MINUTE)
    assert get_message(context, answer.message_id).state is S.SENT
    record_receipt(context, answer.receipt("delivered"), NOW + 2 * MINUTE)

    assert get_message(context, answer.message_id).state is S.DELIVERED
    recover_abandoned(context, NOW + 48 * HOUR)
    assert list_tasks(context) == []


def test_an_answer_that_did_not_arrive_is_for_staff_and_never_sent_again(context: Context) -> None:
    answer = answer_to(context, "HELP")
    with context.database.begin() as session:
        # Of a kind that may be repeated, had it gone by API.
        session.execute(update(Message).values(kind=MessageKind.CRISIS_REPLY))
    transport = Provider()

    record_receipt(context, answer.receipt("undelivered", 30003), NOW + MINUTE)
    deliver_due(context, transport, lambda: NOW + 90 * MINUTE)

    assert get_message(context, answer.message_id).state is S.UNDELIVERED
    assert list_tasks(context) == [(TaskKind.FAILED_TEXT, "undelivered")]
    assert transport.sent == []


def test_an_answer_refused_because_of_an_opt_out_stops_a_number_nobody_knows(context: Context) -> None:
    answer = answer_to(context, "HELP")

    record_receipt(context, answer.receipt("failed", 21610), NOW + MINUTE)

    assert count(context, ConsentEvent.id, ConsentEvent.kind == ConsentKind.OPTED_OUT) == 1
    form = {"MessageSid": "SM2", "From": number_of(0), "To": "+12025550199", "Body": "JOIN"}
    assert "<Message" not in receive_text(context, IncomingText(form), NOW + HOUR), "only START reopens"


def add_text(context: Context, kind: MessageKind, text_id: str) -> int:
    """One more text to the first person, due now."""
    with context.database.begin() as session:
        person = session.scalars(select(Participant).order_by(Participant.id)).first()
        assert person is not None
        message = Message(
            participant_id=person.id,
            dedupe_key=f"t:{text_id}",
            source="t1",
            kind=kind,
            lane=KIND_RULES[kind].lane,
            text_id=text_id,
            local_on=NOW.date(),
            send_after=NOW,
            send_before=NOW + KIND_RULES[kind].useful_for,
            due_at=NOW,
            state=S.PLANNED,
            created_at=NOW,
        )
        session.add(message)
        session.flush()
        return message.id


def test_two_texts_refused_because_of_one_opt_out_leave_one_consent_event(context: Context) -> None:
    run_import(context, PERSON.format(number_of(0)))
    add_text(context, MessageKind.SAFETY, "safety/someone-near")
    deliver_due(context, Provider(), lambda: NOW)

    for text in list_sent(context):
        record_receipt(context, text.receipt("undelivered", 21610), NOW + MINUTE)

    assert count(context, ConsentEvent.id, ConsentEvent.kind == ConsentKind.OPTED_OUT) == 1
    assert count(context, Participant.id, Participant.status == ParticipantStatus.OPTED_OUT) == 1


@pytest.mark.parametrize("is_told_before", [True, False])
def test_an_opt_out_told_late_or_again_does_not_undo_the_persons_start(
    context: Context, is_told_before: bool
) -> None:
    [text] = send(context)
    form = {"MessageSid": "SM1", "From": number_of(0), "To": "+12025550199", "Body": "STOP"}
    if is_told_before:
        record_receipt(context, text.receipt("failed", 21610), NOW + MINUTE)
    else:
        receive_text(context, IncomingText(form), NOW + MINUTE)
    receive_text(context, IncomingText(form | {"MessageSid": "SM2", "Body": "START"}), NOW + HOUR)

    record_receipt(context, text.receipt("failed", 21610), NOW + 2 * HOUR)

    assert count(context, Participant.id, Participant.status == ParticipantStatus.ACTIVE) == 1


def send_one_more(context: Context, kind: MessageKind, text_id: str) -> Sent:
    send(context)
    message_id = add_text(context, kind, text_id)
    deliver_due(context, Provider(), lambda: NOW)
    return next(text for text in list_sent(context) if text.message_id == message_id)


def test_a_text_that_may_be_repeated_is_tried_three_times_when_the_phone_was_off(context: Context) -> None:
    text = send_one_more(context, MessageKind.SAFETY, "safety/someone-near")
    transport, clock = Provider(), FakeClock(NOW)

    for tries in (1, 2, 3):
        record_receipt(context, text.receipt("sent"), clock())
        record_receipt(context, text.receipt("undelivered", 30003), clock())
        message = get_message(context, text.message_id)
        assert message.state is (S.PLANNED if tries < 3 else S.UNDELIVERED)
        assert (message.final_at is None) is (tries < 3)
        clock.advance(HOUR)
        deliver_due(context, transport, clock)
        text = next(one for one in reversed(list_sent(context)) if one.message_id == text.message_id)

    assert len({sms.body for sms in transport.sent}) == 1
    assert len(transport.sent) == 2
    assert list_tasks(context) == [(TaskKind.FAILED_TEXT, "undelivered")], "staff hear when it is given up"


@pytest.mark.parametrize("status", ["delivered", "read"])
def test_a_text_that_arrived_after_all_is_not_tried_again(context: Context, status: str) -> None:
    text = send_one_more(context, MessageKind.SAFETY, "safety/someone-near")
    record_receipt(context, text.receipt("undelivered", 30003), NOW)
    assert get_message(context, text.message_id).state is S.PLANNED
    record_receipt(context, text.receipt("sent"), NOW)
    assert get_message(context, text.message_id).state is S.PLANNED, "a late `sent` says nothing new"

    record_receipt(context, text.receipt(status), NOW)
    transport = Provider()
    deliver_due(context, transport, lambda: NOW + 2 * HOUR)

    assert get_message(context, text.message_id).state is S.DELIVERED
    assert transport.sent == []


def test_receipts_of_an_older_try_no_longer_move_the_text(context: Context) -> None:
    older = send_one_more(context, MessageKind.SAFETY, "safety/someone-near")
    record_receipt(context, older.receipt("undelivered", 30003), NOW)
    deliver_due(context, Provider(), lambda: NOW + HOUR)
    assert get_message(context, older.message_id).state is S.ACCEPTED

    record_receipt(context, older.receipt("undelivered", 30003), NOW + HOUR)
    record_receipt(context, older.receipt("failed", 30008), NOW + HOUR)

    assert get_message(context, older.message_id).state is S.ACCEPTED
    assert list_tasks(context) == []


@pytest.mark.parametrize(
    ("kind", "text_id", "code", "reason"),
    [
        (MessageKind.CHECKIN, "safety/mixing", 30003, "two answers to a question cannot be told apart"),
        (MessageKind.TIP, "safety/mixing", 30003, "a tip is not worth the risk of a double"),
        (MessageKind.SAFETY, "safety/mixing", 30005, "a disconnected number stays one"),
        (MessageKind.SAFETY, "safety/mixing", 30007, "the same wording is filtered again"),
        (MessageKind.SAFETY, "safety/mixing", None, "no reason given"),
        (MessageKind.SAFETY, "safety/mixing", 99999, "a reason nobody knows"),
    ],
)
def test_what_may_not_be_repeated_is_for_staff(
    context: Context, kind: MessageKind, text_id: str, code: int | None, reason: str
) -> None:
    text = send_one_more(context, kind, text_id)

    record_receipt(context, text.receipt("undelivered", code), NOW)
    transport = Provider()
    deliver_due(context, transport, lambda: NOW + 3 * HOUR)

    assert get_message(context, text.message_id).state is S.UNDELIVERED, reason
    assert list_tasks(context) == [(TaskKind.FAILED_TEXT, "undelivered")], reason
    assert transport.sent == [], reason


def test_a_receipt_that_nobody_signed_is_refused_and_changes_nothing(
    context: Context, database_url: str
) -> None:
    [text] = send(context)
    settings = signed_settings(database_url)
    runtime = build_runtime(settings, database=context.database)
    client = create_app(runtime).test_client()
    path = f"/twilio/status?ref={text.reference}"
    url = settings.public_url + path
    form = {"MessageSid": text.provider_message_id, "MessageStatus": "delivered"}
    good = sign(url, form, TOKEN)
    before = snapshot(context)

    refused = {
        "no signature": (path, form, {}),
        "another token": (path, form, {SIGNATURE_HEADER: sign(url, form, "another-token-0123")}),
        "a changed form": (path, form | {"MessageStatus": "failed"}, {SIGNATURE_HEADER: good}),
        "another reference": (path + "0", form, {SIGNATURE_HEADER: good}),
        "another path": ("/twilio/status", form, {SIGNATURE_HEADER: good}),
    }
    for reason, (target, fields, headers) in refused.items():
        assert client.post(target, data=fields, headers=headers).status_code == 403, reason
    assert snapshot(context) == before

    assert client.post(path, data=form, headers={SIGNATURE_HEADER: good}).status_code == 204
    assert get_message(context, text.message_id).state is S.DELIVERED
