"""Free text: always for a human. The machine only says that it arrived, and where help is meanwhile."""

from __future__ import annotations

from datetime import timedelta

from service.store.inbound import TaskKind, has_meaning_since
from service.usecases.inbound.reply import Incoming, Outcome, Reply

RECEIPT_EVERY = timedelta(hours=12)


def queue_for_staff(incoming: Incoming, reason: str = "free_text") -> Outcome:
    """Put the text on the staff list and send at most one receipt in twelve hours."""
    participant = incoming.participant
    incoming.note_task(TaskKind.NEEDS_REPLY, reason)
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
    hashes = incoming.context.keyring.hash_all(incoming.phone.e164)
    return has_meaning_since(incoming.session, hashes, "receipt", since)
