"""STOP, START, YES and JOIN in all their wordings: what they change and what is answered."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from service.domain.consent import (
    JoinDecision,
    StartDecision,
    decide_join,
    decide_start,
    is_opt_in_open,
)
from service.domain.keywords import Keyword, normalize
from service.domain.local_time import local_date
from service.domain.phone import is_toll_free
from service.domain.program import Program
from service.store.consent import ConsentChannel, ConsentKind
from service.store.inbound import TaskKind
from service.store.participants import (
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    list_open_enrollments,
)
from service.store.service_state import list_programs
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.people.confirmation_request import has_unsent_request
from service.usecases.people.consent_changes import (
    Evidence,
    NewParticipant,
    Wording,
    add_enrollment,
    add_participant,
    ask_for_consent,
    confirm_consent,
    days_in_program,
    lift_suppression,
    opt_out,
    plan_from,
    read_standing,
    record_consent_event,
)
from service.usecases.people.wording import frequency_of, render_opt_in_request

DEFAULT_PROGRAM = "first-year"
TOLL_FREE_START_WORDS = frozenset({"start", "unstop"})
CALL_AFTER_STOP_WITHIN_DAYS = 90
"""Somebody who leaves in the first ninety days gets a call (guidance: at least ninety days of support)."""


def stop(incoming: Incoming) -> Outcome:
    """Opt out at once. One confirmation ever; a stop inside a longer text is also read by a human."""
    session, participant = incoming.session, incoming.participant
    day = days_in_program(session, participant, incoming.now) if participant else None
    is_new = _opt_out(incoming, "stop")
    if day is not None and day <= CALL_AFTER_STOP_WITHIN_DAYS and is_new:
        incoming.note_task(TaskKind.CALL, "opted_out_early")
    if not incoming.reading.is_exact:
        incoming.note_task(TaskKind.NEEDS_REPLY, "stop_in_free_text")
    return Outcome("stop", Reply(("reply/stop",)) if is_new else None)


def wrong_number(incoming: Incoming) -> Outcome:
    """Not the person we meant: stop, say nothing about anybody, tell staff."""
    is_new = _opt_out(incoming, "wrong_number")
    incoming.note_task(TaskKind.WRONG_NUMBER, "wrong_number")
    return Outcome("wrong_number", Reply(("reply/wrong-number",)) if is_new else None)


def stay_silent(incoming: Incoming) -> Outcome:
    """Somebody who opted out wrote: a human reads it, nothing goes back."""
    incoming.note_task(TaskKind.OPTED_OUT_WROTE, "opted_out_wrote")
    return Outcome("opted_out_wrote")


def start(incoming: Incoming) -> Outcome:
    """START, UNSTOP and their Spanish words.

    After a stop, a toll-free carrier lets texts through again only after its own two words (provider guide on
    toll-free opt-out): with any other we would think somebody back whom nothing reaches.
    """
    is_carrier_word = normalize(incoming.body) in TOLL_FREE_START_WORDS
    if incoming.is_opted_out and is_toll_free(incoming.row.sent_to) and not is_carrier_word:
        return stay_silent(incoming)
    participant = incoming.participant
    facts = read_standing(participant, incoming.suppression)
    decision = decide_start(facts, has_profile=participant is not None and participant.erased_at is None)
    is_unasked = (
        decision is StartDecision.CONFIRM
        and participant is not None
        and has_unsent_request(incoming.session, participant.id)
    )
    if decision is StartDecision.EXPLAIN_JOINING or participant is None or is_unasked:
        lift_suppression(incoming.suppression, incoming.row.received_at)
        return Outcome("start", Reply(("reply/start-unknown",)))
    if decision is StartDecision.CONFIRM:
        return _confirm(incoming, participant)
    if decision is StartDecision.REOPEN:
        return _reopen(incoming, participant)
    participant.paused_until = None
    return Outcome("start", Reply(("admin/already-joined",)))


def confirm_if_asked(incoming: Incoming) -> Outcome | None:
    """YES (and its kin) as consent, but only once consent was asked: a request that waits asks nothing."""
    participant = incoming.participant
    if incoming.reading.keyword is not Keyword.YES or participant is None:
        return None
    if not is_opt_in_open(participant.opt_in_asked_at, incoming.now):
        return None
    if has_unsent_request(incoming.session, participant.id):
        return None
    return _confirm(incoming, participant)


def say_yes(_incoming: Incoming) -> Outcome:
    """YES while nothing was asked."""
    return Outcome("yes", Reply(("reply/nothing-to-confirm",)))


def join(incoming: Incoming) -> Outcome:
    """JOIN alone joins the default program, JOIN with a code or a program's own word another."""
    programs = list_programs(incoming.session)
    argument = incoming.reading.argument
    program = _find_program(programs, argument) if argument else programs.get(DEFAULT_PROGRAM)
    if program is None:
        return Outcome("join", Reply(("reply/join-unknown-code",)))
    return _join(incoming, program)


