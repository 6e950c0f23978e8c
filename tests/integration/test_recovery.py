"""Never twice, never silently lost: what a dead or sleeping worker left behind is put right by its lease."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from service.domain.delivery import MessageState
from service.domain.provider_answers import AnswerClass
from service.gateways.sms.protocol import Accepted, Rejected, SendOutcome, Unknown
from service.gateways.sms.recording import RecordingTransport
from service.store.conversations import Conversation
from service.store.database import real_now
from service.store.inbound import Task, TaskKind
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Participant, ParticipantStatus
from service.store.service_state import set_setting
from service.usecases.context import Context, new_reference
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.sending.deliver import claim_due, deliver_due
from service.usecases.sending.outcomes import record_outcome, take_back
from service.usecases.sending.receipts import Receipt, record_receipt
from service.usecases.sending.recover import recover_abandoned
from service.usecases.sending.release import ReadyText, release_claimed
from tests.conftest import NOW, FakeClock
from tests.integration.test_import_participants import run_import

S = MessageState
PERSON = "+12025550101,Ana Example,America/New_York,en,,2025-11-10,written,2026-11-20T15:00,intake desk,"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TAKEN = Accepted("SM" + "a" * 32, segments=1)


@pytest.fixture
def person(context: Context) -> Context:
    """One person with one text that is due."""
    run_import(context, PERSON)
    return context


def claim(context: Context) -> tuple[str, list[int]]:
    token = new_reference()
    return token, claim_due(context, token, 5, NOW)


def claim_and_release(context: Context) -> ReadyText:
    token, ids = claim(context)
    [ready] = release_claimed(context, token, ids, NOW).ready
    return ready


def let_leases_run_out(context: Context) -> None:
    """As if the worker had died long ago: leases live by the database's own clock."""
    with context.database.begin() as session:
        past = real_now(session) - timedelta(seconds=1)
        session.execute(update(Message).where(Message.lease_until.is_not(None)).values(lease_until=past))


def get_message(context: Context) -> Message:
    with context.database.read() as session:
        return session.scalars(select(Message)).one()


def list_tasks(context: Context) -> list[tuple[TaskKind, str, int | None]]:
    with context.database.read() as session:
        return [(task.kind, task.reason, task.message_id) for task in session.scalars(select(Task))]


def list_steps(context: Context) -> list[tuple[str | None, str, str | None]]:
    with context.database.read() as session:
        query = select(MessageEvent).order_by(MessageEvent.id)
        return [(row.from_state, row.to_state, row.reason) for row in session.scalars(query)]


def list_attempt_outcomes(context: Context) -> list[str | None]:
    with context.database.read() as session:
        return list(session.scalars(select(Attempt.outcome).order_by(Attempt.id)))


def test_a_text_whose_worker_died_before_sending_is_planned_again_and_sent_once(person: Context) -> None:
    claim(person)
    assert recover_abandoned(person, NOW).replanned == 0, "the lease still runs"
    let_leases_run_out(person)

    first, second = recover_abandoned(person, NOW), recover_abandoned(person, NOW)

    assert (first.replanned, second.replanned) == (1, 0)
    assert list_steps(person) == [("claimed", "planned", "lease_ran_out")]
    transport = RecordingTransport()
    for _ in range(2):
        deliver_due(person, transport, lambda: NOW)
    assert len(transport.sent) == 1
    assert (get_message(person).state, get_message(person).tries) == (S.ACCEPTED, 1)


def test_a_text_whose_worker_died_while_sending_is_unknown_and_never_sent_again(person: Context) -> None:
    claim_and_release(person)
    assert recover_abandoned(person, NOW).unknown == 0, "the lease still runs"
    let_leases_run_out(person)

    assert recover_abandoned(person, NOW + MINUTE).unknown == 1

    assert get_message(person).state is S.UNKNOWN
    transport, clock = RecordingTransport(), FakeClock(NOW)
    for _ in range(12):
        recover_abandoned(person, clock.advance(6 * HOUR))
        deliver_due(person, transport, clock)
    assert transport.sent == []


