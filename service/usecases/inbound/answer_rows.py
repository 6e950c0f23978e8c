"""An answer is a message row like any other, whether it rides in the webhook's response or goes by API."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert

from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, Lane
from service.domain.segments import count_segments
from service.domain.template import render
from service.domain.twiml import TwimlText, build_twiml
from service.store.answers import RidingAnswer, name_answer
from service.store.messages import Message, MessageEvent
from service.store.wake import wake_workers
from service.usecases.context import Context, new_reference
from service.usecases.inbound.reply import Incoming, Reader, Reply

RECEIPT_EXPECTED_WITHIN = timedelta(minutes=15)
"""How long an answer in a webhook response may go without a receipt before its fate counts as unknown."""


_BY_API = "answer_by_api"


def render_reply(context: Context, reader: Reader, reply: Reply) -> tuple[str, int]:
    """The answer's text in the person's language and wording, and the version of its first part."""
    language = reply.language or reader.language
    texts = [context.catalog.get(part, language, plain=reader.wants_plain) for part in reply.parts]
    fields = context.common_fields(reader.country, language) | reply.fields
    return " ".join(render(text.body, fields) for text in texts), texts[0].version


def build_answer(context: Context, reader: Reader, reply: Reply, now: datetime) -> tuple[str, RidingAnswer]:
    """The XML that sends the answer, and its message as on its way.

    From here its fate is the provider's to tell, through receipts that carry the try's reference.
    """
    body, version = render_reply(context, reader, reply)
    reference = new_reference()
    values = _columns(reader, reply, version, now) | {
        "body": body,
        "segments": count_segments(body).segments,
    }
    seconds = int(RECEIPT_EXPECTED_WITHIN.total_seconds())
    riding = RidingAnswer(values, reference, now, seconds)
    return build_twiml([TwimlText(body, context.status_callback(reference))]), riding


def plan_answer(incoming: Incoming, reply: Reply) -> None:
    """Queue an answer to go by API: the provider has answered the text itself, or its response is long gone.

    It is of use for as long as ever, counted from when the person wrote.
    """
    _, version = render_reply(incoming.context, incoming.reader, reply)
    columns = _columns(incoming.reader, reply, version, incoming.now)
    columns["send_before"] = incoming.row.received_at + KIND_RULES[reply.kind].useful_for
    added = insert(Message).values(
        **columns,
        **name_answer(incoming.row.id),
        state=MessageState.PLANNED,
        reason=_BY_API,
        fields=reply.fields or None,
    )
    event = {
        "message_id": incoming.session.execute(added.returning(Message.id)).scalar_one(),
        "at": incoming.now,
        "to_state": MessageState.PLANNED,
        "reason": _BY_API,
    }
    incoming.session.execute(insert(MessageEvent).values(event))
    wake_workers(incoming.session)


def _columns(reader: Reader, reply: Reply, version: int, now: datetime) -> dict[str, object]:
    return {
        "participant_id": reader.participant_id,
        "source_version": 1,
        "kind": reply.kind,
        "lane": Lane.ANSWER,
        "text_id": reply.parts[0],
        "text_version": version,
        "late": "send",
        "recipient": reader.phone.e164,
        "send_after": now,
        "send_before": now + KIND_RULES[reply.kind].useful_for,
        "due_at": now,
        "created_at": now,
    }
