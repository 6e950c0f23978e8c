"""Machines that text each other fall silent; people in distress are answered, and a stop is obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from service.domain.delivery import MessageState
from service.domain.loop_guard import SILENCED
from service.store.conversations import Conversation
from service.store.inbound import InboundMessage, Task, TaskKind
from service.store.messages import Attempt, Message
from service.store.participants import Participant, ParticipantStatus
from service.usecases.sending.receipts import Receipt, record_receipt
from tests.acceptance.line import Line, running_line
from tests.conftest import FakeClock

AWAY = "I am driving right now and will answer later"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def line(database_url: str, clock: FakeClock) -> Iterator[Line]:
    with running_line(database_url, clock) as running:
        yield running


def join(line: Line) -> None:
    line.text("JOIN")
    line.text("YES")
    line.work()


def ask(line: Line) -> None:
    """Let a week pass, until the Monday's check-in asks."""
    line.clock.at += 7 * 24 * HOUR
    with line.runtime.database.begin() as session:
        session.execute(update(Participant).values(planned_through=None, next_plan_at=line.clock.at))
    line.pass_time(line.clock.at + 8 * HOUR)
    with line.runtime.database.read() as session:
        assert session.scalars(select(Conversation.id).where(Conversation.closed_at.is_(None))).one()


def meanings(line: Line) -> list[str | None]:
    with line.runtime.database.read() as session:
        return list(session.scalars(select(InboundMessage.meaning).order_by(InboundMessage.id)))


def tasks(line: Line) -> list[TaskKind]:
    with line.runtime.database.read() as session:
        return list(session.scalars(select(Task.kind).order_by(Task.id)))


def status(line: Line) -> ParticipantStatus:
    with line.runtime.database.read() as session:
        return session.scalars(select(Participant.status)).one()


def test_an_auto_responder_to_an_open_question_is_silenced_and_the_person_is_not(line: Line) -> None:
    join(line)
    ask(line)

    answered = 0
    for _ in range(40):
        line.clock.advance(2 * SECOND)
        answered += len(line.text(AWAY))

    assert answered == 10, "and then silence"
    assert meanings(line)[-30:] == ["loop_same_text"] * 30, "each is stored"
    assert tasks(line).count(TaskKind.LOOP) == 1, "one task for staff, not one a text"
    assert len(tasks(line)) == 11
    [reply] = line.text("8")
    assert "?" in reply, "the person's own answer is taken"
    [confirmation] = line.text("stop please")
    assert "no more texts" in confirmation, "and a stop obeyed"
    assert status(line) is ParticipantStatus.OPTED_OUT


def close_tasks(line: Line) -> None:
    with line.runtime.database.begin() as session:
        is_open = update(Task).where(Task.closed_at.is_(None))
        session.execute(is_open.values(closed_at=line.clock(), closed_by="test", outcome="done"))


def open_tasks(line: Line) -> list[TaskKind]:
    with line.runtime.database.read() as session:
        return list(session.scalars(select(Task.kind).where(Task.closed_at.is_(None)).order_by(Task.id)))


@pytest.mark.parametrize("who", ["participant", "stranger"])
@pytest.mark.parametrize("words", ["please call me", "INFO"])
def test_whatever_staff_close_the_next_silenced_text_is_on_their_list(
    line: Line, who: str, words: str
) -> None:
    if who == "participant":
        join(line)

    for number in range(60):
        line.clock.advance(30 * MINUTE)
        answers = line.text(words)
        assert answers or open_tasks(line), f"text {number} reaches nobody"
        if meanings(line)[-1] in SILENCED:
            assert open_tasks(line) == [TaskKind.LOOP]
        close_tasks(line)

    assert len(SILENCED & set(meanings(line))) == 1, "some were silenced"


def test_an_open_task_about_one_sender_is_none_about_another(line: Line) -> None:
    first, second = line.phone, "+12025550187"
    for phone in (first, second):
        line.phone = phone
        for _ in range(30):
            line.clock.advance(2 * SECOND)
            line.text("INFO")

    assert tasks(line) == [TaskKind.LOOP] * 2, "one each"


