"""Texts that change nothing about their sender: how they stand is read, then all is stored in one statement.

For PostgreSQL only. SQLite knows no statement that fills several tables, and has one writer anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from service.domain.delivery import MessageState
from service.store.answers import ANSWER, RidingAnswer, add_first_event
from service.store.base import table_of
from service.store.consent import Suppression
from service.store.conversations import Conversation
from service.store.database import RealTimeIn
from service.store.inbound import InboundMessage, Task, TaskKind
from service.store.messages import Attempt, Message
from service.store.participants import Participant, ParticipantStatus
from service.store.senders import NewInbound, hash_params, hash_values

_INBOUND, _PARTICIPANTS = table_of(InboundMessage).c, table_of(Participant).c
_SUPPRESSIONS, _CONVERSATIONS = table_of(Suppression).c, table_of(Conversation).c


@dataclass(frozen=True, slots=True)
class KnownSender:
    """An active participant with no stop against their number and no question open."""

    id: int
    language: str
    country: str
    wants_plain: bool
    last_receipt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a text came to: its meaning, the XML, a task for staff, and the answer that rides along.

    With `no_receipt_since` (aware UTC) the answer is a receipt, and is stored only if the person had none
    since then and is still active.
    """

    meaning: str
    answer: str
    task: tuple[TaskKind, str] | None = None
    riding: RidingAnswer | None = None
    no_receipt_since: datetime | None = None


def find_known_sender(
    connection: Connection, hashes: Sequence[str], crowds: Sequence[tuple[int, datetime]] = ()
) -> KnownSender | None:
    """Who has this number, if their text may be answered without looking further; locks nothing.

    None as well for a sender of a crowd of texts: so many or more since an instant.
    """
    values: dict[str, Any] = hash_values(hashes) | {
        f"since_{number}": since for number, (_, since) in enumerate(crowds)
    }
    statement = _known_senders(len(hashes), tuple(texts for texts, _ in crowds))
    rows = connection.execute(statement, values).all()
    return KnownSender(*rows[0]) if len(rows) == 1 else None


def add_settled_text(connection: Connection, sender: KnownSender, new: NewInbound, settled: Settled) -> bool:
    """Store a text, its answer on its way and its task, all or nothing.

    False, and nothing stored, if the text is there already, the sender does not take part any more, or the
    receipt may not go.
    """
    values = new.columns | {
        "sender_id": sender.id,
        "meaning": settled.meaning,
        "answer": settled.answer,
    }
    if settled.task is not None:
        values |= {"task_kind": settled.task[0], "task_reason": settled.task[1]}
    if settled.riding is not None:
        values |= {f"m_{name}": value for name, value in settled.riding.values.items()}
        values["lease_seconds"] = settled.riding.lease_seconds
        values["reference"] = settled.riding.reference
    if settled.no_receipt_since is not None:
        values["no_receipt_since"] = settled.no_receipt_since
    statement = _add_text(
        has_answer=settled.riding is not None,
        has_task=settled.task is not None,
        is_receipt=settled.no_receipt_since is not None,
    )
    return connection.execute(statement, values).first() is not None


@lru_cache
def _known_senders(keys: int, crowds: tuple[int, ...]) -> Select[Any]:
    stopped = exists().where(
        _SUPPRESSIONS.phone_hash.in_(hash_params(keys)), _SUPPRESSIONS.lifted_at.is_(None)
    )
    asked = exists().where(
        _CONVERSATIONS.participant_id == _PARTICIPANTS.id, _CONVERSATIONS.closed_at.is_(None)
    )
    columns = ("id", "language", "country", "wants_plain", "last_receipt_at")
    return select(*(_PARTICIPANTS[name] for name in columns)).where(
        _PARTICIPANTS.phone_hash.in_(hash_params(keys)),
        _PARTICIPANTS.status == ParticipantStatus.ACTIVE,
        ~stopped,
        ~asked,
        *(~_sent_so_many(keys, number, texts) for number, texts in enumerate(crowds)),
    )


def _sent_so_many(keys: int, number: int, texts: int) -> ColumnElement[bool]:
    since = bindparam(f"since_{number}", type_=_INBOUND.received_at.type)
    sent = select(_INBOUND.id).where(
        _INBOUND.sender_hash.in_(hash_params(keys)), _INBOUND.received_at > since
    )
    return exists(sent.offset(texts - 1).limit(1).subquery().select())


