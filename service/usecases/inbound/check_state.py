"""How the look for missed texts stands, shared by all processes; and the mark that a worker was here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.config import TransportName
from service.domain.inbound_check import InboundCheck, is_absent, is_sending_blocked
from service.domain.release import INBOUND_NOT_CHECKED
from service.store.service_state import find_mark, set_setting
from service.usecases.context import Context

_CHECK = "inbound_check"
_TICK = "last_tick"
_INSTANTS = ("checked_at", "tried_at", "back_at", "again_at", "left_from", "reached_at")


def read_check(session: Session) -> tuple[InboundCheck | None, datetime | None]:
    """How the check stands (None while no process has run that could ask the provider), and the last tick."""
    check, tick = find_mark(session, _CHECK), find_mark(session, _TICK)
    return _from_value(check[0]) if check else None, tick[1] if tick else None


def find_check(session: Session) -> InboundCheck | None:
    """How the check stands; None while no process has run that could ask the provider."""
    return read_check(session)[0]


def _from_value(value: dict[str, Any]) -> InboundCheck:
    instants = {name: datetime.fromisoformat(value[name]) for name in _INSTANTS if value.get(name)}
    slice_seconds, is_refused = value.get("slice_seconds"), bool(value.get("is_refused"))
    return InboundCheck(**instants, slice_seconds=slice_seconds, is_refused=is_refused)


def save_check(session: Session, check: InboundCheck, now: datetime) -> None:
    """Write it down for everybody."""
    value: dict[str, Any] = {
        name: instant.isoformat() for name in _INSTANTS if (instant := getattr(check, name)) is not None
    }
    value |= {"slice_seconds": check.slice_seconds, "is_refused": check.is_refused}
    set_setting(session, _CHECK, value, now, "worker")


def note_presence(session: Session, now: datetime, *, can_ask: bool = False) -> None:
    """Leave a mark that a worker is here; if none was for a while, a look for missed texts is owed.

    `can_ask`: this process can ask the provider, so from now on the check is kept.
    """
    check, last_tick = read_check(session)
    if check is None and can_ask:
        save_check(session, InboundCheck().after_absence(now), now)
    elif check is not None and is_absent(last_tick, now):
        save_check(session, check.after_absence(now), now)
    set_setting(session, _TICK, {}, now, "worker")


def find_inbound_block(context: Context, session: Session, now: datetime) -> str | None:
    """Why unprompted texts must wait for the look at what came in, or None."""
    if context.settings.transport is not TransportName.TWILIO:
        return None
    check, last_tick = read_check(session)
    if check is None or not is_sending_blocked(check, last_tick, now):
        return None
    return INBOUND_NOT_CHECKED
