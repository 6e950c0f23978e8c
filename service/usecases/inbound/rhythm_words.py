"""MORE, LESS, TIME and KEEP: what a person may change about how often and when they are texted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from service.domain.local_time import local_date
from service.domain.program import Cadence, Program
from service.domain.time_of_day import TimeOfDay
from service.store.consent import ConsentChannel, ConsentKind
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    list_open_enrollments,
)
from service.store.service_state import list_programs
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.people.consent_changes import Evidence, plan_from, record_consent_event

KEEP_FROM = 30
"""How many days before a program's end KEEP is understood."""


def less(incoming: Incoming) -> Outcome:
    """One row of the program sparser; safety texts go on. Asked for by who would else have said STOP (B1)."""
    return _shift(incoming, "less", 1)


def more(incoming: Incoming) -> Outcome:
    """One row of the program denser."""
    return _shift(incoming, "more", -1)


def choose_time(incoming: Incoming) -> Outcome:
    """TIME asks; TIME 1, 2, 3 or the word sets the part of the day in which texts of the program go."""
    participant = _active(incoming)
    if participant is None:
        return Outcome("time", Reply(("reply/not-joined",)))
    argument = incoming.reading.argument
    if argument is None:
        return Outcome("time", Reply(("reply/time",)))
    participant.time_of_day = TimeOfDay(argument)
    plan_from(participant, incoming.now)
    return Outcome("time", Reply((f"reply/time-{argument}",)))


def keep(incoming: Incoming) -> Outcome:
    """Go on after the program's own end. Kept as a declaration of consent, with the text that gave it."""
    participant = _active(incoming)
    if participant is None:
        return Outcome("keep", Reply(("reply/not-joined",)))
    today = _today(participant, incoming)
    ending = [
        enrollment
        for enrollment, program in _running(incoming, participant)
        if program.kept_days > program.days
        and enrollment.anchor_on is not None
        and (today - enrollment.anchor_on).days >= program.days - KEEP_FROM
    ]
    if not ending:
        return Outcome("keep", Reply(("reply/not-now",)))
    for enrollment in ending:
        enrollment.kept_on = enrollment.kept_on or today
    evidence = Evidence(
        ConsentChannel.SMS, "participant", incoming.row.provider_message_id, incoming.row.received_at
    )
    record_consent_event(incoming.session, ConsentKind.KEPT, evidence, incoming.now, participant=participant)
    plan_from(participant, incoming.now)
    return Outcome("keep", Reply(("admin/kept",)))


def _shift(incoming: Incoming, word: str, by: int) -> Outcome:
    participant = _active(incoming)
    if participant is None:
        return Outcome(word, Reply(("reply/not-joined",)))
    today = _today(participant, incoming)
    moved = [_move(enrollment, program, by, today) for enrollment, program in _running(incoming, participant)]
    if not any(moved):
        return Outcome(word, Reply(("reply/least" if by > 0 else "reply/most",)))
    plan_from(participant, incoming.now)
    return Outcome(word, Reply((f"reply/{word}",)))


def _move(enrollment: Enrollment, program: Program, by: int, today: date) -> bool:
    """Move one row, if there is one in that direction; who was stepped up and asks for less gets less."""
    if enrollment.anchor_on is None:
        return False
    day = (today - enrollment.anchor_on).days
    now = cadence_of(enrollment)
    then = replace(now, shift=now.shift + by)
    if by > 0 and now.is_stepped_up(today):
        then = replace(now, stepped_up_until=today)
    if program.find_row(day, today, now) == program.find_row(day, today, then):
        return False
    enrollment.cadence_shift, enrollment.stepped_up_until = then.shift, then.stepped_up_until
    return True


def cadence_of(enrollment: Enrollment) -> Cadence:
    """What an enrollment's row says about its rhythm."""
    return Cadence(
        enrollment.cadence_shift,
        enrollment.stepped_up_on,
        enrollment.stepped_up_until,
        enrollment.kept_on is not None,
    )


def _running(incoming: Incoming, participant: Participant) -> list[tuple[Enrollment, Program]]:
    programs = list_programs(incoming.session)
    return [
        (enrollment, programs[enrollment.program_id])
        for enrollment in list_open_enrollments(incoming.session, participant.id)
        if enrollment.status is EnrollmentStatus.ACTIVE and enrollment.program_id in programs
    ]


def _today(participant: Participant, incoming: Incoming) -> date:
    return local_date(incoming.now, ZoneInfo(participant.timezone))


def _active(incoming: Incoming) -> Participant | None:
    participant = incoming.participant
    if participant is None or participant.status is not ParticipantStatus.ACTIVE:
        return None
    return participant
