"""Two things at once: whoever commits first decides, nothing is done twice, nobody waits in a ring."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import func, select

from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.phone import PhoneNumber
from service.gateways.sms.signature import SIGNATURE_HEADER, sign
from service.store.consent import ConsentChannel, ConsentEvent, ConsentKind
from service.store.database import Database
from service.store.inbound import InboundMessage
from service.store.keyring import Keyring
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Enrollment, Participant, ParticipantStatus, find_participant
from service.usecases.context import new_reference
from service.usecases.people.consent_changes import Evidence, opt_out
from service.usecases.sending.deliver import claim_due
from service.usecases.sending.outcomes import record_outcome
from service.usecases.sending.receipts import Receipt, record_receipt
from service.usecases.sending.recover import recover_abandoned
from service.usecases.sending.release import release_claimed
from service.usecases.sending.work import work_once
from service.web.app import create_app
from service.wiring import build_runtime
from tests.acceptance.line import Line, running_line
from tests.conftest import NOW, FakeClock, make_settings
from tests.integration.test_import_participants import run_import
from tests.standin.messages import new_sid
from tests.standin.webhooks import InboundAnswer

S = MessageState
PERSON = "{},Ana Example,America/New_York,en,,2025-11-10,written,2026-11-20T15:00,intake desk,"
OURS = "+12025550199"
TEXTS = 200


@pytest.fixture
def line(database_url: str, clock: FakeClock) -> Iterator[Line]:
    with running_line(database_url, clock) as running:
        running.standin.auto_receipts = False
        yield running


def number_of(position: int) -> str:
    area = ("202", "212", "303")[position // 80]
    return f"+1{area}555{110 + position % 80:04d}"


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Do all of this at the same moment, each in a thread; returns the results, raises what was raised."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [result.result() for result in [pool.submit(run, action) for action in actions]]


def post(line: Line, phone: str, body: str, sid: str | None = None) -> InboundAnswer:
    return line.standin.text_in(f"{line.url}/twilio/inbound", phone, body, MessageSid=sid or new_sid())


def count(line: Line, column: Any, *where: Any) -> int:
    with line.runtime.database.read() as session:
        return session.scalar(select(func.count(column)).where(*where)) or 0


def plan_texts(line: Line, phone: str) -> set[int]:
    """A person who agreed on paper, with three texts that are due now; returns the ids of the texts."""
    run_import(line.runtime.context, PERSON.format(phone))
    with line.runtime.database.read() as session:
        person_id = session.scalars(select(func.max(Participant.id))).one()
    assert person_id is not None
    add_texts(line, person_id, 2)
    with line.runtime.database.read() as session:
        return set(session.scalars(select(Message.id).where(Message.participant_id == person_id)))


def add_texts(line: Line, participant_id: int, number: int) -> None:
    rule = KIND_RULES[MessageKind.ADMIN]
    row = {
        "participant_id": participant_id,
        "source": "t1",
        "source_version": 1,
        "kind": MessageKind.ADMIN,
        "lane": rule.lane,
        "text_id": "admin/welcome",
        "late": "send",
        "send_after": NOW,
        "send_before": NOW + rule.useful_for,
        "due_at": NOW,
        "state": S.PLANNED,
        "tries": 0,
        "created_at": NOW,
    }
    with line.runtime.database.begin() as session:
        session.execute(sa.insert(Message), [row | {"dedupe_key": new_reference()} for _ in range(number)])


def release_and_send(line: Line, token: str, ids: list[int], wait: float = 0.0) -> int:
    """The rest of a worker's round after its claim; returns how many texts it handed over."""
    time.sleep(wait)
    context, transport = line.runtime.context, line.runtime.transport
    ready = release_claimed(context, token, ids, NOW).ready
    for text in ready:
        record_outcome(context, text, transport.send(text.sms), NOW)
    return len(ready)


