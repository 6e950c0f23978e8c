"""LESS, MORE, TIME, KEEP, nudges, chosen texts and stepping up, in the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count, pairwise
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.kinds import MessageKind
from service.domain.local_time import local_datetime
from service.domain.phone import PhoneNumber
from service.store.consent import ConsentEvent
from service.store.inbound import Task
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.operations.program_rows import sync_programs
from tests.integration.planning import Plans, open_plans

K = MessageKind
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")
PROGRAM: dict[str, Any] = {
    "id": "rows",
    "version": 1,
    "name": "Rows",
    "word": "ROWS",
    "days": 110,
    "kept_days": 200,
    "frequency": {"en": "a few a week", "es": "unos por semana"},
    "rows": [
        {"id": "daily", "first_day": 1, "last_day": 28, "phase": "early"},
        {"id": "few", "first_day": 29, "last_day": 100, "phase": "early"},
        {"id": "kept", "first_day": 101, "last_day": 200, "phase": "long", "only": "kept"},
    ],
    "choices": [{"question": "urge", "values": ["8"], "topics": ["breathe"]}],
    "step_up": {
        "red": [{"question": "urge", "values": ["10"]}],
        "amber": [{"question": "urge", "values": ["7"]}],
    },
    "steps": [
        {"id": "safety", "day": 40, "time": "16:00", "kind": "safety", "texts": ["safety/someone-near"]},
        {
            "id": "bye",
            "day": 110,
            "only": "not_kept",
            "time": "12:00",
            "kind": "admin",
            "texts": ["admin/goodbye"],
        },
    ],
    "weekly": [
        {
            "id": "tip",
            "weekdays": ["MO", "TU", "WE", "TH", "FR", "SA"],
            "rows": ["daily"],
            "time": "12:00",
            "kind": "tip",
            "topics": ["sleep", "food", "breathe"],
        },
        {
            "id": "ask",
            "weekdays": ["MO"],
            "rows": ["daily", "few"],
            "time": "15:00",
            "kind": "pulse",
            "check_ins": ["pulse"],
            "nudge": ["check_in"],
        },
        {
            "id": "on",
            "weekdays": ["TU"],
            "rows": ["kept"],
            "time": "12:00",
            "kind": "caring",
            "topics": ["hope"],
        },
    ],
}
PHONE = PhoneNumber("+12025550101")
NUMBERS = count(1)


@pytest.fixture
def plans(context: Context) -> Plans:
    definitions = MappingProxyType({"rows": PROGRAM})
    with context.database.begin() as session:
        sync_programs(
            session, replace(context.catalog, program_definitions=definitions), datetime.now(NEW_YORK)
        )
    return open_plans(context)


def say(plans: Plans, body: str) -> None:
    """The first person texts."""
    form = {
        "MessageSid": f"SM{next(NUMBERS):032x}",
        "From": PHONE.e164,
        "To": "+12025550199",
        "Body": body,
        "NumMedia": "0",
    }
    receive_text(plans.context, IncomingText(form), plans.clock())


def replies(plans: Plans) -> list[str]:
    """Ids of the answers so far, the question behind them left out."""
    with plans.context.database.read() as session:
        rows = session.scalars(select(Message.text_id).where(Message.kind == K.REPLY).order_by(Message.id))
        return [text_id.split("+")[0] for text_id in rows]


def sent(plans: Plans, kind: MessageKind) -> list[tuple[date, str]]:
    with plans.context.database.read() as session:
        query = select(Message.local_on, Message.text_id).where(
            Message.kind == kind, Message.accepted_at.is_not(None)
        )
        return [(on, text_id) for on, text_id in session.execute(query.order_by(Message.id)) if on]


def enrollment(plans: Plans) -> Enrollment:
    with plans.context.database.read() as session:
        return session.scalars(select(Enrollment)).one()


def test_a_tip_is_never_said_again_within_sixty_days_and_topics_take_turns(plans: Plans) -> None:
    plans.join(101, program="rows", day=1)
    plans.pass_time(plans.clock() + 27 * DAY, 6 * HOUR)

    said = [text_id for _, text_id in sent(plans, K.TIP)]
    assert len(said) == len(set(said)) > 10
    topics = [plans.context.catalog.text(text_id).topic for text_id in said[:6]]
    assert all(first != second for first, second in pairwise(topics))


def test_when_every_text_was_said_lately_the_day_says_why_it_is_silent(plans: Plans) -> None:
    plans.join(101, program="rows", day=1)
    plans.pass_time(plans.clock() + 27 * DAY, 6 * HOUR)

    assert ("expired", "no_fresh_text") in plans.texts(K.TIP), "three topics do not last for four weeks"


def test_an_answer_decides_what_the_next_tip_is_about(plans: Plans) -> None:
    plans.join(101, program="rows", day=7)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "8")
    plans.pass_time(plans.clock() + 2 * DAY)

    about = [plans.context.catalog.text(text_id).topic for _, text_id in sent(plans, K.TIP)[1:]]
    assert about == ["breathe", "breathe"]


@pytest.mark.parametrize(
    ("after", "nudges", "reason"),
    [
        (None, [("accepted", None)], "no answer: one line, and never a second one"),
        (6 * HOUR, [], "an answer the same day: nothing is planned"),
        (20 * HOUR, [("canceled", "answered")], "an answer the next morning takes it back"),
    ],
)
def test_an_unanswered_question_gets_one_gentle_line_and_an_answered_one_none(
    plans: Plans, after: timedelta | None, nudges: list[tuple[str, str | None]], reason: str
) -> None:
    plans.join(101, program="rows", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    assert len(sent(plans, K.PULSE)) == 1
    if after is not None:
        plans.pass_time(plans.clock() + after - 6 * HOUR)
        say(plans, "2")
    plans.pass_time(plans.clock() + 3 * DAY)

    assert plans.texts(K.NUDGE) == nudges, reason


def test_less_and_more_move_by_rows_and_safety_texts_go_on(plans: Plans) -> None:
    plans.join(101, program="rows", day=8)
    say(plans, "LESS")
    plans.pass_time(plans.clock() + 5 * DAY, 6 * HOUR)
    assert [on for on, _ in sent(plans, K.TIP)][1:] == [], "what was planned for today may still go"
    say(plans, "Menos")
    say(plans, "more")
    plans.pass_time(plans.clock() + 3 * DAY, 6 * HOUR)
    assert len(sent(plans, K.TIP)) >= 2
    say(plans, "more")
    plans.pass_time(plans.clock() + 30 * DAY, 6 * HOUR)

    assert replies(plans) == ["reply/less", "reply/least", "reply/more", "reply/most"]
    assert len(sent(plans, K.SAFETY)) == 1


def test_time_moves_the_texts_of_a_program_into_the_chosen_part_of_the_day(plans: Plans) -> None:
    plans.join(101, program="rows", day=42)
    for body in ("TIME", "TIME 1", "hora 5"):
        say(plans, body)
    plans.pass_time(plans.clock() + 8 * DAY)

    assert replies(plans)[:2] == ["reply/time", "reply/time-morning"]
    with plans.context.database.read() as session:
        last = session.scalars(
            select(Message.due_at).where(Message.kind == K.PULSE).order_by(Message.id)
        ).all()
    assert 8 <= local_datetime(last[-1], NEW_YORK).hour < 12


def test_keep_goes_on_after_the_end_and_is_kept_as_consent(plans: Plans) -> None:
    plans.join(101, program="rows", day=105)
    say(plans, "KEEP")
    plans.pass_time(plans.clock() + 20 * DAY, 6 * HOUR)

    assert replies(plans) == ["admin/kept"]
    assert sent(plans, K.ADMIN) == [], "no goodbye to who stays"
    assert len(sent(plans, K.CARING)) >= 2
    assert enrollment(plans).status is EnrollmentStatus.ACTIVE
    with plans.context.database.read() as session:
        assert "kept" in session.scalars(select(ConsentEvent.kind)).all()


def test_who_does_not_answer_hears_goodbye_and_then_nothing(plans: Plans) -> None:
    plans.join(101, program="rows", day=105)
    plans.pass_time(plans.clock() + 20 * DAY, 6 * HOUR)

    assert [text_id for _, text_id in sent(plans, K.ADMIN)] == ["admin/goodbye"]
    assert sent(plans, K.CARING) == []
    assert enrollment(plans).status is EnrollmentStatus.COMPLETED


def test_keep_in_the_middle_of_a_program_changes_nothing(plans: Plans) -> None:
    plans.join(101, program="rows", day=20)
    say(plans, "KEEP")

    assert replies(plans) == ["reply/not-now"]
    assert enrollment(plans).kept_on is None


def test_a_red_answer_brings_two_weeks_of_the_daily_row_and_a_task(plans: Plans) -> None:
    plans.join(101, program="rows", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "10")
    plans.pass_time(plans.clock() + 20 * DAY, 6 * HOUR)

    days = [on for on, _ in sent(plans, K.TIP)]
    assert (min(days) - enrollment_day(plans)).days == 43, "from the day after"
    assert (max(days) - enrollment_day(plans)).days <= 57
    with plans.context.database.read() as session:
        assert "stepped_up" in [str(kind) for kind in session.scalars(select(Task.kind))]


def test_one_amber_answer_brings_nothing_and_two_in_two_weeks_do(plans: Plans) -> None:
    plans.join(101, program="rows", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "7")
    plans.pass_time(plans.clock() + 6 * DAY, 6 * HOUR)
    assert sent(plans, K.TIP) == []
    plans.pass_time(plans.clock() + DAY)
    say(plans, "7")
    plans.pass_time(plans.clock() + 3 * DAY)

    assert len(sent(plans, K.TIP)) >= 2


def enrollment_day(plans: Plans) -> date:
    anchor_on = enrollment(plans).anchor_on
    assert anchor_on is not None
    return anchor_on