def test_our_own_words_coming_back_are_not_answered(line: Line) -> None:
    join(line)
    ask(line)
    [receipt] = line.text("well, hard to say")
    [unclear] = line.text("I would have to think")

    assert line.text(unclear) == []
    assert line.text(receipt) == []
    assert tasks(line).count(TaskKind.LOOP) == 1


def test_a_machine_that_always_knows_another_word_is_silenced_as_well(line: Line) -> None:
    join(line)
    words = ["JOIN", "INFO", "lang en", "resume", "join harbor", "START", "information"]

    answered = 0
    for number in range(50):
        line.clock.advance(4 * SECOND)
        answered += len(line.text(words[number % len(words)]))

    assert answered == 18, "with the two of joining"
    assert tasks(line).count(TaskKind.LOOP) == 1
    line.clock.advance(11 * MINUTE)
    assert len(line.text("INFO")) == 1, "silence ends by itself"


def test_two_lines_that_answer_each_other_come_to_an_end(database_url: str, clock: FakeClock) -> None:
    ours, theirs = "+12025550171", "+12025550172"
    with (
        running_line(database_url, clock, twilio_from=ours) as first,
        running_line(f"{database_url}", clock, twilio_from=theirs) as second,
    ):
        first.phone, second.phone = theirs, ours
        texts, sent = ["HELP"], 0
        for _ in range(200):
            clock.advance(SECOND)
            texts = [answer for text in texts for answer in first.text(text)]
            texts = [answer for text in texts for answer in second.text(text)]
            sent += len(texts)
            if not texts:
                break

    assert texts == [], "they stop"
    assert sent < 30


@pytest.mark.parametrize("who", ["participant", "stranger", "opted out"])
def test_however_often_somebody_texts_help_the_hotlines_come(line: Line, who: str) -> None:
    if who != "stranger":
        join(line)
    if who == "opted out":
        line.text("STOP")

    for number in range(10):
        line.clock.advance(2 * SECOND)
        [answer] = line.text("HELP" if number % 2 else "help!")
        assert "988" in answer

    assert line.text("HELP") == [], "ten are on the screen"
    line.clock.advance(MINUTE)
    assert line.text("HELP") == []
    line.clock.advance(4 * MINUTE)
    [again] = line.text("HELP")
    assert "988" in again, "and again after five minutes"
    assert tasks(line).count(TaskKind.LOOP) == 1
    if who == "participant":
        assert len(line.text("INFO")) == 1, "nothing else is silenced by it"


def test_somebody_who_writes_one_word_a_text_is_read_every_time(line: Line) -> None:
    join(line)

    for number in range(25):
        line.clock.advance(3 * SECOND)
        line.text(f"please {number} call me when you can")

    assert tasks(line) == [TaskKind.NEEDS_REPLY] * 25
    assert not SILENCED & set(meanings(line))


@pytest.mark.parametrize("stop", ["STOP", "please stop texting me", "you have the wrong number"])
def test_a_stop_is_obeyed_in_the_middle_of_a_loop(line: Line, stop: str) -> None:
    join(line)
    for _ in range(25):
        line.text("JOIN")
    assert meanings(line)[-1] in SILENCED

    assert len(line.text(stop)) == 1

    assert status(line) is ParticipantStatus.OPTED_OUT


def test_an_answer_that_the_provider_drops_for_a_loop_ends_on_the_staff_list(line: Line) -> None:
    line.standin.auto_receipts = False
    line.text("INFO")
    with line.runtime.database.read() as session:
        reference = session.scalars(select(Attempt.reference)).one()

    record_receipt(line.runtime.context, Receipt(reference, "SM14107", "failed", 14107), line.clock())

    with line.runtime.database.read() as session:
        message = session.scalars(select(Message)).one()
        [task] = session.scalars(select(Task)).all()
    assert (message.state, task.kind, task.message_id) == (
        MessageState.FAILED,
        TaskKind.FAILED_TEXT,
        message.id,
    )
    assert line.pass_time(line.clock.at + HOUR) == [], "its moment has passed: not sent again"
