"""Put right what a dead worker left behind, by the leases it can no longer renew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.config import TransportName
from service.domain.delivery import MessageState
from service.domain.look_ups import GIVE_UP_AFTER
from service.store.bulk import is_one_of
from service.store.conversations import Conversation
from service.store.database import real_now
from service.store.inbound import TaskKind, add_task, has_open_task
from service.store.messages import Message
from service.store.service_state import list_missing_key_ids, set_setting
from service.usecases.context import Context
from service.usecases.sending.outcomes import LOOK_UP_AFTER
from service.usecases.sending.steps import Step, take_step

BATCH = 500
_KEY_MISSING = "lookup_key_missing"


@dataclass(slots=True)
class RecoveryCounts:
    replanned: int = 0
    unknown: int = 0
    unresolved: int = 0


def recover_abandoned(context: Context, now: datetime) -> RecoveryCounts:
    """Free claims whose lease ran out, and mark what may have left as unknown.

    A provider without records cannot be asked, so there old unknowns go to staff here (`look_up.py` does it
    elsewhere). Staff are told as well, once, when a look-up key is missing.

    Nothing that may have left is ever sent again here. Commits twice; safe to run anywhere, any time.
    """
    counts = RecoveryCounts()
    with context.database.begin() as session:
        real = real_now(session)
        for row_id in _leased_before(session, MessageState.CLAIMED, real):
            if take_step(
                session, Step(row_id, MessageState.CLAIMED, MessageState.PLANNED, "lease_ran_out"), now
            ):
                counts.replanned += 1
        for row_id in _leased_before(session, MessageState.SENDING, real):
            step = Step(
                row_id,
                MessageState.SENDING,
                MessageState.UNKNOWN,
                "lease_ran_out",
                changes={"due_at": now + LOOK_UP_AFTER},
            )
            if take_step(session, step, now):
                counts.unknown += 1
    with context.database.begin() as session:
        if context.settings.transport is TransportName.SIMULATOR:
            counts.unresolved = _give_up(session, now)
        _close_expired_questions(session, now)
        _tell_of_missing_keys(context, session, now)
    return counts


def _leased_before(session: Session, state: MessageState, real: datetime) -> list[int]:
    query = (
        select(Message.id)
        .where(Message.state == state, Message.lease_until < real)
        .order_by(Message.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    return list(session.scalars(query))


def _give_up(session: Session, now: datetime) -> int:
    query = (
        select(Message.id, Message.participant_id)
        .where(Message.state == MessageState.UNKNOWN, Message.due_at < now - GIVE_UP_AFTER)
        .order_by(Message.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(query).all()
    for row in rows:
        step = Step(row.id, MessageState.UNKNOWN, MessageState.UNRESOLVED, "no_receipt")
        if take_step(session, step, now):
            add_task(
                session,
                TaskKind.UNRESOLVED_TEXT,
                "no_receipt",
                now,
                participant_id=row.participant_id,
                message_id=row.id,
            )
    return len(rows)


def _close_expired_questions(session: Session, now: datetime) -> None:
    # Those that somebody holds are skipped: waiting for one while holding another could be waiting in a ring.
    expired = (
        select(Conversation.id)
        .where(Conversation.closed_at.is_(None), Conversation.expires_at <= now)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(expired))
    if ids:
        session.execute(
            update(Conversation)
            .where(is_one_of(session, Conversation.id, ids))
            .values(closed_at=now, close_reason="expired")
            .execution_options(synchronize_session=False)
        )


def _tell_of_missing_keys(context: Context, session: Session, now: datetime) -> None:
    """A look-up key that rows depend on is gone: nothing unprompted is sent, and staff should know why."""
    if not list_missing_key_ids(session, context.keyring.lookup_key_ids):
        return
    set_setting(session, _KEY_MISSING, {}, now, "recover")  # whose lock lets only one worker tell
    if not has_open_task(session, None, _KEY_MISSING):
        add_task(session, TaskKind.CONFIGURATION, _KEY_MISSING, now)
