"""Texts that never reached us are found in the provider's records and taken in late.

Steps: (1) one worker takes the check on, for a while; (2) the provider lists what came in since the last
complete check, a slice of time after the other if it is much, with no transaction open; (3) each text we do
not have is taken in, oldest first, in a transaction of its own, and how far that came is written down; (4)
the check is written down as complete, or stays owed. A worker that dies leaves a check that another takes on
when its time is over; no text is taken in twice.

Texts younger than two minutes are left for the next look and not taken in at once: their webhook may be on
its way, and it says more than the records do (`OptOutType`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.domain.inbound_check import YOUNGEST, InboundCheck, is_check_due, reach_back_to
from service.domain.keywords import read_text
from service.gateways.sms.protocol import LookupFailedError, ProviderRecords, ProviderText
from service.store.database import real_now
from service.store.inbound import InboundMessage, TaskKind, add_task, has_open_task
from service.store.participants import Participant
from service.store.service_state import find_setting, set_setting
from service.store.turns import take_turn
from service.usecases.context import Context
from service.usecases.inbound.check_state import find_check, note_presence, read_check, save_check
from service.usecases.inbound.faults import is_database_away, lost_a_race
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_missed_text

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=3)
_TURN = "inbound_check_turn"
_LEASE = "inbound_check_lease"
_REFUSED = "inbound_list_refused"
_NOT_TAKEN_IN = "missed_text_not_taken_in"
_AT_ONCE = 500
MAX_SLICES = 8
"""How many times the provider is asked in one look; what is left goes on at the next tick."""
GROWTH = 2
"""How much longer the next slice is when one was not too long."""
LOOK_SECONDS = 20.0
"""After so long a look begins nothing more and goes on at the next tick."""


@dataclass(slots=True)
class MissedCounts:
    """What one run did: whether it looked at all, how many texts it listed and took in or could not."""

    has_looked: bool = False
    listed: int = 0
    taken_in: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Look:
    """One run: how far it has come, and from when on it left texts that were too young."""

    context: Context
    records: ProviderRecords
    now: datetime
    reached_at: datetime
    slice_seconds: int | None
    counts: MissedCounts
    left_from: datetime | None = None
    ends_at: float = field(default_factory=lambda: time.monotonic() + LOOK_SECONDS)

    @property
    def is_time_over(self) -> bool:
        return time.monotonic() > self.ends_at


def find_missed_texts(context: Context, records: ProviderRecords | None, now: datetime) -> MissedCounts:
    """Look for texts that never reached us, if a look is due; commits once a text.

    Leaves a mark that a worker is here: from then on unprompted texts wait if a look is owed. Bounded in
    requests and time: what is left goes on the next time. Without records there is nothing to look at. Raises
    what the database raises when it is not there; any other fault is logged, and the look stays owed.
    """
    counts = MissedCounts()
    if records is None:
        return counts
    note_start(context, now)
    try:
        begun = _begin(context, now)
        if begun is not None:
            counts.has_looked = True
            _look(_Look(context, records, now, *begun, counts))
    except Exception as fault:
        if is_database_away(fault):
            raise
        log.exception("missed_texts_fault", exc_info=False, fault=type(fault).__name__)
    if counts.taken_in:
        log.warning("missed_texts_found", texts=counts.taken_in)
    return counts


def note_start(context: Context, now: datetime) -> None:
    """Leave the mark of a worker that can ask the provider; if none was here for a while, a look is owed."""
    with context.database.begin() as session:
        take_turn(session, _TURN, now)
        note_presence(session, now, can_ask=True)


def _begin(context: Context, now: datetime) -> tuple[datetime, int | None] | None:
    """Take the check on: from when to list, and how many seconds at once (None: all).

    None if it is not due or somebody else has it.
    """
    with context.database.begin() as session:
        take_turn(session, _TURN, now)
        found, last_tick = read_check(session)
        check = found or InboundCheck()
        if not is_check_due(check, last_tick, now) or _is_taken(session, real_now(session)):
            return None
        since = reach_back_to(check, _oldest_person(session), _newest_text(session), now)
        if since is None:  # a new database: there was nobody whose text could have been lost
            save_check(session, check.after_success(now, left_from=None), now)
            return None
        save_check(session, check.after_start(now), now)
        _take_lease(session, now)
        return since, check.slice_seconds


def _take_lease(session: Session, now: datetime) -> None:
    set_setting(session, _LEASE, {"until": (real_now(session) + LEASE).isoformat()}, now, "worker")


def _look(look: _Look) -> None:
    """Slice by slice, until all is taken in or the run's time is over."""
    for _ in range(MAX_SLICES):
        until = _end_of_slice(look)
        try:
            listed = look.records.list_texts_in(look.reached_at, until)
        except LookupFailedError as error:
            if not (error.is_too_long and _shorten(look, until)):
                log.warning("missed_texts_not_listed", why=str(error))
                _end_failed(look.context, look.now, is_refused=error.is_refused)
                return
        else:
            look.counts.listed += len(listed)
            if _take_in_all(look, listed):
                if until is None:
                    _save(look, is_complete=True)
                    return
                look.reached_at = until
                look.slice_seconds = (look.slice_seconds or 1) * GROWTH
        if look.is_time_over:
            break
        _save(look)
    _save(look, is_paused=True)


