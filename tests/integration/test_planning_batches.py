"""Everybody who is due is planned once, however many batches it takes and whoever takes them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from service.store.inbound import Task
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant, ParticipantStatus
from service.usecases.context import Context
from service.usecases.sending.plan import BATCH, EVERYBODY, SIDE_BY_SIDE, plan_due
from tests.conftest import NOW

PEOPLE = BATCH * (SIDE_BY_SIDE + 1) + 7


def enroll_many(context: Context) -> None:
    """People in the ninth day of their program, all due now."""
    started_at = NOW - timedelta(days=9)
    with context.database.begin() as session:
        session.execute(
            insert(Participant),
            [
                {
                    "id": number,
                    "phone_hash": f"{number:064x}",
                    "phone_key_id": "test",
                    "status": ParticipantStatus.ACTIVE,
                    "timezone": "America/New_York",
                    "zone_is_confirmed": True,
                    "next_plan_at": NOW,
                    "planned_through": NOW.date() - timedelta(days=1),
                    "created_at": started_at,
                }
                for number in range(1, PEOPLE + 1)
            ],
        )
        session.execute(
            insert(Enrollment),
            [
                {
                    "participant_id": number,
                    "program_id": "first-year",
                    "status": EnrollmentStatus.ACTIVE,
                    "anchor_on": started_at.date(),
                    "started_on": started_at.date(),
                    "started_at": started_at,
                    "version": 1,
                    "created_at": started_at,
                }
                for number in range(1, PEOPLE + 1)
            ],
        )


def count_texts(context: Context) -> tuple[int, int]:
    """Texts, and people who have one."""
    with context.database.read() as session:
        query = select(func.count(), func.count(func.distinct(Message.participant_id))).select_from(Message)
        texts, people = session.execute(query).one()
    return texts, people


def test_many_batches_plan_everybody_once(context: Context) -> None:
    enroll_many(context)

    counts = plan_due(context, NOW)

    texts, people = count_texts(context)
    assert counts.people == people == PEOPLE
    assert counts.planned + counts.held + counts.expired == texts
    with context.database.read() as session:
        still_due = session.scalar(select(func.count()).where(Participant.next_plan_at <= NOW))
    assert still_due == 0
    assert plan_due(context, NOW).people == 0
    assert count_texts(context) == (texts, people)


def test_a_row_that_cannot_be_planned_in_a_later_batch_costs_nobody_else_their_texts(
    context: Context,
) -> None:
    enroll_many(context)
    broken = BATCH + 11
    with context.database.begin() as session:
        session.execute(update(Participant).where(Participant.id == broken).values(timezone="Nowhere/Land"))

    plan_due(context, NOW)

    assert count_texts(context)[1] == PEOPLE - 1
    with context.database.read() as session:
        planned_next = session.scalar(select(Participant.next_plan_at).where(Participant.id == broken))
    assert planned_next is not None
    assert planned_next > NOW


def test_a_fault_that_is_nobodys_row_is_raised_and_does_not_flood_the_staff_list(context: Context) -> None:
    enroll_many(context)
    with context.database.begin() as session:
        session.execute(update(Participant).values(timezone="Nowhere/Land"))

    for _ in range(2):  # as two workers, one after the other
        with pytest.raises(Exception, match="Nowhere"):
            plan_due(context, NOW)

    with context.database.read() as session:
        tasks = session.scalar(select(func.count()).select_from(Task))
    assert tasks == 2 * EVERYBODY


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_people_whom_another_holds_are_left_to_them_and_nobody_is_tried_again_and_again(
    context: Context,
) -> None:
    enroll_many(context)
    broken = PEOPLE - 3
    with context.database.begin() as session:
        session.execute(update(Participant).where(Participant.id == broken).values(timezone="Nowhere/Land"))

    with context.database.begin() as other:
        held = select(Participant.id).where(Participant.id <= BATCH + 100).with_for_update()
        other.execute(held).all()
        counts = plan_due(context, NOW)

    assert counts.people == PEOPLE - (BATCH + 100) - 1
    assert plan_due(context, NOW).people == BATCH + 100
