"""`aftercare doctor` on our own side: what it finds, how bad that is, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import insert, text

from service.domain.delivery import MessageState
from service.domain.inbound_check import InboundCheck
from service.domain.kinds import Lane
from service.store.consent import Suppression
from service.store.database import Database, real_now
from service.store.inbound import TaskKind
from service.store.keyring import Keyring
from service.store.pacing import SENDER, Sender
from service.store.service_state import LookupKeyUse, set_setting
from service.usecases.context import Context
from service.usecases.inbound.check_state import save_check
from service.usecases.operations.checkup import list_findings
from service.usecases.operations.findings import Finding
from tests.conftest import KEYS, NOW, make_settings
from tests.integration.monitoring import PRIVATE_BODY, PRIVATE_NUMBER, add_attempt, add_task, add_text

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
S = MessageState
TWILIO = {
    "transport": "twilio",
    "twilio_account_sid": "AC1",
    "twilio_auth_token": "token",
    "twilio_from": "+12025550100",
    "twilio_optout_mode": "app",
}


def look(context: Context, **more: Any) -> dict[str, Finding]:
    """Every finding by its check; none may hold a number or a text."""
    findings = list_findings(context, NOW, **more)
    assert len({finding.check for finding in findings}) == len(findings)
    for finding in findings:
        assert PRIVATE_BODY not in finding.message
        assert PRIVATE_NUMBER[2:] not in finding.message
        assert finding.level in {"ok", "warning", "error"}
    return {finding.check: finding for finding in findings}


def test_a_service_at_rest_has_no_error(context: Context) -> None:
    with context.database.begin() as session:
        set_setting(session, "last_tick", {}, NOW, "worker")

    found = look(context)

    assert [finding for finding in found.values() if finding.level == "error"] == []
    for check in ("database", "keys", "worker", "due texts", "sending", "sender", "hotlines", "provider"):
        assert found[check].level == "ok", found[check]


def stop_sending(database: Database) -> None:
    with database.begin() as session:
        set_setting(session, "sending_stopped", {"reason": "x", "code": 21606}, NOW, "test")


def block_sender(database: Database) -> None:
    with database.begin() as session:
        until = real_now(session) + 2 * HOUR
        session.merge(Sender(name=SENDER, next_at=NOW, blocked_until=until, blocked_reason="daily_limit"))


def slow_down(database: Database) -> None:
    with database.begin() as session:
        session.merge(Sender(name=SENDER, next_at=NOW, backoff_step=3))


def lose_lookup_key(database: Database) -> None:
    with database.begin() as session:
        session.execute(insert(LookupKeyUse).values(key_id="gone", first_used_at=NOW))


def tick_long_ago(database: Database) -> None:
    with database.begin() as session:
        set_setting(session, "last_tick", {}, NOW - HOUR, "worker")


def leave_unknown(database: Database) -> None:
    add_attempt(database, add_text(database, "u", S.UNKNOWN), None, -3 * HOUR)


CASES: list[tuple[Callable[[Database], object], str, str, tuple[str, ...], str]] = [
    (lambda _: None, "worker", "warning", ("never run", "aftercare worker"), "nothing goes out"),
    (tick_long_ago, "worker", "warning", ("2026-11-23 14:00 UTC", "aftercare worker"), "it stopped"),
    (
        lambda database: add_text(database, "d", S.PLANNED, -HOUR, lane=Lane.TIMED),
        "due texts",
        "warning",
        ("2026-11-23 14:00 UTC", "reminders", "1 due"),
        "something holds them up",
    ),
    (
        lambda database: add_text(database, "d", S.PLANNED, HOUR),
        "due texts",
        "ok",
        (),
        "its time has not come",
    ),
    (
        lambda database: add_text(database, "l", S.CLAIMED, lease_until=NOW - 1000 * DAY),
        "texts under way",
        "warning",
        ("1 text", "aftercare worker"),
        "a dead worker had it",
    ),
    (leave_unknown, "unclear texts", "warning", ("1 of unknown fate", "12:00 UTC"), "the look-up is stuck"),
    (
        lambda database: add_task(database, TaskKind.UNRESOLVED_TEXT, HOUR),
        "unclear texts",
        "warning",
        ("1 unresolved", "aftercare tasks list"),
        "a human must look",
    ),
    (
        lambda database: [add_text(database, f"h{n}", S.HELD, HOUR, reason="quiet_hours") for n in range(3)],
        "held texts",
        "ok",
        ("3 quiet_hours", "aftercare why"),
        "holding is what it should do",
    ),
    (stop_sending, "sending", "error", ("sending_stopped", "21606", "live on"), "the account is wrong"),
    (block_sender, "sender", "warning", ("daily_limit", "by itself"), "the provider's limit"),
    (slow_down, "sender", "warning", ("3 time", "SENDER_SEGMENTS_PER_SECOND"), "too fast"),
    (lose_lookup_key, "keys", "error", ("LOOKUP_KEYS lacks 1",), "opt-outs would be forgotten"),
]


@pytest.mark.parametrize(("change", "check", "level", "says", "because"), CASES)
def test_each_line_tells_what_is_wrong_and_what_to_do(
    context: Context,
    change: Callable[[Database], object],
    check: str,
    level: str,
    says: tuple[str, ...],
    because: str,
) -> None:
    change(context.database)

    finding = look(context)[check]

    assert finding.level == level, (because, finding)
    for words in says:
        assert words in finding.message, because


def test_a_key_that_was_taken_away_is_noticed_by_trying_what_is_stored(
    context: Context, database_url: str
) -> None:
    add_text(context.database, "one", S.SENT)
    other = Database(database_url, Keyring([Fernet.generate_key().decode()], [KEYS["lookup_keys"]]))

    finding = look(replace(context, database=other))["keys"]
    other.dispose()

    assert finding.level == "error"
    assert finding.message == "ENCRYPTION_KEYS opens 0 of 2 stored values tried; put the missing key back"


def test_stale_hotlines_are_named(context: Context) -> None:
    findings = {one.check: one for one in list_findings(context, NOW + 120 * DAY)}

    assert findings["hotlines"].level == "warning"
    assert "988 Suicide and Crisis Lifeline (US)" in findings["hotlines"].message
    assert "last_verified" in findings["hotlines"].message


def test_a_table_that_cannot_be_read_spoils_its_own_line_only(context: Context) -> None:
    with context.database.begin() as session:
        session.execute(text("ALTER TABLE tasks RENAME TO tasks_away"))

    found = look(context)

    assert found["unclear texts"].level == "warning"
    assert found["unclear texts"].message.startswith("could not be checked (")
    assert found["held texts"].level == "ok"


def test_a_database_without_its_tables_says_what_to_run(tmp_path: object, context: Context) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.db", context.keyring)

    found = look(replace(context, database=empty))
    empty.dispose()

    assert found["database"].level == "error"
    assert "aftercare db upgrade" in found["database"].message
    assert "worker" not in found


def test_a_database_that_is_away_is_one_line(context: Context) -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", context.keyring, patience=1.0)

    found = look(replace(context, database=away))
    away.dispose()

    assert found["database"].level == "error"
    assert "DATABASE_URL" in found["database"].message


@pytest.mark.parametrize(
    ("skew", "level"), [(timedelta(0), "ok"), (timedelta(seconds=-20), "ok"), (2 * MINUTE, "error")]
)
def test_this_machine_s_clock_is_compared_with_the_database_s(
    context: Context, database_url: str, skew: timedelta, level: str
) -> None:
    settings = make_settings(database_url=database_url, **TWILIO)
    with context.database.read() as session:
        machine_now = real_now(session) + skew

    finding = look(replace(context, settings=settings), machine_now=machine_now)["clock"]

    assert finding.level == level


@pytest.mark.parametrize(
    ("check", "level", "says", "because"),
    [
        (None, "ok", "a worker does it", "nothing has run yet"),
        (InboundCheck(), "warning", "never", "a worker came back and has not asked yet"),
        (InboundCheck(checked_at=NOW - HOUR), "ok", "14:00 UTC", "within the hour"),
        (InboundCheck(checked_at=NOW - 3 * HOUR), "warning", "12:00 UTC", "a stop may have been lost"),
        (InboundCheck(checked_at=NOW, is_refused=True), "warning", "does not list", "nobody can tell"),
    ],
)
def test_the_look_for_missed_texts_is_told(
    context: Context, database_url: str, check: InboundCheck | None, level: str, says: str, because: str
) -> None:
    settings = make_settings(database_url=database_url, **TWILIO)
    if check is not None:
        with context.database.begin() as session:
            save_check(session, check, NOW)

    finding = look(replace(context, settings=settings))["missed texts"]

    assert finding.level == level, because
    assert says in finding.message, because


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sqlite_file_is_looked_at(context: Context) -> None:
    finding = look(context)["database file"]

    assert finding.level in {"ok", "warning"}, "depends on the space on this machine"
    assert "GB free" in finding.message


def test_nothing_is_changed(context: Context) -> None:
    with context.database.begin() as session:
        session.add(Suppression(phone_hash="h", phone_key_id="k", opted_out_at=NOW, reason="stop"))

    assert look(context) == look(context)
