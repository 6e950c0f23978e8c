"""The demo's fictional people and meetings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.local_time import local_date
from service.domain.phone import parse_phone
from service.store.consent import ConsentChannel, ConsentKind
from service.store.meetings import ChosenMeeting, Meeting, MeetingSource
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.people.consent_changes import (
    Evidence,
    NewParticipant,
    add_enrollment,
    add_participant,
    confirm_consent,
)


@dataclass(frozen=True, slots=True)
class _Person:
    name: str
    phone: str
    timezone: str
    language: str
    days_ago: int


_PEOPLE = (
    _Person("Ana Example", "+12025550111", "America/New_York", "en", 6),
    _Person("Ben Example", "+16025550112", "America/Phoenix", "en", 20),
    _Person("Carla Ejemplo", "+17875550113", "America/Puerto_Rico", "es", 2),
)


def seed_demo(context: Context, now: datetime) -> int:
    """Put fictional people in a demo that has none; returns how many. Commits once; safe to repeat."""
    with context.database.begin() as session:
        if session.execute(select(func.count()).select_from(Participant)).scalar_one():
            return 0
        people = [_add(context, session, person, now) for person in _PEOPLE]
        _add_meeting(session, people[0], now)
    return len(people)


def _add(context: Context, session: Session, person: _Person, now: datetime) -> Participant:
    new = NewParticipant(
        parse_phone(person.phone),
        person.timezone,
        is_zone_confirmed=True,
        language=person.language,
        name=person.name,
    )
    participant = add_participant(session, context.keyring, new, now)
    enrollment = add_enrollment(session, participant, "first-year", now)
    enrollment.discharge_on = local_date(now, ZoneInfo(person.timezone)) - timedelta(days=person.days_ago)
    evidence = Evidence(ConsentChannel.STAFF, "demo", "demo", now)
    confirm_consent(session, participant, ConsentKind.DOCUMENTED, evidence, now)
    return participant


def _add_meeting(session: Session, participant: Participant, now: datetime) -> None:
    source = MeetingSource(name="demo", format="manual", timezone=participant.timezone)
    session.add(source)
    session.flush()
    tomorrow = local_date(now, ZoneInfo(participant.timezone)) + timedelta(days=1)
    meeting = Meeting(
        source_id=source.id,
        external_id="demo-1",
        fingerprint="demo",
        name="Evening Circle",
        weekday=tomorrow.isoweekday(),
        starts_at=time(18, 30),
        timezone=participant.timezone,
        venue="in_person",
        place="Example Hall",
        first_seen_at=now,
        last_seen_at=now,
    )
    session.add(meeting)
    session.flush()
    session.add(
        ChosenMeeting(
            participant_id=participant.id, meeting_id=meeting.id, label="our circle", created_at=now
        )
    )
