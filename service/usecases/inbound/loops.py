"""Silence toward a machine that answers our every text (decision 13)."""

from __future__ import annotations

from service.domain.keywords import Keyword
from service.domain.loop_guard import (
    LOOK_BACK,
    MOST_LOOKED_AT,
    SILENCED,
    EarlierText,
    find_loop,
)
from service.domain.twiml import read_words
from service.store.inbound import TaskKind, list_earlier_texts
from service.usecases.inbound.reply import Incoming, Outcome


def find_silence(incoming: Incoming) -> Outcome | None:
    """The outcome of a text that belongs to a loop: no answer, nothing changed, one task for staff a loop.

    None for any other text, and always for what may be a stop.
    """
    reading = incoming.reading
    if reading.is_stop or reading.is_wrong_number or incoming.row.opt_out_type == "STOP":
        return None
    earlier = _list_earlier(incoming)
    sign = find_loop(
        incoming.body,
        earlier,
        incoming.now,
        is_call_for_help=reading.keyword is Keyword.HELP,
        is_question_open=incoming.open_conversation_id is not None,
    )
    if sign is None:
        return None
    if not any(text.meaning in SILENCED for text in earlier):
        incoming.note_task(TaskKind.LOOP, sign)
    return Outcome(sign.meaning)


def _list_earlier(incoming: Incoming) -> list[EarlierText]:
    hashes = incoming.context.keyring.hash_all(incoming.phone.e164)
    since = incoming.now - LOOK_BACK
    rows = list_earlier_texts(incoming.session, hashes, since, incoming.row.id, MOST_LOOKED_AT)
    return [
        EarlierText(row.received_at, row.body or "", row.meaning, read_words(row.answer or "") or None)
        for row in rows
    ]
