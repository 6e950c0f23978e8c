"""What may speak to people: programs, running campaigns, chosen meetings; read once for a whole batch."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.campaign import CampaignKind
from service.domain.delivery import ON_ITS_WAY
from service.domain.program import STANDARD_CADENCE, Program, former_days, program_from_data
from service.store.base import table_of
from service.store.bulk import ForMany, is_one_of
from service.store.campaigns import CampaignStatus, StoredCampaign, read_campaign
from service.store.keyring import Keyring
from service.store.meetings import ChosenMeeting, Meeting
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, ParticipantTag
from service.store.service_state import ProgramVersion, list_programs
from service.usecases.context import Context
from service.usecases.people.tags import hashed_word
from service.usecases.sending.candidates import (
    DueCampaign,
    DueMeeting,
    DuePerson,
    DueProgram,
    Sources,
    cadence_of,
    key_of,
)


def load_sources(session: Session, context: Context) -> Sources:
    """Programs and campaigns as they stand now. The statements after a lock see what was saved before it."""
    programs = list_programs(session)
    standing = session.execute(select(StoredCampaign.id, StoredCampaign.version, StoredCampaign.status)).all()
    versions = {
        f"c{row.id}": None if row.status is CampaignStatus.PAUSED else row.version for row in standing
    }
    running = [row.id for row in standing if row.status is CampaignStatus.ACTIVE]
    campaigns = []
    if running:
        rows = session.scalars(
            select(StoredCampaign).where(StoredCampaign.id.in_(running)).order_by(StoredCampaign.id)
        )
        campaigns = [as_due_campaign(row, context.keyring) for row in rows]
    return Sources(programs, context.catalog.bank, campaigns, versions, _former_days(session, programs))


def as_due_campaign(row: StoredCampaign, keyring: Keyring) -> DueCampaign:
    """A stored campaign as planning sees it."""
    campaign = read_campaign(row)
    return DueCampaign(
        source=row.source,
        version=row.version,
        campaign=campaign,
        tags=hash_tags(keyring, campaign.audience.tags),
        scheduled_at=row.scheduled_at or row.changed_at,
        resumed_at=row.resumed_at,
    )


def hash_tags(keyring: Keyring, tags: tuple[str, ...]) -> frozenset[str]:
    """What labels may be stored as, under any look-up key."""
    return frozenset(value for tag in tags for value in keyring.hash_all(hashed_word(tag)))


def load_speakers(session: Session, people: dict[int, DuePerson], sources: Sources) -> None:
    """Read what may speak to each of these people, and what of it went out on another day already."""
    _load_programs(session, people)
    _load_meetings(session, people)
    if any(due.campaign.audience.tags for due in sources.campaigns):
        _load_tags(session, people)
    _load_said(session, people, sources)


_ENROLLMENTS, _CHOSEN, _MEETINGS = table_of(Enrollment), table_of(ChosenMeeting), table_of(Meeting)
_ENROLLED = ForMany(
    lambda one_of: (
        select(
            _ENROLLMENTS.c.id,
            _ENROLLMENTS.c.participant_id,
            _ENROLLMENTS.c.program_id,
            _ENROLLMENTS.c.anchor_on,
            _ENROLLMENTS.c.started_on,
            _ENROLLMENTS.c.started_at,
            _ENROLLMENTS.c.cadence_shift,
            _ENROLLMENTS.c.stepped_up_on,
            _ENROLLMENTS.c.stepped_up_until,
            _ENROLLMENTS.c.kept_on,
        )
        .where(one_of(_ENROLLMENTS.c.participant_id), _ENROLLMENTS.c.status == EnrollmentStatus.ACTIVE)
        .order_by(_ENROLLMENTS.c.id)
    )
)
_CHOSEN_MEETINGS = ForMany(
    lambda one_of: (
        select(
            _CHOSEN.c.id,
            _CHOSEN.c.participant_id,
            _CHOSEN.c.minutes_before,
            _CHOSEN.c.version,
            _CHOSEN.c.created_at,
            _MEETINGS.c.weekday,
            _MEETINGS.c.starts_at,
            _MEETINGS.c.timezone,
        )
        .join(_MEETINGS, _MEETINGS.c.id == _CHOSEN.c.meeting_id)
        .where(one_of(_CHOSEN.c.participant_id), _CHOSEN.c.ended_at.is_(None))
    )
)


def _load_programs(session: Session, people: dict[int, DuePerson]) -> None:
    for row in _ENROLLED.run(session, people):
        is_own = row.cadence_shift or row.stepped_up_until or row.kept_on
        cadence = cadence_of(row) if is_own else STANDARD_CADENCE
        people[row.participant_id].programs.append(
            DueProgram(row.id, row.program_id, row.anchor_on, row.started_on, row.started_at, cadence)
        )


def _load_meetings(session: Session, people: dict[int, DuePerson]) -> None:
    for listed in _CHOSEN_MEETINGS.run(session, people):
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


def _load_tags(session: Session, people: dict[int, DuePerson]) -> None:
    query = select(ParticipantTag.participant_id, ParticipantTag.tag_hash)
    for row in session.execute(query.where(is_one_of(session, ParticipantTag.participant_id, people))):
        people[row.participant_id].tags |= {row.tag_hash}


def _load_said(session: Session, people: dict[int, DuePerson], sources: Sources) -> None:
    """What an edit moved to another day, and went out on its former one: it is not said twice."""
    _load_said_once(session, people, sources)
    keys = {}
    for person in people.values():
        for due in person.programs:
            for step_id, days in sources.former_days.get(due.program_id, {}).items():
                for day in days:
                    on = due.anchor_on + timedelta(days=day)
                    key = key_of(f"e{due.enrollment_id}", person.id, on, step_id)
                    keys[key] = (person, f"e{due.enrollment_id}:{step_id}")
    if keys:
        query = select(Message.dedupe_key).where(
            is_one_of(session, Message.dedupe_key, keys), Message.state.in_(ON_ITS_WAY)
        )
        for key in session.scalars(query):
            person, said = keys[key]
            person.said.add(said)


def _load_said_once(session: Session, people: dict[int, DuePerson], sources: Sources) -> None:
    edited = [
        due.source for due in sources.campaigns if due.campaign.kind is CampaignKind.ONCE and due.version > 1
    ]
    if edited:
        query = select(Message.participant_id, Message.source).where(
            is_one_of(session, Message.participant_id, people),
            Message.source.in_(edited),
            Message.state.in_(ON_ITS_WAY),
        )
        for row in session.execute(query):
            people[row.participant_id].said.add(row.source)


_FORMER_DAYS: dict[tuple[tuple[str, int, str], ...], dict[str, dict[str, tuple[int, ...]]]] = {}
"""By the versions that are stored: they never change, and reading old ones again is dear."""


def _former_days(session: Session, programs: dict[str, Program]) -> dict[str, dict[str, tuple[int, ...]]]:
    edited = [program.id for program in programs.values() if program.version > 1]
    if not edited:
        return {}
    names = ProgramVersion.program_id, ProgramVersion.version, ProgramVersion.sha256
    rows = session.execute(select(*names).order_by(*names))
    stored = tuple((row.program_id, row.version, row.sha256) for row in rows)
    if stored not in _FORMER_DAYS:
        older: dict[str, list[Program]] = {program_id: [] for program_id in edited}
        for row in session.scalars(select(ProgramVersion).where(ProgramVersion.program_id.in_(edited))):
            if row.version < programs[row.program_id].version:
                older[row.program_id].append(program_from_data(row.definition | {"version": row.version}))
        _FORMER_DAYS[stored] = {key: former_days(programs[key], versions) for key, versions in older.items()}
    return _FORMER_DAYS[stored]
