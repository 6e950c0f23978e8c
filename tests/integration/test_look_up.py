"""Never twice, never silently lost: texts of unknown fate are looked up at the provider, over real HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import column, select, table, update

from service.catalog import Catalog
from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.domain.phone import PhoneNumber
from service.gateways.sms.protocol import Accepted, ProviderText
from service.store.consent import ConsentChannel
from service.store.database import Database, real_now
from service.store.inbound import TaskKind
from service.store.messages import Attempt, Message
from service.store.participants import Participant, ParticipantStatus
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.people.consent_changes import Evidence, opt_out
from service.usecases.people.erase_participant import erase_participant
from service.usecases.sending.look_up import look_up_due
from service.usecases.sending.outcomes import record_outcome
from service.usecases.sending.recover import recover_abandoned
from tests.conftest import FakeClock
from tests.integration.provider_line import READ_SECONDS, ProviderLine, number_of, provider_line
from tests.standin import (
    Fault,
    On,
    accept_then_timeout,
    garbage,
    reset_after_accept,
    reset_before,
    slow,
    status,
)

S = MessageState
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
QUARTER = 15 * MINUTE


@pytest.fixture
def line(database: Database, catalog: Catalog, clock: FakeClock) -> Iterator[ProviderLine]:
    with provider_line(database, catalog, clock) as running:
        yield running


def lose(line: ProviderLine, fault: Fault, kind: MessageKind = MessageKind.SAFETY, person: int = 0) -> int:
    """Let a text meet a mishap; returns its id."""
    message_id = line.add_text(person, kind)
    line.standin.script(fault)
    line.deliver()
    assert line.state(message_id) is S.UNKNOWN
    return message_id


def reference_of(line: ProviderLine, message_id: int) -> str:
    return line.attempts(message_id)[-1].reference


TAKEN: list[tuple[Fault, str]] = [
    (accept_then_timeout(READ_SECONDS + 0.1), "taken, but no answer in time"),
    (slow(READ_SECONDS + 0.1), "taken after we had left"),
    (reset_after_accept(), "the line broke after it was taken"),
    (status(503, accepts=True), "a 503 that lies"),
    (status(500, 20500, accepts=True), "a fault that came after it was taken"),
    (garbage(), "a yes that names no text"),
]


@pytest.mark.parametrize(("fault", "reason"), TAKEN)
def test_a_text_that_was_taken_is_found_adopted_and_never_sent_again(
    line: ProviderLine, fault: Fault, reason: str
) -> None:
    lost = lose(line, fault)
    time.sleep(fault.wait_before / 2)  # until the provider has it
    line.clock.advance(14 * MINUTE)
    assert line.look_up().looked_up == 0, "its receipt may still come"
    creates = line.standin.creates

    assert line.look_up(MINUTE).found == 1, reason
    line.look_up(DAY)
    line.deliver()

    assert line.state(lost) is S.ACCEPTED, reason
    assert line.attempts(lost)[0].provider_message_id == line.standin.accepted[-1]["sid"]
    assert "found_accepted" in line.reasons(lost)
    assert line.standin.creates == creates, "nothing was sent again"
    assert line.tasks() == []


def test_another_lines_text_to_the_same_person_is_not_adopted(line: ProviderLine) -> None:
    lost = lose(line, reset_after_accept())
    ours = line.last_at_provider()
    other = replace(ours, sid="SM" + "b" * 32, service_sid="MG" + "b" * 32, sender="+12025550101")
    line.standin._book.keep(other)

    assert line.look_up(QUARTER).found == 1, "the same words at the same time, and no doubt"

    assert line.attempts(lost)[0].provider_message_id == ours.sid


def test_another_lines_text_does_not_stand_for_one_that_never_left(line: ProviderLine) -> None:
    line.add_text()
    line.deliver()
    other = replace(line.last_at_provider(), sid="SM" + "b" * 32, service_sid="MG" + "b" * 32)
    lost = lose(line, reset_before())
    other.created_at = line.clock()
    line.standin._book.keep(other)

    line.look_up(QUARTER)
    assert line.look_up(QUARTER).resent == 1

    line.deliver()
    assert line.state(lost) is S.ACCEPTED


FATES: list[tuple[tuple[str, ...], int | None, MessageState, int, str]] = [
    (("sent",), None, S.SENT, 0, "it is on its way"),
    (("sent", "delivered"), None, S.DELIVERED, 0, "it arrived"),
    (("sent", "undelivered"), 30005, S.UNDELIVERED, 1, "it did not arrive, and never will: staff look"),
    (("failed",), 30007, S.FAILED, 1, "it was filtered: staff look"),
    (("sent", "undelivered"), 30003, S.PLANNED, 0, "the phone was off: it is tried again"),
]


@pytest.mark.parametrize(("told", "code", "state", "tasks", "reason"), FATES)
def test_what_is_found_counts_as_a_receipt_would(
    line: ProviderLine,
    told: tuple[str, ...],
    code: int | None,
    state: MessageState,
    tasks: int,
    reason: str,
) -> None:
    lost = lose(line, reset_after_accept())
    line.move_at_provider(told[-1], code)

    line.look_up(QUARTER)

    assert line.state(lost) is state, reason
    assert f"found_{told[-1]}" in line.reasons(lost)
    assert len(line.tasks()) == tasks, reason


def test_a_person_who_opted_out_at_the_provider_is_opted_out_by_what_is_found(line: ProviderLine) -> None:
    lose(line, reset_after_accept())
    line.move_at_provider("failed", 21610)

    line.look_up(QUARTER)

    with line.context.database.read() as session:
        assert session.scalars(select(Participant.status)).one() is ParticipantStatus.OPTED_OUT


@pytest.mark.parametrize("fault", [reset_before(), status(500), status(408)])
def test_a_text_that_was_never_taken_goes_out_again_once_after_two_looks(
    line: ProviderLine, fault: Fault
) -> None:
    since = line.clock()
    lost = lose(line, fault)

    line.look_up(QUARTER)
    line.deliver()
    assert (line.state(lost), line.taken(since)) == (S.UNKNOWN, []), "one look is not enough"
    assert line.look_up(14 * MINUTE).looked_up == 0, "and the second comes a quarter of an hour later"
    assert line.look_up(MINUTE).resent == 1
    assert line.state(lost) is S.PLANNED
    line.deliver()

    assert line.state(lost) is S.ACCEPTED
    assert len(line.taken(since)) == 1
    assert [one.absences for one in line.attempts(lost)] == [2, 0]
    assert "looked_up_absent" in line.reasons(lost)


def test_a_text_lost_twice_is_for_staff_and_not_sent_a_third_time(line: ProviderLine) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.look_up(QUARTER)
    line.look_up(QUARTER)
    line.standin.script(reset_before())
    line.deliver()
    assert line.state(lost) is S.UNKNOWN

    for _ in range(6):
        line.look_up(QUARTER)
        line.deliver()

    assert line.state(lost) is S.UNRESOLVED
    assert line.taken(since) == []
    assert line.standin.creates == 1 + 2
    assert line.tasks() == [(TaskKind.UNRESOLVED_TEXT, "looked_up_absent", lost)]


@pytest.mark.parametrize(
    ("kind", "useful_for", "reason"),
    [
        (MessageKind.CHECKIN, 8 * HOUR, "two answers to a question cannot be told apart"),
        (MessageKind.ADMIN, 8 * HOUR, "its kind is not repeated"),
        (MessageKind.SAFETY, 20 * MINUTE, "too late to help"),
    ],
)
def test_what_may_not_go_out_again_is_for_staff(
    line: ProviderLine, kind: MessageKind, useful_for: timedelta, reason: str
) -> None:
    since = line.clock()
    lost = line.add_text(kind=kind, useful_for=useful_for)
    line.standin.script(reset_before())
    line.deliver()

    line.look_up(QUARTER)
    line.look_up(QUARTER)
    line.deliver()

    assert line.state(lost) is S.UNRESOLVED, reason
    assert line.taken(since) == []
    assert line.tasks() == [(TaskKind.UNRESOLVED_TEXT, "looked_up_absent", lost)]


def test_a_worker_that_died_before_writing_the_answer_down_leaves_a_text_that_is_found(
    line: ProviderLine,
) -> None:
    lost = line.add_text()
    line.deliver()
    with line.context.database.begin() as session:
        unwritten = {"outcome": None, "finished_at": None, "provider_message_id": None}
        session.execute(update(Attempt).where(Attempt.message_id == lost).values(unwritten))
        past = real_now(session) - SECOND
        session.execute(update(Message).where(Message.id == lost).values(state=S.SENDING, lease_until=past))
    line.recover()
    assert line.state(lost) is S.UNKNOWN
    creates = line.standin.creates

    line.look_up(QUARTER)
    line.deliver()

    assert line.state(lost) is S.ACCEPTED
    assert line.standin.creates == creates


def test_two_equal_texts_that_were_both_taken_are_never_guessed_and_never_sent_again(
    line: ProviderLine,
) -> None:
    since = line.clock()
    both = [lose(line, reset_after_accept()) for _ in range(2)]

    for _ in range(30):
        line.look_up(HOUR)
        line.deliver()

    assert {line.state(one) for one in both} == {S.UNRESOLVED}
    assert len(line.taken(since)) == 2
    assert [(kind, about) for kind, _, about in line.tasks()] == [
        (TaskKind.UNRESOLVED_TEXT, one) for one in both
    ]


def test_of_two_equal_texts_the_one_that_was_not_taken_goes_out_so_that_both_arrive_once(
    line: ProviderLine,
) -> None:
    since = line.clock()
    both = [lose(line, reset_after_accept()), lose(line, reset_before())]

    for _ in range(4):
        line.look_up(QUARTER)
        line.deliver()

    assert {line.state(one) for one in both} == {S.ACCEPTED}
    assert len(line.taken(since)) == 2


def test_a_redacted_body_is_matched_by_its_time(line: ProviderLine) -> None:
    lost = lose(line, reset_after_accept())
    line.last_at_provider().body = ""

    line.look_up(QUARTER)

    assert line.state(lost) is S.ACCEPTED


def test_an_equal_text_of_yesterday_is_not_taken_for_todays(line: ProviderLine) -> None:
    earlier = line.add_text()
    line.deliver()
    line.clock.advance(DAY)
    since = line.clock()
    lost = lose(line, reset_before())

    line.look_up(QUARTER)
    line.look_up(QUARTER)
    line.deliver()

    assert (line.state(earlier), line.state(lost)) == (S.ACCEPTED, S.ACCEPTED)
    assert len(line.taken(since)) == 1


@pytest.mark.parametrize("fault", [status(500), status(429, 20429), reset_before(), slow(0.3), status(404)])
def test_a_look_up_that_fails_counts_as_nothing_and_is_tried_again(line: ProviderLine, fault: Fault) -> None:
    since = line.clock()
    lost = lose(line, reset_after_accept())
    line.standin.script(*[fault] * 3, on=On.LOOKUP)
    line.clock.advance(QUARTER)

    failed = 0
    for _ in range(12):
        failed += line.look_up(2 * MINUTE).failed_look_ups
        line.deliver()

    assert failed == 3
    assert line.state(lost) is S.ACCEPTED
    assert line.attempts(lost)[0].absences == 0
    assert len(line.taken(since)) == 1


def test_what_nobody_can_tell_for_a_day_is_for_staff(line: ProviderLine) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.standin.by_chance({status(503): 1.0}, seed=1, on=On.LOOKUP)

    for _ in range(30):
        line.recover()
        line.look_up(HOUR)
        line.deliver()

    assert line.state(lost) is S.UNRESOLVED
    assert line.tasks() == [(TaskKind.UNRESOLVED_TEXT, "no_receipt", lost)]
    assert line.taken(since) == []


def test_after_an_outage_of_days_a_text_is_looked_up_before_staff_are_asked(line: ProviderLine) -> None:
    lost = lose(line, reset_after_accept())
    line.clock.advance(3 * DAY)

    line.recover()
    assert line.state(lost) is S.UNKNOWN
    line.look_up()

    assert line.state(lost) is S.ACCEPTED
    assert line.tasks() == []


@pytest.mark.parametrize("told", ["accepted", "queued", "sent", "delivered"])
def test_a_late_receipt_of_a_text_that_was_not_found_stops_its_second_journey(
    line: ProviderLine, told: str
) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.look_up(QUARTER)
    line.look_up(QUARTER)
    assert line.state(lost) is S.PLANNED

    line.tell(reference_of(line, lost), told)
    line.deliver()

    expected = {"sent": S.SENT, "delivered": S.DELIVERED}.get(told, S.ACCEPTED)
    assert line.state(lost) is expected
    assert line.taken(since) == []


@pytest.mark.parametrize("told", ["failed", "undelivered"])
def test_a_late_receipt_that_it_did_not_arrive_lets_it_go_out_again(line: ProviderLine, told: str) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.look_up(QUARTER)
    line.look_up(QUARTER)

    line.tell(reference_of(line, lost), told, 30008)
    line.deliver()

    assert line.state(lost) is S.ACCEPTED
    assert len(line.taken(since)) == 1


def test_a_late_early_stage_of_a_try_that_surely_failed_does_not_stop_the_next_try(
    line: ProviderLine,
) -> None:
    since = line.clock()
    text = line.add_text()
    line.deliver()
    reference = reference_of(line, text)
    line.tell(reference, "undelivered", 30003)
    assert line.state(text) is S.PLANNED

    line.tell(reference, "sent")
    assert line.state(text) is S.PLANNED
    line.clock.advance(2 * HOUR)
    line.deliver()

    assert len(line.taken(since)) == 2


def test_a_receipt_of_the_first_try_does_not_move_a_text_that_was_sent_again(line: ProviderLine) -> None:
    lost = lose(line, reset_before())
    first = reference_of(line, lost)
    line.look_up(QUARTER)
    line.look_up(QUARTER)
    line.deliver()

    line.tell(first, "delivered")

    assert line.state(lost) is S.ACCEPTED, "what the second try's receipts say decides"


@pytest.mark.parametrize("when", ["before the look", "after it was planned again"])
def test_a_stop_wins_over_a_second_journey(line: ProviderLine, when: str) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.look_up(QUARTER)
    if when == "after it was planned again":
        line.look_up(QUARTER)
    form = {"MessageSid": "SM1", "From": number_of(0), "To": line.standin.number, "Body": "STOP"}
    receive_text(line.context, IncomingText(form), line.clock())

    line.look_up(QUARTER)
    line.deliver()

    assert line.state(lost) is S.CANCELED
    assert line.taken(since) == []


@pytest.mark.parametrize("when", ["before the look", "after it was planned again"])
def test_an_erased_person_is_neither_asked_about_nor_texted(line: ProviderLine, when: str) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.look_up(QUARTER)
    if when == "after it was planned again":
        line.look_up(QUARTER)
    erase_participant(line.context, PhoneNumber(number_of(0)), "test", line.clock())
    line.standin.by_chance({status(500): 1.0}, seed=1, on=On.LOOKUP)

    assert line.look_up(QUARTER).failed_look_ups == 0, "nobody asks about them"
    line.deliver()

    assert line.state(lost) in (S.UNRESOLVED, S.CANCELED)
    assert line.taken(since) == []
    assert line.tasks() == []


class Pausing:
    """The provider's records, but something else happens between the answer and its being written down."""

    def __init__(self, line: ProviderLine, meanwhile: object) -> None:
        self._line, self._meanwhile = line, meanwhile

    def list_texts_to(self, to: PhoneNumber, since: object) -> list[ProviderText]:
        found = self._line.records.list_texts_to(to, since)  # type: ignore[arg-type]
        self._meanwhile()  # type: ignore[operator]
        return found


