"""Never silently lost: what was due while nothing ran for a long time has its row, and its reason."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import insert, select

from service.domain.day_plan import NEVER_LATER_THAN
from service.domain.delivery import MessageState
from service.domain.program import steps_on
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant, ParticipantStatus
from service.store.service_state import list_programs
from service.usecases.context import Context
from service.usecases.sending.plan import plan_due
from tests.conftest import NOW

STARTED = NOW - timedelta(days=130)


def enroll(context: Context, planned_through: date) -> None:
    with context.database.begin() as session:
        session.execute(
            insert(Participant).values(
                id=1,
                phone_hash="1" * 64,
                phone_key_id="test",
                status=ParticipantStatus.ACTIVE,
                timezone="America/New_York",
                zone_is_confirmed=True,
                next_plan_at=NOW - timedelta(days=120),
                planned_through=planned_through,
                created_at=STARTED,
            )
        )
        session.execute(
            insert(Enrollment).values(
                participant_id=1,
                program_id="first-year",
                status=EnrollmentStatus.ACTIVE,
                anchor_on=STARTED.date(),
                started_on=STARTED.date(),
                started_at=STARTED,
                version=1,
                created_at=STARTED,
            )
        )


@pytest.mark.parametrize("days", [1, 2, 3, 30, 45, 125])
def test_after_an_outage_of_any_length_each_text_that_was_due_has_a_row(context: Context, days: int) -> None:
    last = NOW.date() - timedelta(days=days)
    enroll(context, last)
    with context.database.read() as session:
        program = list_programs(session)["first-year"]
    missed = [last + timedelta(days=number) for number in range(1, days + 1)]
    due = ((on, step) for on in missed for step in steps_on(program, STARTED.date(), on))
    # Nudges follow questions that went out, and none did.
    wanted = {(on, step.step_id) for on, step in due if step.nudges is None}

    plan_due(context, NOW)

    with context.database.read() as session:
        rows = session.scalars(select(Message)).all()
    found = {(date.fromisoformat(row.dedupe_key.split(":")[2]), row.dedupe_key.split(":")[3]) for row in rows}
    assert found == wanted
    for row in rows:
        if row.state is MessageState.EXPIRED:
            assert row.reason, "it says why it did not go"
        else:
            assert row.send_after > NOW - NEVER_LATER_THAN, "and nothing old is to go"
