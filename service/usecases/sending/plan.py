"""Plan what is due: each due person's local days, as message rows that exist before anything is sent.

Steps, all in one transaction a batch: claim people whose next day has come (rows locked, locked ones
skipped, so any number of workers share the work); decide their days; insert the texts, each unique by what
it is for; move every person to their next day with anything to say. Committed together: a crash loses and
doubles nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, auto
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from service.domain.day_plan import PlannedText, plan_day
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES
from service.domain.local_time import local_date, start_of_day
from service.domain.program import Program
from service.store.base import table_of
from service.store.bulk import add_planned, move_planning
from service.store.database import DATABASE_AWAY
from service.store.inbound import TaskKind, add_task, has_open_task
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
)
from service.usecases.context import Context
from service.usecases.sending.candidates import (
    DuePerson,
    Sources,
    list_candidates,
    next_day_to_plan,
)
from service.usecases.sending.choices import load_choices
from service.usecases.sending.due_people import (
    COUNTED,
    ExistingTexts,
    claim_people,
    load_existing,
)
from service.usecases.sending.edits import apply_changes
from service.usecases.sending.speakers import load_sources, load_speakers
from service.usecases.sending.steps import Step, take_step
from service.usecases.sending.void import void_texts

log = structlog.get_logger(__name__)

BATCH = 500
SIDE_BY_SIDE = 3
EVERYBODY = 20
"""When so many in a row cannot be planned, the fault is not in their rows, and nobody else is set aside."""

TRY_AGAIN_AFTER = timedelta(hours=1)
_PARTICIPANTS = table_of(Participant)


@dataclass(slots=True)
class PlanCounts:
    """What one planning run did."""

    people: int = 0
    planned: int = 0
    held: int = 0
    expired: int = 0

    def add(self, other: PlanCounts) -> None:
        """Count what another run did as well."""
        self.people += other.people
        self.planned += other.planned
        self.held += other.held
        self.expired += other.expired


def plan_due(context: Context, now: datetime) -> PlanCounts:
    """Plan everybody who is due at `now` (aware UTC), batch by batch; commits after each batch.

    Before that, edits that nobody finished applying are applied: they make people due.
    """
    _apply_changes(context, now)
    counts = PlanCounts()
    if _plan_batch(context, now, counts) < BATCH:
        return counts
    # Half of the time is waiting for the database: meanwhile another batch is decided. SQLite has one writer.
    side_by_side = 1 if context.database.is_sqlite else SIDE_BY_SIDE
    with ThreadPoolExecutor(side_by_side) as threads:
        runs = [threads.submit(_plan_batches, context, now) for _ in range(side_by_side)]
    for run in runs:
        counts.add(run.result())
    return counts


def _apply_changes(context: Context, now: datetime) -> None:
    try:
        apply_changes(context, now)
    except DATABASE_AWAY:
        raise
    except Exception as fault:  # one edit must not keep everybody from being planned
        log.exception("edit_fault", exc_info=False, fault=type(fault).__name__)


def _plan_batches(context: Context, now: datetime) -> PlanCounts:
    counts = PlanCounts()
    while _plan_batch(context, now, counts) == BATCH:
        pass
    return counts


def _plan_batch(context: Context, now: datetime, counts: PlanCounts) -> int:
    """Plan up to BATCH people; returns how many were. One whose day cannot be planned holds up nobody.

    Raises what the database raises when it is not there, and a fault that is not in anybody's row.
    """
    claimed: list[int] = []
    try:
        with context.database.begin() as session:
            people = claim_people(session, now, BATCH, claimed)
            _plan_people(context, session, people, now, counts)
            return len(people)
    except DATABASE_AWAY:
        raise
    except Exception as fault:
        log.exception("plan_fault", exc_info=False, fault=type(fault).__name__)
        if not claimed:
            raise
    fates = Counter[_Fate]()
    for one in claimed:
        is_everybody = fates[_Fate.SET_ASIDE] >= EVERYBODY and not fates[_Fate.PLANNED]
        fates[_plan_alone(context, one, now, counts, is_everybody=is_everybody)] += 1
    return len(claimed) if fates[_Fate.PLANNED] + fates[_Fate.SET_ASIDE] else 0


class _Fate(Enum):
    """What became of one person of a batch that failed."""

    PLANNED = auto()
    SET_ASIDE = auto()
    TAKEN = auto()


def _plan_alone(
    context: Context, participant_id: int, now: datetime, counts: PlanCounts, *, is_everybody: bool
) -> _Fate:
    """Plan one person, unless somebody else has them meanwhile; set aside whose day cannot be planned.

    Raises when it is nobody's row but ours.
    """
    try:
        with context.database.begin() as session:
            people = claim_people(session, now, 1, only_id=participant_id)
            _plan_people(context, session, people, now, counts)
            return _Fate.PLANNED if people else _Fate.TAKEN
    except DATABASE_AWAY:
        raise
    except Exception as fault:
        log.exception("plan_fault", exc_info=False, fault=type(fault).__name__, participant_id=participant_id)
        if is_everybody:
            raise
        with context.database.begin() as session:
            _set_aside(session, participant_id, now)
        return _Fate.SET_ASIDE


def _set_aside(session: Session, participant_id: int, now: datetime) -> None:
    """Try a person whose day cannot be planned again in an hour, with one open task for staff meanwhile."""
    session.execute(
        update(_PARTICIPANTS)
        .where(_PARTICIPANTS.c.id == participant_id)
        .values(next_plan_at=now + TRY_AGAIN_AFTER)
    )
    if not has_open_task(session, participant_id, "plan_fault"):
        add_task(session, TaskKind.CONFIGURATION, "plan_fault", now, participant_id=participant_id)


def _plan_people(
    context: Context, session: Session, people: dict[int, DuePerson], now: datetime, counts: PlanCounts
) -> None:
    """Plan people who are locked. What runs is read after that lock: see `void.py`."""
    if not people:
        return
    sources = load_sources(session, context)
    load_speakers(session, people, sources)
    existing = load_existing(session, people, sources)
    load_choices(session, people, existing, sources, now)
    void_texts(session, [one for mine in existing.values() for one in mine.void], now)
    rows: list[dict[str, Any]] = []
    moves: list[tuple[int, date, datetime | None]] = []
    for person in people.values():
        through = local_date(now, person.zone)
        next_on = _plan_person(session, person, sources, existing[person.id], now, through, rows)
        moves.append((person.id, through, start_of_day(next_on, person.zone) if next_on else None))
        _complete_enrollments(session, person, sources.programs, through)
    if rows:
        add_planned(session, rows, now)
    move_planning(session, moves)
    _count(counts, people, rows)


def _plan_person(
    session: Session,
    person: DuePerson,
    sources: Sources,
    existing: ExistingTexts,
    now: datetime,
    today: date,
    rows: list[dict[str, Any]],
) -> date | None:
    """Append the rows of every day from the first unplanned one to `today`; returns the next day to plan.

    However long nothing ran, no day is left out: what came to nothing is a row with its reason.
    """
    through = person.planned_through or today
    first = min(through + timedelta(days=1), today, *(one.planned_on for one in existing.void))
    is_today = first == today and person.is_active
    on = today if is_today else next_day_to_plan(person, sources, first - timedelta(days=1))
    while on is not None and on <= today:
        texts = plan_day(
            on,
            list_candidates(person, sources, on),
            person.hours,
            existing.keys,
            existing.count_on(on),
            now,
            existing.seated.get(on, ()),
            has_asked=on in existing.asked,
        )
        for text in texts:
            existing.keys.add(text.candidate.key)
            if text.message_id is None:
                rows.append(_row(person, text, now))
            else:
                existing.seated[on] = [
                    one for one in existing.seated[on] if one.message_id != text.message_id
                ]
                _displace(session, text, text.message_id, now)
            if text.state in COUNTED and KIND_RULES[text.candidate.kind].is_capped:
                existing.capped.append(text.local_on)
        on = next_day_to_plan(person, sources, on)
    return on


def _displace(session: Session, text: PlannedText, message_id: int, now: datetime) -> None:
    """Take a text's place away for one of higher precedence, unless a worker has it already."""
    changes = {
        "send_after": text.send_after,
        "send_before": text.send_before,
        "due_at": text.due_at,
        "local_on": text.local_on,
    }
    take_step(session, Step(message_id, MessageState.PLANNED, text.state, text.reason, changes=changes), now)