def look_up_while(line: ProviderLine, meanwhile: object) -> None:
    look_up_due(line.context, Pausing(line, meanwhile), line.clock.advance(QUARTER))  # type: ignore[arg-type]


def test_a_receipt_that_comes_during_the_look_wins(line: ProviderLine) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.look_up(QUARTER)

    look_up_while(line, lambda: line.tell(reference_of(line, lost), "delivered"))
    line.deliver()

    assert line.state(lost) is S.DELIVERED
    assert line.taken(since) == []


def test_an_erasure_during_the_look_wins(line: ProviderLine) -> None:
    lost = lose(line, reset_before())
    line.look_up(QUARTER)
    number = PhoneNumber(number_of(0))

    look_up_while(line, lambda: erase_participant(line.context, number, "test", line.clock()))

    assert line.state(lost) is S.UNRESOLVED


def test_an_opt_out_during_the_look_wins(line: ProviderLine) -> None:
    since = line.clock()
    lost = lose(line, reset_before())
    line.look_up(QUARTER)

    def stop() -> None:
        with line.context.database.begin() as session:
            person = session.scalars(select(Participant).with_for_update()).one()
            evidence = Evidence(ConsentChannel.STAFF, "test", "test", line.clock())
            phone = PhoneNumber(number_of(0))
            opt_out(session, line.context.keyring, phone, person, evidence, line.clock())

    look_up_while(line, stop)
    line.deliver()

    assert line.state(lost) is S.CANCELED
    assert line.taken(since) == []


