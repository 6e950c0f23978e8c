"""Take over a listing of support meetings. The same listing again changes nothing; the difference is counted.

One transaction: compare by the source's own ids; add, change, or mark as vanished; where a meeting that
people chose moved, take back what was planned and plan those people again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.meetings import (
    ListingDiff,
    MeetingListing,
    diff_listings,
    fingerprint,
    shrinks_too_much,
)
from service.store.meetings import ChosenMeeting, Meeting, MeetingSource
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.meetings.reminders import replan_reminders
from service.usecases.sending.void import lock_people


class MeetingImportError(Exception):
    """The listing cannot be taken over; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class ListingImport:
    """A listing as read, and the source's ids of the rows that could not be."""

    source_name: str
    format: str
    timezone: str
    listings: Sequence[MeetingListing]
    unreadable_ids: Collection[str] = ()
    accept_shrink: bool = False


@dataclass(slots=True)
class MeetingChanges:
    """How a listing differed from what was stored."""

    added: int = 0
    changed: int = 0
    vanished: int = 0
    unchanged: int = 0
    people_planned_again: int = 0
    moved_ids: list[int] = field(default_factory=list)
    closed_ids: list[int] = field(default_factory=list)


def import_meetings(context: Context, listing: ListingImport, by: str, now: datetime) -> MeetingChanges:
    """Take over one listing. Commits once. Raises MeetingImportError for one that shrank too much."""
    changes = MeetingChanges()
    with context.database.begin() as session:
        source = _find_or_add_source(session, listing)
        stored = {
            row.external_id: row
            for row in session.scalars(select(Meeting).where(Meeting.source_id == source.id))
        }
        diff = _compare(stored, listing)
        for row in (*diff.added, *diff.changed):
            _take_over(session, source, stored.get(row.external_id), row, changes, now)
        for external_id in diff.unchanged:
            stored[external_id].last_seen_at = now
        for external_id in diff.vanished:
            stored[external_id].vanished_at = now
            changes.closed_ids.append(stored[external_id].id)
        changes.unchanged, changes.vanished = len(diff.unchanged), len(diff.vanished)
        changes.people_planned_again = _plan_again(session, changes, now)
        _record(session, source, changes, by, now)
    return changes


def _find_or_add_source(session: Session, listing: ListingImport) -> MeetingSource:
    query = select(MeetingSource).where(MeetingSource.name == listing.source_name).with_for_update()
    source = session.scalars(query).first()
    if source is None:
        source = MeetingSource(name=listing.source_name, format=listing.format, timezone=listing.timezone)
        session.add(source)
        session.flush()
    source.format, source.timezone = listing.format, listing.timezone
    return source


def _compare(stored: Mapping[str, Meeting], listing: ListingImport) -> ListingDiff:
    """How the listing differs. A meeting whose row could not be read this time has not vanished."""
    readable = {row.external_id for row in listing.listings}
    current = {
        external_id: meeting.fingerprint
        for external_id, meeting in stored.items()
        if meeting.vanished_at is None
        and (external_id in readable or external_id not in listing.unreadable_ids)
    }
    diff = diff_listings(current, listing.listings)
    if shrinks_too_much(diff, len(current)) and not listing.accept_shrink:
        raise MeetingImportError(
            f"{len(diff.vanished)} of {len(current)} meetings are no longer in the listing, and nothing was "
            "changed; look at the source, then repeat with --accept-shrink if it is right"
        )
    return diff


def _take_over(
    session: Session,
    source: MeetingSource,
    meeting: Meeting | None,
    listing: MeetingListing,
    changes: MeetingChanges,
    now: datetime,
) -> None:
    """Add a meeting, or change the one we have; one that had vanished and is back has changed."""
    if meeting is None:
        meeting = Meeting(source_id=source.id, external_id=listing.external_id, first_seen_at=now)
        session.add(meeting)
        changes.added += 1
    else:
        changes.changed += 1
        _note_move(meeting, listing, changes)
    meeting.vanished_at, meeting.last_seen_at = None, now
    meeting.fingerprint = fingerprint(listing)
    for name, value in _columns(listing).items():
        setattr(meeting, name, value)