def _end_of_slice(look: _Look) -> datetime | None:
    """Where the slice ends; None for the last one, which has no end."""
    if look.slice_seconds is None:
        return None
    until = look.reached_at + timedelta(seconds=look.slice_seconds)
    return until if until < look.now else None


def _shorten(look: _Look, until: datetime | None) -> bool:
    """Ask about half as much time from here on; False if a second is too much already."""
    look.slice_seconds = int(((until or look.now) - look.reached_at).total_seconds()) // 2
    return look.slice_seconds > 0


def _take_in_all(look: _Look, listed: Sequence[ProviderText]) -> bool:
    """Take in what is missing; False if the time was over before."""
    for text in _list_missing(look.context, listed):
        if text.created_at > look.now - YOUNGEST:
            look.left_from = look.left_from or text.created_at
        elif look.is_time_over:
            look.reached_at = text.created_at
            return False
        elif _take_in(look.context, text, look.now):
            look.counts.taken_in += 1
        else:
            look.counts.failed += 1
    return True


def _take_in(context: Context, text: ProviderText, now: datetime) -> bool:
    """Take one text in; False if that cannot be done: then staff read it at the provider."""
    try:
        receive_missed_text(context, IncomingText.from_records(text), now)
    except Exception as fault:
        if is_database_away(fault) or (lost_a_race(fault) and not isinstance(fault, IntegrityError)):
            raise  # it passes: the next look meets this text again
        log.exception("missed_text_fault", exc_info=False, fault=type(fault).__name__)
        _leave_to_staff(context, text, now)
        return False
    return True


def _leave_to_staff(context: Context, text: ProviderText, now: datetime) -> None:
    """One task, with the provider's id of the text and nothing of what it says; it is not tried again."""
    try:
        with context.database.begin() as session:
            row = InboundMessage(
                provider_message_id=IncomingText.from_records(text).provider_message_id,
                meaning="fault",
                is_faulty=True,
                received_at=text.created_at,
                found_at=now,
            )
            session.add(row)
            session.flush()
            add_task(session, TaskKind.HANDLING_FAULT, _NOT_TAKEN_IN, now, inbound_id=row.id)
    except IntegrityError:
        return  # its webhook came after all


def _save(look: _Look, *, is_complete: bool = False, is_paused: bool = False) -> None:
    """Write down how far the look came. A look that goes on keeps its lease for another while."""
    with look.context.database.begin() as session:
        check = find_check(session) or InboundCheck()
        if is_complete:
            check = check.after_success(look.now, left_from=look.left_from)
        else:
            reached_at = min(look.reached_at, look.left_from or look.reached_at)
            check = check.after_part(reached_at, look.slice_seconds)
        save_check(session, check.after_pause() if is_paused else check, look.now)
        if is_complete or is_paused:
            set_setting(session, _LEASE, {}, look.now, "worker")
        else:
            _take_lease(session, look.now)


def _is_taken(session: Session, real: datetime) -> bool:
    until = (find_setting(session, _LEASE) or {}).get("until")
    return until is not None and datetime.fromisoformat(until) > real


def _oldest_person(session: Session) -> datetime | None:
    return session.scalars(select(Participant.created_at).order_by(Participant.id).limit(1)).first()


def _newest_text(session: Session) -> datetime | None:
    newest = select(InboundMessage.received_at).where(InboundMessage.found_at.is_(None))
    return session.scalars(newest.order_by(InboundMessage.id.desc()).limit(1)).first()


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
    return sorted(missing, key=lambda text: (text.created_at, _is_stop(context, text)))


def _is_stop(context: Context, text: ProviderText) -> bool:
    """The provider's times are whole seconds: of what was written in the same one, a stop comes last."""
    reading = read_text(text.body, context.catalog.keywords)
    return reading.is_stop or reading.is_wrong_number
