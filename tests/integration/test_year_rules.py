"""What holds over a whole year: one question a day, an end with a word, nothing said twice at once."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update

from service.domain.kinds import MessageKind
from service.domain.local_time import local_datetime
from service.domain.time_of_day import TimeOfDay
from service.store.base import table_of
from service.store.conversations import Conversation
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant
from service.usecases.context import Context
from service.usecases.people.erase_participant import erase_participant
from service.usecases.sending.edits import apply_changes
from tests.conftest import NOW
from tests.integration.planning import Plans, open_plans, store_programs

K = MessageKind
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BASE: dict[str, Any] = {
    "version": 1,
    "days": 30,
    "frequency": {"en": "a few a week", "es": "unos por semana"},
    "steps": [
        {"id": "quarter", "day": 7, "time": "17:00", "kind": "checkup", "check_ins": ["checkup-1"]},
        {"id": "safety", "day": 9, "time": "16:00", "kind": "safety", "texts": ["safety/someone-near"]},
        {
            "id": "bye",
            "day": 30,
            "time": "12:00",
            "kind": "admin",
            "texts": ["admin/goodbye"],
            "late": "next_window",
        },
    ],
    "weekly": [
        {
            "id": "ask",
            "weekdays": ["MO"],
            "first_day": 1,
            "last_day": 29,
            "time": "17:00",
            "kind": "checkin",
            "check_ins": ["weekly"],
        },
    ],
}
ONE = {**BASE, "id": "one", "name": "One", "word": "ONEWORD"}
TWO = {**BASE, "id": "two", "name": "Two", "word": "TWOWORD"}


@pytest.fixture
def plans(context: Context) -> Plans:
    store_programs(context, ONE, TWO)
    return open_plans(context)


def fates(plans: Plans) -> list[tuple[str, str, str | None]]:
    """Slot, state and reason of every text."""
    query = select(Message.dedupe_key, Message.state, Message.reason).order_by(Message.id)
    with plans.context.database.read() as session:
        return [(key.split(":")[-1], str(state), reason) for key, state, reason in session.execute(query)]


def test_a_day_asks_one_thing_and_the_check_up_goes_before_the_check_in(plans: Plans) -> None:
    plans.join(101, program="one", day=7)
    plans.pass_time(plans.clock() + 12 * HOUR)

    assert sorted(fates(plans)) == [("ask", "expired", "other_question"), ("quarter", "accepted", None)]


def test_a_question_that_an_edit_renames_is_not_asked_twice_on_a_day(plans: Plans) -> None:
    plans.join(101, program="one", day=14)
    plans.pass_time(plans.clock() + 8 * HOUR)
    renamed = copy.deepcopy(ONE)
    renamed["weekly"][0].update(id="ask-anew", time="19:00")
    store_programs(plans.context, renamed)
    apply_changes(plans.context, plans.clock())
    plans.pass_time(plans.clock() + 8 * HOUR)

    assert sorted(fates(plans)) == [("ask", "accepted", None), ("ask-anew", "expired", "other_question")]


def test_of_two_questions_that_are_due_together_one_leaves(plans: Plans) -> None:
    """However two came to stand on one day: an answer to the second would be taken for the first."""
    plans.join(101, program="one", day=14)
    plans.plan()
    with plans.context.database.begin() as session:
        messages = table_of(Message)
        row = dict(session.execute(select(messages)).mappings().one())
        del row["id"]
        row.update(dedupe_key=row["dedupe_key"] + "-too", check_in_id="pulse", kind="pulse")
        session.execute(insert(messages).values(row))
    plans.pass_time(plans.clock() + 12 * HOUR)

    states = [state for _, state, _ in fates(plans)]
    assert states.count("accepted") == 1
    with plans.context.database.read() as session:
        assert len(session.scalars(select(Conversation.id)).all()) == 1


def test_an_edit_on_somebodys_last_day_leaves_them_their_goodbye(plans: Plans) -> None:
    plans.join(101, program="one", day=30)
    plans.plan()
    edited = copy.deepcopy(ONE)
    edited["steps"][2]["time"] = "13:00"
    store_programs(plans.context, edited)
    apply_changes(plans.context, plans.clock())
    plans.pass_time(plans.clock() + 2 * DAY)

    assert [one for one in fates(plans) if one[1] == "accepted"] == [("bye", "accepted", None)]
    with plans.context.database.read() as session:
        assert session.scalars(select(Enrollment.status)).one() is EnrollmentStatus.COMPLETED


def test_a_pause_over_the_end_does_not_swallow_the_goodbye(plans: Plans) -> None:
    plans.join(101, program="one", day=29)
    with plans.context.database.begin() as session:
        session.execute(update(Participant).values(paused_until=plans.clock() + 10 * DAY))
    plans.pass_time(plans.clock() + 12 * DAY, 6 * HOUR)

    assert ("bye", "accepted", None) in fates(plans)


def test_two_programs_do_not_say_the_same_on_one_day(plans: Plans) -> None:
    plans.join(101, program="one", day=8)
    with plans.context.database.begin() as session:
        row = dict(session.execute(select(table_of(Enrollment))).mappings().one())
        del row["id"]
        session.execute(insert(table_of(Enrollment)).values(row | {"program_id": "two"}))
    plans.pass_time(plans.clock() + 2 * DAY)

    assert [one[1:] for one in fates(plans) if one[0] == "safety"] == [
        ("accepted", None),
        ("expired", "said_already"),
    ]


def test_a_chosen_part_of_the_day_that_is_not_permitted_gives_way_to_the_programs_own_time(
    plans: Plans,
) -> None:
    """A zone that nobody confirmed must share its hours with those of the area code."""
    plans.join(101, "America/Chicago", program="one", day=14)
    with plans.context.database.begin() as session:
        session.execute(
            update(Participant).values(
                time_of_day=TimeOfDay.EVENING, zone_is_confirmed=False, area_timezones="America/New_York"
            )
        )
    plans.pass_time(plans.clock() + 16 * HOUR)

    assert fates(plans) == [("ask", "accepted", None)]
    with plans.context.database.read() as session:
        due_at = session.scalars(select(Message.due_at)).one()
    assert local_datetime(due_at, ZoneInfo("America/Chicago")).hour == 17


def test_an_erasure_forgets_the_rhythm_too(plans: Plans) -> None:
    phone = plans.join(101, program="one", day=14)
    with plans.context.database.begin() as session:
        session.execute(update(Participant).values(time_of_day=TimeOfDay.EVENING))
        today = NOW.date()
        session.execute(update(Enrollment).values(cadence_shift=2, stepped_up_on=today, kept_on=today))
    erase_participant(plans.context, phone, "cli:test", plans.clock())

    with plans.context.database.read() as session:
        person, enrollment = (
            session.scalars(select(Participant)).one(),
            session.scalars(select(Enrollment)).one(),
        )
    assert (person.time_of_day, enrollment.cadence_shift) == (None, 0)
    assert (enrollment.stepped_up_on, enrollment.kept_on) == (None, None)
