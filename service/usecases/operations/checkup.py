"""What `aftercare doctor` looks at on our own side; `checkup_provider.py` asks the provider."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.config import TransportName
from service.domain.hotlines import stale_lines
from service.domain.inbound_check import BLOCK_AFTER
from service.domain.kinds import Lane
from service.logs import describe_fault
from service.store.database import DatabaseBusyError, real_now
from service.store.figures import (
    MOST_WAITING,
    count_held,
    count_lost_leases,
    count_unreadable,
    find_open_tasks,
    find_unknown,
    list_due_by_lane,
    time_limit,
)
from service.store.inbound import TaskKind
from service.store.pacing import SENDER, Sender
from service.store.schema import find_pending_migration
from service.store.service_state import ServiceSetting, find_setting, list_missing_key_ids
from service.usecases.context import Context
from service.usecases.inbound.check_state import find_check
from service.usecases.operations.checkup_provider import AccountReader, list_provider_findings
from service.usecases.operations.findings import Finding, error, ok, warning
from service.usecases.operations.live_mode import find_block, list_checks
from service.usecases.operations.reason_words import explain

TICK_OLD_AFTER = timedelta(minutes=2)
OVERDUE_AFTER = timedelta(minutes=10)
UNKNOWN_OLD_AFTER = timedelta(hours=1)
LEASE_LOST_AFTER = timedelta(minutes=5)
HOTLINE_WARN_AFTER_DAYS = 90
CLOCK_SKEW = timedelta(seconds=30)
LOOK_SECONDS = 10.0
LITTLE_SPACE = 1024**3
NO_SPACE = 100 * 1024**2
_SYNCHRONOUS_FULL = 2
_LANES = {Lane.ANSWER: "answers", Lane.TIMED: "reminders", Lane.REST: "the rest"}

_FOR_STAFF = frozenset({"lookup_key_missing", "sending_stopped"})
"""Blocks that last until somebody repairs something; the others end by themselves."""

Look = Callable[[Context, Session, datetime], Finding]


def list_findings(
    context: Context,
    now: datetime,
    *,
    machine_now: datetime | None = None,
    readers: Sequence[AccountReader] = (),
) -> list[Finding]:
    """Look at everything the service needs. Changes nothing; raises nothing.

    `now` is the service's clock and `machine_now` this machine's, read at the same moment. `readers` read the
    account at the provider, one a token, the first the one that calls are made with; none in the simulator.
    """
    database = _database(context)
    findings = [database]
    if database.level == "ok":
        findings += [_look(context, now, check, look) for check, look in _LOOKS.items()]
        findings.append(_look(context, now, "clock", partial(_clock, machine_now)))
    if context.database.is_sqlite:
        findings.append(_disk(context))
    findings.append(_hotlines(context, now))
    findings.append(_provider(context))
    if readers:
        findings += list_provider_findings(context.settings, readers, now)
    findings += [
        warning(f"go-live {check.name}", check.problem)
        for check in list_checks(context, now)
        if check.problem
    ]
    return findings


def _look(context: Context, now: datetime, check: str, look: Look) -> Finding:
    try:
        with context.database.read() as session, time_limit(session, LOOK_SECONDS):
            return look(context, session, now)
    except Exception as fault:  # a message may quote what is stored
        return warning(check, f"could not be checked ({describe_fault(fault)['fault']})")


def _database(context: Context) -> Finding:
    try:
        pending = find_pending_migration(context.database)
    except (SQLAlchemyError, DatabaseBusyError) as fault:
        return error("database", f"cannot be reached ({type(fault).__name__}); check DATABASE_URL")
    if pending:
        return error("database", f"migration {pending} is pending; run `aftercare db upgrade`")
    return ok("database", "reachable and migrated")


def _keys(context: Context, session: Session, _now: datetime) -> Finding:
    missing = list_missing_key_ids(session, context.keyring.lookup_key_ids)
    if missing:
        return error("keys", f"LOOKUP_KEYS lacks {len(missing)} key(s) that rows depend on; put them back")
    unreadable, tried = count_unreadable(session, context.keyring)
    if unreadable:
        what = f"ENCRYPTION_KEYS opens {tried - unreadable} of {tried} stored values tried"
        return error("keys", f"{what}; put the missing key back")
    return ok("keys", f"every look-up key in use is configured; {tried} stored values tried all open")


def _worker(_context: Context, session: Session, now: datetime) -> Finding:
    last = session.scalars(
        select(ServiceSetting.changed_at).where(ServiceSetting.name == "last_tick")
    ).first()
    if last is None:
        return warning("worker", "has never run; start `aftercare worker`")
    if now - last > TICK_OLD_AFTER:
        return warning("worker", f"last seen {_at(last)}; start `aftercare worker`")
    return ok("worker", "seen in the last two minutes")


def _due(_context: Context, session: Session, now: datetime) -> Finding:
    lanes = list_due_by_lane(session, now)
    oldest = [(backlog.oldest_at, lane) for lane, backlog in lanes.items() if backlog.oldest_at]
    if not oldest or now - min(oldest)[0] <= OVERDUE_AFTER:
        return ok("due texts", "none overdue")
    at, lane = min(oldest)
    count = sum(backlog.count for backlog in lanes.values())
    more = f"{count}{' or more' if count >= MOST_WAITING else ''} due"
    what = f"oldest has been due since {_at(at)} ({_LANES[lane]}), {more}"
    return warning("due texts", f"{what}; is a worker running, and is sending stopped or slow?")


def _leases(_context: Context, session: Session, _now: datetime) -> Finding:
    lost = count_lost_leases(session, real_now(session) - LEASE_LOST_AFTER)
    if lost:
        what = f"{lost} text(s) that a worker took and nobody took back; start `aftercare worker`"
        return warning("texts under way", what)
    return ok("texts under way", "none is left behind")


def _unknown(_context: Context, session: Session, now: datetime) -> Finding:
    unknown = find_unknown(session)
    unresolved = find_open_tasks(session, TaskKind.UNRESOLVED_TEXT)
    said = []
    if unknown.oldest_at is not None and now - unknown.oldest_at > UNKNOWN_OLD_AFTER:
        said.append(f"{unknown.count} of unknown fate, the oldest tried {_at(unknown.oldest_at)}")
    if unresolved.oldest_at is not None:
        since = _at(unresolved.oldest_at)
        said.append(f"{unresolved.count} unresolved, the oldest since {since}: see `aftercare tasks list`")
    if said:
        return warning("unclear texts", "; ".join(said))
    return ok("unclear texts", f"{unknown.count} being looked up, none unresolved")


def _held(_context: Context, session: Session, now: datetime) -> Finding:
    held = count_held(session, now)
    if not held:
        return ok("held texts", "none")
    most_first = sorted(held.items(), key=lambda one: (-one[1], one[0]))
    said = ", ".join(f"{count} {reason}" for reason, count in most_first)
    return ok("held texts", f"{said}; `aftercare why MESSAGE_ID` explains one")


def _sending(context: Context, session: Session, now: datetime) -> Finding:
    block = find_block(context, session, now)
    if block:
        why = explain("held", block)
        code = (find_setting(session, "sending_stopped") or {}).get("code")
        told = f" (provider's code {code})" if block == "sending_stopped" and code else ""
        then = "; repair it, then `aftercare live on`" if block == "sending_stopped" else ""
        level = error if block in _FOR_STAFF or block.startswith("lapse_") else warning
        return level("sending", f"unprompted texts are stopped: {block}{told}: {why}{then}")
    return ok("sending", "not stopped")


def _missed(context: Context, session: Session, now: datetime) -> Finding:
    if context.settings.transport is TransportName.SIMULATOR:
        return ok("missed texts", "simulated")
    check = find_check(session)
    if check is None:
        return ok("missed texts", "not looked for yet; a worker does it")
    if check.is_refused:
        what = "the provider does not list what came in, so what was lost while we were away stays unknown"
        return warning("missed texts", what)
    if check.checked_at is None or now - check.checked_at > BLOCK_AFTER:
        last = _at(check.checked_at) if check.checked_at else "never"
        what = f"last looked for completely: {last}; unprompted texts wait for it"
        return warning("missed texts", f"{what}; is a worker running, and does the provider answer?")
    return ok("missed texts", f"last looked for {_at(check.checked_at)}")


def _sender(_context: Context, session: Session, _now: datetime) -> Finding:
    row = session.execute(
        select(Sender.next_at, Sender.backoff_step, Sender.blocked_until, Sender.blocked_reason).where(
            Sender.name == SENDER
        )
    ).first()
    now = real_now(session)
    if row and row.blocked_until and row.blocked_until > now:
        what = f"nothing unprompted leaves until {_at(row.blocked_until)} ({row.blocked_reason})"
        return warning("sender", f"{what}; it goes on by itself")
    if row and row.backoff_step:
        what = f"told to slow down {row.backoff_step} time(s) in a row; lower SENDER_SEGMENTS_PER_SECOND"
        return warning("sender", what)
    return ok("sender", "neither blocked nor told to slow down")


_LOOKS: dict[str, Look] = {
    "keys": _keys,
    "worker": _worker,
    "due texts": _due,
    "texts under way": _leases,
    "unclear texts": _unknown,
    "held texts": _held,
    "sending": _sending,
    "missed texts": _missed,
    "sender": _sender,
}


def _clock(machine_now: datetime | None, context: Context, session: Session, _now: datetime) -> Finding:
    if context.settings.transport is TransportName.SIMULATOR or machine_now is None:
        return ok("clock", "simulated")
    skew = abs(real_now(session) - machine_now)
    if skew > CLOCK_SKEW:
        what = f"this machine's differs from the database's by {skew.total_seconds():.0f} s"
        return error("clock", f"{what}; set it (NTP): texts go by the database's")
    return ok("clock", "agrees with the database's")


def _disk(context: Context) -> Finding:
    path = context.database.engine.url.database
    if not path or path == ":memory:":
        return ok("database file", "in memory: everything is lost when the process ends")
    try:
        free = shutil.disk_usage(Path(path).resolve().parent).free
        with context.database.read() as session:
            journal = session.execute(text("PRAGMA journal_mode")).scalar_one()
            synchronous = session.execute(text("PRAGMA synchronous")).scalar_one()
    except (OSError, SQLAlchemyError, DatabaseBusyError) as fault:
        return warning("database file", f"could not be checked ({type(fault).__name__})")
    space = f"{free / 1024**3:.1f} GB free"
    if free < NO_SPACE:
        return error("database file", f"{space}: texts that come in can soon not be stored; make room")
    if journal != "wal" or synchronous < _SYNCHRONOUS_FULL:
        what = (
            f"journal mode {journal}, synchronous {synchronous}: put it on a local disk (it needs wal and 2)"
        )
        return warning("database file", what)
    if free < LITTLE_SPACE:
        return warning("database file", f"{space}; make room")
    return ok("database file", f"journal mode wal, synchronous, {space}; all processes on this one machine")


def _hotlines(context: Context, now: datetime) -> Finding:
    stale = stale_lines(context.catalog.hotlines, now.date(), HOTLINE_WARN_AFTER_DAYS)
    if stale:
        names = ", ".join(f"{line.name} ({line.country})" for line in stale)
        what = f"not verified for {HOTLINE_WARN_AFTER_DAYS} days: {names}"
        return warning("hotlines", f"{what}; call each and set last_verified in messages/hotlines.yaml")
    return ok("hotlines", "all verified lately")


def _provider(context: Context) -> Finding:
    settings = context.settings
    if settings.transport is TransportName.SIMULATOR:
        return ok("provider", "simulator: nobody real is texted")
    tokens = len(settings.auth_tokens)
    more = f", {tokens} tokens of which the first is used for calls" if tokens > 1 else ""
    return ok("provider", f"account set, opt-out mode {settings.optout_mode}{more}")


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
