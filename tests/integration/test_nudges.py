"""One gentle line after a question that met silence, and none for who wrote anything at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.domain.phone import PhoneNumber
from service.domain.quiet_hours import DEFAULT_WINDOW
from service.store.conversations import Answer, Conversation
from service.store.messages import Message
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.sending.candidates import DuePerson
from service.usecases.sending.choices import load_answers
from tests.integration.planning import Plans, open_plans, store_programs

K = MessageKind
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")
PROGRAM: dict[str, Any] = {
    "id": "asks",
    "version": 1,
    "name": "Asks",
    "word": "ASKS",
    "days": 60,
    "frequency": {"en": "one a week", "es": "uno por semana"},
    "rows": [
        {"id": "asking", "first_day": 1, "last_day": 28, "phase": "early"},
        {"id": "quiet", "first_day": 29, "last_day": 60, "phase": "early"},
    ],
    "steps": [{"id": "bye", "day": 60, "time": "12:00", "kind": "admin", "texts": ["admin/goodbye"]}],
    "weekly": [
        {
            "id": "ask",
            "weekdays": ["MO"],
            "rows": ["asking"],
            "time": "15:00",
            "kind": "pulse",
            "check_ins": ["pulse"],
            "nudge": ["check_in"],
        }
    ],
}
PHONE = PhoneNumber("+12025550101")


@pytest.fixture
def plans(context: Context) -> Plans:
    store_programs(context, PROGRAM)
    return open_plans(context)


def say(plans: Plans, body: str) -> None:
    plans.text_in(PHONE, body)


def ask(plans: Plans, day: int = 14) -> None:
    """Somebody is asked at three in the afternoon; it is four now."""
    plans.join(101, program="asks", day=day)
    plans.pass_time(plans.clock() + 6 * HOUR)
    assert set(plans.texts(K.PULSE)) == {("accepted", None)}


def test_silence_gets_one_line_and_never_a_second_one(plans: Plans) -> None:
    ask(plans)
    plans.pass_time(plans.clock() + 3 * DAY)

    assert plans.texts(K.NUDGE) == [("accepted", None)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("SKIP", "they said that they would rather not"),
        ("my brother died last night", "nobody who wrote this is asked whether they missed a question"),
        ("HELP", "they were here"),
        ("4", "an answer"),
    ],
)
@pytest.mark.parametrize(
    ("after", "nudges"),
    [
        (timedelta(0), []),
        (4 * HOUR, []),
        (12 * HOUR, [("canceled", "answered")]),
        (17 * HOUR, [("canceled", "answered")]),
    ],
)
def test_who_wrote_anything_since_the_question_is_not_asked_about_it_again(
    plans: Plans, body: str, after: timedelta, nudges: list[tuple[str, str | None]], reason: str
) -> None:
    """The night decides whether the line is planned at all; in the morning it is asked once more."""
    ask(plans)
    if after:
        plans.pass_time(plans.clock() + after)
    say(plans, body)
    plans.pass_time(plans.clock() + 3 * DAY)

    assert plans.texts(K.NUDGE) == nudges, reason


def test_what_somebody_wrote_before_the_question_answers_nothing(plans: Plans) -> None:
    plans.join(101, program="asks", day=14)
    say(plans, "good morning")
    plans.pass_time(plans.clock() + 3 * DAY)

    assert plans.texts(K.NUDGE) == [("accepted", None)]


def test_what_another_person_writes_answers_nothing_for_somebody(plans: Plans) -> None:
    plans.join(102, program="asks", day=14)
    ask(plans)
    say(plans, "hello")
    plans.pass_time(plans.clock() + 2 * DAY)

    assert plans.texts(K.NUDGE, person=1) == [("accepted", None)]
    assert plans.texts(K.NUDGE, person=2) == []


def test_the_last_question_of_a_row_gets_its_line_though_the_row_is_over_the_next_day(plans: Plans) -> None:
    ask(plans, day=28)
    plans.pass_time(plans.clock() + 2 * DAY)

    assert plans.texts(K.NUDGE) == [("accepted", None)]


def test_a_question_that_never_went_out_is_not_asked_about(plans: Plans) -> None:
    plans.join(101, program="asks", day=14)
    plans.plan()
    with plans.context.database.begin() as session:
        session.scalars(select(Message).where(Message.kind == K.PULSE)).one().state = MessageState.EXPIRED
    plans.pass_time(plans.clock() + 2 * DAY)

    assert plans.texts(K.NUDGE) == []


def answer(context: Context, owner: int, *given: tuple[str, str, timedelta], now: datetime) -> None:
    with context.database.begin() as session:
        conversation = Conversation(
            participant_id=owner,
            check_in_id="weekly",
            check_in_version=1,
            question_id="urge",
            opened_at=now - 30 * DAY,
            expires_at=now - 29 * DAY,
            closed_at=now - 29 * DAY,
        )
        session.add(conversation)
        session.flush()
        for question, value, ago in given:
            session.add(
                Answer(
                    conversation_id=conversation.id,
                    participant_id=owner,
                    question_id=question,
                    value=value,
                    answered_at=now - ago,
                )
            )
            session.flush()


def test_of_the_answers_only_the_newest_to_each_question_that_counts_is_read(plans: Plans) -> None:
    plans.join(101, program="asks")
    now = plans.clock()
    with plans.context.database.read() as session:
        owner = session.scalars(select(Participant.id)).one()
    answer(
        plans.context,
        owner,
        ("mood", "1", 3 * DAY),
        ("urge", "8", 3 * DAY),
        ("urge", "2", 1 * DAY),
        ("urge", "3", 1 * DAY),
        ("sleep", "5", 1 * DAY),
        ("mood", "4", 9 * DAY),
        now=now,
    )
    person = DuePerson(owner, (NEW_YORK,), DEFAULT_WINDOW, None, is_active=True)
    with plans.context.database.read() as session:
        load_answers(session, [person], {"urge", "mood"}, 7, now)

    assert [(one.question_id, one.value) for one in person.answers] == [("mood", "1"), ("urge", "3")]
