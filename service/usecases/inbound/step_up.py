"""After an answer that makes people look, the densest rhythm is back for a while, and staff are told."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from service.domain.local_time import local_date
from service.domain.program_answers import GivenAnswer, steps_up
from service.store.conversations import list_answers_since
from service.store.inbound import TaskKind
from service.store.participants import EnrollmentStatus, list_open_enrollments
from service.store.service_state import list_programs
from service.usecases.inbound.reply import Incoming
from service.usecases.people.consent_changes import plan_from


def step_up_by_answers(incoming: Incoming) -> None:
    """Apply each running program's own rule to the answers up to this one. Commits nothing.

    It begins tomorrow: today is planned, and today's answer has had its reply. A longer time that was
    granted before is never shortened.
    """
    participant = incoming.participant
    if participant is None:
        return
    programs = list_programs(incoming.session)
    zone = ZoneInfo(participant.timezone)
    today = local_date(incoming.now, zone)
    for enrollment in list_open_enrollments(incoming.session, participant.id):
        program = programs.get(enrollment.program_id)
        if (
            enrollment.status is not EnrollmentStatus.ACTIVE
            or enrollment.anchor_on is None
            or program is None
        ):
            continue
        rule = program.step_up
        if rule is None:
            continue
        since = incoming.now - timedelta(days=rule.within_days + 1)
        answers = [
            GivenAnswer(row.question_id, row.value, local_date(row.answered_at, zone))
            for row in list_answers_since(incoming.session, participant.id, since)
        ]
        if not steps_up(rule, answers, enrollment.anchor_on, today):
            continue
        until = today + timedelta(days=rule.for_days + 1)
        if enrollment.stepped_up_until is None or enrollment.stepped_up_until <= today:
            enrollment.stepped_up_on = today + timedelta(days=1)
        enrollment.stepped_up_until = max(until, enrollment.stepped_up_until or until)
        incoming.note_task(TaskKind.STEPPED_UP, "stepped_up")
        plan_from(participant, incoming.now)
