"""Texts from unusual senders, and with unusual fields, are understood as far as a reasonable person would."""

from __future__ import annotations

import pytest
from sqlalchemy import column, select, table, update

from service.domain.phone import PhoneNumber
from service.domain.twiml import EMPTY_RESPONSE
from service.store.consent import find_suppression, is_suppressed
from service.store.inbound import InboundMessage, TaskKind, list_open_tasks
from service.store.messages import Message
from service.store.participants import Participant, ParticipantStatus
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from tests.conftest import NOW, make_settings
from tests.integration.test_import_participants import PHONE, WRITTEN, run_import

OURS = "+12025550100"


def take_in(context: Context, body: str, **fields: str) -> str:
    form = {"MessageSid": "SM1", "From": PHONE.e164, "To": OURS, "Body": body, "NumMedia": "0"} | fields
    return receive_text(context, IncomingText(form), NOW)


def meanings(context: Context) -> list[str | None]:
    with context.database.read() as session:
        return list(session.scalars(select(InboundMessage.meaning).order_by(InboundMessage.id)))


def is_stopped(context: Context, phone: PhoneNumber = PHONE) -> bool:
    with context.database.read() as session:
        return is_suppressed(find_suppression(session, phone, context.keyring))


def count(context: Context, model: type[Participant] | type[Message]) -> int:
    with context.database.read() as session:
        return len(list(session.scalars(select(model.id))))


@pytest.mark.parametrize("body", ["JOIN", "HELP", "STOP", "how are you"])
def test_our_own_number_is_never_answered_nor_enrolled(context: Context, body: str) -> None:
    answer = take_in(context, body, From=OURS)

    assert answer == EMPTY_RESPONSE
    assert meanings(context) == ["own_number"]
    assert (count(context, Participant), count(context, Message)) == (0, 0)


def test_our_own_number_is_known_from_the_settings_too(context: Context) -> None:
    ours = Context(context.database, context.catalog, make_settings(twilio_from=OURS))
    assert take_in(ours, "HELP", From=OURS, To="") == EMPTY_RESPONSE


@pytest.mark.parametrize("sender", ["2025550111", "12025550111"])
def test_a_stop_from_a_number_without_its_plus_holds(context: Context, sender: str) -> None:
    assert "no more texts" in take_in(context, "STOP", From=sender)
    assert is_stopped(context)


@pytest.mark.parametrize("sender", ["22395", "VERIFY", "", "12345678901234567"])
def test_a_sender_that_is_no_number_is_for_staff(context: Context, sender: str) -> None:
    assert take_in(context, "STOP", From=sender) == EMPTY_RESPONSE
    assert meanings(context) == ["unusual_sender"]
    with context.database.read() as session:
        assert [task.kind for task in list_open_tasks(session)] == [TaskKind.NEEDS_REPLY]


@pytest.mark.parametrize("word", ["STOP", "stop"])
def test_a_stop_that_only_the_provider_recognized_holds(context: Context, word: str) -> None:
    assert take_in(context, "NOMORE", OptOutType=word) == EMPTY_RESPONSE
    assert is_stopped(context)


@pytest.mark.parametrize("word", ["START", "start"])
def test_a_start_that_only_the_provider_recognized_reopens(context: Context, word: str) -> None:
    run_import(context, WRITTEN)
    take_in(context, "STOP")
    take_in(context, "COMEBACK", OptOutType=word, MessageSid="SM2")

    assert not is_stopped(context)
    with context.database.read() as session:
        assert session.scalars(select(Participant.status)).one() == ParticipantStatus.ACTIVE


def test_null_bytes_anywhere_change_nothing(context: Context) -> None:
    answer = take_in(context, "HE\0LP", MessageSid="SM\0001", OptOutType="\0")
    assert "988" in answer
    assert take_in(context, "HE\0LP", MessageSid="SM\0001") == answer


@pytest.mark.parametrize(
    ("body", "fields", "stops"),
    [("STOP", {}, True), ("NOMORE", {"OptOutType": "STOP"}, True), ("a good day", {}, False)],
)
def test_a_fault_in_handling_answers_with_hotlines_and_a_stop_holds_all_the_same(
    context: Context, body: str, fields: dict[str, str], stops: bool
) -> None:
    run_import(context, WRITTEN)
    people = table("participants", column("timezone"), column("wants_plain"), column("language"))
    with context.database.begin() as session:
        session.execute(update(people).values(timezone="Nowhere/Atall", language="xx"))
        session.execute(update(table("participants", column("status"))).values(status="unheard-of"))

    answer = take_in(context, body, **fields)

    assert "911" in answer
    assert meanings(context) == ["fault"]
    assert is_stopped(context) is stops
    statuses = table("participants", column("status"))
    with context.database.read() as session:
        assert session.scalars(select(statuses.c.status)).one() == ("opted_out" if stops else "unheard-of")
        assert [task.kind for task in list_open_tasks(session)] == [TaskKind.HANDLING_FAULT]


def test_a_fault_in_handling_breaks_no_silence_and_leaves_the_text_with_its_person(context: Context) -> None:
    run_import(context, WRITTEN)
    take_in(context, "STOP", MessageSid="SM0")
    with context.database.begin() as session:
        session.execute(update(table("participants", column("status"))).values(status="unheard-of"))

    assert take_in(context, "a good day", MessageSid="SM2") == EMPTY_RESPONSE
    assert "988" in take_in(context, "HELP", MessageSid="SM3"), "a call for help is answered always"

    with context.database.read() as session:
        owners = session.scalars(select(InboundMessage.participant_id)).all()
        tasks = [task for task in list_open_tasks(session) if task.kind is TaskKind.HANDLING_FAULT]
    assert None not in owners
    assert [task.participant_id for task in tasks] == [owners[0]] * 2
