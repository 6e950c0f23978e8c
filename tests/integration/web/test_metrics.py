"""`/metrics`: what is told, as Prometheus reads it; cheap, and honest about what could not be read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from service.domain.delivery import MessageState
from service.domain.kinds import Lane
from service.store.consent import Suppression
from service.store.database import Database, real_now
from service.store.figures import (
    count_attempts,
    count_segments,
    count_texts,
    find_unknown,
    list_due_by_lane,
    list_waits,
    time_limit,
)
from service.store.inbound import TaskKind
from service.store.pacing import SENDER, Sender
from service.store.service_state import set_setting
from service.web.app import create_app
from service.wiring import Runtime, build_runtime
from tests.conftest import NOW, FakeClock, make_settings
from tests.integration.monitoring import PRIVATE_BODY, PRIVATE_NUMBER, add_attempt, add_task, add_text

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
S = MessageState
MANUAL = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
UNREAD = "aftercare_unread_figures"
Samples = dict[tuple[str, str], float]


@pytest.fixture
def runtime(database_url: str, clock: FakeClock) -> Iterator[Runtime]:
    settings = make_settings(database_url=database_url, sender_segments_per_second=3)
    built = build_runtime(settings, system=clock)
    yield built
    built.close()


@pytest.fixture
def client(runtime: Runtime) -> FlaskClient:
    return create_app(runtime).test_client()


def scrape(client: FlaskClient) -> Samples:
    """Every sample by its name and the value of its only label, read by Prometheus' own parser."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    said = answer.get_data(as_text=True)
    for private in (PRIVATE_BODY, PRIVATE_NUMBER, PRIVATE_NUMBER[2:]):
        assert private not in said
    samples = {}
    for family in text_string_to_metric_families(said):
        assert family.documentation, family.name
        assert family.type == "gauge"
        for sample in family.samples:
            assert sample.name.startswith("aftercare_")
            assert len(sample.labels) <= 1
            samples[sample.name, next(iter(sample.labels.values()), "")] = sample.value
    return samples


def fill(database: Database) -> None:
    """A day in the life of a line, as of NOW."""
    add_text(database, "due", S.PLANNED, -90 * SECOND, lane=Lane.TIMED)
    add_text(database, "due-2", S.HELD, -30 * SECOND, lane=Lane.REST, reason="cap_day")
    add_text(database, "held", S.HELD, HOUR, reason="quiet_hours")
    add_text(database, "future", S.PLANNED, 30 * DAY)
    add_text(database, "old", S.DELIVERED, -2 * DAY, segments=9, accepted=-2 * DAY)
    add_text(database, "asked-about", S.SENT, -HOUR, segments=9, accepted=-2 * DAY)  # which moved its due_at
    for number, wait in enumerate((1, 2, 3, 40)):
        due = -10 * MINUTE
        accepted = due + wait * SECOND
        sent = add_text(database, f"sent-{number}", S.SENT, due, segments=2, accepted=accepted)
        add_attempt(database, sent, "accepted", due)
    unknown = add_text(database, "unknown", S.UNKNOWN, 5 * MINUTE)
    add_attempt(database, unknown, "unknown", -20 * MINUTE)
    add_task(database, TaskKind.UNRESOLVED_TEXT, HOUR)
    add_task(database, TaskKind.NEEDS_REPLY, 2 * HOUR)
    add_task(database, TaskKind.CALL, 9 * HOUR, is_closed=True)
    with database.begin() as session:
        set_setting(session, "last_tick", {}, NOW - 7 * SECOND, "worker")
        for number, age in enumerate((HOUR, 9 * DAY)):
            row = Suppression(
                phone_hash=f"h{number}", phone_key_id="k", opted_out_at=NOW - age, reason="stop"
            )
            session.add(row)
        lifted = {"opted_out_at": NOW - HOUR, "lifted_at": NOW}
        session.add(Suppression(phone_hash="lifted", phone_key_id="k", reason="stop", **lifted))
        booked = real_now(session) + 100 * SECOND
        session.merge(Sender(name=SENDER, next_at=booked, backoff_step=2, blocked_until=booked))


EXPECTED: list[tuple[str, str, float]] = [
    ("tick_age_seconds", "", 7),
    ("oldest_due_seconds", "", 90),
    ("oldest_due_by_lane_seconds", "timed", 90),
    ("oldest_due_by_lane_seconds", "rest", 30),
    ("oldest_due_by_lane_seconds", "answer", 0),
    ("due_texts", "timed", 1),
    ("due_texts", "rest", 1),
    ("texts", "sent", 4),
    ("texts", "planned", 1),
    ("texts", "held", 1),
    ("segments", "", 8),
    ("held_texts", "quiet_hours", 1),
    ("held_texts", "cap_day", 1),
    ("unknown_texts", "", 1),
    ("oldest_unknown_seconds", "", 1200),
    ("open_tasks", "", 2),
    ("oldest_open_task_seconds", "", 7200),
    ("unresolved_texts", "", 1),
    ("opted_out_numbers", "", 2),
    ("opt_outs_last_day", "", 1),
    ("attempts", "accepted", 4),
    ("attempts", "unknown", 1),
    ("due_to_accepted_seconds", "0.5", 3),
    ("due_to_accepted_seconds", "0.95", 40),
    ("due_to_accepted_longest_seconds", "", 40),
    ("sender_segments_per_second", "", 3),
    ("sender_backoff_step", "", 2),
]