@lru_cache
def _add_text(*, has_answer: bool, has_task: bool, is_receipt: bool) -> Select[Any]:
    inbound = _add_inbound(is_receipt=is_receipt)
    statement = select(inbound.c.id)
    if has_answer:
        statement = statement.add_cte(*_add_answer(inbound))
    if has_task:
        statement = statement.add_cte(_add_task(inbound))
    return statement


def _add_inbound(*, is_receipt: bool) -> CTE:
    names = (
        *("provider_message_id", "sender", "sender_hash", "sender_key_id", "body", "raw", "has_media"),
        *("received_at", "meaning", "answer"),
    )
    values = {name: bindparam(name, type_=_INBOUND[name].type) for name in names}
    values |= {"participant_id": bindparam("sender_id", type_=_INBOUND.id.type), "is_faulty": literal(False)}
    row = select(*values.values()).select_from(_mark_receipt() if is_receipt else _hold_sender())
    return (
        postgresql.insert(table_of(InboundMessage))
        .from_select(list(values), row)
        .on_conflict_do_nothing(index_elements=["provider_message_id"])
        .returning(_INBOUND.id)
        .cte("new_inbound")
    )


def _hold_sender() -> CTE:
    """The sender's row, if they still take part: a stop or an erasure under way is waited for, and wins."""
    return (
        select(_PARTICIPANTS.id)
        .where(
            _PARTICIPANTS.id == bindparam("sender_id", type_=_INBOUND.id.type),
            _PARTICIPANTS.status == ParticipantStatus.ACTIVE,
        )
        .with_for_update(read=True)
        .cte("held")
    )


def _mark_receipt() -> CTE:
    is_new = ~exists().where(_INBOUND.provider_message_id == bindparam("provider_message_id", type_=String))
    may_have_one = or_(
        _PARTICIPANTS.last_receipt_at.is_(None),
        _PARTICIPANTS.last_receipt_at <= bindparam("no_receipt_since", type_=_INBOUND.received_at.type),
    )
    return (
        update(table_of(Participant))
        .where(
            _PARTICIPANTS.id == bindparam("sender_id", type_=_INBOUND.id.type),
            _PARTICIPANTS.status == ParticipantStatus.ACTIVE,
            may_have_one,
            is_new,
        )
        .values(last_receipt_at=bindparam("received_at", type_=_INBOUND.received_at.type))
        .returning(_PARTICIPANTS.id)
        .cte("told")
    )


def _add_answer(inbound: CTE) -> tuple[CTE, CTE]:
    """The answer's message as on its way, with its try and the first line of its trail."""
    messages = table_of(Message)
    names = (
        *("participant_id", "kind", "lane", "text_id", "text_version", "late", "body", "recipient"),
        *("send_after", "send_before", "due_at", "created_at", "segments", "source_version"),
    )
    values: dict[str, Any] = {name: bindparam(f"m_{name}", type_=messages.c[name].type) for name in names} | {
        "inbound_id": inbound.c.id,
        "source": func.concat("i", inbound.c.id),
        "dedupe_key": func.concat("i", inbound.c.id, ":answer"),
        "state": literal(MessageState.SENDING, messages.c.state.type),
        "reason": literal(ANSWER),
        "tries": literal(1),
        "lease_until": RealTimeIn(bindparam("lease_seconds", type_=Integer)),
    }
    message = (
        insert(messages)
        .from_select(list(values), select(*values.values()))
        .returning(messages.c.id)
        .cte("new_message")
    )
    attempt: dict[str, Any] = {
        "message_id": message.c.id,
        "number": literal(1),
        "channel": literal("twiml"),
        "reference": bindparam("reference", type_=String),
        "started_at": bindparam("received_at", type_=_INBOUND.received_at.type),
    }
    event = add_first_event(message, bindparam("received_at", type_=_INBOUND.received_at.type))
    added = insert(table_of(Attempt)).from_select(list(attempt), select(*attempt.values()))
    return added.cte("new_attempt"), event.cte("new_event")


def _add_task(inbound: CTE) -> CTE:
    tasks = table_of(Task)
    values: dict[str, Any] = {
        "kind": bindparam("task_kind", type_=tasks.c.kind.type),
        "reason": bindparam("task_reason", type_=String),
        "participant_id": bindparam("sender_id", type_=_INBOUND.id.type),
        "inbound_id": inbound.c.id,
        "created_at": bindparam("received_at", type_=_INBOUND.received_at.type),
    }
    return insert(tasks).from_select(list(values), select(*values.values())).cte("new_task")