@pytest.mark.parametrize("how", ["no clear answer", "the worker died"])
def test_an_unknown_without_a_receipt_goes_to_staff_after_a_day_and_once(person: Context, how: str) -> None:
    text = claim_and_release(person)
    if how == "no clear answer":
        record_outcome(person, text, Unknown("ReadTimeout"), NOW)
    else:
        let_leases_run_out(person)
    recover_abandoned(person, NOW)
    recover_abandoned(person, NOW + 23 * HOUR)
    assert (get_message(person).state, list_tasks(person)) == (S.UNKNOWN, [])

    assert recover_abandoned(person, NOW + 25 * HOUR).unresolved == 1
    assert recover_abandoned(person, NOW + 50 * HOUR).unresolved == 0

    assert get_message(person).state is S.UNRESOLVED
    assert list_tasks(person) == [(TaskKind.UNRESOLVED_TEXT, "no_receipt", text.message_id)]


def test_a_text_sent_long_after_its_time_waits_a_whole_day_for_its_receipt_too(person: Context) -> None:
    late = NOW + 30 * HOUR
    token = new_reference()
    [ready] = release_claimed(person, token, claim_due(person, token, 1, late), late).ready
    let_leases_run_out(person)

    recover_abandoned(person, late)
    assert get_message(person).state is S.UNKNOWN
    recover_abandoned(person, late + 23 * HOUR)
    assert get_message(person).state is S.UNKNOWN
    record_receipt(person, Receipt(ready.sms.reference, None, "delivered", None), late + 23 * HOUR)
    recover_abandoned(person, late + 48 * HOUR)

    assert get_message(person).state is S.DELIVERED
    assert list_tasks(person) == []


def test_an_answer_in_a_webhooks_response_without_a_receipt_ends_on_the_staff_list(context: Context) -> None:
    form = {"MessageSid": "SM1", "From": "+12025550101", "To": "+12025550199", "Body": "HELP"}
    assert "<Message" in receive_text(context, IncomingText(form), NOW)
    with context.database.read() as session:
        lease, real = session.scalars(select(Message.lease_until)).one(), real_now(session)
        assert lease is not None
        assert timedelta(minutes=14) < lease - real <= timedelta(minutes=15)
    let_leases_run_out(context)

    recover_abandoned(context, NOW + 16 * MINUTE)
    assert get_message(context).state is S.UNKNOWN
    recover_abandoned(context, NOW + 26 * HOUR)

    assert get_message(context).state is S.UNRESOLVED
    assert [kind for kind, _, _ in list_tasks(context)] == [TaskKind.UNRESOLVED_TEXT]


OUTCOMES: list[tuple[SendOutcome, str]] = [
    (TAKEN, "accepted"),
    (Rejected(AnswerClass.RETRY, None, None), "surely not sent"),
    (Rejected(AnswerClass.PERMANENT, 21211, 400), "never"),
    (Rejected(AnswerClass.CONFIGURATION, 20003, 401), "wrong account"),
    (Unknown("HTTP 503", 503), "unclear"),
]


@pytest.mark.parametrize(("outcome", "reason"), OUTCOMES)
def test_a_worker_that_wakes_up_late_cannot_overwrite_what_another_did(
    person: Context, outcome: SendOutcome, reason: str
) -> None:
    """It slept before the call, gave the text up, and another worker has it now under a new claim."""
    slept = claim_and_release(person)
    take_back(person, slept, NOW)
    owner = claim_and_release(person)
    steps = list_steps(person)

    record_outcome(person, slept, outcome, NOW)
    take_back(person, slept, NOW)

    message = get_message(person)
    assert (message.state, message.claim_token) == (S.SENDING, owner.claim_token), reason
    assert list_steps(person) == steps, reason
    assert list_tasks(person) == [], reason
    assert list_attempt_outcomes(person)[1] is None, reason
    record_outcome(person, owner, replace(TAKEN, provider_message_id="SM" + "b" * 32), NOW)
    assert get_message(person).state is S.ACCEPTED, reason


