"""Never silently lost, at any size: what is due is found lane by lane, danger and answers first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from service.domain.delivery import MessageState
from service.domain.kinds import Lane
from service.store.database import Database
from service.store.messages import LOCK_DUE, Message
from service.store.outbox import claim_texts
from tests.conftest import NOW

MINUTE = timedelta(minutes=1)
LEASE = MINUTE


def claim(database: Database, size: int) -> set[int]:
    with database.begin() as session:
        return set(claim_texts(session, "token", size, NOW, LEASE))


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

    assert claim(database, 2) == {answer, timed}
    assert claim(database, 1) == {oldest_rest}
    assert claim(database, 10) == {newer_rest}
    assert claim(database, 10) == set()


def test_every_lane_is_looked_at(database: Database) -> None:
    ids = add_texts(database, *((lane, -MINUTE, MessageState.PLANNED) for lane in Lane))

    assert claim(database, 10) == set(ids)


def test_nothing_is_due_when_all_texts_are_for_later(database: Database) -> None:
    add_texts(database, *((lane, MINUTE, MessageState.PLANNED) for lane in Lane))

    assert claim(database, 10) == set()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_texts_that_another_worker_holds_are_skipped(database: Database) -> None:
    ids = add_texts(database, *((Lane.REST, -MINUTE * n, MessageState.PLANNED) for n in range(4, 0, -1)))

    with database.begin() as one, database.begin() as other:
        assert set(claim_texts(one, "one", 2, NOW, LEASE)) == set(ids[:2])
        other.execute(text("SET LOCAL lock_timeout = '100ms'"))
        assert set(claim_texts(other, "other", 10, NOW, LEASE)) == set(ids[2:])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_search_for_due_texts_goes_through_no_text_that_is_for_later(database: Database) -> None:
    """Ten million of them cost nothing then; measured in docs/scaling.md."""
    later = [(lane, MINUTE * n, MessageState.PLANNED) for n in range(1, 200) for lane in Lane]
    add_texts(database, *later)
    search = LOCK_DUE.params(now=NOW, size=100).compile(
        database.engine, compile_kwargs={"literal_binds": True}
    )
    with database.at_once() as connection:
        connection.exec_driver_sql("ANALYZE messages")
        connection.exec_driver_sql("SET enable_seqscan = off")  # which so few rows would allow
        lines = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {search}")
        plan = [line for (line,) in lines]
        connection.exec_driver_sql("RESET enable_seqscan")

    assert any("ix_messages_waiting" in line for line in plan)
    assert any("Index Cond: ((lane = " in line and "due_at <=" in line for line in plan)
    assert not any("Rows Removed" in line for line in plan)