def test_a_stop_against_a_worker_that_has_claimed_whoever_commits_first_decides(line: Line) -> None:
    seeded = random.Random(7)
    for position in range(14):
        phone = number_of(position)
        texts = plan_texts(line, phone)
        token = new_reference()
        ids = claim_due(line.runtime.context, token, 5, NOW)
        assert set(ids) == texts
        # The stop comes over HTTP, so the worker is held back more or less: either may be first.
        head_start = seeded.uniform(0.0, 0.012)
        let_go_until_stop: list[int] = []

        def stop(phone: str = phone, ids: list[int] = ids) -> None:
            assert post(line, phone, "STOP").status == 200
            let_go_until_stop.append(count(line, Attempt.id, Attempt.message_id.in_(ids)))  # noqa: B023

        _, sent = at_once(stop, partial(release_and_send, line, token, ids, head_start))

        attempts = count(line, Attempt.id, Attempt.message_id.in_(ids))
        assert let_go_until_stop == [attempts], "nothing is let go after the stop was committed"
        assert sent == attempts
        taken = [text for text in line.standin.accepted if text["to"] == phone]
        assert len(taken) == sent
        with line.runtime.database.read() as session:
            states = set(session.scalars(select(Message.state).where(Message.id.in_(ids))))
            trail = session.execute(
                select(MessageEvent.message_id, MessageEvent.to_state)
                .where(MessageEvent.message_id.in_(ids))
                .order_by(MessageEvent.id)
            ).all()
        steps = {one: [step.to_state for step in trail if step.message_id == one] for one in ids}
        if sent:
            assert states == {S.ACCEPTED}, "what was let go is not called back"
            assert list(steps.values()) == [["sending", "accepted"]] * len(ids)
        else:
            assert states == {S.CANCELED}
            assert list(steps.values()) == [["canceled"]] * len(ids)
        assert line.work() == [], "and nothing goes afterwards"


def test_a_worker_waits_for_a_stop_that_came_first_and_then_sends_nothing(line: Line) -> None:
    phone = number_of(0)
    plan_texts(line, phone)
    context, token = line.runtime.context, new_reference()
    ids = claim_due(context, token, 5, NOW)

    with ThreadPoolExecutor(1) as pool:
        with context.database.begin() as session:
            number = PhoneNumber(phone)
            person = find_participant(session, number, context.keyring, lock=True)
            evidence = Evidence(ConsentChannel.SMS, "participant", "SM1", NOW)
            opt_out(session, context.keyring, number, person, evidence, NOW)
            worker = pool.submit(release_and_send, line, token, ids)
            time.sleep(0.2)
            assert not worker.done(), "it waits for the stop to be decided"
        assert worker.result() == 0

    assert count(line, Attempt.id) == 0
    assert line.standin.accepted == []
    assert count(line, Message.id, Message.state == S.CANCELED) == 3


def test_a_stop_that_comes_after_a_text_was_let_go_calls_nothing_back_and_is_kept(line: Line) -> None:
    phone = number_of(0)
    plan_texts(line, phone)
    context, token = line.runtime.context, new_reference()
    ready = release_claimed(context, token, claim_due(context, token, 5, NOW), NOW).ready

    assert post(line, phone, "STOP").status == 200
    for text in ready:
        record_outcome(context, text, line.runtime.transport.send(text.sms), NOW)

    assert len(line.standin.accepted) == 3
    assert count(line, Message.id, Message.state == S.ACCEPTED) == 3
    assert count(line, Participant.id, Participant.status == ParticipantStatus.OPTED_OUT) == 1
    assert line.work() == []


def test_joins_of_one_number_at_the_same_moment_make_one_participant(line: Line) -> None:
    for _ in range(2):  # the first texts ever wait for each other anyway: they record the look-up key
        post(line, number_of(0), "HELP")

    answers = at_once(*[lambda: post(line, line.phone, "JOIN")] * 6)

    assert {answer.status for answer in answers} == {200}
    assert len({text for answer in answers for text in answer.texts}) == 1, "all are asked the same"
    assert (count(line, Participant.id), count(line, Enrollment.id)) == (1, 1)

    answers = at_once(*[lambda: post(line, line.phone, "YES")] * 6)

    assert {answer.status for answer in answers} == {200}
    welcomes = [text for answer in answers for text in answer.texts if "Expect" in text]
    assert len(welcomes) == 1, "one confirmation"
    assert count(line, ConsentEvent.id, ConsentEvent.kind == ConsentKind.CONFIRMED) == 1


