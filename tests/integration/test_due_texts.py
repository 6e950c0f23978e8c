"""Never silently lost, at any size: what is due is found lane by lane, danger and answers first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from service.domain.delivery import MessageState
from service.domain.kinds import Lane
from service.store.database import Database
from service.store.messages import Message, due_now, find_oldest_due
from tests.conftest import NOW

MINUTE = timedelta(minutes=1)


def add_texts(database: Database, *texts: tuple[int, timedelta, MessageState]) -> list[int]:
    """Texts by lane, time from NOW and state; returns their ids."""
    with database.begin() as session:
        return [
            session.execute(
                insert(Message)
                .values(
                    dedupe_key=f"t:{number}",
                    source="t1",
                    kind="tip",
                    lane=lane,
                    text_id="admin/welcome",
                    send_after=NOW,
                    send_before=NOW + timedelta(days=1),
                    due_at=NOW + offset,
                    state=state,
                    created_at=NOW,
                )
                .returning(Message.id)
            ).scalar_one()
            for number, (lane, offset, state) in enumerate(texts)
        ]


def test_danger_and_answers_come_first_then_the_oldest_and_nothing_that_is_not_due(
    database: Database,
) -> None:
    planned, held, claimed = MessageState.PLANNED, MessageState.HELD, MessageState.CLAIMED
    oldest_rest, answer, timed, newer_rest, *_ = add_texts(
        database,
        (Lane.REST, -60 * MINUTE, planned),
        (Lane.ANSWER, 0 * MINUTE, planned),
        (Lane.TIMED, -1 * MINUTE, held),
        (Lane.REST, -2 * MINUTE, held),
        (Lane.ANSWER, 1 * MINUTE, planned),  # not yet
        (Lane.ANSWER, -5 * MINUTE, claimed),  # somebody has it
        (Lane.TIMED, -5 * MINUTE, MessageState.SENT),
    )

    with database.begin() as session:
        assert list(due_now(session, NOW, 10)) == [answer, timed, oldest_rest, newer_rest]
    with database.begin() as session:
        assert list(due_now(session, NOW, 2)) == [answer, timed]
        assert find_oldest_due(session, NOW) == NOW - 60 * MINUTE


def test_every_lane_is_looked_at(database: Database) -> None:
    ids = add_texts(database, *((lane, -MINUTE, MessageState.PLANNED) for lane in Lane))

    with database.begin() as session:
        assert sorted(due_now(session, NOW, 10)) == ids


def test_nothing_is_due_when_all_texts_are_for_later(database: Database) -> None:
    add_texts(database, *((lane, MINUTE, MessageState.PLANNED) for lane in Lane))

    with database.begin() as session:
        assert list(due_now(session, NOW, 10)) == []
        assert find_oldest_due(session, NOW) is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_texts_that_another_worker_holds_are_skipped(database: Database) -> None:
    ids = add_texts(database, *((Lane.REST, -MINUTE * n, MessageState.PLANNED) for n in range(4, 0, -1)))

    with database.begin() as one, database.begin() as other:
        assert list(due_now(one, NOW, 2)) == ids[:2]
        one.execute(text("SET LOCAL lock_timeout = '100ms'"))
        assert list(due_now(other, NOW, 10)) == ids[2:]
