"""A person lives in another time zone: what waits for the old clock is planned anew for the new one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from service.domain.local_time import get_zone
from service.domain.phone import PhoneNumber
from service.store.participants import Participant, ParticipantStatus, find_participant
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.people.show_participant import NobodyError
from service.usecases.sending.void import plan_again, void_waiting


class MoveOutcome(StrEnum):
    MOVED = "moved"
    UNCHANGED = "unchanged"


def change_zone(context: Context, phone: PhoneNumber, zone_name: str, by: str, now: datetime) -> MoveOutcome:
    """Set the zone a person lives in, as they told staff. Commits once; safe to repeat.

    Raises NobodyError, and UnknownZoneError for a name that is no IANA zone.
    """
    zone = get_zone(zone_name)
    with context.database.begin() as session:
        participant = find_participant(session, phone, context.keyring, lock=True)
        if participant is None or participant.status == ParticipantStatus.ERASED:
            raise NobodyError
        if participant.timezone == zone.key and participant.zone_is_confirmed:
            return MoveOutcome.UNCHANGED
        move_to_zone(session, participant, zone.key, now)
        subject = f"participant {participant.id}"
        session.add(AuditEvent(at=now, actor=by, action="participant_moved", subject=subject))
    return MoveOutcome.MOVED


def move_to_zone(session: Session, participant: Participant, zone_name: str, now: datetime) -> None:
    """Confirm the zone of a locked person. What waits is canceled and its days are planned again there.

    Texts are unique by their local date, so a date that comes twice on the way west says nothing twice. A
    date that is gone on the way east is planned all the same: what is too late by then ends with that reason.
    """
    participant.timezone, participant.zone_is_confirmed = zone_name, True
    participant.area_timezones = ""
    session.flush()
    if participant.status == ParticipantStatus.ACTIVE:
        first = void_waiting(session, [participant.id], "moved", now)
        plan_again(participant, now, first.get(participant.id))
