"""Answer the texts that change nothing about their sender, in two statements (decision 7).

A call for help and words for staff are most of what comes in. How the sender stands is read in one
statement; the text with its answer and task is stored in the next, if they still take part then.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from service.domain.keywords import Keyword, TextReading, normalize, read_text
from service.domain.loop_guard import BUSY_LIMITS
from service.domain.phone import PhoneNumber, find_sender
from service.domain.twiml import EMPTY_RESPONSE
from service.store.at_once import KnownSender, Settled, add_settled_text, find_known_sender
from service.store.service_state import was_key_seen
from service.usecases.context import Context
from service.usecases.inbound.answer_rows import build_answer
from service.usecases.inbound.faults import is_database_away, lost_a_race
from service.usecases.inbound.free_text import (
    NEEDS_REPLY,
    RECEIPT_EVERY,
    is_receipt_recent,
    receipt_outcome,
)
from service.usecases.inbound.help_words import help_outcome, info_outcome
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.reply import Outcome, Reader

log = structlog.get_logger(__name__)


def find_answer_at_once(context: Context, text: IncomingText, now: datetime) -> str | None:
    """The XML that answers a text, stored and committed; None, with nothing stored, if it must wait its turn.

    Raises only what says that the database is away: any other fault is the full path's to meet and to tell.
    """
    if context.database.is_sqlite:
        return None
    try:
        return _find_answer(context, text, now)
    except Exception as fault:
        if lost_a_race(fault):
            return None
        if is_database_away(fault):
            raise
        log.warning("at_once_fault", fault=type(fault).__name__)
        return None


def find_outcome_at_once(
    body: str, reading: TextReading, *, has_media: bool, had_receipt: bool
) -> Outcome | None:
    """What a text comes to that an active person sent while nothing was asked; None if it may change more."""
    if reading.is_stop or reading.is_wrong_number or reading.may_keep:
        return None
    if reading.keyword is Keyword.HELP:
        return help_outcome(is_known=True)
    if reading.keyword is Keyword.INFO:
        return info_outcome(is_known=True)
    word = normalize(body)
    may_be_program_word = bool(word) and " " not in word
    if reading.keyword is not None or may_be_program_word:
        return None
    if had_receipt:
        return Outcome("free_text")
    return receipt_outcome(has_media=has_media, is_participant=True)


def _find_answer(context: Context, text: IncomingText, now: datetime) -> str | None:
    phone = find_sender(text.sender, context.settings.org_country)
    if phone is None or text.opt_out_type or text.is_from(phone, context.settings.twilio_from):
        return None
    new = text.as_new_inbound(phone, context.keyring, now)
    if new.lookup is None or not was_key_seen(context.database.engine.dialect, new.lookup.key_id):
        return None
    with context.database.at_once() as connection:
        crowds = [(limit.texts, now - limit.within) for limit in BUSY_LIMITS]
        sender = find_known_sender(connection, new.hashes, crowds)
        settled = _settle(context, text, phone, sender, now) if sender else None
        if sender is None or settled is None:
            return None
        return settled.answer if add_settled_text(connection, sender, new, settled) else None


def _settle(
    context: Context, text: IncomingText, phone: PhoneNumber, sender: KnownSender, now: datetime
) -> Settled | None:
    outcome = find_outcome_at_once(
        text.body,
        read_text(text.body, context.catalog.keywords),
        has_media=text.has_media,
        had_receipt=is_receipt_recent(sender.last_receipt_at, now),
    )
    if outcome is None:
        return None
    is_for_staff = outcome.meaning in ("free_text", "receipt")
    answer, riding = EMPTY_RESPONSE, None
    if outcome.reply is not None:
        reader = Reader(sender.id, phone, sender.language, sender.country, sender.wants_plain)
        answer, riding = build_answer(context, reader, outcome.reply, now)
    return Settled(
        meaning=outcome.meaning,
        answer=answer,
        task=NEEDS_REPLY if is_for_staff else None,
        riding=riding,
        no_receipt_since=now - RECEIPT_EVERY if outcome.meaning == "receipt" else None,
    )
