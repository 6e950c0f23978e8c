"""What one row of an imported file does to one person. Called inside the import's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.consent import ImportDecision, Standing, decide_import
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.local_time import local_date
from service.domain.program import Program
from service.store.consent import (
    ConsentChannel,
    ConsentEvent,
    ConsentKind,
    Suppression,
    find_suppression,
    is_suppressed,
)
from service.store.messages import Message
from service.store.participants import (
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    find_participant,
    list_open_enrollments,
)
from service.store.wake import wake_workers
from service.usecases.context import Context
from service.usecases.people.consent_changes import (
    Evidence,
    NewParticipant,
    Wording,
    add_participant,
    ask_for_consent,
    cancel_waiting,
    confirm_consent,
    lift_suppression,
    read_standing,
    record_consent_event,
)
from service.usecases.people.participant_cells import ParticipantRow
from service.usecases.people.person_details import enroll, fill_in
from service.usecases.people.wording import render_opt_in_request, render_written_welcome

FIRST_TEXT_USEFUL_FOR = timedelta(days=14)
"""A list is often imported before going live. What follows a consent is no step of a program that may be
skipped: the request is the person's only one, and the program waits for the welcome."""


class RowOutcome(StrEnum):
    """What became of a row."""

    LISTED = "listed"
    ASKED = "asked"
    WELCOMED = "welcomed"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True, slots=True)
class ImportRun:
    """What all rows of one import share. `source` stands for the file in records that stay readable."""

    context: Context
    programs: dict[str, Program]
    source: str
    by: str
    now: datetime


@dataclass(frozen=True, slots=True)
class RowCase:
    """A row, how its number stands, and what follows."""

    row: ParticipantRow
    participant: Participant | None
    suppression: Suppression | None
    decision: ImportDecision


def decide_row(run: ImportRun, session: Session, row: ParticipantRow) -> RowCase:
    """Look at how the number stands and decide. Changes nothing."""
    keyring = run.context.keyring
    participant = find_participant(session, row.phone, keyring, lock=True)
    suppression = find_suppression(session, row.phone, keyring)
    is_enrolled = participant is not None and any(
        enrollment.program_id == row.program_id and enrollment.status == EnrollmentStatus.ACTIVE
        for enrollment in list_open_enrollments(session, participant.id)
    )
    facts = read_standing(participant, suppression, is_enrolled=is_enrolled)
    decision = decide_import(facts, row.consent, row.consent_at)
    if decision is ImportDecision.LIST_ONLY and facts.standing in (Standing.ASKED, Standing.ACTIVE):
        decision = ImportDecision.KEEP
    if participant is not None and _is_recorded(session, participant, row, decision):
        decision = ImportDecision.KEEP
    return RowCase(row, participant, suppression, decision)


def _is_recorded(
    session: Session, participant: Participant, row: ParticipantRow, decision: ImportDecision
) -> bool:
    """Whether this very consent was acted on before: it starts a program once, also after that has ended."""
    kinds = {
        ImportDecision.ASK: ConsentKind.ASKED,
        ImportDecision.WELCOME: ConsentKind.DOCUMENTED,
    }
    if decision not in kinds:
        return False
    query = select(ConsentEvent.id).where(
        ConsentEvent.participant_id == participant.id,
        ConsentEvent.channel == ConsentChannel.IMPORT,
        ConsentEvent.kind == kinds[decision],
        ConsentEvent.program_id == row.program_id,
        ConsentEvent.expressed_at == row.consent_at,
    )
    return session.scalars(query).first() is not None


def apply_row(run: ImportRun, session: Session, row: ParticipantRow) -> RowOutcome:
    """Decide one row and write what follows."""
    case = decide_row(run, session, row)
    if case.decision is ImportDecision.KEEP_OPTED_OUT:
        return RowOutcome.OPTED_OUT
    if case.decision is ImportDecision.KEEP and case.participant is not None:
        is_changed = fill_in(session, run.context.keyring, case.participant, row, run.now)
        return RowOutcome.UPDATED if is_changed else RowOutcome.UNCHANGED
    participant = case.participant or _add(run, session, row)
    if case.decision is ImportDecision.ASK:
        return _ask(run, session, participant, case)
    if case.decision is ImportDecision.WELCOME:
        return _welcome(run, session, participant, case)
    return _list(run, session, participant, case)


