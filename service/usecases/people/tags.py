"""Labels that staff put on people: encrypted, and found again by a keyed hash of the whole label."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.keyring import Keyring
from service.store.participants import ParticipantTag
from service.store.service_state import record_key_use


def hashed_word(tag: str) -> str:
    """What is hashed for a label, so that case and spacing do not matter and no number hashes alike."""
    return "tag:" + " ".join(tag.split()).casefold()


def add_tags(
    session: Session, keyring: Keyring, participant_id: int, tags: Sequence[str], now: datetime
) -> int:
    """Put labels on a person that they do not have yet, under any look-up key; returns how many were new."""
    query = select(ParticipantTag.tag_hash).where(ParticipantTag.participant_id == participant_id)
    present = set(session.scalars(query)) if tags else set()
    added = 0
    for tag in tags:
        if present.intersection(keyring.hash_all(hashed_word(tag))):
            continue
        lookup = keyring.hash_newest(hashed_word(tag))
        record_key_use(session, lookup.key_id, now)
        session.add(
            ParticipantTag(
                participant_id=participant_id, tag_hash=lookup.value, tag_key_id=lookup.key_id, tag=tag
            )
        )
        added += 1
    return added