@pytest.mark.parametrize("body", ["JOIN", "HELP", "my sister came by today", "STOP", "START"])
@pytest.mark.parametrize("is_known", [True, False])
def test_one_text_delivered_eight_times_at_once_is_one_text_with_one_answer(
    line: Line, body: str, is_known: bool
) -> None:
    if is_known:
        line.text("JOIN")
        line.text("YES")
    before = [count(line, column) for column in (InboundMessage.id, Message.id, Attempt.id)]
    sid = new_sid()

    answers = at_once(*[lambda: post(line, line.phone, body, sid)] * 8)

    assert {answer.status for answer in answers} == {200}
    assert len({answer.xml for answer in answers}) == 1
    after = [count(line, column) for column in (InboundMessage.id, Message.id, Attempt.id)]
    replies = len(answers[0].texts)
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, replies, replies]
    assert post(line, line.phone, body, sid).xml == answers[0].xml


def claim_all(line: Line, token: str) -> list[int]:
    """Claim by threes until nothing is left."""
    mine: list[int] = []
    while ids := claim_due(line.runtime.context, token, 3, NOW):
        mine += ids
    return mine


def test_two_workers_at_once_send_each_of_two_hundred_texts_once(
    line: Line, database_url: str, clock: FakeClock
) -> None:
    people = [number_of(position) for position in range(TEXTS)]
    run_import(line.runtime.context, *(PERSON.format(phone) for phone in people))
    line.standin.auto_receipts = True
    tokens = [new_reference() for _ in range(6)]
    claims = at_once(*(partial(claim_all, line, token) for token in tokens))
    claimed = [message_id for mine in claims for message_id in mine]
    assert sorted(claimed) == sorted(set(claimed)), "no text is claimed by two"
    assert len(claimed) == len(people)
    with line.runtime.database.begin() as session:
        session.execute(sa.update(Message).values(state=S.PLANNED, claim_token=None, lease_until=None))
    other = build_runtime(line.runtime.settings, system=clock)
    try:
        done = at_once(
            *(partial(work_once, one.context, one.transport, clock) for one in (line.runtime, other))
        )
    finally:
        other.close()
    line.standin.flush()

    assert Counter(text["to"] for text in line.standin.accepted) == dict.fromkeys(people, 1)
    assert sum(result["claimed"] for result in done) >= len(people)
    # A slow machine may keep a text waiting too long between consent and call: it is taken back unsent.
    assert count(line, Attempt.id, Attempt.outcome != "not_handed_over") == len(people)
    assert count(line, Message.id, Message.state == S.DELIVERED) == len(people)


@contextmanager
def table_locked(database_url: str) -> Iterator[None]:
    engine = sa.create_engine(database_url)
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        lock = "BEGIN IMMEDIATE" if is_sqlite else "LOCK TABLE inbound_messages IN ACCESS EXCLUSIVE MODE"
        connection.exec_driver_sql(lock)
        yield
        connection.rollback()
    engine.dispose()


@contextmanager
def database_away(database_url: str) -> Iterator[None]:
    """Nobody is let in, and who is inside is thrown out."""
    url = sa.make_url(database_url)
    engine = sa.create_engine(
        url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )

    def let_in(is_open: bool) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS {is_open}')

    let_in(False)
    try:
        with engine.connect() as connection:
            throw_out = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(sa.text(throw_out), {"name": url.database})
        yield
    finally:
        let_in(True)
        engine.dispose()


def post_signed(client: FlaskClient, url: str, form: dict[str, str]) -> tuple[int, str]:
    headers = {SIGNATURE_HEADER: sign(url, form, "token-0123456789")}
    answer = client.post(url.removeprefix("http://127.0.0.1:8000"), data=form, headers=headers)
    return answer.status_code, answer.get_data(as_text=True)


