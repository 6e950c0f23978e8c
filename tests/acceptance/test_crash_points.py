"""Never twice, never silently lost: a real worker process, really killed at each point of a text's way out.

Where the worker stands is made sure from outside: by a row that the test holds locked, or by a provider that
keeps it waiting. A second worker then brings the text to its end. Leases are ended in the database, not
waited for, and the hours of look-ups pass on the second worker's clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine

from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.scheduler import Worker
from service.store.database import SILENT_HOLDER_SECONDS, real_now
from service.store.inbound import Task, TaskKind
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Participant
from service.store.wake import wake_workers
from service.usecases.sending.receipts import Receipt, record_receipt
from service.usecases.sending.work import work_once
from service.wiring import Runtime, build_runtime
from tests.conftest import make_settings
from tests.integration.test_import_participants import run_import
from tests.machines import WorkerProcess, line_settings, wait_until, workers
from tests.standin import Fault, TwilioStandin

S = MessageState
LISTED = "+12025550147,Ana Example,America/New_York,en,,2026-11-10,,,,"
HELD_SECONDS = 20.0
"""Longer than any of these tests keeps a worker waiting."""
HELD_BEFORE = Fault(accepts=False, wait_before=HELD_SECONDS, resets=True)
HELD_AFTER = Fault(accepts=True, wait_after=HELD_SECONDS, resets=True)
ANSWERED_LATE = Fault(accepts=True, wait_after=1.0)
LOOK_UPS = timedelta(minutes=16), timedelta(minutes=32), timedelta(minutes=48)

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Clock:
    """The real time, moved forward as the test likes."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def standin() -> Iterator[TwilioStandin]:
    with TwilioStandin() as running:
        yield running


@pytest.fixture
def later() -> Clock:
    return Clock()


@pytest.fixture
def second(database_url: str, standin: TwilioStandin, later: Clock) -> Iterator[Runtime]:
    """What the second worker works with, on a clock of the test's."""
    built = build_runtime(make_settings(**line_settings(database_url, standin)), system=later)
    run_import(built.context, LISTED)
    yield built
    built.close()


