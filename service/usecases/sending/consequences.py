"""What a refusal means beyond its own text, whether it came as an answer or as a receipt."""

from __future__ import annotations

import random
from datetime import datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.phone import PhoneNumber
from service.domain.provider_answers import BLOCKED_FOR, SenderEffect, find_sender_effect
from service.store.consent import (
    ConsentChannel,
    ConsentEvent,
    ConsentKind,
    find_suppression,
    is_suppressed,
)
from service.store.conversations import Conversation
from service.store.database import real_now
from service.store.inbound import TaskKind, add_task, has_open_task
from service.store.messages import Message
from service.store.pacing import back_off, block_sender
from service.store.participants import get_participant
from service.store.service_state import set_setting
from service.usecases.context import Context
from service.usecases.people.consent_changes import Evidence, opt_out

log = structlog.get_logger(__name__)

_CONFIGURATION = "provider_configuration"
DAILY_LIMIT = "daily_limit"
_OPT_INS = (ConsentKind.CONFIRMED, ConsentKind.DOCUMENTED, ConsentKind.REOPENED)


def record_provider_opt_out(
    context: Context, session: Session, message: Message, tried_at: datetime, now: datetime
) -> bool:
    """Opt out the person a text was for: the provider or carrier says they did. Locks the participant.

    Several texts may learn of it at once; one consent event tells it. False, and nothing changed, if the
    person has agreed again since the text was tried: such news may be late.
    """
    if message.recipient is None:
        return True
    phone = PhoneNumber(message.recipient)
    participant = (
        get_participant(session, message.participant_id, lock=True) if message.participant_id else None
    )
    if participant is not None and _has_agreed_since(session, participant.id, tried_at):
        return False
    if not is_suppressed(find_suppression(session, phone, context.keyring)):
        evidence = Evidence(ConsentChannel.PROVIDER, "provider", f"message {message.id}", now)
        opt_out(session, context.keyring, phone, participant, evidence, now, reason="provider")
    return True


def _has_agreed_since(session: Session, participant_id: int, since: datetime) -> bool:
    query = select(ConsentEvent.id).where(
        ConsentEvent.participant_id == participant_id,
        ConsentEvent.kind.in_(_OPT_INS),
        ConsentEvent.recorded_at > since,
    )
    return session.scalars(query.limit(1)).first() is not None


def stop_sender(session: Session, message: Message, code: int | None, now: datetime) -> None:
    """Our own set-up is at fault: stop unprompted sending until somebody looks, with one task for staff."""
    # Writing the switch locks it, so that of many texts refused at once the second sees the first one's task.
    set_setting(session, "sending_stopped", {"reason": _CONFIGURATION, "code": code}, now, "delivery")
    if not has_open_task(session, None, _CONFIGURATION):
        add_task(session, TaskKind.CONFIGURATION, _CONFIGURATION, now, message_id=message.id)


def heed_limits(
    session: Session, message: Message, code: int | None, http_status: int | None, now: datetime
) -> None:
    """Let every process rest, or stop what is unprompted for a while, where a refusal asks for it.

    Locks the sender's row: the last lock a transaction takes.
    """
    effect = find_sender_effect(code, http_status)
    if effect is SenderEffect.BACK_OFF:
        gap = back_off(session, random.random(), real_now(session))  # noqa: S311 - spreads, hides nothing
        log.warning("provider_says_slow_down", rest_seconds=round(gap.total_seconds(), 1))
    elif effect is SenderEffect.BLOCK:
        # Writing locks the row: of many texts refused at once the second sees the first one's task.
        block_sender(session, DAILY_LIMIT, real_now(session) + BLOCKED_FOR)
        if not has_open_task(session, None, DAILY_LIMIT):
            add_task(session, TaskKind.CONFIGURATION, DAILY_LIMIT, now, message_id=message.id)


def close_question_of(session: Session, message_id: int, now: datetime) -> None:
    """A question that surely did not go out is not open."""
    session.execute(
        update(Conversation)
        .where(Conversation.message_id == message_id, Conversation.closed_at.is_(None))
        .values(closed_at=now, close_reason="not_sent")
    )