def _add(run: ImportRun, session: Session, row: ParticipantRow) -> Participant:
    new = NewParticipant(
        phone=row.phone,
        timezone=row.timezone or run.context.settings.org_timezone,
        is_zone_confirmed=row.timezone is not None,
        language=row.language or "en",
        name=row.name,
    )
    return add_participant(session, run.context.keyring, new, run.now)


def _list(run: ImportRun, session: Session, participant: Participant, case: RowCase) -> RowOutcome:
    """No consent: known to staff, never texted."""
    is_enrolled = any(
        enrollment.program_id == case.row.program_id
        for enrollment in list_open_enrollments(session, participant.id)
    )
    is_changed = _take_details(run, session, participant, case.row)
    if not is_enrolled:
        record_consent_event(
            session,
            ConsentKind.LISTED,
            _evidence(run, case.row),
            run.now,
            participant=participant,
            program_id=case.row.program_id,
        )
        return RowOutcome.LISTED
    return RowOutcome.UPDATED if is_changed else RowOutcome.UNCHANGED


def _ask(run: ImportRun, session: Session, participant: Participant, case: RowCase) -> RowOutcome:
    """Verbal consent: one request to confirm it, and nothing else until the answer."""
    _reopen(run, session, participant, case)
    _take_details(run, session, participant, case.row)
    wording = render_opt_in_request(run.context, participant, run.programs[case.row.program_id])
    ask_for_consent(session, participant, case.row.program_id, _evidence(run, case.row), wording, run.now)
    # The thirty days to answer begin now, when the request goes out, not when the consent was spoken.
    _plan_text(run, session, participant, case.row, wording, "opt-in")
    return RowOutcome.ASKED


def _welcome(run: ImportRun, session: Session, participant: Participant, case: RowCase) -> RowOutcome:
    """Written consent: the disclosure first, then the program."""
    if participant.status == ParticipantStatus.ASKED:
        cancel_waiting(session, participant.id, "consent_documented", run.now)
    _reopen(run, session, participant, case)
    _take_details(run, session, participant, case.row)
    wording = render_written_welcome(run.context, participant, run.programs[case.row.program_id])
    confirm_consent(session, participant, ConsentKind.DOCUMENTED, _evidence(run, case.row), run.now, wording)
    _plan_text(run, session, participant, case.row, wording, "welcome")
    return RowOutcome.WELCOMED


def _reopen(run: ImportRun, session: Session, participant: Participant, case: RowCase) -> None:
    """Lift a suppression that is older than the consent, and keep the proof of why."""
    if not is_suppressed(case.suppression):
        return
    lift_suppression(case.suppression, run.now)
    if participant.status == ParticipantStatus.OPTED_OUT:
        participant.status = ParticipantStatus.LISTED
    record_consent_event(
        session,
        ConsentKind.REOPENED,
        _evidence(run, case.row),
        run.now,
        participant=participant,
        suppression=case.suppression,
        program_id=case.row.program_id,
    )


def _take_details(run: ImportRun, session: Session, participant: Participant, row: ParticipantRow) -> bool:
    is_discharge_changed = enroll(session, participant, row, run.now)
    return fill_in(session, run.context.keyring, participant, row, run.now) or is_discharge_changed


def _evidence(run: ImportRun, row: ParticipantRow) -> Evidence:
    return Evidence(
        channel=ConsentChannel.IMPORT,
        actor=row.consent_by or run.by,
        source_id=f"{run.source}:{row.number}",
        expressed_at=row.consent_at or run.now,
    )


def _plan_text(
    run: ImportRun,
    session: Session,
    participant: Participant,
    row: ParticipantRow,
    wording: Wording,
    slot: str,
) -> None:
    """Plan the one text that follows a consent; its key names the consent, so it exists once."""
    rule = KIND_RULES[MessageKind.ADMIN]
    given_at = f"{row.consent_at:%Y-%m-%dT%H:%M:%S}" if row.consent_at else ""
    session.add(
        Message(
            participant_id=participant.id,
            dedupe_key=f"p{participant.id}:{participant.id}:{given_at}:{slot}:{row.program_id}",
            source=f"p{participant.id}",
            kind=MessageKind.ADMIN,
            lane=rule.lane,
            text_id=wording.text_id,
            fields={"program": row.program_id},
            local_on=local_date(run.now, ZoneInfo(participant.timezone)),
            send_after=run.now,
            send_before=run.now + FIRST_TEXT_USEFUL_FOR,
            due_at=run.now,
            state=MessageState.PLANNED,
            created_at=run.now,
        )
    )
    session.flush()
    wake_workers(session)