@pytest.fixture
def first(database_url: str, standin: TwilioStandin, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker as the Procfile starts it, ready."""
    with workers(tmp_path, line_settings(database_url, standin)) as start:
        worker = start()
        worker.wait_for("worker_started")
        yield worker


def add_text(
    second: Runtime, kind: MessageKind = MessageKind.REPLY, *, number: int = 1, key: str = "t1"
) -> None:
    """Texts to somebody, due now and at any hour."""
    now = datetime.now(UTC) - timedelta(hours=1)
    with second.database.begin() as session:
        person_id = session.scalars(sa.select(Participant.id)).one()
        row = {
            "participant_id": person_id,
            "source": "t1",
            "source_version": 1,
            "kind": kind,
            "lane": KIND_RULES[kind].lane,
            "text_id": "reply/start-unknown",
            "late": "send",
            "send_after": now,
            "send_before": now + timedelta(hours=3),
            "due_at": now,
            "state": S.PLANNED,
            "tries": 0,
            "created_at": now,
        }
        session.execute(sa.insert(Message), [row | {"dedupe_key": f"{key}:{n}"} for n in range(number)])
        wake_workers(session)


def get_states(second: Runtime) -> list[MessageState]:
    with second.database.read() as session:
        return list(session.scalars(sa.select(Message.state).order_by(Message.id)))


def wait_for_state(second: Runtime, state: MessageState) -> None:
    wait_until(lambda: set(get_states(second)) == {state}, f"the text to be {state}")


@contextmanager
def locked(second: Runtime, row: type[Participant] | type[Message]) -> Iterator[None]:
    """Hold rows of the only person, so that whoever needs them has to wait."""
    with second.database.begin() as session:
        session.execute(sa.select(row.id).with_for_update(key_share=True))
        yield


def end_leases(second: Runtime) -> None:
    """As if they had run out: no worker is waited for that will never come back."""
    with second.database.begin() as session:
        past = real_now(session) - timedelta(seconds=1)
        session.execute(sa.update(Message).where(Message.lease_until.is_not(None)).values(lease_until=past))


def work_on(second: Runtime, later: Clock) -> None:
    """The second worker: at once, and whenever a look-up may be due."""
    for ahead in (timedelta(0), *LOOK_UPS):
        later.ahead = ahead
        work_once(second.context, second.transport, second.clock, second.records)


def list_reasons(second: Runtime) -> list[str | None]:
    with second.database.read() as session:
        return list(session.scalars(sa.select(MessageEvent.reason).order_by(MessageEvent.id)))


def count_unresolved_tasks(second: Runtime) -> int:
    with second.database.read() as session:
        query = sa.select(sa.func.count()).where(Task.kind == TaskKind.UNRESOLVED_TEXT)
        return session.execute(query).scalar_one()


def test_killed_before_it_claims_the_text_is_sent_by_another(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin, later: Clock
) -> None:
    first.pause()
    add_text(second)
    first.kill()
    assert get_states(second) == [S.PLANNED]
    work_on(second, later)
    assert get_states(second) == [S.ACCEPTED]
    assert len(standin.accepted) == 1


@on_postgresql
def test_killed_with_the_text_claimed_it_comes_back_by_its_lease_and_goes_once(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin, later: Clock
) -> None:
    with locked(second, Participant):
        add_text(second)
        wait_for_state(second, S.CLAIMED)
        first.kill()
    work_once(second.context, second.transport, second.clock, second.records)
    assert get_states(second) == [S.CLAIMED], "whoever holds the lease may still live"
    assert standin.accepted == []
    end_leases(second)
    work_on(second, later)
    assert get_states(second) == [S.ACCEPTED]
    assert "lease_ran_out" in list_reasons(second)
    assert len(standin.accepted) == 1


@pytest.mark.parametrize(
    ("kind", "after", "taken"),
    [
        (MessageKind.CRISIS_REPLY, S.ACCEPTED, 1),  # looked up twice, absent, and of a kind that may go again
        (MessageKind.REPLY, S.UNRESOLVED, 0),  # of a kind that never goes twice: a human is told
    ],
)
def test_killed_while_calling_and_never_taken_it_goes_again_only_if_its_kind_may(
    first: WorkerProcess,
    second: Runtime,
    standin: TwilioStandin,
    later: Clock,
    kind: MessageKind,
    after: MessageState,
    taken: int,
) -> None:
    standin.script(HELD_BEFORE)
    add_text(second, kind)
    wait_until(lambda: standin.creates == 1, "the call to be on its way")
    assert get_states(second) == [S.SENDING], "what may leave is written down before it leaves"
    first.kill()
    work_once(second.context, second.transport, second.clock, second.records)
    assert get_states(second) == [S.SENDING]
    end_leases(second)
    work_on(second, later)
    assert get_states(second) == [after]
    assert len(standin.accepted) == taken
    assert count_unresolved_tasks(second) == (after is S.UNRESOLVED)


@pytest.mark.parametrize("kind", [MessageKind.CRISIS_REPLY, MessageKind.REPLY])
def test_killed_while_calling_after_it_was_taken_it_is_found_and_never_goes_again(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin, later: Clock, kind: MessageKind
) -> None:
    standin.script(HELD_AFTER)
    add_text(second, kind)
    wait_until(lambda: standin.taken == 1, "the provider to take it")
    first.kill()
    end_leases(second)
    work_on(second, later)
    assert get_states(second) == [S.ACCEPTED]
    assert standin.creates == 1, "a text that may have left is looked up, not sent"
    assert_adopted(second, standin)


def assert_adopted(second: Runtime, standin: TwilioStandin) -> None:
    with second.database.read() as session:
        assert session.scalars(sa.select(Attempt.provider_message_id)).all() == [standin.accepted[0]["sid"]]


@on_postgresql
def test_killed_with_the_answer_in_hand_but_not_written_it_is_found_and_never_goes_again(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin, later: Clock
) -> None:
    standin.script(Fault(accepts=True, wait_before=0.3))
    add_text(second, MessageKind.CRISIS_REPLY)
    wait_for_state(second, S.SENDING)
    with locked(second, Message):
        wait_until(lambda: standin.taken == 1, "the provider to take it")
        time.sleep(0.3)  # the answer has reached the worker, which waits for the row
        first.kill()
    assert get_states(second) == [S.SENDING]
    end_leases(second)
    work_on(second, later)
    assert get_states(second) == [S.ACCEPTED]
    assert standin.creates == 1
    assert_adopted(second, standin)


@pytest.mark.parametrize("dies", [False, True], ids=["it lives", "it is killed"])
def test_a_receipt_before_the_answer_is_written_stands(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin, later: Clock, dies: bool
) -> None:
    standin.script(HELD_AFTER if dies else ANSWERED_LATE)
    add_text(second, MessageKind.CRISIS_REPLY)
    wait_until(lambda: standin.taken == 1, "the provider to take it")
    taken = standin.accepted[0]
    receipt = Receipt(taken["reference"] or "", taken["sid"], "delivered", None)
    assert record_receipt(second.context, receipt, second.clock())
    if dies:
        first.kill()
    else:
        wait_until(lambda: has_finished_try(second), "the worker to write down the answer")
        first.terminate()
        assert first.exit_code() == 0
    end_leases(second)
    work_on(second, later)
    assert get_states(second) == [S.DELIVERED]
    assert standin.creates == 1
    assert_adopted(second, standin)


def has_finished_try(second: Runtime) -> bool:
    with second.database.read() as session:
        return session.scalars(sa.select(Attempt.outcome)).one() is not None


@on_postgresql
def test_stopped_with_a_claim_that_ran_out_it_wakes_up_and_sends_nothing(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin, later: Clock
) -> None:
    with locked(second, Participant):
        add_text(second)
        wait_for_state(second, S.CLAIMED)
        first.pause()
    end_worker_statements(second)
    end_leases(second)
    work_on(second, later)
    assert get_states(second) == [S.ACCEPTED]
    first.resume()
    time.sleep(0.5)
    first.terminate()
    assert first.exit_code() == 0
    assert get_states(second) == [S.ACCEPTED]
    assert standin.creates == 1, "whoever lost its claim does not send"


def end_worker_statements(second: Runtime) -> None:
    """What a stopped worker's connections hold is let go, as the server does by itself after some seconds."""
    with second.database.at_once() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND (wait_event_type = 'Lock' OR state = 'idle in transaction')"
        )


