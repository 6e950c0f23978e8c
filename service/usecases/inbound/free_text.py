"""Free text: always for a human. The machine only says that it arrived, and where help is meanwhile."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from service.store.inbound import InboundMessage, TaskKind
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.people.consent_changes import add_task

RECEIPT_EVERY = timedelta(hours=12)


def queue_for_staff(incoming: Incoming, reason: str = "free_text") -> Outcome:
    """Put the text on the staff list and send at most one receipt in twelve hours."""
    participant = incoming.participant
    add_task(
        incoming.session,
        TaskKind.NEEDS_REPLY,
        reason,
        incoming.now,
        participant_id=participant.id if participant else None,
        inbound_id=incoming.row.id,
    )
    if _had_receipt(incoming):
        return Outcome("free_text")
    if participant is not None:
        participant.last_receipt_at = incoming.now
    return Outcome("receipt", Reply((_receipt(incoming),)))


def _receipt(incoming: Incoming) -> str:
    if incoming.row.has_media:
        return "reply/media"
    return "reply/receipt" if incoming.participant else "reply/receipt-unknown"


def _had_receipt(incoming: Incoming) -> bool:
    since = incoming.now - RECEIPT_EVERY
    if incoming.participant is not None:
        last = incoming.participant.last_receipt_at
        return last is not None and last > since
    query = select(InboundMessage.id).where(
        InboundMessage.sender_hash.in_(incoming.context.keyring.hash_all(incoming.phone.e164)),
        InboundMessage.meaning == "receipt",
        InboundMessage.received_at > since,
    )
    return incoming.session.execute(query.limit(1)).first() is not None