def test_a_worker_that_wakes_up_after_its_lease_changes_nothing(line: ProviderLine) -> None:
    """Its look found nothing, twice over; meanwhile another worker looked, too, and counts alone."""
    lost = lose(line, reset_before())

    def another_worker() -> None:
        line.let_leases_run_out()
        assert look_up_due(line.context, line.records, line.clock()).looked_up == 1

    look_up_while(line, another_worker)

    assert line.attempts(lost)[0].absences == 1
    assert line.state(lost) is S.UNKNOWN


def test_a_dead_workers_look_is_taken_up_by_another(line: ProviderLine) -> None:
    class KilledError(BaseException):
        pass

    lost = lose(line, reset_after_accept())

    def die() -> None:
        raise KilledError

    with pytest.raises(KilledError):
        look_up_while(line, die)
    assert line.look_up().looked_up == 0, "the lease still runs"
    line.let_leases_run_out()

    line.look_up()

    assert line.state(lost) is S.ACCEPTED


def test_many_workers_look_each_text_up_once(database: Database, catalog: Catalog, clock: FakeClock) -> None:
    with provider_line(database, catalog, clock, people=12) as line:
        since = line.clock()
        faults = [reset_after_accept(), reset_before()] * 6
        lost = [line.add_text(person) for person in range(12)]
        line.standin.script(*faults)
        line.deliver()
        assert {line.state(one) for one in lost} == {S.UNKNOWN}
        taken = len(line.standin.accepted)
        asked: list[str] = []
        lock = threading.Lock()

        class Counting:
            def list_texts_to(self, to: PhoneNumber, since: object) -> list[ProviderText]:
                with lock:
                    asked.append(to.e164)
                return line.records.list_texts_to(to, since)  # type: ignore[arg-type]

        for looks in (12, 12 - (taken - 12)):
            asked.clear()
            now = line.clock.advance(QUARTER)
            with ThreadPoolExecutor(4) as pool:
                runs = [
                    pool.submit(look_up_due, line.context, Counting(), now)  # type: ignore[arg-type]
                    for _ in range(4)
                ]
                counts = [run.result() for run in runs]
            assert len(asked) == len(set(asked)) == sum(one.looked_up for one in counts) == looks
        line.deliver()

        assert {line.state(one) for one in lost} == {S.ACCEPTED}
        assert [len(line.taken(since, person)) for person in range(12)] == [1] * 12


