"""The beginning of handling a text: it is stored, its sender's row is locked, and how they stand is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BindParameter, Select, String, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, defer

from service.domain.phone import PhoneNumber
from service.store.base import table_of
from service.store.consent import Suppression, find_suppression
from service.store.conversations import Conversation
from service.store.inbound import InboundMessage
from service.store.keyring import Keyring, LookupHash
from service.store.participants import Participant


@dataclass(frozen=True, slots=True)
class NewInbound:
    """A text to be stored. `lookup` and `hashes` are empty for a sender that is no number."""

    provider_message_id: str
    sender: str
    lookup: LookupHash | None
    hashes: Sequence[str]
    body: str
    raw: dict[str, str]
    opt_out_type: str | None
    has_media: bool
    received_at: datetime

    @property
    def columns(self) -> dict[str, Any]:
        """What its row holds, by column."""
        return {
            "provider_message_id": self.provider_message_id,
            "sender": self.sender,
            "sender_hash": self.lookup.value if self.lookup else None,
            "sender_key_id": self.lookup.key_id if self.lookup else None,
            "body": self.body,
            "raw": self.raw,
            "opt_out_type": self.opt_out_type,
            "has_media": self.has_media,
            "received_at": self.received_at,
        }


@dataclass(frozen=True, slots=True)
class TextSender:
    """How a number stands with us. The rows of the participant and of the suppression are locked."""

    participant: Participant | None
    suppression: Suppression | None
    open_conversation_id: int | None


_INBOUND, _PARTICIPANTS = table_of(InboundMessage), table_of(Participant)
_CONVERSATIONS, _SUPPRESSIONS = table_of(Conversation), table_of(Suppression)
_COLUMNS = (
    *("provider_message_id", "sender", "sender_hash", "sender_key_id", "body", "raw", "opt_out_type"),
    *("has_media", "received_at"),
)


# Statements are built once for a number of look-up keys: building and keying them costs more than running.
@lru_cache
def _add_inbound(dialect: str, keys: int) -> Any:
    sender = select(_PARTICIPANTS.c.id).where(_PARTICIPANTS.c.phone_hash.in_(hash_params(keys)))
    values: dict[str, Any] = {name: bindparam(name) for name in _COLUMNS}
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return (
        insert(_INBOUND)
        .values(participant_id=sender.with_for_update(key_share=True).scalar_subquery(), **values)
        .on_conflict_do_nothing(index_elements=["provider_message_id"])
        .returning(_INBOUND.c.id, _INBOUND.c.participant_id)
    )


@lru_cache
def _standing(keys: int) -> Select[Any]:
    suppression = select(_SUPPRESSIONS.c.id).where(_SUPPRESSIONS.c.phone_hash.in_(hash_params(keys))).limit(1)
    conversation = select(_CONVERSATIONS.c.id).where(
        _CONVERSATIONS.c.participant_id == Participant.id, _CONVERSATIONS.c.closed_at.is_(None)
    )
    return (
        select(Participant, suppression.scalar_subquery(), conversation.scalar_subquery())
        .where(Participant.id == bindparam("participant_id"))
        .options(defer(Participant.phone), defer(Participant.name), defer(Participant.phone_hash))
        .execution_options(populate_existing=True)
    )


def hash_params(keys: int) -> list[BindParameter[str]]:
    return [bindparam(f"hash_{number}", type_=String) for number in range(keys)]


def hash_values(hashes: Sequence[str]) -> dict[str, str]:
    return {f"hash_{number}": value for number, value in enumerate(hashes)}


def add_inbound(session: Session, new: NewInbound) -> tuple[int, int | None] | None:
    """Store a text; returns its row's id and its participant's, None if the text is there already.

    Takes the lock on the participant's row that stopping and sending share. A second delivery at the same
    moment waits here until the first has committed.
    """
    connection = session.connection()
    values = new.columns | hash_values(new.hashes)
    statement = _add_inbound(connection.dialect.name, len(new.hashes))
    row = connection.execute(statement, values).first()
    return None if row is None else (row.id, row.participant_id)


def get_text_sender(
    session: Session, phone: PhoneNumber, participant_id: int | None, keyring: Keyring
) -> TextSender:
    """Read how a number stands, after `add_inbound` has locked the participant.

    Not one statement with the lock, on purpose: what is read together with a row that had to be waited for
    is as old as the waiting, and a stop that came first would be overlooked.
    """
    if participant_id is None:
        return TextSender(None, find_suppression(session, phone, keyring), None)
    hashes = keyring.hash_all(phone.e164)
    values = {**hash_values(hashes), "participant_id": participant_id}
    participant, suppression_id, conversation_id = session.execute(_standing(len(hashes)), values).one()
    suppression = None if suppression_id is None else find_suppression(session, phone, keyring)
    return TextSender(participant, suppression, conversation_id)
