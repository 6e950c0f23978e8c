"""What `aftercare doctor` looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from service.config import TransportName
from service.domain.delivery import WAITING
from service.domain.hotlines import stale_lines
from service.store.database import real_now
from service.store.messages import Message
from service.store.schema import find_pending_migration
from service.store.service_state import ServiceSetting, list_missing_key_ids
from service.usecases.context import Context
from service.usecases.operations.live_mode import find_block, list_checks

TICK_OLD_AFTER = timedelta(minutes=2)
HOTLINE_WARN_AFTER_DAYS = 90
CLOCK_SKEW = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check-up: `ok`, `warning` or `error`."""

    check: str
    level: str
    message: str


def list_findings(context: Context, now: datetime) -> list[Finding]:
    """Look at everything the service needs. Changes nothing; raises nothing."""
    database = _database(context)
    findings = [database]
    if database.level == "ok":
        findings += [_keys(context), _clock(context, now), _tick(context, now), _overdue(context, now)]
        findings.append(_block(context, now))
    findings += [_hotlines(context, now), _provider(context)]
    findings += [
        Finding(f"go-live {check.name}", "warning", check.problem)
        for check in list_checks(context, now)
        if check.problem
    ]
    return findings


def _database(context: Context) -> Finding:
    try:
        pending = find_pending_migration(context.database)
    except SQLAlchemyError as error:
        return Finding("database", "error", f"cannot be reached ({type(error).__name__}); check DATABASE_URL")
    if pending:
        return Finding("database", "error", f"migration {pending} is pending; run `aftercare db upgrade`")
    return Finding("database", "ok", "reachable and migrated")


def _keys(context: Context) -> Finding:
    with context.database.read() as session:
        missing = list_missing_key_ids(session, context.keyring.lookup_key_ids)
    if missing:
        return Finding(
            "keys", "error", f"LOOKUP_KEYS lacks {len(missing)} key(s) that rows depend on; put them back"
        )
    return Finding("keys", "ok", "every look-up key in use is configured")


def _clock(context: Context, now: datetime) -> Finding:
    if context.settings.transport is TransportName.SIMULATOR:
        return Finding("clock", "ok", "simulated")
    with context.database.read() as session:
        skew = abs(real_now(session) - now)
    if skew > CLOCK_SKEW:
        return Finding("clock", "error", f"differs from the database's by {skew.total_seconds():.0f} s")
    return Finding("clock", "ok", "agrees with the database's")


def _tick(context: Context, now: datetime) -> Finding:
    with context.database.read() as session:
        query = select(ServiceSetting.changed_at).where(ServiceSetting.name == "last_tick")
        last = session.scalars(query).first()
    if last is None:
        return Finding("worker", "warning", "has never run; start `aftercare worker`")
    if now - last > TICK_OLD_AFTER:
        return Finding("worker", "warning", f"last seen {last:%Y-%m-%d %H:%M} UTC; start `aftercare worker`")
    return Finding("worker", "ok", "seen in the last two minutes")


def _overdue(context: Context, now: datetime) -> Finding:
    with context.database.read() as session:
        query = select(func.min(Message.due_at)).where(Message.state.in_(WAITING))
        oldest: datetime | None = session.execute(query).scalar()
    if oldest is not None and now - oldest > timedelta(minutes=10):
        return Finding("due texts", "warning", f"oldest has been due since {oldest:%Y-%m-%d %H:%M} UTC")
    return Finding("due texts", "ok", "none overdue")


def _block(context: Context, now: datetime) -> Finding:
    with context.database.read() as session:
        block = find_block(context, session, now)
    if block:
        return Finding("sending", "error", f"unprompted texts are stopped: {block}")
    return Finding("sending", "ok", "not stopped")


def _hotlines(context: Context, now: datetime) -> Finding:
    stale = stale_lines(context.catalog.hotlines, now.date(), HOTLINE_WARN_AFTER_DAYS)
    if stale:
        return Finding("hotlines", "warning", f"{len(stale)} not verified for {HOTLINE_WARN_AFTER_DAYS} days")
    return Finding("hotlines", "ok", "all verified lately")


def _provider(context: Context) -> Finding:
    settings = context.settings
    if settings.transport is TransportName.SIMULATOR:
        return Finding("provider", "ok", "simulator: nobody real is texted")
    return Finding("provider", "ok", f"account set, opt-out mode {settings.optout_mode}")
