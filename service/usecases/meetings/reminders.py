"""Take back reminders that were planned for a meeting's old time or wording, and plan their people again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from service.store.participants import Participant, ParticipantStatus
from service.usecases.sending.void import plan_again, void_waiting


def replan_reminders(
    session: Session, people: Sequence[Participant], chosen_ids: Collection[int], reason: str, now: datetime
) -> int:
    """Cancel what waits for these choices of meetings, and have these locked people planned again.

    Returns how many people are active, and so are planned again.
    """
    ids = [person.id for person in people]
    first = void_waiting(session, ids, reason, now, sources=[f"m{one}" for one in chosen_ids])
    active = [person for person in people if person.status == ParticipantStatus.ACTIVE]
    for person in active:
        plan_again(person, now, first.get(person.id))
    return len(active)