@pytest.mark.parametrize("fault", [table_locked, database_away])
def test_what_cannot_be_stored_is_a_503_and_the_same_webhook_works_when_it_is_tried_again(
    database_url: str, keyring: Keyring, clock: FakeClock, fault: Callable[[str], Any]
) -> None:
    if fault is database_away and database_url.startswith("sqlite"):
        pytest.skip("a file that is open cannot go away")
    database = Database(database_url, keyring, patience=0.5)
    settings = make_settings(
        database_url=database_url,
        transport="twilio",
        twilio_account_sid="AC1",
        twilio_auth_token="token-0123456789",
        twilio_from=OURS,
        twilio_optout_mode="app",
    )
    runtime = build_runtime(settings, system=clock, database=database)
    client = create_app(runtime).test_client()
    inbound = f"{settings.public_url}/twilio/inbound"
    form = {"MessageSid": "SM1", "From": number_of(0), "To": OURS, "Body": "JOIN"}
    try:
        assert post_signed(client, inbound, form | {"MessageSid": "SM0", "Body": "HELP"})[0] == 200
        with fault(database_url):
            status, xml = post_signed(client, inbound, form)
            assert status == 503
            assert "<Message" not in xml
            assert client.get("/twilio/fallback").status_code == 200, "the hotlines need no database"

        status, xml = post_signed(client, inbound, form)
        assert (status, xml.count("<Message")) == (200, 1)
        assert post_signed(client, inbound, form) == (status, xml)
        with database.read() as session:
            assert session.scalar(select(func.count(InboundMessage.id))) == 2
            assert session.scalar(select(func.count(Participant.id))) == 1
    finally:
        runtime.close()


def count_deadlocks(database_url: str) -> int:
    """How often PostgreSQL had to break a ring of waiting transactions in this database."""
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(found.scalar_one())


ROUNDS = 12
CODES = [("sent", None), ("undelivered", 30005), ("failed", 21610), ("delivered", None)]


def say_often(line: Line, phones: list[str], *bodies: str) -> None:
    for number in range(ROUNDS):
        for phone in phones[:: (-1) ** number]:
            for body in bodies:
                assert post(line, phone, body).status == 200


def plan_often(line: Line, people: list[int]) -> None:
    for number in range(ROUNDS):
        for person_id in people[:: (-1) ** number]:
            add_texts(line, person_id, 2)


def tell_often(line: Line) -> None:
    for number in range(ROUNDS):
        with line.runtime.database.read() as session:
            references = list(session.scalars(select(Attempt.reference).order_by(Attempt.id.desc()).limit(9)))
        for position, reference in enumerate(references[:: (-1) ** number]):
            status, code = CODES[(number + position) % len(CODES)]
            record_receipt(line.runtime.context, Receipt(reference, None, status, code), line.clock())


def work_often(line: Line) -> None:
    for _ in range(ROUNDS):
        work_once(line.runtime.context, line.runtime.transport, line.clock)


def recover_often(line: Line) -> None:
    for _ in range(ROUNDS * 3):
        recover_abandoned(line.runtime.context, line.clock() + timedelta(days=2))


def test_stops_while_many_transactions_hold_the_same_people_never_wait_in_a_ring(
    line: Line, database_url: str, clock: FakeClock
) -> None:
    phones = [number_of(position) for position in range(3)]
    for phone in phones:
        plan_texts(line, phone)
    with line.runtime.database.read() as session:
        people = list(session.scalars(select(Participant.id)))

    at_once(
        lambda: say_often(line, phones, "STOP", "START"),
        lambda: say_often(line, phones[::-1], "start", "stop"),
        lambda: say_often(line, phones, "my sister came by", "HELP"),
        lambda: tell_often(line),
        lambda: plan_often(line, people),
        lambda: plan_often(line, people[::-1]),
        lambda: work_often(line),
        lambda: work_often(line),
        lambda: recover_often(line),
    )

    if not line.runtime.database.is_sqlite:
        line.runtime.database.dispose()  # what a connection counted is told when it ends
        time.sleep(0.3)
        assert count_deadlocks(database_url) == 0
    for phone in phones:
        post(line, phone, "STOP")
    sent = len(line.standin.accepted)
    line.pass_time(clock() + timedelta(days=1), timedelta(hours=6))
    assert len(line.standin.accepted) == sent
