"""KEEP: going on after the program's own end, and what else means it while we ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select

from service.domain.delivery import ON_ITS_WAY, STOPPABLE
from service.domain.keywords import Keyword
from service.domain.program import OnlyIf, Program
from service.store.consent import ConsentChannel, ConsentKind
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant
from service.store.service_state import list_programs
from service.usecases.inbound.found_late import was_asked_by
from service.usecases.inbound.reply import Incoming, Outcome, Reply
from service.usecases.inbound.rhythm_words import today_of
from service.usecases.people.consent_changes import Evidence, Wording, record_consent_event
from service.usecases.sending.due_people import VoidText, planned_on
from service.usecases.sending.void import plan_again, void_texts

KEEP_FROM = 30
"""How many days before a program's end KEEP is understood."""
KEEP_UNTIL = 14
"""How many days after it: what has ended begins again."""

_QUESTIONS = ("admin/keep-question", "admin/keep-reminder")


@dataclass(frozen=True, slots=True)
class _Ending:
    """An enrollment about to end or just over, and the question that was put about it, if one was."""

    enrollment: Enrollment
    program: Program
    question: Message | None


def keep(incoming: Incoming) -> Outcome:
    """Go on after the program's own end. Kept as a declaration of consent, with the text that gave it."""
    participant = incoming.active_participant
    if participant is None:
        return Outcome("keep", Reply(("reply/not-joined",)))
    ending = _list_ending(incoming, participant)
    if not ending and not _has_kept(incoming, participant):
        return Outcome("keep", Reply(("reply/not-now",)))
    return _keep(incoming, participant, ending)


def keep_if_asked(incoming: Incoming) -> Outcome | None:
    """YES, RESUME without a pause, "keep going": KEEP in other words, but only while that question stands.

    YES and RESUME answer what was asked last, so a check-in question that came later goes first.
    """
    participant = incoming.active_participant
    if participant is None or not incoming.reading.may_keep:
        return None
    if incoming.reading.keyword is Keyword.RESUME and _is_paused(participant, incoming.now):
        return None
    asked = [one for one in _list_ending(incoming, participant) if one.question is not None]
    if not asked or (incoming.reading.keyword is not None and _was_asked_since(incoming, asked)):
        return None
    return _keep(incoming, participant, asked)


def _keep(incoming: Incoming, participant: Participant, ending: list[_Ending]) -> Outcome:
    today = today_of(participant, incoming)
    for one in ending:
        _go_on(incoming, participant, one, today)
    if ending:
        plan_again(participant, incoming.now)
    return Outcome("keep", Reply(("admin/kept",), must_arrive=True))


def _go_on(incoming: Incoming, participant: Participant, ending: _Ending, today: date) -> None:
    enrollment = ending.enrollment
    enrollment.kept_on = today
    if enrollment.status is EnrollmentStatus.COMPLETED or _is_over(ending, today):
        enrollment.status, enrollment.ended_at = EnrollmentStatus.ACTIVE, None
        enrollment.started_on, enrollment.started_at = today, incoming.now  # nothing was owed meanwhile
    _take_questions_back(incoming, ending)
    row = incoming.row
    record_consent_event(
        incoming.session,
        ConsentKind.KEPT,
        Evidence(ConsentChannel.SMS, "participant", row.provider_message_id, row.received_at),
        incoming.now,
        participant=participant,
        program_id=enrollment.program_id,
        wording=_wording_of(ending.question),
    )


def _is_over(ending: _Ending, today: date) -> bool:
    anchor_on = ending.enrollment.anchor_on
    return anchor_on is not None and (today - anchor_on).days > ending.program.days


def _take_questions_back(incoming: Incoming, ending: _Ending) -> None:
    """Cancel what waits for this enrollment and is only for those who do not go on, and the question."""
    steps = {step.id for step in ending.program.steps if step.only is OnlyIf.NOT_KEPT}
    query = select(Message.id, Message.dedupe_key, Message.local_on, Message.text_id).where(
        Message.participant_id == ending.enrollment.participant_id,
        Message.source == f"e{ending.enrollment.id}",
        Message.state.in_(STOPPABLE),
    )
    voids = [
        VoidText(row.id, "kept", planned_on(row.dedupe_key, row.local_on))
        for row in incoming.session.execute(query)
        if row.dedupe_key.split(":")[3] in steps or row.text_id in _QUESTIONS
    ]
    void_texts(incoming.session, voids, incoming.now)


def _list_ending(incoming: Incoming, participant: Participant) -> list[_Ending]:
    """What may be kept now and is not yet: in its last days, or over for a few."""
    programs, today = list_programs(incoming.session), today_of(participant, incoming)
    query = (
        select(Enrollment)
        .where(
            Enrollment.participant_id == participant.id,
            Enrollment.status.in_((EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)),
        )
        .order_by(Enrollment.id)
    )
    enrollments = incoming.session.scalars(query).all()
    newest = {one.program_id: one.id for one in enrollments}
    return [
        _Ending(one, programs[one.program_id], _find_question(incoming, one))
        for one in enrollments
        if one.program_id in programs
        and newest[one.program_id] == one.id
        and _may_keep(one, programs[one.program_id], today)
    ]


def _may_keep(enrollment: Enrollment, program: Program, today: date) -> bool:
    if enrollment.kept_on is not None or enrollment.anchor_on is None or program.kept_days <= program.days:
        return False
    day = (today - enrollment.anchor_on).days
    return program.days - KEEP_FROM <= day <= program.days + KEEP_UNTIL


def _has_kept(incoming: Incoming, participant: Participant) -> bool:
    """Whether they go on already: who says it twice hears the same again, and it is recorded once."""
    query = select(Enrollment.id).where(
        Enrollment.participant_id == participant.id,
        Enrollment.status == EnrollmentStatus.ACTIVE,
        Enrollment.kept_on.is_not(None),
    )
    return incoming.session.scalars(query.limit(1)).first() is not None


def _find_question(incoming: Incoming, enrollment: Enrollment) -> Message | None:
    """The question about going on that was last sent to them before they wrote."""
    query = (
        select(Message)
        .where(
            Message.participant_id == enrollment.participant_id,
            Message.source == f"e{enrollment.id}",
            Message.text_id.in_(_QUESTIONS),
            Message.state.in_(ON_ITS_WAY),
            func.coalesce(Message.accepted_at, Message.send_after) <= incoming.row.received_at,
        )
        .order_by(Message.send_after.desc(), Message.id.desc())
    )
    return incoming.session.scalars(query.limit(1)).first()


def _wording_of(question: Message | None) -> Wording | None:
    if question is None:
        return None
    return Wording(question.text_id, question.text_version or 1, question.body or "")


def _was_asked_since(incoming: Incoming, asked: list[_Ending]) -> bool:
    """Whether another question, the one that is open, was put after ours."""
    if incoming.open_conversation_id is None:
        return False
    ours = max(one.question.accepted_at or one.question.send_after for one in asked if one.question)
    return not was_asked_by(incoming.session, incoming.open_conversation_id, ours)


def _is_paused(participant: Participant, now: datetime) -> bool:
    return participant.paused_until is not None and participant.paused_until > now
