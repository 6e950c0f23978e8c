"""Texts that never reached us are found in the provider's records and taken in late.

Steps: (1) one worker takes the check on, for a while; (2) the provider lists what came in since the last
complete check, with no transaction open; (3) each text we do not have is taken in, oldest first, in a
transaction of its own; (4) the check is written down as complete, or stays owed. A worker that dies leaves a
check that another takes on when its time is over; no text is taken in twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.inbound_check import YOUNGEST, InboundCheck, is_check_due, reach_back_to
from service.gateways.sms.protocol import LookupFailedError, ProviderRecords, ProviderText
from service.store.database import real_now
from service.store.inbound import InboundMessage, TaskKind, add_task, has_open_task
from service.store.participants import Participant
from service.store.service_state import find_setting, set_setting
from service.store.turns import take_turn
from service.usecases.context import Context
from service.usecases.inbound.check_state import find_check, note_presence, read_check, save_check
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_missed_text

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=3)
_TURN = "inbound_check_turn"
_LEASE = "inbound_check_lease"
_REFUSED = "inbound_list_refused"
_AT_ONCE = 500


@dataclass(slots=True)
class MissedCounts:
    """What one run did: whether it looked at all, how many texts it listed and took in."""

    has_looked: bool = False
    listed: int = 0
    taken_in: int = 0


def find_missed_texts(context: Context, records: ProviderRecords | None, now: datetime) -> MissedCounts:
    """Look for texts that never reached us, if a look is due; commits once a text.

    Leaves a mark that a worker is here. Without records there is nothing to look at. Raises what the database
    raises when it is not there.
    """
    counts = MissedCounts()
    if records is None:
        return counts
    since = _begin(context, now)
    if since is None:
        return counts
    counts.has_looked = True
    try:
        listed = records.list_texts_in(since)
    except LookupFailedError as error:
        log.warning("missed_texts_not_listed", why=str(error))
        _end_failed(context, now, is_refused=error.is_refused)
        return counts
    counts.listed = len(listed)
    missing = _list_missing(context, listed)
    for text in missing:
        if text.created_at <= now - YOUNGEST:
            receive_missed_text(context, IncomingText.from_records(text), now)
            counts.taken_in += 1
    with context.database.begin() as session:
        check = find_check(session) or InboundCheck()
        is_rest_young = counts.taken_in < len(missing)
        save_check(session, check.after_success(now, were_some_too_young=is_rest_young), now)
        set_setting(session, _LEASE, {}, now, "worker")
    if counts.taken_in:
        log.warning("missed_texts_found", texts=counts.taken_in)
    return counts


def _begin(context: Context, now: datetime) -> datetime | None:
    """Take the check on: from when to list, or None if it is not due or somebody else has it."""
    with context.database.begin() as session:
        take_turn(session, _TURN, now)
        note_presence(session, now, can_ask=True)
        found, last_tick = read_check(session)
        check, real = found or InboundCheck(), real_now(session)
        if not is_check_due(check, last_tick, now) or _is_taken(session, real):
            return None
        since = reach_back_to(check, _oldest_person(session), now)
        if since is None:  # a new database: there was nobody whose text could have been lost
            save_check(session, check.after_success(now, were_some_too_young=False), now)
            return None
        save_check(session, check.after_start(now), now)
        set_setting(session, _LEASE, {"until": (real + LEASE).isoformat()}, now, "worker")
        return since


def _is_taken(session: Session, real: datetime) -> bool:
    until = (find_setting(session, _LEASE) or {}).get("until")
    return until is not None and datetime.fromisoformat(until) > real


def _oldest_person(session: Session) -> datetime | None:
    return session.scalars(select(Participant.created_at).order_by(Participant.id).limit(1)).first()


def _end_failed(context: Context, now: datetime, *, is_refused: bool) -> None:
    with context.database.begin() as session:
        set_setting(session, _LEASE, {}, now, "worker")
        if not is_refused:
            return
        save_check(session, (find_check(session) or InboundCheck()).after_refusal(), now)
        if not has_open_task(session, None, _REFUSED):
            add_task(session, TaskKind.CONFIGURATION, _REFUSED, now)


def _list_missing(context: Context, listed: Sequence[ProviderText]) -> list[ProviderText]:
    """Those that we do not have, in the order in which they were written."""
    known: set[str] = set()
    with context.database.read() as session:
        for start in range(0, len(listed), _AT_ONCE):
            sids = [text.sid for text in listed[start : start + _AT_ONCE]]
            column = InboundMessage.provider_message_id
            known.update(session.scalars(select(column).where(column.in_(sids))))
    missing = [text for text in listed if text.sid not in known]
    return sorted(missing, key=lambda text: text.created_at)
