"""Texts that left and whose rows no key opens: nobody can find out more by machine, so staff are told."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.store.inbound import TaskKind, add_task
from service.store.leases import end_lease
from service.store.messages import Message
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.sending.steps import Step, record_steps, take_step

log = structlog.get_logger(__name__)

_UNREADABLE = "unreadable"
_ON_RECORD = frozenset({MessageState.ACCEPTED, MessageState.SENT})


def set_aside(
    context: Context, message_id: int, participant_id: int | None, claim_token: str, now: datetime
) -> bool:
    """End the search for a text and open a task; False if it is no longer ours. Commits once.

    Of unknown fate it ends as unresolved; one that the provider has stays as it is, and is asked about no
    more. Reads nothing that is encrypted.
    """
    with context.database.begin() as session:
        if participant_id is not None:
            session.execute(select(Participant.id).where(Participant.id == participant_id).with_for_update())
        query = select(Message.state, Message.claim_token).where(Message.id == message_id).with_for_update()
        row = session.execute(query).one()
        if row.claim_token != claim_token:
            return False
        if row.state is MessageState.UNKNOWN:
            take_step(session, Step(message_id, row.state, MessageState.UNRESOLVED, _UNREADABLE), now)
        elif row.state in _ON_RECORD:
            end_lease(session, message_id, final_at=now, reason=_UNREADABLE)
            record_steps(session, [Step(message_id, row.state, row.state, _UNREADABLE)], now)
        else:
            return False
        add_task(
            session,
            TaskKind.UNRESOLVED_TEXT,
            _UNREADABLE,
            now,
            participant_id=participant_id,
            message_id=message_id,
        )
    log.warning("unreadable_text", message_id=message_id)
    return True
