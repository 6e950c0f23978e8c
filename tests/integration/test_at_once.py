"""Texts that change nothing about their sender are answered without waiting, and no differently for that."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.catalog import Catalog
from service.domain.phone import PhoneNumber
from service.store.at_once import find_known_sender
from service.store.consent import ConsentChannel, Suppression
from service.store.conversations import Conversation
from service.store.database import Database
from service.store.inbound import InboundMessage, Task
from service.store.keyring import Keyring
from service.store.messages import Attempt, Message
from service.store.participants import Participant, ParticipantStatus, find_participant
from service.usecases.context import Context
from service.usecases.inbound.at_once import find_answer_at_once
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.people.consent_changes import Evidence, opt_out
from tests.conftest import NOW, make_settings

OURS = "+12025550100"
WARM_UP = PhoneNumber("+13035550199")
LONG_AGO = NOW - timedelta(hours=12)

STANDINGS: dict[str, dict[str, object]] = {
    "active": {},
    "receipt an hour ago": {"last_receipt_at": NOW - timedelta(hours=1)},
    "receipt twelve hours ago": {"last_receipt_at": LONG_AGO},
    "receipt nearly twelve hours ago": {"last_receipt_at": LONG_AGO + timedelta(seconds=1)},
    "Spanish": {"language": "es"},
    "plain wording": {"wants_plain": True},
    "of another country": {"country": "CA"},
    "paused": {"paused_until": NOW + timedelta(days=2)},
    "asked": {"status": ParticipantStatus.ASKED, "opt_in_asked_at": NOW - timedelta(hours=1)},
    "listed": {"status": ParticipantStatus.LISTED},
    "opted out": {"status": ParticipantStatus.OPTED_OUT},
    "with a question open": {},
    "with a stop in another key's name": {},
}
TEXTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("HELP", {}),
    ("help me", {}),
    ("ayuda", {}),
    ("INFO", {}),
    ("my sister came by today and it was a good day", {}),
    ("", {"NumMedia": "1"}),
    ("look at this", {"NumMedia": "1"}),
    ("", {}),
    ("hello", {}),
    ("1", {}),
    ("YES", {}),
    ("STOP", {}),
    ("please stop texting me", {}),
    ("you have the wrong number", {}),
    ("START", {}),
    ("JOIN", {}),
    ("pause 3", {}),
    ("lang es", {}),
    ("HELP", {"OptOutType": "HELP"}),
    ("my sister came by", {"OptOutType": "STOP"}),
    ("\u0000\u202e\U0001f600", {}),
)


@dataclass(frozen=True)
class Came:
    """What a text left behind, without what differs from run to run."""

    answer: str
    meaning: str | None
    is_faulty: bool
    row: tuple[object, ...]
    tasks: tuple[tuple[str, str, bool], ...]
    messages: tuple[tuple[object, ...], ...]
    attempts: tuple[tuple[object, ...], ...]
    last_receipt_at: datetime | None


@pytest.fixture
def at_once(request: pytest.FixtureRequest, keyring: Keyring, catalog: Catalog) -> Iterator[Context]:
    """The line on PostgreSQL, where texts may be answered at once, after its look-up key was seen."""
    server, template = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template")
    name = server.create(template=template)
    with open_line(server.url_of(name), keyring, catalog) as context:
        yield context
    server.drop(name)


@pytest.fixture
def in_turn(sqlite_template: Path, tmp_path: Path, keyring: Keyring, catalog: Catalog) -> Iterator[Context]:
    """The line on SQLite, where each text waits its turn."""
    path = tmp_path / "in-turn.db"
    path.write_bytes(sqlite_template.read_bytes())
    with open_line(f"sqlite:///{path}", keyring, catalog) as context:
        yield context


@contextmanager
def open_line(url: str, keyring: Keyring, catalog: Catalog) -> Iterator[Context]:
    database = Database(url, keyring)
    context = Context(database, catalog, make_settings(database_url=url, twilio_from=OURS))
    for number in range(2):
        receive_text(context, text_of(WARM_UP, "HELP", f"warm-{number}"), NOW)
    yield context
    database.dispose()


def text_of(phone: PhoneNumber, body: str, sid: str, **fields: str) -> IncomingText:
    form = {"MessageSid": sid, "From": phone.e164, "To": OURS, "Body": body, "NumMedia": "0"}
    return IncomingText(form | fields)


def phone_of(number: int) -> PhoneNumber:
    return PhoneNumber(f"+1{201 + number // 100}55501{number % 100:02d}")


def add_person(context: Context, phone: PhoneNumber, standing: str) -> None:
    lookup = context.keyring.hash_newest(phone.e164)
    values: dict[str, object] = {"status": ParticipantStatus.ACTIVE, **STANDINGS[standing]}
    with context.database.begin() as session:
        person = Participant(
            phone=phone.e164,
            phone_hash=lookup.value,
            phone_key_id=lookup.key_id,
            timezone="America/New_York",
            created_at=NOW,
            **values,
        )
        session.add(person)
        session.flush()
        if standing == "with a question open":
            session.add(
                Conversation(
                    participant_id=person.id,
                    check_in_id="pulse",
                    check_in_version=context.catalog.check_in("pulse").version,
                    question_id=context.catalog.check_in("pulse").questions[0].id,
                    opened_at=NOW,
                    expires_at=NOW + timedelta(hours=12),
                )
            )
        if standing in ("opted out", "with a stop in another key's name"):
            session.add(
                Suppression(
                    phone_hash=lookup.value, phone_key_id=lookup.key_id, opted_out_at=NOW, reason="stop"
                )
            )


def came_of(context: Context, text: IncomingText, phone: PhoneNumber) -> Came:
    answer = receive_text(context, text, NOW)
    with context.database.read() as session:
        row = session.scalars(
            select(InboundMessage).where(InboundMessage.provider_message_id == text.provider_message_id)
        ).one()
        assert row.answer == answer, "a repeat gets the same"
        assert (row.body, row.raw) == (text.body, dict(text.form))
        messages = session.scalars(select(Message).where(Message.inbound_id == row.id)).all()
        attempts = session.scalars(
            select(Attempt).where(Attempt.message_id.in_([message.id for message in messages]))
        ).all()
        tasks = session.scalars(select(Task).where(Task.inbound_id == row.id).order_by(Task.id)).all()
        person = find_participant(session, phone, context.keyring)
        assert all(attempt.reference in answer for attempt in attempts)
        assert all(message.dedupe_key == f"i{row.id}:answer" for message in messages)
        assert all(message.source == f"i{row.id}" for message in messages)
        return Came(
            answer=re.sub(r"ref=\w+", "ref=", answer),
            meaning=row.meaning,
            is_faulty=row.is_faulty,
            row=(
                *(row.sender, row.sender_hash, row.sender_key_id, row.opt_out_type, row.has_media),
                *(row.received_at, row.participant_id == (person.id if person else None)),
            ),
            tasks=tuple((task.kind, task.reason, task.participant_id is not None) for task in tasks),
            messages=tuple(
                (
                    *(message.kind, message.lane, message.text_id, message.text_version, message.late),
                    *(message.body, message.recipient, message.state, message.reason, message.tries),
                    *(message.send_after, message.send_before, message.due_at, message.created_at),
                    *(message.segments, message.source_version, message.participant_id is not None),
                    message.lease_until is not None,
                )
                for message in messages
            ),
            attempts=tuple((a.number, a.channel, a.outcome, a.started_at) for a in attempts),
            last_receipt_at=person.last_receipt_at if person else None,
        )


def test_answered_at_once_or_in_turn_a_text_comes_to_the_same(at_once: Context, in_turn: Context) -> None:
    number = 0
    for standing in STANDINGS:
        for body, fields in TEXTS:
            number += 1
            phone = phone_of(number)
            for context in (at_once, in_turn):
                add_person(context, phone, standing)
            text = text_of(phone, body, f"SM{number}", **fields)

            assert came_of(at_once, text, phone) == came_of(in_turn, text, phone), (standing, body, fields)


@pytest.mark.parametrize(
    ("standing", "body", "is_at_once", "reason"),
    [
        ("active", "HELP", True, "help waits for nobody"),
        ("active", "my sister came by today", True, "a human will read it"),
        ("receipt an hour ago", "my sister came by today", True, "no receipt again"),
        ("active", "HELLO", False, "may be a program's own word"),
        ("active", "STOP", False, "changes consent"),
        ("active", "please stop texting me", False, "changes consent"),
        ("with a question open", "it was a good day", False, "may be an answer"),
        ("asked", "HELP", False, "only people in the program"),
        ("opted out", "HELP", False, "hotlines and nothing else"),
        ("with a stop in another key's name", "HELP", False, "the suppression counts, not the status"),
    ],
)
def test_only_what_changes_nothing_is_answered_at_once(
    at_once: Context, standing: str, body: str, is_at_once: bool, reason: str
) -> None:
    add_person(at_once, phone_of(1), standing)

    answer = find_answer_at_once(at_once, text_of(phone_of(1), body, "SM1"), NOW)

    assert (answer is not None) is is_at_once, reason
    with at_once.database.read() as session:
        stored = session.scalar(select(func.count()).where(InboundMessage.provider_message_id == "SM1"))
    assert stored == int(is_at_once), "whoever waits has left nothing behind"


def test_the_same_text_again_is_left_to_the_full_path_and_changes_nothing(at_once: Context) -> None:
    add_person(at_once, phone_of(1), "active")
    text = text_of(phone_of(1), "it was a good day", "SM1")
    answer = find_answer_at_once(at_once, text, NOW)
    tomorrow = NOW + timedelta(days=1)

    assert find_answer_at_once(at_once, text, tomorrow) is None
    assert receive_text(at_once, text, tomorrow) == answer
    with at_once.database.read() as session:
        person = find_participant(session, phone_of(1), at_once.keyring)
        assert person is not None
        assert person.last_receipt_at == NOW
        assert (
            session.scalar(select(func.count()).select_from(Task).where(Task.participant_id.is_not(None)))
            == 1
        )


def test_many_texts_of_one_person_at_once_get_one_receipt(at_once: Context) -> None:
    add_person(at_once, phone_of(1), "active")
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        receive_text(at_once, text_of(phone_of(1), "it was a good day", f"SM{number}"), NOW)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with at_once.database.read() as session:
        meanings = list(
            session.scalars(select(InboundMessage.meaning).where(InboundMessage.participant_id.is_not(None)))
        )
    assert sorted(map(str, meanings)) == ["free_text"] * 7 + ["receipt"]


def test_a_stop_that_comes_first_wins_over_a_receipt_on_its_way(at_once: Context) -> None:
    add_person(at_once, phone_of(1), "active")
    hashes = at_once.keyring.hash_all(phone_of(1).e164)
    stopping, may_commit = threading.Event(), threading.Event()

    def stop() -> None:
        with at_once.database.begin() as session:
            person = find_participant(session, phone_of(1), at_once.keyring, lock=True)
            evidence = Evidence(ConsentChannel.SMS, "participant", "SM0", NOW)
            opt_out(session, at_once.keyring, phone_of(1), person, evidence, NOW)
            stopping.set()
            may_commit.wait(10)

    thread = threading.Thread(target=stop)
    thread.start()
    assert stopping.wait(10)
    with at_once.database.at_once() as connection:
        assert find_known_sender(connection, hashes), "the stop is not committed yet"
    threading.Timer(0.2, may_commit.set).start()

    answer = receive_text(at_once, text_of(phone_of(1), "it was a good day", "SM1"), NOW)

    thread.join()
    assert "<Message" not in answer
    with at_once.database.read() as session:
        assert session.scalars(select(Message.id).where(Message.participant_id.is_not(None))).first() is None
