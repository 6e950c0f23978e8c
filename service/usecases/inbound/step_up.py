"""After an answer that makes people look, the densest rhythm is back for a while, and staff are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from service.domain.local_time import local_date
from service.domain.program import Cadence, Program
from service.domain.program_answers import GivenAnswer, StepUp, steps_up
from service.store.conversations import Answer, list_answers_since
from service.store.inbound import TaskKind
from service.store.participants import Enrollment
from service.usecases.inbound.reply import Incoming
from service.usecases.inbound.rhythm_words import list_running
from service.usecases.sending.candidates import cadence_of
from service.usecases.sending.void import plan_again


def step_up_by_answers(incoming: Incoming) -> None:
    """Apply each running program's own rule to the answers up to this one. Commits nothing.

    It begins tomorrow: today is planned, and today's answer has had its reply. Where no row would change,
    nothing does, and nobody is told. A longer time that was granted before is never shortened.
    """
    participant = incoming.participant
    if participant is None:
        return
    ruled = [
        (enrollment, program, program.step_up)
        for enrollment, program in list_running(incoming, participant)
        if program.step_up is not None
    ]
    if not ruled:
        return
    zone = ZoneInfo(participant.timezone)
    today = local_date(incoming.now, zone)
    longest = max(rule.within_days for _, _, rule in ruled)
    since = incoming.now - timedelta(days=longest + 1)
    answers = list_answers_since(incoming.session, participant.id, since)
    changed = [
        _step_up(enrollment, program, rule, _list_given(answers, enrollment, zone), today)
        for enrollment, program, rule in ruled
    ]
    if any(changed):
        incoming.note_task(TaskKind.STEPPED_UP, "stepped_up")
        plan_again(participant, incoming.now)


def _list_given(answers: Sequence[Answer], enrollment: Enrollment, zone: ZoneInfo) -> list[GivenAnswer]:
    """The answers that count: those after the person last asked for less."""
    less_at = enrollment.less_at
    return [
        GivenAnswer(row.question_id, row.value, local_date(row.answered_at, zone))
        for row in answers
        if less_at is None or row.answered_at > less_at
    ]


def _step_up(
    enrollment: Enrollment, program: Program, rule: StepUp, answers: Sequence[GivenAnswer], today: date
) -> bool:
    """Whether this changes any day of this enrollment; if so, its row says it from now on."""
    anchor_on = enrollment.anchor_on
    if anchor_on is None or not steps_up(rule, answers, anchor_on, today):
        return False
    now = cadence_of(enrollment)
    then = _bring_back(now, rule, today)
    days = (today + timedelta(days=ahead) for ahead in range(1, rule.for_days + 1))
    if all(
        program.find_row((on - anchor_on).days, on, now) == program.find_row((on - anchor_on).days, on, then)
        for on in days
    ):
        return False
    enrollment.stepped_up_on, enrollment.stepped_up_until = then.stepped_up_on, then.stepped_up_until
    return True


def _bring_back(cadence: Cadence, rule: StepUp, today: date) -> Cadence:
    until = today + timedelta(days=rule.for_days + 1)
    if cadence.stepped_up_until is None or cadence.stepped_up_until <= today:
        return replace(cadence, stepped_up_on=today + timedelta(days=1), stepped_up_until=until)
    return replace(cadence, stepped_up_until=max(until, cadence.stepped_up_until))
