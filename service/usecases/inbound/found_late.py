"""Texts that never reached us and were found later: their time decides what they still mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.answering import OptOutMode, has_provider_answered
from service.domain.keywords import Keyword
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.look_ups import CLOCK_SKEW
from service.store.consent import ConsentChannel, ConsentEvent, ConsentKind
from service.store.conversations import Answer, Conversation
from service.store.inbound import InboundMessage, TaskKind, has_meaning_since
from service.usecases.inbound.answer_rows import plan_answer
from service.usecases.inbound.reply import Incoming, Outcome
from service.usecases.people.consent_changes import Evidence, record_consent_event

_AGREED = ("start", "reopen", "confirm")
_OPT_INS = (ConsentKind.CONFIRMED, ConsentKind.DOCUMENTED, ConsentKind.REOPENED)
_STOPS = frozenset({"stop", "wrong_number"})
_NEWER_WORDS: dict[Keyword, tuple[str, ...]] = {
    Keyword.START: ("pause",),
    Keyword.PAUSE: ("pause", "resume", "start"),
    Keyword.RESUME: ("pause", "resume", "start"),
    Keyword.LANG: ("language",),
    Keyword.MORE: ("more", "less"),
    Keyword.LESS: ("more", "less"),
    Keyword.TIME: ("time",),
    Keyword.KEEP: ("keep",),
}
"""What a later text of the same person may have been taken as that makes an older one pointless."""

_CALLS_FOR_HELP = frozenset({Keyword.HELP, Keyword.INFO})


def mark_found(session: Session, inbound_id: int, now: datetime) -> None:
    """Remember that a text did not come by its webhook."""
    session.execute(update(InboundMessage).where(InboundMessage.id == inbound_id).values(found_at=now))


def was_asked_by(session: Session, conversation_id: int | None, said_at: datetime) -> bool:
    """Whether the question that is open now had been put when the person wrote: only then is it answered."""
    if conversation_id is None:
        return False
    opened = select(Conversation.opened_at).where(Conversation.id == conversation_id)
    answered = select(Answer.answered_at).where(Answer.conversation_id == conversation_id)
    return all(at <= said_at for query in (opened, answered) for at in session.scalars(query))


def find_outdated(incoming: Incoming) -> Outcome | None:
    """What a text comes to that a newer word of the same person has overtaken; None if it still counts.

    The newer word wins, whichever we learned of first. A stop that was overtaken is kept as evidence all the
    same, and staff read what was found.
    """
    reading = incoming.reading
    if reading.is_stop or reading.is_wrong_number:
        return _keep_stop(incoming) if _has_agreed_since(incoming) else None
    if reading.keyword is None or not _is_overtaken(incoming, reading.keyword):
        return None
    incoming.note_task(TaskKind.NEEDS_REPLY, "found_after_newer")
    return Outcome("outdated")


def _keep_stop(incoming: Incoming) -> Outcome:
    row = incoming.row
    evidence = Evidence(ConsentChannel.SMS, "participant", row.provider_message_id, row.received_at)
    record_consent_event(
        incoming.session,
        ConsentKind.OPTED_OUT,
        evidence,
        incoming.now,
        participant=incoming.participant,
        suppression=incoming.suppression,
    )
    incoming.note_task(TaskKind.NEEDS_REPLY, "stop_before_newer_start")
    return Outcome("outdated")


def _has_agreed_since(incoming: Incoming) -> bool:
    """Whether the person has asked for texts again after they wrote this: when they did, not when we knew.

    The provider's clock tells when they wrote this, ours when they asked again: where the two may differ by
    more than lies between, the stop wins.
    """
    since = incoming.row.received_at + CLOCK_SKEW
    if _wrote_since(incoming, _AGREED, since):
        return True
    if incoming.participant is None:
        return False
    query = select(ConsentEvent.id).where(
        ConsentEvent.participant_id == incoming.participant.id,
        ConsentEvent.kind.in_(_OPT_INS),
        ConsentEvent.expressed_at > since,
    )
    return incoming.session.scalars(query.limit(1)).first() is not None


def _is_overtaken(incoming: Incoming, keyword: Keyword) -> bool:
    said_at, suppression = incoming.row.received_at, incoming.suppression
    if keyword is Keyword.START and incoming.is_opted_out and suppression is not None:
        return suppression.opted_out_at > said_at
    asked_at = incoming.participant.opt_in_asked_at if incoming.participant else None
    if keyword in (Keyword.START, Keyword.YES) and asked_at is not None and asked_at > said_at:
        return True  # nothing had been asked yet, so it agrees to nothing
    return _wrote_since(incoming, _NEWER_WORDS.get(keyword, ()), said_at)


def _wrote_since(incoming: Incoming, meanings: Sequence[str], since: datetime) -> bool:
    hashes = incoming.context.keyring.hash_all(incoming.phone.e164)
    return any(has_meaning_since(incoming.session, hashes, meaning, since) for meaning in meanings)


def plan_late_answer(incoming: Incoming, outcome: Outcome) -> None:
    """Queue the answer to a text that was found, unless the provider gave one or it comes too late to send.

    A confirmation of a stop goes within five minutes of the stop or not at all. Any other answer that is too
    late is a row that expires, and a task for staff: somebody waited for it.
    """
    reply = outcome.reply
    if reply is None or (_has_provider_answered(incoming) and not reply.must_arrive):
        return
    is_confirmation = outcome.meaning in _STOPS
    if is_confirmation:
        reply = replace(reply, kind=MessageKind.OPT_OUT_REPLY)
    is_too_late = incoming.now - incoming.row.received_at >= _useful_for(reply.kind)
    if is_too_late and is_confirmation:
        return
    if is_too_late:
        incoming.note_task(TaskKind.NEEDS_REPLY, "found_too_late")
    plan_answer(incoming, reply)


def _useful_for(kind: MessageKind) -> timedelta:
    return KIND_RULES[kind].useful_for


def _has_provider_answered(incoming: Incoming) -> bool:
    """Records do not say whether the provider's own opt-out handling answered, as the webhook does.

    So with advanced handling its standard words count as answered, all but calls for help: hotlines twice are
    better than none.
    """
    mode, reading = incoming.context.settings.optout_mode, incoming.reading
    if mode is OptOutMode.ADVANCED:
        return reading.is_provider_word and reading.keyword not in _CALLS_FOR_HELP
    return has_provider_answered(mode, reading, None)