def _columns(listing: MeetingListing) -> dict[str, Any]:
    duration = listing.duration
    return {
        "name": listing.name,
        "fellowship": listing.fellowship,
        "weekday": listing.weekday,
        "starts_at": listing.starts_at,
        "duration_minutes": None if duration is None else int(duration.total_seconds() // 60),
        "timezone": listing.timezone,
        "venue": str(listing.venue),
        "place": listing.place,
        "address": listing.address,
        "city": listing.city,
        "region": listing.region,
        "postal_code": listing.postal_code,
        "latitude": listing.latitude,
        "longitude": listing.longitude,
        "join_url": listing.join_url,
        "join_phone": listing.join_phone,
        "join_notes": listing.join_notes,
        "formats": ",".join(listing.formats)[:255],
        "language": listing.language,
        "is_published": listing.is_published,
        "is_closed": listing.is_temporarily_closed,
        "source_updated_at": listing.source_updated_at,
    }


def _note_move(meeting: Meeting, listing: MeetingListing, changes: MeetingChanges) -> None:
    was_held = meeting.vanished_at is None and not meeting.is_closed and meeting.is_published
    before = (meeting.weekday, meeting.starts_at, meeting.timezone)
    after = (listing.weekday, listing.starts_at, listing.timezone)
    if listing.is_temporarily_closed or not listing.is_published:
        changes.closed_ids.append(meeting.id)
    elif not was_held or before != after:
        changes.moved_ids.append(meeting.id)


def _plan_again(session: Session, changes: MeetingChanges, now: datetime) -> int:
    """Lock the people who chose what moved or closed, then take back their reminders and plan them again."""
    touched = changes.moved_ids + changes.closed_ids
    if not touched:
        return 0
    chosen = session.scalars(
        select(ChosenMeeting).where(ChosenMeeting.meeting_id.in_(touched), ChosenMeeting.ended_at.is_(None))
    ).all()
    people = lock_people(session, {row.participant_id for row in chosen})
    count = 0
    for ids, reason in ((changes.moved_ids, "meeting_moved"), (changes.closed_ids, "meeting_closed")):
        theirs = [row for row in chosen if row.meeting_id in ids]
        owners = {row.participant_id for row in theirs}
        touched_people = [person for person in people if person.id in owners]
        count += replan_reminders(session, touched_people, [row.id for row in theirs], reason, now)
    return count


def _record(session: Session, source: MeetingSource, changes: MeetingChanges, by: str, now: datetime) -> None:
    result = {
        "added": changes.added,
        "changed": changes.changed,
        "vanished": changes.vanished,
        "unchanged": changes.unchanged,
    }
    source.last_synced_at, source.last_result = now, result
    session.add(
        AuditEvent(
            at=now, actor=by, action="meetings_imported", subject=f"meeting_source {source.id}", detail=result
        )
    )


def list_meetings(context: Context, city: str | None = None) -> list[dict[str, Any]]:
    """Meetings that are held now, by weekday and time; `city` compares without regard to case."""
    query = (
        select(Meeting, MeetingSource.name)
        .join(MeetingSource, MeetingSource.id == Meeting.source_id)
        .where(Meeting.vanished_at.is_(None), Meeting.is_published, ~Meeting.is_closed)
        .order_by(Meeting.weekday, Meeting.starts_at, Meeting.id)
    )
    wanted = city.strip().casefold() if city else None
    with context.database.read() as session:
        return [
            {
                "id": meeting.id,
                "name": meeting.name,
                "weekday": meeting.weekday,
                "starts_at": meeting.starts_at.isoformat("minutes"),
                "timezone": meeting.timezone,
                "venue": meeting.venue,
                "place": meeting.place,
                "city": meeting.city,
                "source": name,
            }
            for meeting, name in session.execute(query)
            if wanted is None or (meeting.city or "").casefold() == wanted
        ]