def answer_help(line: ProviderLine) -> int:
    """Somebody texts HELP; the answer rides in the response, and no receipt of it ever comes."""
    form = {"MessageSid": "SMhelp", "From": number_of(0), "To": line.standin.number, "Body": "HELP"}
    assert "<Message" in receive_text(line.context, IncomingText(form), line.clock())
    with line.context.database.read() as session:
        found: int = session.scalars(select(Message.id).where(Message.inbound_id.is_not(None))).one()
    line.let_leases_run_out()
    line.recover()
    assert line.state(found) is S.UNKNOWN
    return found


def test_an_answer_in_a_response_is_found_among_the_providers_replies(line: ProviderLine) -> None:
    answer = answer_help(line)
    line.standin._reply(number_of(0), line.get(answer).body or "", None, "http://127.0.0.1")

    line.look_up(QUARTER)

    assert line.state(answer) is S.ACCEPTED
    assert line.tasks() == []


def test_an_answer_that_never_left_fails_after_two_looks_and_staff_are_told(line: ProviderLine) -> None:
    since = line.clock()
    answer = answer_help(line)

    line.look_up(QUARTER)
    assert line.state(answer) is S.UNKNOWN
    line.look_up(QUARTER)
    line.deliver()

    assert line.state(answer) is S.FAILED
    assert line.tasks() == [(TaskKind.FAILED_TEXT, "looked_up_absent", answer)]
    assert line.taken(since) == [], "its moment has passed"
    line.tell(reference_of(line, answer), "delivered")
    assert line.state(answer) is S.DELIVERED, "a fact beats a guess"