def join_by_own_word(incoming: Incoming) -> Outcome | None:
    """A program's own word, alone, joins it."""
    word = normalize(incoming.body)
    if not word or " " in word or len(word) > 40:
        return None
    program = _find_program(list_programs(incoming.session), word, own_word_only=True)
    return _join(incoming, program) if program else None


def _find_program(programs: dict[str, Program], word: str, *, own_word_only: bool = False) -> Program | None:
    wanted = normalize(word)
    for program in programs.values():
        if wanted == normalize(program.word) or (not own_word_only and wanted == normalize(program.id)):
            return program
    return None


def _join(incoming: Incoming, program: Program) -> Outcome:
    session, participant = incoming.session, incoming.participant
    is_enrolled = participant is not None and any(
        row.program_id == program.id and row.status is EnrollmentStatus.ACTIVE
        for row in list_open_enrollments(session, participant.id)
    )
    decision = decide_join(read_standing(participant, incoming.suppression, is_enrolled=is_enrolled))
    if decision is JoinDecision.STAY_SILENT:
        return stay_silent(incoming)
    if decision is JoinDecision.ALREADY_JOINED:
        return Outcome("join", Reply(("admin/already-joined",)))
    if participant is None:
        participant = incoming.participant = _new_participant(incoming)
    add_enrollment(session, participant, program.id, incoming.now)
    wording = render_opt_in_request(incoming.context, participant, program)
    ask_for_consent(session, participant, program.id, _evidence(incoming), wording, incoming.now)
    return Outcome("join", _opt_in_reply(wording, program, participant))


def _opt_in_reply(wording: Wording, program: Program, participant: Participant) -> Reply:
    return Reply(
        (wording.text_id,), {"frequency": frequency_of(program, participant.language)}, must_arrive=True
    )


def _new_participant(incoming: Incoming) -> Participant:
    new = NewParticipant(incoming.phone, incoming.context.settings.org_timezone, is_zone_confirmed=False)
    return add_participant(incoming.session, incoming.context.keyring, new, incoming.now)


def _confirm(incoming: Incoming, participant: Participant) -> Outcome:
    confirm_consent(incoming.session, participant, ConsentKind.CONFIRMED, _evidence(incoming), incoming.now)
    return Outcome("confirm", _welcome(incoming, participant))


def _welcome(incoming: Incoming, participant: Participant) -> Reply:
    programs = list_programs(incoming.session)
    enrollments = list_open_enrollments(incoming.session, participant.id)
    program = programs.get(enrollments[-1].program_id) if enrollments else programs.get(DEFAULT_PROGRAM)
    frequency = frequency_of(program, participant.language)
    return Reply(("admin/welcome",), {"frequency": frequency}, must_arrive=True)


def _reopen(incoming: Incoming, participant: Participant) -> Outcome:
    session, now = incoming.session, incoming.now
    lift_suppression(incoming.suppression, incoming.row.received_at)
    enrollments = list_open_enrollments(session, participant.id)
    today = local_date(now, ZoneInfo(participant.timezone))
    for enrollment in enrollments:
        if enrollment.status is EnrollmentStatus.WAITING:
            enrollment.anchor_on = enrollment.discharge_on or today
        enrollment.status = EnrollmentStatus.ACTIVE
        enrollment.started_on, enrollment.started_at = today, now
    participant.status = ParticipantStatus.ACTIVE
    participant.paused_until = None
    plan_from(participant, now)
    record_consent_event(
        session,
        ConsentKind.REOPENED,
        _evidence(incoming),
        now,
        participant=participant,
        suppression=incoming.suppression,
    )
    return Outcome("reopen", Reply(("reply/start",)))


def _opt_out(incoming: Incoming, reason: str) -> bool:
    return opt_out(
        incoming.session,
        incoming.context.keyring,
        incoming.phone,
        incoming.participant,
        _evidence(incoming),
        incoming.now,
        reason=reason,
    )


def _evidence(incoming: Incoming) -> Evidence:
    return Evidence(
        ConsentChannel.SMS, "participant", incoming.row.provider_message_id, incoming.row.received_at
    )
