"""Plan what is due: each due person's local days, as message rows that exist before anything is sent.

Steps, all in one transaction a batch: claim people whose next day has come (rows locked, locked ones
skipped, so any number of workers share the work); decide their days; insert the texts, each unique by what
it is for; move every person to their next day with anything to say. Committed together: a crash loses and
doubles nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.domain.day_plan import DayCounts, PlannedText, plan_day
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.local_time import local_date, start_of_day
from service.domain.program import Program
from service.store.meetings import ChosenMeeting, Meeting
from service.store.messages import Message
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
)
from service.store.service_state import list_programs
from service.usecases.context import Context
from service.usecases.sending.candidates import (
    DueMeeting,
    DuePerson,
    DueProgram,
    list_candidates,
    next_day_to_plan,
    person_hours,
)

BATCH = 500
_PARTICIPANTS = cast(Table, Participant.__table__)
_MESSAGES = cast(Table, Message.__table__)
MAX_DAYS_BACK = 31
_COUNTED = frozenset(
    {MessageState.PLANNED, MessageState.HELD, MessageState.CLAIMED, MessageState.SENDING}
    | {MessageState.ACCEPTED, MessageState.SENT, MessageState.DELIVERED, MessageState.UNKNOWN}
)


@dataclass(slots=True)
class PlanCounts:
    """What one planning run did."""

    people: int = 0
    planned: int = 0
    held: int = 0
    expired: int = 0


@dataclass(slots=True)
class _Existing:
    keys: set[str] = field(default_factory=set)
    capped: list[date] = field(default_factory=list)


def plan_due(context: Context, now: datetime, *, limit: int | None = None) -> PlanCounts:
    """Plan everybody who is due at `now` (aware UTC), batch by batch; commits after each batch."""
    counts = PlanCounts()
    while limit is None or counts.people < limit:
        size = BATCH if limit is None else min(BATCH, limit - counts.people)
        with context.database.begin() as session:
            done = _plan_batch(session, now, size, counts)
        if done < size:
            break
    return counts


def _plan_batch(session: Session, now: datetime, size: int, counts: PlanCounts) -> int:
    people = _claim(session, now, size)
    if not people:
        return 0
    _load_sources(session, people)
    existing = _load_existing(session, people)
    programs = list_programs(session)
    rows: list[dict[str, Any]] = []
    moves: list[dict[str, Any]] = []
    for person in people.values():
        through = _plan_person(person, programs, existing[person.id], now, rows)
        next_on = next_day_to_plan(person, programs, through)
        moves.append(
            {
                "b_id": person.id,
                "b_through": through,
                "b_next": start_of_day(next_on, person.zone) if next_on else None,
            }
        )
        _complete_enrollments(session, person, programs, through)
    _insert(session, rows)
    session.execute(
        update(_PARTICIPANTS)
        .where(_PARTICIPANTS.c.id == bindparam("b_id"))
        .values(planned_through=bindparam("b_through"), next_plan_at=bindparam("b_next")),
        moves,
    )
    _count(counts, people, rows)
    return len(people)


def _claim(session: Session, now: datetime, size: int) -> dict[int, DuePerson]:
    query = (
        select(
            Participant.id,
            Participant.timezone,
            Participant.zone_is_confirmed,
            Participant.area_timezones,
            Participant.window_opens,
            Participant.window_closes,
            Participant.window_opens_sunday,
            Participant.planned_through,
            Participant.status,
        )
        .where(Participant.next_plan_at <= now)
        .order_by(Participant.next_plan_at)
        .limit(size)
        .with_for_update(skip_locked=True)
    )
    people = {}
    for row in session.execute(query):
        zones, window = person_hours(row)
        people[row.id] = DuePerson(
            id=row.id,
            hours_zones=zones,
            window=window,
            planned_through=row.planned_through,
            is_active=row.status == ParticipantStatus.ACTIVE,
        )
    return people


def _load_sources(session: Session, people: dict[int, DuePerson]) -> None:
    enrollments = session.execute(
        select(
            Enrollment.id,
            Enrollment.participant_id,
            Enrollment.program_id,
            Enrollment.anchor_on,
            Enrollment.started_on,
            Enrollment.started_at,
        ).where(Enrollment.participant_id.in_(people), Enrollment.status == EnrollmentStatus.ACTIVE)
    )
    for row in enrollments:
        people[row.participant_id].programs.append(
            DueProgram(row.id, row.program_id, row.anchor_on, row.started_on, row.started_at)
        )
    meetings = session.execute(
        select(
            ChosenMeeting.id,
            ChosenMeeting.participant_id,
            ChosenMeeting.minutes_before,
            ChosenMeeting.version,
            ChosenMeeting.created_at,
            Meeting.weekday,
            Meeting.starts_at,
            Meeting.timezone,
        )
        .join(Meeting, Meeting.id == ChosenMeeting.meeting_id)
        .where(ChosenMeeting.participant_id.in_(people), ChosenMeeting.ended_at.is_(None))
    )
    for listed in meetings:
        people[listed.participant_id].meetings.append(
            DueMeeting(
                listed.id,
                listed.version,
                listed.weekday,
                listed.starts_at,
                listed.timezone,
                listed.minutes_before,
                listed.created_at,
            )
        )


def _load_existing(session: Session, people: dict[int, DuePerson]) -> dict[int, _Existing]:
    existing: dict[int, _Existing] = defaultdict(_Existing)
    oldest = min((person.planned_through or date.max) for person in people.values())
    since = oldest - timedelta(days=8) if oldest != date.max else None
    query = select(
        Message.participant_id, Message.dedupe_key, Message.kind, Message.state, Message.local_on
    ).where(Message.participant_id.in_(people), Message.state != MessageState.CANCELED)
    if since is not None:
        query = query.where(Message.local_on >= since)
    for row in session.execute(query):
        mine = existing[row.participant_id]
        mine.keys.add(row.dedupe_key)
        if row.state in _COUNTED and KIND_RULES[MessageKind(row.kind)].is_capped and row.local_on:
            mine.capped.append(row.local_on)
    return existing


def _plan_person(
    person: DuePerson,
    programs: dict[str, Program],
    existing: _Existing,
    now: datetime,
    rows: list[dict[str, Any]],
) -> date:
    """Append the rows of every day from the first unplanned one to today; returns the last day planned."""
    today = local_date(now, person.zone)
    first = min(person.planned_through + timedelta(days=1), today) if person.planned_through else today
    on = max(first, today - timedelta(days=MAX_DAYS_BACK))
    while on <= today and person.is_active:
        texts = plan_day(
            on,
            list_candidates(person, programs, on),
            person.hours,
            existing.keys,
            _counts(existing, on),
            now,
        )
        for text in texts:
            rows.append(_row(person, text, now))
            existing.keys.add(text.candidate.key)
            if text.state in _COUNTED and KIND_RULES[text.candidate.kind].is_capped:
                existing.capped.append(text.local_on)
        on += timedelta(days=1)
    return today


def _counts(existing: _Existing, on: date) -> DayCounts:
    monday = on - timedelta(days=on.weekday())
    return DayCounts(
        today=sum(1 for day in existing.capped if day == on),
        this_week=sum(1 for day in existing.capped if monday <= day < monday + timedelta(days=7)),
    )


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
        "tries": 0,
        "created_at": now,
        "final_at": now if is_final else None,
    }


def _insert(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert what is not there yet; the unique key, not a check before it, is what prevents doubles."""
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    session.execute(insert(_MESSAGES).on_conflict_do_nothing(), rows)


def _complete_enrollments(
    session: Session, person: DuePerson, programs: dict[str, Program], through: date
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
