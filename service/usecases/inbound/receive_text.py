"""Take in one text and answer it: the provider's webhook in one transaction.

Steps: (1) a text already taken in gets the same answer again; (2) store it, encrypted; (3) in a savepoint,
decide and record what it changes; a fault there undoes only that, puts a task on the staff list and
answers with the hotlines; (4) store the answer as a message like any other, and the answer's XML for
repeats; (5) commit. A fault in storing itself is the caller's to turn into 503.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from service.domain.answering import has_provider_answered
from service.domain.keywords import read_text
from service.domain.phone import PhoneNumber, find_e164
from service.domain.twiml import EMPTY_RESPONSE
from service.store.consent import find_suppression
from service.store.inbound import InboundMessage, TaskKind, find_inbound
from service.store.participants import find_participant
from service.store.service_state import record_key_use
from service.usecases.context import Context
from service.usecases.inbound.answer_rows import plan_answer, record_answer
from service.usecases.inbound.decide import decide_outcome
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.people.consent_changes import add_task

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IncomingText:
    """A text as the webhook delivered it: every form field, nothing dropped."""

    form: Mapping[str, str]

    @property
    def provider_message_id(self) -> str:
        """The provider's id. A signed text without one is known by what it holds, so a repeat is too."""
        for name in ("MessageSid", "SmsMessageSid", "SmsSid"):
            if self.form.get(name):
                return self.form[name][:64]
        digest = hashlib.sha256(json.dumps(dict(self.form), sort_keys=True).encode("utf-8", "replace"))
        return "none:" + digest.hexdigest()[:40]

    @property
    def body(self) -> str:
        return self.form.get("Body", "")

    @property
    def sender(self) -> str:
        return self.form.get("From", "")

    @property
    def opt_out_type(self) -> str | None:
        return self.form.get("OptOutType") or None

    @property
    def has_media(self) -> bool:
        return self.form.get("NumMedia", "0") not in ("", "0")


def receive_text(context: Context, text: IncomingText, now: datetime) -> str:
    """Store and answer one text; returns the XML answer. Commits once; a repeat changes nothing."""
    try:
        with context.database.begin() as session:
            earlier = find_inbound(session, text.provider_message_id)
            if earlier is not None:
                return earlier.answer or EMPTY_RESPONSE
            return _take_in(context, session, text, now)
    except IntegrityError:
        # Two deliveries of one text at the same moment: the other one has just committed.
        with context.database.read() as session:
            earlier = find_inbound(session, text.provider_message_id)
            if earlier is None:
                raise
            return earlier.answer or EMPTY_RESPONSE


def _take_in(context: Context, session: Session, text: IncomingText, now: datetime) -> str:
    phone = find_e164(text.sender)
    row = _store(context, session, text, phone, now)
    if phone is None:
        add_task(session, TaskKind.NEEDS_REPLY, "unusual_sender", now, inbound_id=row.id)
        row.meaning, row.answer = "unusual_sender", EMPTY_RESPONSE
        return EMPTY_RESPONSE
    try:
        answer = _handle(context, session, row, phone, now)
    except Exception as fault:
        if isinstance(fault, DBAPIError) and fault.connection_invalidated:
            raise
        log.exception("inbound_fault", inbound_id=row.id, exc_info=False, fault=type(fault).__name__)
        answer = _answer_fault(context, session, row, phone, now)
    row.answer = answer
    return answer


def _store(
    context: Context, session: Session, text: IncomingText, phone: PhoneNumber | None, now: datetime
) -> InboundMessage:
    lookup = context.keyring.hash_newest(phone.e164) if phone else None
    if lookup:
        record_key_use(session, lookup.key_id, now)
    row = InboundMessage(
        provider_message_id=text.provider_message_id,
        sender=text.sender,
        sender_hash=lookup.value if lookup else None,
        sender_key_id=lookup.key_id if lookup else None,
        body=text.body,
        raw=dict(text.form),
        opt_out_type=(text.opt_out_type or "")[:12] or None,
        has_media=text.has_media,
        received_at=now,
    )
    session.add(row)
    session.flush()
    return row


def _handle(
    context: Context, session: Session, row: InboundMessage, phone: PhoneNumber, now: datetime
) -> str:
    """Decide and record in a savepoint. Two first texts of one number at once: the loser tries again."""
    for is_last_try in (False, True):
        try:
            with session.begin_nested():
                incoming = _read(context, session, row, phone, now)
                outcome = decide_outcome(incoming)
                row.meaning = outcome.meaning
                row.participant_id = incoming.participant.id if incoming.participant else None
                return _record(incoming, outcome)
        except IntegrityError:
            if is_last_try:
                raise
    raise AssertionError("unreachable")


def _read(
    context: Context, session: Session, row: InboundMessage, phone: PhoneNumber, now: datetime
) -> Incoming:
    body = row.body or ""
    return Incoming(
        context=context,
        session=session,
        row=row,
        phone=phone,
        participant=find_participant(session, phone, context.keyring, lock=True),
        suppression=find_suppression(session, phone, context.keyring),
        body=body,
        reading=read_text(body, context.catalog.keywords),
        now=now,
    )


def _record(incoming: Incoming, outcome: Outcome) -> str:
    if outcome.reply is None:
        return EMPTY_RESPONSE
    mode = incoming.context.settings.optout_mode
    if has_provider_answered(mode, incoming.reading, incoming.row.opt_out_type):
        if outcome.reply.must_arrive:
            plan_answer(incoming, outcome.reply)
        return EMPTY_RESPONSE
    return record_answer(incoming, outcome.reply)


def _answer_fault(
    context: Context, session: Session, row: InboundMessage, phone: PhoneNumber, now: datetime
) -> str:
    row.is_faulty, row.meaning = True, "fault"
    add_task(session, TaskKind.HANDLING_FAULT, "fault_in_handling", now, inbound_id=row.id)
    nobody = Incoming(
        context=context,
        session=session,
        row=row,
        phone=phone,
        participant=None,
        suppression=None,
        body="",
        reading=read_text("", context.catalog.keywords),
        now=now,
    )
    return record_answer(nobody, Reply(("reply/fault",)))
