"""PAUSE, RESUME and the language words: what a person may change about their own texts."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date

from service.domain.local_time import local_date
from service.store.consent import ConsentChannel, ConsentKind
from service.store.inbound import TaskKind
from service.store.participants import Participant
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.people.consent_changes import (
    Evidence,
    days_in_program,
    plan_from,
    record_consent_event,
)

DEFAULT_PAUSE_DAYS = 3
MAX_PAUSE_DAYS = 14
MAX_PAUSE_DAYS_EARLY = 3
EARLY_DAYS = 28
"""In the first four weeks after leaving treatment the risk is highest, so a pause is short and staff are
told (program design, C3)."""


def pause(incoming: Incoming) -> Outcome:
    """No unprompted texts for some days; answers and hotlines go on."""
    participant = incoming.active_participant
    if participant is None:
        return Outcome("pause", Reply(("reply/not-joined",)))
    day = days_in_program(incoming.session, participant, incoming.now)
    is_early = day is not None and day <= EARLY_DAYS
    days = _pause_days(incoming.reading.argument, is_early=is_early)
    until = incoming.now + timedelta(days=days)
    participant.paused_until = until
    _record(incoming, participant, ConsentKind.PAUSED)
    if is_early:
        incoming.note_task(TaskKind.PAUSED_EARLY, "paused_early")
    fields = {"days": str(days), "until": _day(until, participant)}
    return Outcome("pause", Reply(("reply/paused",), fields))


def resume(incoming: Incoming) -> Outcome:
    """End a pause now."""
    participant = incoming.active_participant
    if participant is None:
        return Outcome("resume", Reply(("reply/not-joined",)))
    if participant.paused_until is None or participant.paused_until <= incoming.now:
        return Outcome("resume", Reply(("reply/not-paused",)))
    participant.paused_until = None
    plan_from(participant, incoming.now)
    _record(incoming, participant, ConsentKind.RESUMED)
    return Outcome("resume", Reply(("reply/resumed",)))


def set_language(incoming: Incoming) -> Outcome:
    """Switch the language of everything that follows, this answer included."""
    participant = incoming.participant
    if participant is None:
        return Outcome("language", Reply(("reply/help-unknown",), language=incoming.reading.argument))
    if incoming.reading.argument not in ("en", "es"):
        return Outcome("language", Reply(("reply/language-choices",)))
    participant.language = incoming.reading.argument
    return Outcome("language", Reply(("reply/language",)))


def _pause_days(argument: str | None, *, is_early: bool) -> int:
    longest = MAX_PAUSE_DAYS_EARLY if is_early else MAX_PAUSE_DAYS
    asked = int(argument) if argument and argument.isdecimal() and len(argument) < 5 else DEFAULT_PAUSE_DAYS
    return max(1, min(asked, longest))


def _record(incoming: Incoming, participant: Participant, kind: ConsentKind) -> None:
    evidence = Evidence(
        ConsentChannel.SMS, "participant", incoming.row.provider_message_id, incoming.row.received_at
    )
    record_consent_event(incoming.session, kind, evidence, incoming.now, participant=participant)


_PLAIN_VOWELS = str.maketrans("áíóúÁÍÓÚ", "aiouAIOU")
"""These four are not in GSM-7: one of them would double the segments of the whole text."""


def _day(instant: datetime, participant: Participant) -> str:
    on = local_date(instant, ZoneInfo(participant.timezone))
    return format_date(
        on, "EEE MMM d" if participant.language == "en" else "EEE d MMM", locale=participant.language
    ).translate(_PLAIN_VOWELS)
