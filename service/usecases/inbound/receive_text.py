"""Take in one text and answer it: the provider's webhook in one transaction.

Steps: (1) store it, encrypted; a text already taken in gets the same answer again; (2) decide and record
what it changes; (3) store the answer as a message like any other, and the answer's XML for repeats; (4)
commit. A fault in (2) or (3) undoes it all; a second transaction then stores the text, puts a task on the
staff list and answers with the hotlines. A fault in that one is the caller's to turn into 503.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from service.domain.answering import has_provider_answered
from service.domain.keywords import Keyword, read_text
from service.domain.phone import find_sender
from service.domain.twiml import EMPTY_RESPONSE
from service.store.answers import Conclusion, RidingAnswer, finish_inbound
from service.store.consent import ConsentChannel, find_suppression, is_suppressed
from service.store.inbound import TaskKind, find_inbound
from service.store.senders import add_inbound, get_text_sender
from service.store.service_state import note_key_use
from service.usecases.context import Context
from service.usecases.inbound.answer_rows import build_answer, plan_answer
from service.usecases.inbound.at_once import find_answer_at_once
from service.usecases.inbound.decide import decide_outcome
from service.usecases.inbound.faults import is_database_away, lost_a_race
from service.usecases.inbound.found_late import mark_found, plan_late_answer, was_asked_by
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.loops import find_silence
from service.usecases.inbound.reply import Incoming, Outcome, Reply, StoredText
from service.usecases.people.consent_changes import Evidence, opt_out, opt_out_unread

log = structlog.get_logger(__name__)


def receive_text(context: Context, text: IncomingText, now: datetime) -> str:
    """Store and answer one text; returns the XML answer. Commits once; a repeat changes nothing."""
    answer = find_answer_at_once(context, text, now)
    return _receive_in_turn(context, text, now) if answer is None else answer


def receive_missed_text(context: Context, text: IncomingText, now: datetime) -> None:
    """Take in a text that was found in the provider's records, as its webhook would have been.

    Answers go by API, and a webhook that comes after all gets the empty response. Commits once; a text that
    is there already changes nothing.
    """
    _receive_in_turn(context, text, now)


def _receive_in_turn(context: Context, text: IncomingText, now: datetime) -> str:
    for is_last_try in (False, True):
        try:
            with context.database.begin() as session:
                return _take_in(context, session, text, now, _handle)
        except Exception as fault:
            if lost_a_race(fault) and not is_last_try:
                continue
            if is_database_away(fault):
                raise
            log.exception("inbound_fault", exc_info=False, fault=type(fault).__name__)
            break
    with context.database.begin() as session:
        return _take_in(context, session, text, now, _answer_fault)


Handler = Callable[[Context, Session, StoredText, datetime], str]


def _take_in(context: Context, session: Session, text: IncomingText, now: datetime, handle: Handler) -> str:
    stored = _store(context, session, text, now)
    if stored is None:
        earlier = find_inbound(session, text.provider_message_id)
        return (earlier and earlier.answer) or EMPTY_RESPONSE
    if stored.phone is not None and text.is_from(stored.phone, context.settings.twilio_from):
        # Our own texts coming back: an answer would come back as well.
        finish_inbound(session, stored.id, Conclusion(None, "own_number", EMPTY_RESPONSE), now)
        return EMPTY_RESPONSE
    if stored.phone is None:
        task = (TaskKind.NEEDS_REPLY, "unusual_sender")
        finish_inbound(session, stored.id, Conclusion(None, "unusual_sender", EMPTY_RESPONSE, (task,)), now)
        return EMPTY_RESPONSE
    return handle(context, session, stored, now)


def _store(context: Context, session: Session, text: IncomingText, now: datetime) -> StoredText | None:
    phone = find_sender(text.sender, context.settings.org_country)
    new = text.as_new_inbound(phone, context.keyring, now)
    if new.lookup:
        note_key_use(session, new.lookup.key_id, now)
    ids = add_inbound(session, new)
    if ids is None:
        return None
    if text.received_at is not None:
        mark_found(session, ids[0], now)
    return StoredText(
        id=ids[0],
        sent_to=text.form.get("To", "") or context.settings.twilio_from,
        participant_id=ids[1],
        provider_message_id=text.provider_message_id,
        phone=phone,
        body=text.body,
        opt_out_type=text.opt_out_type,
        has_media=text.has_media,
        received_at=new.received_at,
        was_missed=text.received_at is not None,
    )


def _handle(context: Context, session: Session, stored: StoredText, now: datetime) -> str:
    incoming = _read(context, session, stored, now)
    outcome = find_silence(incoming) or decide_outcome(incoming)
    answer, riding = _answer(incoming, outcome)
    participant_id = incoming.participant.id if incoming.participant else None
    conclusion = Conclusion(participant_id, outcome.meaning, answer, incoming.tasks)
    finish_inbound(session, stored.id, conclusion, now, riding)
    return answer


def _read(context: Context, session: Session, stored: StoredText, now: datetime) -> Incoming:
    assert stored.phone is not None
    sender = get_text_sender(session, stored.phone, stored.participant_id, context.keyring)
    return Incoming(
        context=context,
        session=session,
        row=stored,
        phone=stored.phone,
        participant=sender.participant,
        suppression=sender.suppression,
        body=stored.body,
        reading=read_text(stored.body, context.catalog.keywords),
        now=now,
        open_conversation_id=_question_answered(session, stored, sender.open_conversation_id),
    )


def _question_answered(session: Session, stored: StoredText, open_conversation_id: int | None) -> int | None:
    if stored.was_missed and not was_asked_by(session, open_conversation_id, stored.received_at):
        return None
    return open_conversation_id


def _answer(incoming: Incoming, outcome: Outcome) -> tuple[str, RidingAnswer | None]:
    if outcome.reply is None:
        return EMPTY_RESPONSE, None
    if incoming.row.was_missed:
        plan_late_answer(incoming, outcome)
        return EMPTY_RESPONSE, None
    mode = incoming.context.settings.optout_mode
    if has_provider_answered(mode, incoming.reading, incoming.row.opt_out_type):
        if outcome.reply.must_arrive:
            plan_answer(incoming, outcome.reply)
        return EMPTY_RESPONSE, None
    return build_answer(incoming.context, incoming.reader, outcome.reply, incoming.now)


def _answer_fault(context: Context, session: Session, stored: StoredText, now: datetime) -> str:
    """Answer without looking at anything that may be what broke. A stop still holds, by the number's hash."""
    assert stored.phone is not None
    nobody = Incoming(
        context=context,
        session=session,
        row=stored,
        phone=stored.phone,
        participant=None,
        suppression=None,
        body="",
        reading=read_text(stored.body, context.catalog.keywords),
        now=now,
    )
    reading = nobody.reading
    if reading.is_stop or reading.is_wrong_number or stored.opt_out_type == "STOP":
        source, said_at = stored.provider_message_id, stored.received_at
        evidence = Evidence(ConsentChannel.SMS, "participant", source, said_at)
        opt_out(session, context.keyring, stored.phone, None, evidence, now, reason="stop")
        if stored.participant_id is not None:
            opt_out_unread(session, stored.participant_id, now)
    elif reading.keyword is not Keyword.HELP and is_suppressed(
        find_suppression(session, stored.phone, context.keyring)
    ):
        return _finish_fault(session, stored, EMPTY_RESPONSE, None, now)
    reply = Reply(("reply/fault",))
    if stored.was_missed:
        plan_answer(nobody, reply)
        return _finish_fault(session, stored, EMPTY_RESPONSE, None, now)
    return _finish_fault(session, stored, *build_answer(context, nobody.reader, reply, now), now)


def _finish_fault(
    session: Session, stored: StoredText, answer: str, riding: RidingAnswer | None, now: datetime
) -> str:
    tasks = ((TaskKind.HANDLING_FAULT, "fault_in_handling"),)
    conclusion = Conclusion(stored.participant_id, "fault", answer, tasks, is_faulty=True)
    finish_inbound(session, stored.id, conclusion, now, riding)
    return answer