def test_a_late_answer_of_the_provider_stops_a_second_journey(line: ProviderLine) -> None:
    """A worker slept through both looks (a closed lid), and only then reads that the text was taken."""
    since = line.clock()
    lost = lose(line, reset_before())
    attempt = line.attempts(lost)[0]
    line.look_up(QUARTER)
    line.look_up(QUARTER)
    assert line.state(lost) is S.PLANNED

    class Late:
        message_id, attempt_id, claim_token = lost, attempt.id, "gone"

    record_outcome(line.context, Late(), Accepted("SM" + "d" * 32), line.clock())
    line.deliver()

    assert line.state(lost) is S.ACCEPTED
    assert line.taken(since) == []


def test_a_late_answer_of_the_provider_is_worth_as_much_as_a_look(line: ProviderLine) -> None:
    """The worker slept for minutes in the middle of its call; its answer names the text."""
    lost = lose(line, reset_after_accept())
    attempt = line.attempts(lost)[0]

    class Late:
        message_id, attempt_id, claim_token = lost, attempt.id, "gone"

    record_outcome(line.context, Late(), Accepted(line.standin.accepted[-1]["sid"]), line.clock())

    assert line.state(lost) is S.ACCEPTED
    assert line.look_up(QUARTER).looked_up == 0


def test_without_records_a_text_waits_for_its_receipt(line: ProviderLine) -> None:
    lost = lose(line, reset_after_accept())
    assert look_up_due(line.context, None, line.clock() + DAY).looked_up == 0
    recover_abandoned(line.context, line.clock() + DAY)
    assert line.state(lost) is S.UNKNOWN


