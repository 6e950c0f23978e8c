"""Apply edits of campaigns and programs: take back what older versions planned, and make people due again.

An edit is a committed version; this makes it take effect, batch by batch, so that nobody's STOP waits for a
million rows. Whoever saves one calls it; after a crash in between the next planning run finishes it. Doing it
twice, or by two workers at once, changes nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, Select, func, select, union, update
from sqlalchemy.orm import Session

from service.domain.campaign import Campaign, CampaignKind
from service.domain.delivery import WAITING, MessageState
from service.domain.kinds import KIND_RULES
from service.domain.local_time import local_date, start_of_day, to_utc
from service.domain.program import Program, Step, find_put_in_past, program_from_data
from service.store.bulk import add_planned, is_one_of, lower_planning
from service.store.campaigns import CampaignStatus, StoredCampaign, read_campaign
from service.store.messages import Message
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    ParticipantTag,
)
from service.store.service_state import ProgramVersion, list_programs
from service.usecases.context import Context
from service.usecases.sending.candidates import key_of
from service.usecases.sending.speakers import hash_tags
from service.usecases.sending.void import lock_people, plan_again, void_waiting

BATCH = 1_000
RANGE = 5_000


def apply_changes(context: Context, now: datetime) -> None:
    """Apply every edit that is not applied yet. Commits in batches; safe to repeat."""
    with context.database.read() as session:
        campaigns = session.scalars(
            select(StoredCampaign.id).where(StoredCampaign.version != StoredCampaign.applied_version)
        ).all()
        programs = session.scalars(
            select(ProgramVersion.program_id).where(ProgramVersion.applied_at.is_(None)).distinct()
        ).all()
    for campaign_id in campaigns:
        apply_campaign(context, campaign_id, now)
    for program_id in programs:
        _apply_program(context, program_id, now)


def apply_campaign(context: Context, campaign_id: int, now: datetime) -> int:
    """Take back texts of older versions and make the audience due; returns how many were taken back."""
    with context.database.read() as session:
        row = session.get_one(StoredCampaign, campaign_id)
        version, source = row.version, row.source
        reason = "paused_campaign" if row.status is CampaignStatus.PAUSED else "edited"
        people = _list_waiting(session, Message.source == source, version)
    taken_back = 0
    for ids in _batches(people):
        with context.database.begin() as session:
            locked = lock_people(session, ids)
            first = void_waiting(session, ids, reason, now, sources=[source], except_version=version)
            for person in locked:
                if person.id in first and person.status == ParticipantStatus.ACTIVE:
                    plan_again(person, now, first[person.id])
            taken_back += len(first)
    if row.status is CampaignStatus.ACTIVE:
        _make_audience_due(context, row, now)
    with context.database.begin() as session:
        session.execute(
            update(StoredCampaign)
            .where(StoredCampaign.id == campaign_id, StoredCampaign.version == version)
            .values(applied_version=version)
        )
    return taken_back


def _list_waiting(session: Session, source: ColumnElement[bool], version: int) -> Sequence[int]:
    """Who has texts of other versions that have not left, found among those that wait, not by history."""
    states = (Message.state.in_(WAITING), Message.state == MessageState.CLAIMED)
    queries = [
        select(Message.participant_id).where(state, source, Message.source_version != version)
        for state in states
    ]
    return sorted(owner for owner in session.scalars(union(*queries)) if owner is not None)


def _make_audience_due(context: Context, row: StoredCampaign, now: datetime) -> None:
    """Have everybody of the audience planned on the day of the next occurrence; at once for a sequence."""
    campaign = read_campaign(row)
    with context.database.read() as session:
        zones = session.scalars(select(Participant.timezone).distinct()).all()
    found = {zone: _next_planning(campaign, zone, now) for zone in zones}
    moments = {zone: at for zone, at in found.items() if at is not None}
    if moments:
        _make_due(context, _who_may_belong(context, campaign), moments, now)


def _next_planning(campaign: Campaign, zone_name: str, now: datetime) -> datetime | None:
    if campaign.kind is CampaignKind.SEQUENCE:
        return now
    try:
        zone = ZoneInfo(zone_name)
    except ZoneInfoNotFoundError:
        return None  # planning puts such a person on the staff list
    today = local_date(now, zone)
    on = next((on for on in campaign.dates if on >= today), None)
    return None if on is None else max(now, start_of_day(on, zone))


def _who_may_belong(context: Context, campaign: Campaign) -> list[ColumnElement[bool]]:
    audience = campaign.audience
    enrolled = select(Enrollment.participant_id).where(Enrollment.status == EnrollmentStatus.ACTIVE)
    if audience.programs:
        enrolled = enrolled.where(Enrollment.program_id.in_(audience.programs))
    wanted: list[ColumnElement[bool]] = [Participant.id.in_(enrolled)]
    if audience.languages:
        wanted.append(Participant.language.in_(audience.languages))
    if audience.tags:
        tagged = select(ParticipantTag.participant_id).where(
            ParticipantTag.tag_hash.in_(hash_tags(context.keyring, audience.tags))
        )
        wanted.append(Participant.id.in_(tagged))
    return wanted


def _make_due(
    context: Context, wanted: Sequence[ColumnElement[bool]], moments: dict[str, datetime], now: datetime
) -> None:
    """Lower when active people are planned next to the moment of their zone, in ranges of ids."""
    with context.database.read() as session:
        last = session.scalar(select(func.max(Participant.id))) or 0
    for start in range(0, last + 1, RANGE):
        with context.database.begin() as session:
            inside = Participant.id.between(start, start + RANGE - 1)
            lower_planning(session, [inside, *wanted], moments, now)


def _apply_program(context: Context, program_id: str, now: datetime) -> None:
    with context.database.read() as session:
        program = list_programs(session)[program_id]
        older = _find_applied(session, program_id)
        of_program = select(Enrollment.participant_id).where(Enrollment.program_id == program_id)
        source = Message.source.startswith("e") & Message.participant_id.in_(of_program)
        people = _list_waiting(session, source, program.version)
        zones = session.scalars(select(Participant.timezone).distinct()).all()
    for ids in _batches(people):
        with context.database.begin() as session:
            _take_back(session, program, ids, now)
    if older is not None:
        _record_put_in_past(context, program, older, now)
    running = select(Enrollment.participant_id).where(
        Enrollment.program_id == program_id, Enrollment.status == EnrollmentStatus.ACTIVE
    )
    _make_due(context, [Participant.id.in_(running)], dict.fromkeys(zones, now), now)
    with context.database.begin() as session:
        session.execute(
            update(ProgramVersion)
            .where(ProgramVersion.program_id == program_id, ProgramVersion.version <= program.version)
            .where(ProgramVersion.applied_at.is_(None))
            .values(applied_at=now)
        )


def _find_applied(session: Session, program_id: str) -> Program | None:
    query = select(ProgramVersion).where(
        ProgramVersion.program_id == program_id, ProgramVersion.applied_at.is_not(None)
    )
    row = session.scalars(query.order_by(ProgramVersion.version.desc()).limit(1)).first()
    return None if row is None else program_from_data(row.definition | {"version": row.version})


def _take_back(session: Session, program: Program, ids: Sequence[int], now: datetime) -> None:
    locked = lock_people(session, ids)
    enrollments = session.scalars(
        select(Enrollment.id).where(
            is_one_of(session, Enrollment.participant_id, ids), Enrollment.program_id == program.id
        )
    )
    sources = [f"e{one}" for one in enrollments]
    first = void_waiting(session, ids, "edited", now, sources=sources, except_version=program.version)
    for person in locked:
        if person.id in first and person.status == ParticipantStatus.ACTIVE:
            plan_again(person, now, first[person.id])


def _record_put_in_past(context: Context, program: Program, older: Program, now: datetime) -> None:
    """Leave a row for each step that the edit puts before where a person is, so that it is not just gone."""
    if not any(find_put_in_past(program, older, step.day) for step in program.steps):
        return
    after = 0
    while True:
        with context.database.begin() as session:
            rows = session.execute(_running_after(program.id, after)).all()
            past = [
                _past_row(row, program, step, now)
                for row in rows
                for step in find_put_in_past(program, older, (row.planned_through - row.anchor_on).days)
                if row.anchor_on + timedelta(days=step.day) >= row.started_on
            ]
            if past:
                add_planned(session, past, now)
        if len(rows) < BATCH:
            return
        after = rows[-1].id


def _running_after(program_id: str, after: int) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Enrollment.id,
            Enrollment.participant_id,
            Enrollment.anchor_on,
            Enrollment.started_on,
            Participant.timezone,
            Participant.planned_through,
        )
        .join(Participant, Participant.id == Enrollment.participant_id)
        .where(
            Enrollment.program_id == program_id,
            Enrollment.status == EnrollmentStatus.ACTIVE,
            Participant.status == ParticipantStatus.ACTIVE,
            Participant.planned_through.is_not(None),
            Enrollment.id > after,
        )
        .order_by(Enrollment.id)
        .limit(BATCH)
    )


def _past_row(row: Any, program: Program, step: Step, now: datetime) -> dict[str, Any]:
    on: date = row.anchor_on + timedelta(days=step.day)
    at = to_utc(on, step.at, ZoneInfo(row.timezone))
    return {
        "participant_id": row.participant_id,
        "dedupe_key": key_of(f"e{row.id}", row.participant_id, on, step.id),
        "source": f"e{row.id}",
        "source_version": program.version,
        "kind": step.kind,
        "lane": KIND_RULES[step.kind].lane,
        "text_id": step.text_ids[0] if step.text_ids else "",
        "check_in_id": step.check_in_id,
        "late": step.late,
        "local_on": on,
        "send_after": at,
        "send_before": at,
        "due_at": at,
        "state": MessageState.EXPIRED,
        "reason": "put_in_past",
        "final_at": now,
    }


def _batches(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