def _row(person: DuePerson, text: PlannedText, now: datetime) -> dict[str, Any]:
    candidate = text.candidate
    is_final = text.state is MessageState.EXPIRED
    return {
        "participant_id": person.id,
        "dedupe_key": candidate.key,
        "source": candidate.source,
        "source_version": candidate.source_version,
        "kind": candidate.kind,
        "lane": KIND_RULES[candidate.kind].lane,
        "text_id": candidate.text_id,
        "check_in_id": candidate.check_in_id,
        "late": candidate.late,
        "local_on": text.local_on,
        "send_after": text.send_after,
        "send_before": text.send_before,
        "due_at": text.due_at,
        "state": text.state,
        "reason": text.reason,
        "final_at": now if is_final else None,
    }


def _complete_enrollments(
    session: Session, person: DuePerson, programs: Mapping[str, Program], through: date
) -> None:
    done = [
        due.enrollment_id
        for due in person.programs
        if due.program_id in programs and due.is_over(programs[due.program_id], through)
    ]
    if done:
        session.execute(
            update(Enrollment).where(Enrollment.id.in_(done)).values(status=EnrollmentStatus.COMPLETED)
        )


def _count(counts: PlanCounts, people: dict[int, DuePerson], rows: Sequence[dict[str, Any]]) -> None:
    counts.people += len(people)
    counts.planned += sum(1 for row in rows if row["state"] is MessageState.PLANNED)
    counts.held += sum(1 for row in rows if row["state"] is MessageState.HELD)
    counts.expired += sum(1 for row in rows if row["state"] is MessageState.EXPIRED)
