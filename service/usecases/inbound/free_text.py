"""Free text: always for a human. The machine only says that it arrived, and where help is meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

from service.store.inbound import TaskKind, has_meaning_since
from service.usecases.inbound.reply import Incoming, Outcome, Reply

RECEIPT_EVERY = timedelta(hours=12)


NEEDS_REPLY = (TaskKind.NEEDS_REPLY, "free_text")


def queue_for_staff(incoming: Incoming, reason: str = "free_text") -> Outcome:
    """Put the text on the staff list and send at most one receipt in twelve hours."""
    participant = incoming.participant
    incoming.note_task(TaskKind.NEEDS_REPLY, reason)
    if _had_receipt(incoming):
        return Outcome("free_text")
    if participant is not None:
        participant.last_receipt_at = incoming.now
    return receipt_outcome(has_media=incoming.row.has_media, is_participant=participant is not None)


def receipt_outcome(*, has_media: bool, is_participant: bool) -> Outcome:
    """The receipt: that a human will read it, and where help is meanwhile."""
    if has_media:
        return Outcome("receipt", Reply(("reply/media",)))
    return Outcome("receipt", Reply(("reply/receipt" if is_participant else "reply/receipt-unknown",)))


def is_receipt_recent(last: datetime | None, now: datetime) -> bool:
    return last is not None and last > now - RECEIPT_EVERY


def _had_receipt(incoming: Incoming) -> bool:
    if incoming.participant is not None:
        return is_receipt_recent(incoming.participant.last_receipt_at, incoming.now)
    hashes = incoming.context.keyring.hash_all(incoming.phone.e164)
    return has_meaning_since(incoming.session, hashes, "receipt", incoming.now - RECEIPT_EVERY)
