"""Take back what was planned for something that has changed since, so that it is planned anew.

Why nothing of an old version can leave. Whoever edits commits the new version first; only then are texts of
older versions taken back, under the lock of the person they are for. A text is let go under that lock too,
and the version is read after taking it (rendering does so for campaigns, `list_current_versions` for all):
who comes after the commit sees the new version and cancels. A planner that read the old version before the
commit holds the person until its rows are there; whoever takes the person next, planner or editor, finds
them, because each statement sees what was committed before it began.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, object_session

from service.domain.delivery import STOPPABLE, MessageState
from service.domain.local_time import local_date
from service.store.bulk import is_one_of
from service.store.campaigns import StoredCampaign
from service.store.meetings import ChosenMeeting
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant
from service.store.service_state import list_programs
from service.store.wake import wake_workers
from service.usecases.sending.due_people import VoidText, planned_on
from service.usecases.sending.steps import Step, record_steps

PLANNED_KINDS = ("e", "c", "m")
"""Sources whose texts the planner makes, and makes again: enrollments, campaigns, chosen meetings."""


def void_texts(session: Session, voids: Sequence[VoidText], now: datetime) -> int:
    """Cancel these texts where they have not left, each with its reason; returns how many.

    The caller holds the people: people first, then texts, is the order that sending keeps too.
    """
    if not voids:
        return 0
    reasons = {void.message_id: void.reason for void in voids}
    rows = session.execute(
        select(Message.id, Message.state)
        .where(is_one_of(session, Message.id, list(reasons)), Message.state.in_(STOPPABLE))
        .order_by(Message.id)
        .with_for_update()
    ).all()
    by_reason: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_reason[reasons[row.id]].append(row.id)
    for reason, ids in by_reason.items():
        session.execute(
            update(Message)
            .where(is_one_of(session, Message.id, ids))
            .values(
                state=MessageState.CANCELED, reason=reason, claim_token=None, lease_until=None, final_at=now
            )
            .execution_options(synchronize_session=False)
        )
    steps = [Step(row.id, MessageState(row.state), MessageState.CANCELED, reasons[row.id]) for row in rows]
    record_steps(session, steps, now)
    return len(rows)


def void_waiting(
    session: Session,
    participant_ids: Collection[int],
    reason: str,
    now: datetime,
    *,
    sources: Collection[str] | None = None,
    except_version: int | None = None,
) -> dict[int, date]:
    """Cancel what waits for these people, who are locked, of these sources (else of all that is planned).

    Leaves alone what is of the version `except_version`. Returns per person the first day to plan again.
    """
    if not participant_ids or (sources is not None and not sources):
        return {}
    query = select(
        Message.id, Message.participant_id, Message.dedupe_key, Message.source, Message.local_on
    ).where(
        is_one_of(session, Message.participant_id, participant_ids),
        Message.local_on >= now.date() - timedelta(days=12),
        Message.state.in_(STOPPABLE),
    )
    if sources is not None:
        query = query.where(is_one_of(session, Message.source, sources))
    else:
        query = query.where(or_(*(Message.source.startswith(kind) for kind in PLANNED_KINDS)))
    if except_version is not None:
        query = query.where(Message.source_version != except_version)
    voids: list[VoidText] = []
    first: dict[int, date] = {}
    for row in session.execute(query):
        on = planned_on(row.dedupe_key, row.local_on)
        voids.append(VoidText(row.id, reason, on))
        first[row.participant_id] = min(first.get(row.participant_id, on), on)
    void_texts(session, voids, now)
    return first


def plan_again(participant: Participant, now: datetime, since: date | None = None) -> None:
    """Have the planner look at the person's current day again, and at every day from `since` on, at once.

    Days that were not planned yet stay to be planned. The person is locked, and active.
    """
    today = local_date(now, ZoneInfo(participant.timezone))
    through = min(participant.planned_through or today, today - timedelta(days=1))
    participant.planned_through = through if since is None else min(through, since - timedelta(days=1))
    participant.next_plan_at = now
    if session := object_session(participant):
        wake_workers(session)


def lock_people(session: Session, ids: Iterable[int]) -> Sequence[Participant]:
    """Lock these people, in the order that all keep."""
    query = select(Participant).where(is_one_of(session, Participant.id, list(ids))).order_by(Participant.id)
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.scalars(locked).all()


def list_current_versions(session: Session, sources: Iterable[str]) -> dict[str, int]:
    """The version that counts now of each source that has versions; a text of another one must not leave.

    0 for a campaign, an enrollment or a chosen meeting that is over or gone. A pause is a version of its own.
    Sources without versions (a consent, an inbound text) are not in the answer. A handful of queries.
    """
    ids: dict[str, list[int]] = defaultdict(list)
    for source in set(sources):
        if source[:1] in PLANNED_KINDS and source[1:].isdigit():
            ids[source[0]].append(int(source[1:]))
    found = {f"{kind}{number}": 0 for kind, numbers in ids.items() for number in numbers}
    if ids["c"]:
        campaigns = select(StoredCampaign.id, StoredCampaign.version)
        for row in session.execute(campaigns.where(is_one_of(session, StoredCampaign.id, ids["c"]))):
            found[f"c{row.id}"] = row.version
    if ids["m"]:
        meetings = select(ChosenMeeting.id, ChosenMeeting.version).where(ChosenMeeting.ended_at.is_(None))
        for row in session.execute(meetings.where(is_one_of(session, ChosenMeeting.id, ids["m"]))):
            found[f"m{row.id}"] = row.version
    if ids["e"]:
        programs = list_programs(session)
        enrollments = select(Enrollment.id, Enrollment.program_id).where(
            is_one_of(session, Enrollment.id, ids["e"]), Enrollment.status != EnrollmentStatus.ENDED
        )
        for enrolled in session.execute(enrollments):
            if enrolled.program_id in programs:
                found[f"e{enrolled.id}"] = programs[enrolled.program_id].version
    return found
