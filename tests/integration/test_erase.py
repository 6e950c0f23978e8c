"""Erasing: nothing readable about a person is left, and nothing brings their texts back."""

from __future__ import annotations

from datetime import time, timedelta

from sqlalchemy import select

from service.domain.delivery import STOPPABLE, MessageState
from service.store.consent import ConsentEvent
from service.store.conversations import Answer, Conversation
from service.store.inbound import InboundMessage, Task, TaskKind, add_task
from service.store.meetings import ChosenMeeting, Meeting, MeetingSource
from service.store.messages import Message
from service.store.participants import Participant, ParticipantStatus
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.operations.rotate_keys import encrypted_columns
from service.usecases.people.erase_participant import Erasure, erase_participant
from service.usecases.people.imported_person import RowOutcome
from service.usecases.sending.plan import plan_due
from tests.conftest import NOW
from tests.integration.test_import_participants import (
    PHONE,
    VERBAL,
    WRITTEN,
    count_rows,
    is_stopped,
    list_kinds,
    list_messages,
    outcomes,
    run_import,
)

LATER = NOW + timedelta(hours=2)


def make_inbound(context: Context, sid: str, participant_id: int | None) -> InboundMessage:
    lookup = context.keyring.hash_newest(PHONE.e164)
    return InboundMessage(
        provider_message_id=sid,
        participant_id=participant_id,
        sender=PHONE.e164,
        sender_hash=lookup.value,
        sender_key_id=lookup.key_id,
        body="hello there",
        raw={"From": PHONE.e164},
        answer="<Response/>",
        received_at=NOW,
    )


def make_conversation(participant_id: int) -> Conversation:
    return Conversation(
        participant_id=participant_id,
        check_in_id="weekly",
        check_in_version=1,
        question_id="q1",
        opened_at=NOW,
        expires_at=NOW + timedelta(hours=4),
    )


def make_meeting(source: MeetingSource) -> Meeting:
    return Meeting(
        source_id=source.id,
        external_id="1",
        fingerprint="f",
        name="Evening Circle",
        weekday=2,
        starts_at=time(18, 30),
        timezone="America/Chicago",
        venue="in_person",
        first_seen_at=NOW,
        last_seen_at=NOW,
    )


def add_everything(context: Context) -> None:
    """A person with texts, received texts, an answer, a tag, a labeled meeting and a task."""
    run_import(context, WRITTEN + "north")
    plan_due(context, NOW)
    with context.database.begin() as session:
        person = session.scalars(select(Participant)).one()
        message = session.scalars(select(Message).limit(1)).one()
        message.body, message.recipient, message.fields = "hello", PHONE.e164, {"label": "x"}
        source = MeetingSource(name="list", format="bmlt", timezone="America/Chicago")
        conversation = make_conversation(person.id)
        session.add_all([make_inbound(context, "SM1", person.id), conversation, source])
        session.flush()
        meeting = make_meeting(source)
        answer = Answer(
            conversation_id=conversation.id,
            participant_id=person.id,
            question_id="q1",
            value="3",
            answered_at=NOW,
        )
        session.add_all([meeting, answer])
        session.flush()
        session.add(
            ChosenMeeting(participant_id=person.id, meeting_id=meeting.id, label="us", created_at=NOW)
        )
        add_task(session, TaskKind.CALL, "test", NOW, participant_id=person.id)


def list_readable(context: Context) -> list[str]:
    """Every encrypted column that still holds something."""
    with context.database.read() as session:
        return [
            f"{table.name}.{name}"
            for table, names in encrypted_columns().items()
            for name in names
            if session.execute(select(table.c[name]).where(table.c[name].is_not(None)).limit(1)).first()
        ]


def test_nothing_encrypted_is_left_of_an_erased_person(context: Context) -> None:
    add_everything(context)
    assert {"participants.phone", "answers.value", "chosen_meetings.label", "messages.body"} <= set(
        list_readable(context)
    )

    found = erase_participant(context, PHONE, "cli:test", LATER)

    assert found is Erasure.ERASED
    assert list_readable(context) == []


