"""A new version of a program, and days on which nothing ran: all has its fate, and nothing goes twice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import select

from service.domain.kinds import MessageKind
from service.domain.program import find_put_in_past, former_days, program_from_data
from service.store.messages import Message
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.operations.program_rows import sync_programs
from service.usecases.sending.edits import apply_changes
from tests.conftest import NOW
from tests.integration.planning import PLAIN_YEAR, Plans, open_plans

K = MessageKind
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def plans(context: Context) -> Plans:
    return open_plans(context)


def store_edit(plans: Plans, edit: Edit) -> None:
    """Store an edited first-year program as its next version, and apply it."""
    definitions = dict(plans.context.catalog.program_definitions)
    data = copy.deepcopy(PLAIN_YEAR)
    edit(data)
    catalog = replace(
        plans.context.catalog, program_definitions=MappingProxyType({**definitions, "first-year": data})
    )
    with plans.context.database.begin() as session:
        sync_programs(session, catalog, plans.clock())
    apply_changes(plans.context, plans.clock())


def find(data: dict[str, Any], step_id: str) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [*data["steps"], *data["weekly"]]
    return next(step for step in steps if step["id"] == step_id)


def set_time(step_id: str, time: str) -> Edit:
    return lambda data: find(data, step_id).update(time=time)


def set_day(step_id: str, day: int) -> Edit:
    return lambda data: find(data, step_id).update(day=day)


def slots(plans: Plans) -> list[tuple[str, str, str | None]]:
    """Slot, state and reason of every text, as planned."""
    query = select(Message.dedupe_key, Message.state, Message.reason).order_by(Message.id)
    with plans.context.database.read() as session:
        return [(key.rsplit(":", 1)[1], str(state), reason) for key, state, reason in session.execute(query)]


def test_what_waits_is_planned_anew_by_the_new_version(plans: Plans) -> None:
    plans.join(1)
    plans.plan()

    store_edit(plans, set_time("monday-check-in", "18:00"))

    assert slots(plans) == [("monday-check-in", "canceled", "edited")]
    plans.plan()
    with plans.context.database.read() as session:
        text = session.scalars(select(Message).order_by(Message.id.desc())).first()
    assert text is not None
    assert (text.due_at, text.source_version) == (NOW + 8 * HOUR, 2)
    sent = plans.pass_time(NOW + 12 * HOUR)
    assert len(sent) == 1


def test_what_went_out_already_does_not_go_again(plans: Plans) -> None:
    plans.join(1)
    plans.pass_time(NOW + 8 * HOUR)
    assert slots(plans) == [("monday-check-in", "accepted", None)]

    store_edit(plans, set_time("monday-check-in", "19:00"))

    assert plans.pass_time(NOW + DAY) == []
    assert slots(plans) == [("monday-check-in", "accepted", None)]


def test_a_step_that_moves_to_a_later_day_after_it_went_out_is_not_sent_again(plans: Plans) -> None:
    plans.join(1, day=20)
    plans.pass_time(NOW + 33 * HOUR)
    assert ("safety-day-21", "accepted", None) in slots(plans)

    store_edit(plans, set_day("safety-day-21", 23))
    plans.pass_time(NOW + 4 * DAY)

    safety = [one for one in slots(plans) if one[0] == "safety-day-21"]
    assert safety == [("safety-day-21", "accepted", None), ("safety-day-21", "expired", "already_sent")]


def test_a_step_that_an_edit_puts_into_the_past_leaves_its_reason(plans: Plans) -> None:
    plans.join(1, day=20)
    plans.join(2, day=10)
    plans.plan()

    store_edit(plans, set_day("safety-day-28", 18))

    past = [one for one in slots(plans) if one[0] == "safety-day-28"]
    assert past == [("safety-day-28", "expired", "put_in_past")], "only for whom it is past"


def test_an_edit_makes_everybody_in_the_program_due_and_nobody_else(plans: Plans) -> None:
    plans.join(1)
    plans.join(2, program="ninety-days", day=5)
    plans.plan()

    store_edit(plans, set_time("monday-check-in", "18:00"))

    with plans.context.database.read() as session:
        due = session.scalars(select(Participant.id).where(Participant.next_plan_at <= NOW)).all()
    assert due == [1]


def test_the_same_programs_again_change_nothing(plans: Plans) -> None:
    plans.join(1)
    plans.plan()
    before = slots(plans)

    store_edit(plans, lambda _data: None)

    assert slots(plans) == before


@pytest.mark.parametrize("days", [3, 31, 45, 70])
def test_however_long_nothing_ran_every_text_that_was_due_has_a_row(plans: Plans, days: int) -> None:
    plans.join(1, day=100)

    plans.plan(NOW + days * DAY)

    with plans.context.database.read() as session:
        dates = session.scalars(
            select(Message.local_on).where(Message.kind == K.CHECKIN).order_by(Message.local_on)
        ).all()
    first = NOW.date()
    assert dates == [first + timedelta(weeks=number) for number in range(days // 7 + 1)]
    late = [one for one in slots(plans) if one[1] == "expired"]
    assert len(late) >= days // 7
    assert all(reason == "too_late" for _, _, reason in late)
    assert len(plans.pass_time(NOW + days * DAY + 6 * HOUR)) <= 2, "no burst of old texts"


def test_who_joins_late_in_the_day_sees_what_had_passed_as_passed(plans: Plans) -> None:
    plans.clock.at = NOW + 10 * HOUR
    plans.join(1, day=0)

    plans.plan()

    assert ("monday-check-in", "expired", "before_enrollment") in slots(plans) or all(
        state == "planned" for _, state, _ in slots(plans)
    )
    assert not [one for one in slots(plans) if one[1] == "expired" and one[2] is None]


DATA = {
    "id": "x",
    "version": 1,
    "name": "X",
    "word": "X",
    "days": 100,
    "frequency": {"en": "often", "es": "mucho"},
}


def steps_at(**days: int) -> Any:
    steps = [
        {"id": name, "day": day, "time": "12:00", "kind": "tip", "texts": ["tip/x"]}
        for name, day in days.items()
    ]
    return program_from_data({**DATA, "steps": steps})


def test_only_what_the_older_version_never_reached_is_lost_to_the_past() -> None:
    older, newer = steps_at(a=5, b=20, c=30), steps_at(a=3, b=8, c=30, d=2)

    assert [step.id for step in find_put_in_past(newer, older, 10)] == ["b", "d"]
    assert [step.id for step in find_put_in_past(newer, older, 16)] == ["b"], "d is new, and long past"
    assert former_days(newer, [older]) == {"a": (5,), "b": (20,)}
