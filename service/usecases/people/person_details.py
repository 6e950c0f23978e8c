"""What an imported row tells about a person besides consent: program, discharge, zone, name and tags."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from service.store.keyring import Keyring
from service.store.participants import EnrollmentStatus, Participant, ParticipantStatus
from service.usecases.people.consent_changes import add_enrollment
from service.usecases.people.move_zone import move_to_zone
from service.usecases.people.participant_cells import ParticipantRow
from service.usecases.people.tags import add_tags


def enroll(session: Session, participant: Participant, row: ParticipantRow, now: datetime) -> bool:
    """See to an open enrollment in the row's program; True if its discharge date changed.

    A discharge later than the one that a running enrollment counts from begins the program anew.
    """
    enrollment = add_enrollment(session, participant, row.program_id, now)
    is_running = enrollment.status == EnrollmentStatus.ACTIVE and enrollment.anchor_on is not None
    if is_running and row.discharge_on and enrollment.anchor_on and row.discharge_on > enrollment.anchor_on:
        enrollment.status, enrollment.ended_at = EnrollmentStatus.ENDED, now
        session.flush()
        enrollment = add_enrollment(session, participant, row.program_id, now)
    before = enrollment.discharge_on
    if enrollment.status == EnrollmentStatus.WAITING and row.discharge_on:
        enrollment.discharge_on = row.discharge_on
    session.flush()
    return enrollment.discharge_on != before


def fill_in(
    session: Session, keyring: Keyring, participant: Participant, row: ParticipantRow, now: datetime
) -> bool:
    """Take over what the file knows; True if anything changed.

    Of somebody who answered us, only what was unknown: what they told us themselves wins over a file.
    """
    before = _details(participant)
    is_untouched = participant.status == ParticipantStatus.LISTED
    if row.name and (is_untouched or participant.name is None):
        participant.name = row.name
    if row.timezone and (is_untouched or not participant.zone_is_confirmed):
        move_to_zone(session, participant, row.timezone, now)
    if row.language and is_untouched:
        participant.language = row.language
    added = add_tags(session, keyring, participant.id, row.tags, now)
    session.flush()
    return bool(added) or _details(participant) != before


def _details(participant: Participant) -> tuple[object, ...]:
    return participant.name, participant.timezone, participant.zone_is_confirmed, participant.language