def test_a_worker_that_lost_its_claim_lets_nothing_go(person: Context) -> None:
    token, ids = claim(person)
    let_leases_run_out(person)
    recover_abandoned(person, NOW)
    other, _ = claim(person)

    late = release_claimed(person, token, ids, NOW)

    assert late.ready == []
    assert (get_message(person).state, get_message(person).claim_token) == (S.CLAIMED, other)
    assert list_attempt_outcomes(person) == []


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (TAKEN, S.ACCEPTED, "that the provider has it is a fact, however late it is told"),
        (Rejected(AnswerClass.RETRY, None, None), S.UNKNOWN, "nothing is planned again by somebody late"),
        (Unknown("ReadTimeout"), S.UNKNOWN, "still nobody knows"),
    ],
)
def test_an_answer_after_the_lease_ran_out_settles_or_changes_nothing(
    person: Context, outcome: SendOutcome, state: MessageState, reason: str
) -> None:
    text = claim_and_release(person)
    let_leases_run_out(person)
    recover_abandoned(person, NOW)

    assert record_outcome(person, text, outcome, NOW + MINUTE) == state, reason

    assert get_message(person).state is state, reason
    transport = RecordingTransport()
    deliver_due(person, transport, lambda: NOW + HOUR)
    assert transport.sent == []


def test_an_opt_out_told_to_a_late_worker_still_counts(person: Context) -> None:
    text = claim_and_release(person)
    let_leases_run_out(person)
    recover_abandoned(person, NOW)

    record_outcome(person, text, Rejected(AnswerClass.CONSENT, 21610, 400), NOW + MINUTE)

    with person.database.read() as session:
        assert session.scalars(select(Participant.status)).one() is ParticipantStatus.OPTED_OUT


def test_recovery_skips_what_somebody_else_holds(person: Context) -> None:
    """Neither a text nor a question under another worker's lock is waited for."""
    if person.database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    text = claim_and_release(person)
    let_leases_run_out(person)
    with person.database.begin() as session:
        participant = session.scalars(select(Participant.id)).one()
        question: dict[str, Any] = {"check_in_id": "pulse", "check_in_version": 1, "question_id": "q"}
        session.add(
            Conversation(
                participant_id=participant,
                message_id=text.message_id,
                opened_at=NOW - HOUR,
                expires_at=NOW,
                **question,
            )
        )
    with person.database.begin() as holder:
        holder.execute(select(Message.id).with_for_update())
        holder.execute(select(Conversation.id).with_for_update())
        counts = recover_abandoned(person, NOW)

    assert counts.unknown == 0
    assert recover_abandoned(person, NOW).unknown == 1
    with person.database.read() as session:
        assert session.scalars(select(Conversation.close_reason)).one() == "expired"


def test_an_answer_that_names_a_text_found_for_another_try_is_recorded_without_it(person: Context) -> None:
    text = claim_and_release(person)
    record_outcome(person, text, TAKEN, NOW)
    run_import(person, PERSON.replace("0101", "0102"))
    other = claim_and_release(person)

    assert record_outcome(person, other, TAKEN, NOW) == S.ACCEPTED

    assert list_attempt_outcomes(person) == ["accepted", "accepted"]


def test_a_text_held_again_for_the_same_reason_says_so_once_in_its_trail(person: Context) -> None:
    with person.database.begin() as session:
        set_setting(session, "sending_stopped", {"reason": "test"}, NOW, "test")
    transport, clock = RecordingTransport(), FakeClock(NOW)
    for _ in range(6):
        deliver_due(person, transport, clock)
        clock.advance(16 * MINUTE)

    assert transport.sent == []
    assert get_message(person).state is S.HELD
    assert [reason for _, to, reason in list_steps(person) if to == "held"] == ["sending_stopped"]