def test_every_figure_is_told_as_it_stands_in_the_database(runtime: Runtime, client: FlaskClient) -> None:
    fill(runtime.database)

    found = scrape(client)

    wrong = {
        (name, label): found.get((f"aftercare_{name}", label))
        for name, label, value in EXPECTED
        if found.get((f"aftercare_{name}", label)) != value
    }
    assert wrong == {}
    assert 90 < found["aftercare_sender_booked_seconds", ""] <= 100
    assert 90 < found["aftercare_sender_blocked_seconds", ""] <= 100
    unread = {label: value for (name, label), value in found.items() if name == "aftercare_unread_figures"}
    assert len(unread) == 10
    assert set(unread.values()) == {0}


def test_the_manual_names_every_figure_and_no_other(runtime: Runtime, client: FlaskClient) -> None:
    fill(runtime.database)
    told = {name for name, _ in scrape(client)}
    manual = MANUAL.read_text(encoding="utf-8")
    table = manual.split("| metric")[1].split("\n\n")[0]
    listed = {f"aftercare_{name}" for name in re.findall(r"`([a-z_]+)(?:\{[a-z]+\})?`[,| ]", table)}

    assert listed - {f"aftercare_{word}" for word in ("timed", "rest", "answer")} == told - {UNREAD}
    assert set(re.findall(r"aftercare_[a-z_]+", manual)) - {"aftercare_"} <= told


def test_an_empty_service_tells_zeros_and_leaves_out_what_cannot_be_measured(client: FlaskClient) -> None:
    found = scrape(client)

    assert found["aftercare_oldest_due_seconds", ""] == 0
    assert found["aftercare_open_tasks", ""] == 0
    assert ("aftercare_tick_age_seconds", "") not in found
    assert ("aftercare_oldest_unknown_seconds", "") not in found


def test_a_figure_that_cannot_be_read_takes_no_other_down(runtime: Runtime, client: FlaskClient) -> None:
    fill(runtime.database)
    with runtime.database.begin() as session:
        session.execute(text("ALTER TABLE tasks RENAME TO tasks_away"))

    found = scrape(client)

    assert found["aftercare_unread_figures", "tasks"] == 1
    assert ("aftercare_open_tasks", "") not in found
    assert sum(value for (name, _), value in found.items() if name == "aftercare_unread_figures") == 1
    assert found["aftercare_opted_out_numbers", ""] == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_figure_that_has_to_wait_takes_no_other_down(runtime: Runtime, client: FlaskClient) -> None:
    fill(runtime.database)
    with runtime.database.begin() as session:
        session.execute(text("LOCK TABLE suppressions IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        found = scrape(client)
        took = time.monotonic() - started

    assert found["aftercare_unread_figures", "opt_outs"] == 1
    assert found["aftercare_open_tasks", ""] == 2
    assert took < 3, "a second for the figure that waits"


def test_a_slow_statement_is_given_up_and_the_connection_works_on(database: Database) -> None:
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT max(i) FROM n"
    )
    started = time.monotonic()
    with (
        pytest.raises(OperationalError),
        database.read() as session,
        time_limit(session, 0.2),
    ):
        session.execute(text(numbers.format(10**9)))
    assert time.monotonic() - started < 2

    with database.read() as session:
        assert session.execute(text(numbers.format(300_000))).scalar_one() == 300_000


def test_scrapes_within_seconds_share_one_reading(runtime: Runtime, client: FlaskClient) -> None:
    first = scrape(client)
    add_task(runtime.database, TaskKind.CALL, HOUR)

    assert scrape(client) == first
    assert scrape(create_app(runtime).test_client())["aftercare_open_tasks", ""] == 1, "another process"


def test_metrics_without_a_database_are_one_line(clock: FakeClock) -> None:
    settings = make_settings(database_url="postgresql://nobody@127.0.0.1:1/none")
    built = build_runtime(settings, system=clock)

    answer = create_app(built).test_client().get("/metrics")
    built.close()

    assert answer.status_code == 503
    assert answer.get_data(as_text=True) == "database: OperationalError\n"


def test_figures_of_many_rows_are_served_by_an_index(database: Database) -> None:
    """What the engine was asked, taken off the wire, and explained."""
    asked: list[tuple[str, object]] = []
    with database.read() as session:

        @event.listens_for(database.engine, "before_cursor_execute")
        def note(_c: object, _cursor: object, statement: str, given: object, *_: object) -> None:
            asked.append((statement, given))

        count_texts(session, NOW - DAY, NOW)
        count_segments(session, NOW - DAY, NOW)
        list_due_by_lane(session, NOW)
        find_unknown(session)
        count_attempts(session, NOW - DAY)
        list_waits(session, NOW - HOUR, 10)
        event.remove(database.engine, "before_cursor_execute", note)
        if not database.is_sqlite:
            session.execute(text("SET LOCAL enable_seqscan = off"))
        explain_word = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        plans = []
        for statement, given in asked:
            rows = session.connection().exec_driver_sql(f"{explain_word} {statement}", given)  # type: ignore[arg-type]
            plans.append("\n".join(str(tuple(row)) for row in rows))

    assert len(plans) >= 8
    for plan in plans:
        assert "Seq Scan" not in plan
        assert "SCAN messages" not in plan.replace("SCAN messages USING", "")
    assert sum("ix_messages_due_at" in plan for plan in plans) == 2
    assert sum("ix_messages_waiting" in plan for plan in plans) == len(Lane)
    assert sum("ix_messages_unknown" in plan for plan in plans) >= 1
