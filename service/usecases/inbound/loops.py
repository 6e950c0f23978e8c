"""Silence toward a machine that answers our every text (decision 13)."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.keywords import Keyword
from service.domain.loop_guard import (
    LOOK_BACK,
    MOST_LOOKED_AT,
    EarlierText,
    find_loop,
)
from service.domain.twiml import read_words
from service.store.inbound import TaskKind, has_open_loop_task, list_earlier_texts
from service.usecases.inbound.reply import Incoming, Outcome


def find_silence(incoming: Incoming) -> Outcome | None:
    """The outcome of a text that belongs to a loop: no answer, nothing changed, and staff know.

    One task a sender is open at a time. When staff have closed it and the texts go on, the next makes
    another: it may be a person after all, and a text without an answer must reach somebody.

    None for any other text, and always for what may be a stop.
    """
    reading = incoming.reading
    if reading.is_stop or reading.is_wrong_number or incoming.row.opt_out_type == "STOP":
        return None
    hashes = incoming.context.keyring.hash_all(incoming.phone.e164)
    sign = find_loop(
        incoming.body,
        _list_earlier(incoming, hashes),
        incoming.now,
        is_call_for_help=reading.keyword is Keyword.HELP,
        is_question_open=incoming.open_conversation_id is not None,
    )
    if sign is None:
        return None
    participant_id = incoming.participant.id if incoming.participant else None
    if not has_open_loop_task(incoming.session, participant_id, hashes):
        incoming.note_task(TaskKind.LOOP, sign)
    return Outcome(sign.meaning)


def _list_earlier(incoming: Incoming, hashes: Sequence[str]) -> list[EarlierText]:
    since = incoming.now - LOOK_BACK
    rows = list_earlier_texts(incoming.session, hashes, since, incoming.row.id, MOST_LOOKED_AT)
    return [
        EarlierText(row.received_at, row.body or "", row.meaning, read_words(row.answer or "") or None)
        for row in rows
    ]