def test_the_row_stays_as_a_stone_without_a_way_back_to_the_number(context: Context) -> None:
    add_everything(context)

    erase_participant(context, PHONE, "cli:test", LATER)

    with context.database.read() as session:
        person = session.scalars(select(Participant)).one()
        inbound = session.scalars(select(InboundMessage)).one()
    assert (person.status, person.erased_at) == (ParticipantStatus.ERASED, LATER)
    assert (person.phone_hash, person.phone_key_id, person.next_plan_at) == (None, None, None)
    assert (inbound.sender_hash, inbound.sender_key_id) == (None, None)


def test_what_waits_is_canceled_and_what_is_open_is_closed(context: Context) -> None:
    add_everything(context)

    erase_participant(context, PHONE, "cli:test", LATER)
    plan_due(context, LATER + timedelta(days=2))

    assert [m.id for m in list_messages(context) if m.state in STOPPABLE] == []
    assert {m.reason for m in list_messages(context) if m.state == MessageState.CANCELED} == {"opted_out"}
    with context.database.read() as session:
        assert session.scalars(select(Conversation.closed_at)).one() == LATER
        assert session.scalars(select(Task.closed_at)).one() == LATER
        assert session.scalars(select(ChosenMeeting.ended_at)).one() == LATER


def test_the_consent_events_stay_and_tell_of_the_erasure(context: Context) -> None:
    add_everything(context)
    with context.database.read() as session:
        before = session.scalars(select(ConsentEvent.id)).all()

    erase_participant(context, PHONE, "cli:test", LATER)

    with context.database.read() as session:
        after = session.scalars(select(ConsentEvent.id)).all()
    assert set(before) < set(after)
    assert list_kinds(context)[-2:] == ["opted_out", "erased"]


def test_bringing_an_erased_number_in_again_stores_and_texts_nothing(context: Context) -> None:
    run_import(context, WRITTEN)
    erase_participant(context, PHONE, "cli:test", LATER)
    before = count_rows(context)

    result = run_import(context, WRITTEN, now=LATER + timedelta(hours=1))

    assert outcomes(result) == {RowOutcome.OPTED_OUT: 1}
    assert count_rows(context) == before
    assert list_readable(context) == []


def test_a_consent_given_after_the_erasure_makes_a_new_person(context: Context) -> None:
    run_import(context, WRITTEN)
    erase_participant(context, PHONE, "cli:test", LATER)
    newer = VERBAL.replace("2026-11-20T15:00", "2026-11-24T09:00")

    result = run_import(context, newer, now=NOW + timedelta(days=2))

    assert outcomes(result) == {RowOutcome.ASKED: 1}
    assert count_rows(context)["participants"] == 2
    assert not is_stopped(context)


def test_erasing_twice_is_safe(context: Context) -> None:
    add_everything(context)
    erase_participant(context, PHONE, "cli:test", LATER)
    before = count_rows(context)

    found = erase_participant(context, PHONE, "cli:test", LATER + timedelta(hours=1))

    assert found is Erasure.NOTHING_STORED
    assert count_rows(context) == before


def test_a_stranger_may_be_erased_too(context: Context) -> None:
    with context.database.begin() as session:
        session.add(make_inbound(context, "SM1", None))

    found = erase_participant(context, PHONE, "cli:test", LATER)

    assert found is Erasure.ERASED
    assert list_readable(context) == []
    assert is_stopped(context)


def test_an_erasure_is_recorded_without_the_number(context: Context) -> None:
    add_everything(context)

    erase_participant(context, PHONE, "cli:test", LATER)

    with context.database.read() as session:
        event = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
    assert (event.action, event.actor) == ("participant_erased", "cli:test")
    assert "5550111" not in f"{event.subject}{event.detail}"