@on_postgresql
def test_the_server_lets_go_by_itself_of_what_a_stopped_worker_holds(second: Runtime) -> None:
    with second.database.begin() as session:
        timeout = session.execute(sa.text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert timeout == f"{SILENT_HOLDER_SECONDS:.0f}s"


@pytest.mark.parametrize("answer", [ANSWERED_LATE, HELD_BEFORE], ids=["taken", "not taken"])
def test_stopped_while_calling_it_wakes_up_after_its_lease_and_overwrites_nothing(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin, later: Clock, answer: Fault
) -> None:
    standin.script(answer)
    add_text(second, MessageKind.CRISIS_REPLY)
    wait_until(lambda: standin.creates == 1, "the call to be on its way")
    first.pause()
    end_leases(second)
    work_on(second, later)
    wait_until(lambda: standin.taken == 1, "the text to be with the provider")
    assert get_states(second) == [S.ACCEPTED]
    first.resume()
    time.sleep(0.3)
    first.kill()
    assert get_states(second) == [S.ACCEPTED]
    assert len(standin.accepted) == 1


def test_asked_to_end_it_finishes_what_is_in_flight_and_writes_it_down(
    first: WorkerProcess, second: Runtime, standin: TwilioStandin
) -> None:
    standin.by_chance({Fault(accepts=True, wait_before=0.25): 1.0}, seed=1)
    add_text(second, number=60)
    wait_until(lambda: standin.creates > 4, "texts in flight")
    first.terminate()
    assert first.exit_code() == 0
    states = get_states(second)
    assert set(states) <= {S.ACCEPTED, S.PLANNED}, "nothing is left half done"
    assert states.count(S.ACCEPTED) == standin.taken
    assert 4 < standin.taken < 60


@on_postgresql
@pytest.mark.parametrize("finish", ["accepts", "refuses"])
def test_two_workers_that_wake_up_at_the_same_text_send_it_once(
    first: WorkerProcess,
    second: Runtime,
    standin: TwilioStandin,
    later: Clock,
    database_url: str,
    tmp_path: Path,
    finish: str,
) -> None:
    if finish == "refuses":
        standin.script(Fault(accepts=False, http_status=429, code=20429))
    with workers(tmp_path, line_settings(database_url, standin)) as start:
        other = start()
        other.wait_for("worker_started")
        add_text(second, number=25)
        wait_until(lambda: standin.taken == 25, "the texts to go")
        first.kill()
        other.kill()
    end_leases(second)
    work_on(second, later)
    assert set(get_states(second)) == {S.ACCEPTED}
    references = [text["reference"] for text in standin.accepted]
    assert len(references) == len(set(references)) == 25


def test_a_machine_whose_clock_is_set_back_goes_on_working(second: Runtime, standin: TwilioStandin) -> None:
    worker = Worker(second, plan_every=3600.0, deliver_every=0.2)
    worker.start()
    try:
        add_text(second)
        wait_until(lambda: standin.taken == 1, "the first text")
        with time_machine.travel(datetime.now(UTC) - timedelta(hours=2), tick=True):
            time.sleep(0.6)  # until somebody looks at the clock
            add_text(second, key="t2")
            wait_until(lambda: standin.taken == 2, "the text after the clock was set back", 5.0)
    finally:
        assert worker.stop(10.0)
