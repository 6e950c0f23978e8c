"""Never twice, never silently lost: workers killed and added, the database restarted, away or silent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from service.catalog import Catalog
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.scheduler import Worker
from service.store.database import Database, real_now
from service.store.keyring import Keyring
from service.store.messages import Attempt, Message
from service.store.schema import upgrade
from service.store.wake import ASK_AFTER_SECONDS, listen_for_work, wake_workers
from service.usecases.operations.program_rows import sync_programs
from service.usecases.sending.work import work_once
from service.wiring import Runtime, build_runtime
from tests.acceptance.line import running_line
from tests.conftest import NOW, FakeClock, make_settings
from tests.databases import NoPostgresError, OwnServer, PostgresServer, open_own_postgres
from tests.integration.test_import_participants import run_import
from tests.machines import SilentRelay, line_settings, wait_until, workers
from tests.standin import TwilioStandin
from tests.standin.faults import slow

S = MessageState
IMPORTED = "+12025550148,Ana Example,America/New_York,en,,2026-11-10,written,2026-11-20T15:00,intake desk,"
NEVER = 3600.0
"""A tick that far apart does not come by itself within a test."""

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def standin() -> Iterator[TwilioStandin]:
    with TwilioStandin() as running:
        yield running


@pytest.fixture
def runtime(database_url: str, standin: TwilioStandin) -> Iterator[Runtime]:
    built = build_runtime(make_settings(**line_settings(database_url, standin)))
    yield built
    built.close()


@pytest.fixture(scope="module")
def one_server() -> Iterator[OwnServer]:
    try:
        with open_own_postgres() as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(f"NO POSTGRESQL: {error}")


@pytest.fixture
def own_server(one_server: OwnServer) -> Iterator[OwnServer]:
    yield one_server
    if not one_server.is_up:
        one_server.start()


@pytest.fixture
def own_url(own_server: OwnServer, keyring: Keyring, catalog: Catalog) -> str:
    """A migrated database on a server that the test may take down."""
    databases = PostgresServer(own_server.url)
    url = databases.url_of(databases.create())
    database = Database(url, keyring)
    upgrade(database)
    with database.begin() as session:
        sync_programs(session, catalog, NOW)
    database.dispose()
    return url


@pytest.fixture
def own_runtime(own_url: str, standin: TwilioStandin) -> Iterator[Runtime]:
    built = build_runtime(make_settings(**line_settings(own_url, standin)))
    yield built
    built.close()


@contextmanager
def working(runtime: Runtime, **seconds: float) -> Iterator[Worker]:
    worker = Worker(runtime, **seconds)
    worker.start()
    try:
        yield worker
    finally:
        assert worker.stop(10.0)


def add_texts(runtime: Runtime, number: int) -> list[int]:
    """Answers to unknown numbers, due now and at any hour; returns their ids."""
    now = datetime.now(UTC)
    row = {
        "source": "t1",
        "source_version": 1,
        "kind": MessageKind.REPLY,
        "lane": KIND_RULES[MessageKind.REPLY].lane,
        "text_id": "reply/start-unknown",
        "late": "send",
        "recipient": "+12025550147",
        "send_after": now,
        "send_before": now + timedelta(hours=2),
        "due_at": now,
        "state": S.PLANNED,
        "tries": 0,
        "created_at": now,
    }
    with runtime.database.begin() as session:
        first = (session.scalar(sa.select(sa.func.max(Message.id))) or 0) + 1
        rows = [row | {"dedupe_key": f"t1:{first + n}"} for n in range(number)]
        session.execute(sa.insert(Message), rows)
        wake_workers(session)
        return list(session.scalars(sa.select(Message.id).where(Message.id >= first)))


def states(runtime: Runtime) -> Counter[str]:
    with runtime.database.read() as session:
        query = sa.select(Message.state, sa.func.count()).group_by(Message.state)
        return Counter({str(state): number for state, number in session.execute(query)})


def is_settled(runtime: Runtime) -> bool:
    """Nothing waits, and what is held by a lease is held by nobody who lives."""
    return not {S.PLANNED, S.HELD} & {S(state) for state in states(runtime)}


def times_sent(runtime: Runtime, standin: TwilioStandin) -> Counter[int]:
    """How often the provider took each text."""
    with runtime.database.read() as session:
        of_reference = dict(session.execute(sa.select(Attempt.reference, Attempt.message_id)).all())
    return Counter(of_reference[text["reference"]] for text in standin.accepted)  # type: ignore[index]


def test_workers_killed_and_added_and_the_database_restarted_send_each_text_once(
    own_server: OwnServer, own_url: str, own_runtime: Runtime, standin: TwilioStandin, tmp_path: Path
) -> None:
    with workers(tmp_path, line_settings(own_url, standin, sender_segments_per_second=60)) as start:
        running = [start(), start(), start()]
        for worker in running:
            worker.wait_for("worker_started")
        ids = add_texts(own_runtime, 300)
        wait_until(lambda: standin.taken > 30, "the first texts")
        running[0].kill()
        running.append(start())
        running[-1].wait_for("worker_started")
        wait_until(lambda: standin.taken > 90, "texts after the kill")
        own_server.restart()
        wait_until(lambda: standin.taken > 150, "texts after the restart")
        wait_until(lambda: is_settled(own_runtime), "nothing to wait")
        for worker in running[1:]:
            assert worker.is_running, "no worker ends because the database does"
            assert worker.count("Traceback") == 0
            assert worker.count("database_away") <= 1
            worker.terminate()
        assert [worker.exit_code() for worker in running[1:]] == [0, 0, 0]

    with own_runtime.database.begin() as session:  # as if the dead worker's leases had run out
        past = real_now(session) - timedelta(seconds=1)
        session.execute(sa.update(Message).where(Message.lease_until.is_not(None)).values(lease_until=past))
    work_once(own_runtime.context, own_runtime.transport, own_runtime.clock)

    sent, after = times_sent(own_runtime, standin), states(own_runtime)
    assert max(sent.values()) == 1, "no text goes out twice"
    assert set(after) <= {S.ACCEPTED, S.UNKNOWN}
    assert set(ids) - set(sent) <= unknown_ids(own_runtime), "what did not go out for sure is looked up"
    assert sum(after.values()) == len(ids)
    assert after[S.UNKNOWN] < 60, "only what was on its way when something died"


def unknown_ids(runtime: Runtime) -> set[int]:
    with runtime.database.read() as session:
        return set(session.scalars(sa.select(Message.id).where(Message.state == S.UNKNOWN)))


@on_postgresql
def test_a_text_that_becomes_due_is_sent_at_once_and_not_at_the_next_look(
    runtime: Runtime, standin: TwilioStandin
) -> None:
    with working(runtime, plan_every=NEVER, deliver_every=NEVER):
        time.sleep(0.3)  # the worker listens and has looked once
        asked_at = time.monotonic()
        add_texts(runtime, 1)
        wait_until(lambda: standin.taken == 1, "the text", 5.0)

        assert time.monotonic() - asked_at < 1.0


def test_without_anybody_telling_a_text_is_sent_at_the_next_look(
    runtime: Runtime, standin: TwilioStandin
) -> None:
    with working(runtime, plan_every=NEVER, deliver_every=0.2):
        time.sleep(0.1)
        with runtime.database.begin() as session:
            session.info["aftercare_told_workers"] = True  # as behind a pooler in transaction mode
        add_texts(runtime, 1)
        wait_until(lambda: standin.taken == 1, "the text", 5.0)


@contextmanager
def listening(
    database: Database, wake: Callable[[], None], ask_after: float = ASK_AFTER_SECONDS
) -> Iterator[None]:
    stopping = threading.Event()
    thread = threading.Thread(target=listen_for_work, args=(database, wake, stopping, ask_after))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@on_postgresql
def test_a_thousand_announcements_make_few_rounds(database: Database) -> None:
    rounds: list[float] = []
    with listening(database, lambda: rounds.append(time.monotonic())):
        wait_until(lambda: len(rounds) == 1, "the first look, as soon as somebody listens")
        started_at = time.monotonic()
        for _ in range(1000):
            with database.begin() as session:
                wake_workers(session)
        took = time.monotonic() - started_at
        time.sleep(0.3)

    assert 2 <= len(rounds) <= 3 + took / 0.05
    assert rounds[-1] > started_at + took - 0.2, "the last one is heard as well"


@on_postgresql
def test_what_is_rolled_back_wakes_nobody_and_one_transaction_tells_once(database: Database) -> None:
    rounds: list[float] = []
    statements: list[str] = []
    sa.event.listen(
        database.engine, "before_cursor_execute", lambda _c, _k, statement, *_: statements.append(statement)
    )
    with listening(database, lambda: rounds.append(time.monotonic())):
        wait_until(lambda: len(rounds) == 1, "the first look")
        with database.begin() as session:
            wake_workers(session)
            session.rollback()
        statements.clear()
        with database.begin() as session:
            for _ in range(5):
                wake_workers(session)
            time.sleep(0.1)
            assert len(rounds) == 1, "told when it is committed, not before"
        wait_until(lambda: len(rounds) == 2, "the announcement", 2.0)

    assert sum("pg_notify" in statement for statement in statements) == 1


@on_postgresql
def test_whatever_makes_something_due_now_tells_the_workers(database_url: str, clock: FakeClock) -> None:
    rounds: list[float] = []
    with (
        running_line(database_url, clock) as line,
        listening(line.runtime.database, lambda: rounds.append(time.monotonic())),
    ):
        wait_until(lambda: len(rounds) == 1, "the first look")
        for action, is_told in (
            (lambda: line.text("JOIN"), False),  # answered in the response
            (lambda: line.text("YES"), True),  # a program begins
            (lambda: line.text("PAUSE 2"), False),
            (lambda: run_import(line.runtime.context, IMPORTED), True),  # a welcome, and a program
            (lambda: line.text("STOP"), False),
        ):
            before = len(rounds)
            action()
            time.sleep(0.25)
            assert (len(rounds) > before) is is_told


def test_whoever_listens_looks_again_after_the_database_was_away(
    own_server: OwnServer, own_url: str, keyring: Keyring
) -> None:
    database = Database(own_url, keyring)
    rounds: list[float] = []
    with listening(database, lambda: rounds.append(time.monotonic())):
        wait_until(lambda: len(rounds) == 1, "the first look")
        own_server.restart()
        wait_until(lambda: len(rounds) == 2, "a look after the restart, for what was told meanwhile")
        with database.begin() as session:
            wake_workers(session)
        wait_until(lambda: len(rounds) == 3, "an announcement on the new connection")
    database.dispose()


def test_an_outage_is_two_lines_and_what_waited_is_sent_afterwards(
    own_server: OwnServer, own_runtime: Runtime, standin: TwilioStandin
) -> None:
    with capture_logs() as lines, working(own_runtime, plan_every=0.1, deliver_every=0.1):
        add_texts(own_runtime, 3)
        wait_until(lambda: standin.taken == 3, "the texts before")
        own_server.stop()
        wait_until(lambda: any(line["event"] == "database_away" for line in lines), "a line")
        time.sleep(0.5)
        own_server.start()
        add_texts_when_back(own_runtime)
        wait_until(lambda: standin.taken == 6, "the texts after")
        wait_until(lambda: any(line["event"] == "database_back" for line in lines), "a line")

    events = Counter(line["event"] for line in lines)
    assert events["database_away"] == events["database_back"] == 1
    assert events["tick_fault"] == 0


def add_texts_when_back(runtime: Runtime) -> None:
    def add() -> bool:
        try:
            add_texts(runtime, 3)
        except OperationalError:
            return False
        return True

    wait_until(add, "the database to be back")


def test_a_worker_stops_while_the_database_is_away(own_server: OwnServer, own_runtime: Runtime) -> None:
    worker = Worker(own_runtime, plan_every=0.1, deliver_every=0.1)
    with capture_logs() as lines:
        worker.start()
        own_server.stop()
        wait_until(lambda: any(line["event"] == "database_away" for line in lines), "a line")
        started_at = time.monotonic()

        assert worker.stop()
    assert time.monotonic() - started_at < 8.0


def test_a_worker_that_starts_before_its_database_waits_for_it(
    own_server: OwnServer, own_url: str, own_runtime: Runtime, standin: TwilioStandin, tmp_path: Path
) -> None:
    add_texts(own_runtime, 1)
    own_server.stop()
    with workers(tmp_path, line_settings(own_url, standin)) as start:
        worker = start()
        worker.wait_for("the database does not answer; waiting up to 60 seconds")
        own_server.start()
        wait_until(lambda: standin.taken == 1, "the text")
        worker.terminate()

        assert worker.exit_code() == 0


@pytest.fixture
def relayed(database_url: str, keyring: Keyring) -> Iterator[tuple[SilentRelay, str]]:
    url = sa.make_url(database_url)
    with SilentRelay(str(url.host), int(url.port or 5432)) as relay:
        changed = url.set(host="127.0.0.1", port=relay.port)
        yield relay, changed.render_as_string(hide_password=False)


@on_postgresql
def test_a_statement_on_a_silent_database_is_given_up_and_the_next_one_has_a_new_connection(
    relayed: tuple[SilentRelay, str], keyring: Keyring
) -> None:
    relay, url = relayed
    database = Database(url, keyring)
    database.expect_answers_within(0.3)
    with database.read() as session:
        real_now(session)
    relay.fall_silent()
    started_at = time.monotonic()
    with pytest.raises(OperationalError), database.begin() as session:
        real_now(session)
    assert time.monotonic() - started_at < 2.0
    relay.speak()
    with database.begin() as session:
        real_now(session)
    database.dispose()


@on_postgresql
def test_whoever_has_little_patience_gives_a_silent_database_up_soon_after(
    relayed: tuple[SilentRelay, str], keyring: Keyring
) -> None:
    relay, url = relayed
    database = Database(url, keyring, patience=0.2, slots=1)
    with database.read() as session:
        real_now(session)
    relay.fall_silent()
    with pytest.raises(OperationalError), database.read() as session:
        real_now(session)
    relay.speak()
    with database.read() as session:
        real_now(session)  # its only slot is free again
    database.dispose()


@on_postgresql
def test_whoever_listens_notices_a_silent_database(
    relayed: tuple[SilentRelay, str], keyring: Keyring
) -> None:
    relay, url = relayed
    database = Database(url, keyring)
    database.expect_answers_within(0.3)
    rounds: list[float] = []
    with listening(database, lambda: rounds.append(time.monotonic()), 0.1):
        wait_until(lambda: len(rounds) == 1, "the first look")
        relay.fall_silent()
        relay.speak()
        wait_until(lambda: len(rounds) == 2, "a new connection")
    database.dispose()


@on_postgresql
def test_stopping_takes_a_bounded_time_when_the_database_is_silent(
    relayed: tuple[SilentRelay, str], standin: TwilioStandin
) -> None:
    relay, url = relayed
    runtime = build_runtime(make_settings(**line_settings(url, standin)))
    worker = Worker(runtime, plan_every=0.1, deliver_every=0.1)
    runtime.database.expect_answers_within(3.0)
    worker.start()
    time.sleep(0.3)
    relay.fall_silent()
    time.sleep(0.3)
    started_at = time.monotonic()

    assert not worker.stop(0.5), "somebody still waits for the database"
    assert time.monotonic() - started_at < 1.5
    relay.speak()
    runtime.close()


@on_postgresql
def test_a_cut_network_is_noticed_while_sending_and_while_waiting(database: Database) -> None:
    with database.at_once() as connection:
        driver: Any = connection.connection.driver_connection
        options = driver.info.get_parameters()

    assert options["tcp_user_timeout"] == "30000"
    assert options["connect_timeout"] == "5"
    waits = int(options["keepalives_idle"])
    waits += int(options["keepalives_interval"]) * int(options["keepalives_count"])
    assert waits <= 30


@on_postgresql
def test_a_stop_finishes_what_is_in_flight(
    database_url: str, runtime: Runtime, standin: TwilioStandin, tmp_path: Path
) -> None:
    standin.script(slow(0.6))
    with workers(tmp_path, line_settings(database_url, standin)) as start:
        worker = start()
        worker.wait_for("worker_started")
        add_texts(runtime, 1)
        wait_until(lambda: states(runtime)[S.SENDING] == 1, "the text to be on its way")
        worker.terminate()

        assert worker.exit_code() == 0
    assert states(runtime) == {S.ACCEPTED: 1}


@on_postgresql
def test_a_second_signal_ends_a_worker_whose_provider_hangs_and_its_text_is_never_resent_blindly(
    database_url: str, runtime: Runtime, standin: TwilioStandin, tmp_path: Path
) -> None:
    standin.script(slow(5.0))
    with workers(tmp_path, line_settings(database_url, standin)) as start:
        worker = start()
        worker.wait_for("worker_started")
        add_texts(runtime, 1)
        wait_until(lambda: states(runtime)[S.SENDING] == 1, "the text to be on its way")
        worker.terminate()
        time.sleep(0.3)
        assert worker.is_running, "one signal waits for the answer"
        worker.terminate()

        assert worker.exit_code(3.0) == 1
    assert states(runtime) == {S.SENDING: 1}, "its lease runs out, and it is looked up"
