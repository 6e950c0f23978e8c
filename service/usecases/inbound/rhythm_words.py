"""MORE, LESS and TIME: what a person may change about how often and when they are texted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

from service.domain.local_time import local_date
from service.domain.program import Program
from service.domain.time_of_day import TimeOfDay
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    list_open_enrollments,
)
from service.store.service_state import list_programs
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.sending.candidates import cadence_of
from service.usecases.sending.void import plan_again


def less(incoming: Incoming) -> Outcome:
    """One row of the program sparser; safety texts go on. Asked for by who would else have said STOP (B1)."""
    participant = incoming.active_participant
    if participant is None:
        return Outcome("less", Reply(("reply/not-joined",)))
    today = today_of(participant, incoming)
    said_at = incoming.row.received_at
    moved = []
    for enrollment, program in list_running(incoming, participant):
        enrollment.less_at = said_at
        moved.append(_move_sparser(enrollment, program, today))
    return _answer_shift(incoming, participant, "less", "reply/least", is_moved=any(moved))


def more(incoming: Incoming) -> Outcome:
    """One row of the program denser."""
    participant = incoming.active_participant
    if participant is None:
        return Outcome("more", Reply(("reply/not-joined",)))
    today = today_of(participant, incoming)
    moved = [
        _move_denser(enrollment, program, today)
        for enrollment, program in list_running(incoming, participant)
    ]
    return _answer_shift(incoming, participant, "more", "reply/most", is_moved=any(moved))


def choose_time(incoming: Incoming) -> Outcome:
    """TIME asks, and so does a time we do not offer; TIME with a part of the day sets when texts go."""
    participant = incoming.active_participant
    if participant is None:
        return Outcome("time", Reply(("reply/not-joined",)))
    argument = incoming.reading.argument
    if argument is None:
        return Outcome("time", Reply(("reply/time",)))
    participant.time_of_day = TimeOfDay(argument)
    plan_again(participant, incoming.now)
    return Outcome("time", Reply((f"reply/time-{argument}",)))


def _answer_shift(
    incoming: Incoming, participant: Participant, word: str, at_end: str, *, is_moved: bool
) -> Outcome:
    if not is_moved:
        return Outcome(word, Reply((at_end,)))
    plan_again(participant, incoming.now)
    return Outcome(word, Reply((f"reply/{word}",)))


def _move_sparser(enrollment: Enrollment, program: Program, today: date) -> bool:
    """End a step-up, also one that begins tomorrow; move a row where that alone changes nothing today."""
    if enrollment.anchor_on is None:
        return False
    day = (today - enrollment.anchor_on).days
    before = cadence_of(enrollment)
    if enrollment.stepped_up_until is not None and enrollment.stepped_up_until > today:
        enrollment.stepped_up_on = enrollment.stepped_up_until = None
    after = replace(
        before, stepped_up_on=enrollment.stepped_up_on, stepped_up_until=enrollment.stepped_up_until
    )
    if program.find_row(day, today, before) != program.find_row(day, today, after):
        return True
    return _shift(enrollment, program.find_shift(day, after, 1))


def _move_denser(enrollment: Enrollment, program: Program, today: date) -> bool:
    """Move a row, unless the densest holds already."""
    cadence = cadence_of(enrollment)
    if enrollment.anchor_on is None or cadence.is_stepped_up(today):
        return False
    return _shift(enrollment, program.find_shift((today - enrollment.anchor_on).days, cadence, -1))


def _shift(enrollment: Enrollment, shift: int | None) -> bool:
    if shift is None:
        return False
    enrollment.cadence_shift = shift
    return True


def list_running(incoming: Incoming, participant: Participant) -> list[tuple[Enrollment, Program]]:
    """The enrollments that run, each with its program."""
    programs = list_programs(incoming.session)
    return [
        (enrollment, programs[enrollment.program_id])
        for enrollment in list_open_enrollments(incoming.session, participant.id)
        if enrollment.status is EnrollmentStatus.ACTIVE and enrollment.program_id in programs
    ]


def today_of(participant: Participant, incoming: Incoming) -> date:
    """The person's local date."""
    return local_date(incoming.now, ZoneInfo(participant.timezone))