@pytest.mark.parametrize(
    ("table_name", "column_name"),
    [("messages", "recipient"), ("messages", "body"), ("messages", "fields"), ("participants", "phone")],
)
def test_a_text_that_no_key_opens_is_for_staff_and_holds_up_no_other_look_up(
    database: Database, catalog: Catalog, clock: FakeClock, table_name: str, column_name: str
) -> None:
    with provider_line(database, catalog, clock, people=2) as line:
        broken, other = (lose(line, reset_after_accept(), person=person) for person in range(2))
        rows = table(table_name, column("id"), column(column_name))
        row_id = broken if table_name == "messages" else line.people[0]
        with line.context.database.begin() as session:
            session.execute(update(rows).where(rows.c.id == row_id).values({column_name: "not a token"}))
        creates = line.standin.creates

        counts = line.look_up(QUARTER)

        assert (counts.found, counts.given_up) == (1, 1)
        assert line.state(other) is S.ACCEPTED
        with line.context.database.read() as session:
            found = select(Message.state, Message.claim_token).where(Message.id == broken)
            assert tuple(session.execute(found).one()) == (S.UNRESOLVED, None)
        assert line.reasons(broken)[-1] == "unreadable"
        assert line.tasks() == [(TaskKind.UNRESOLVED_TEXT, "unreadable", broken)]
        assert line.look_up(DAY).given_up == 0, "staff are told once"
        assert line.standin.creates == creates, "nothing was sent again"
