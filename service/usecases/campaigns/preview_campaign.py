"""What a campaign would do: who gets its next text and when, who does not and why. Changes nothing.

The days are planned as the planner plans them, with all that is known now: limits and precedence included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog.yaml_files import YamlFile
from service.domain.campaign import CampaignKind, Enrolled, Person, next_date
from service.domain.day_plan import PlannedText, plan_day
from service.domain.delivery import MessageState
from service.domain.local_time import local_date, local_datetime
from service.domain.program_steps import MAX_DAYS
from service.store.bulk import is_one_of
from service.store.campaigns import StoredCampaign, find_campaign, list_campaigns, read_campaign
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    ParticipantTag,
)
from service.usecases.campaigns.save_campaign import NoCampaignError, read_campaign_file
from service.usecases.context import Context
from service.usecases.sending.candidates import DueCampaign, DuePerson, Sources, as_audience, list_candidates
from service.usecases.sending.due_people import LIVES_BY, ExistingTexts, as_due_person, load_existing
from service.usecases.sending.speakers import as_due_campaign, hash_tags, load_sources, load_speakers

Data = dict[str, Any]
Progress = Callable[[int, int], None]

BATCH = 500
MOST_PASSED = 10
_TRIES = 8

_NOT_YET = {
    ParticipantStatus.LISTED: "listed_only",
    ParticipantStatus.ASKED: "not_confirmed",
    ParticipantStatus.OPTED_OUT: "opted_out",
}


@dataclass(slots=True)
class _Tally:
    """Whom the next text reaches, when, and why not the others."""

    getting: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    moments: dict[str, list[datetime]] = field(default_factory=dict)

    def count(self, text: PlannedText, zone: ZoneInfo) -> None:
        self.getting += 1
        local = local_datetime(text.due_at, zone).strftime("%Y-%m-%dT%H:%M")
        self.moments.setdefault(local, []).append(text.due_at)


def preview_campaign(context: Context, name: str, now: datetime, report: Progress | None = None) -> Data:
    """Preview a stored campaign, as if it ran. Raises NoCampaignError."""
    with context.database.read() as session:
        row = find_campaign(session, " ".join(name.split()))
        if row is None:
            raise NoCampaignError("there is no campaign of that name; see `aftercare campaigns list`")
        due = as_due_campaign(row, context.keyring)
        about = _about(context, row, now)
    return about | _preview(context, due, now, report)


def preview_file(context: Context, file: YamlFile, now: datetime, report: Progress | None = None) -> Data:
    """Preview a campaign before it is saved. Raises CatalogError with file and line."""
    with context.database.read() as session:
        campaign, warnings = read_campaign_file(context, session, file, now)
        row = find_campaign(session, campaign.name)
        due = DueCampaign(
            source=row.source if row else "c0",
            version=row.version + 1 if row else 1,
            campaign=campaign,
            tags=hash_tags(context.keyring, campaign.audience.tags),
            scheduled_at=(row.scheduled_at if row else None) or now,
            resumed_at=row.resumed_at if row else None,
        )
    about = {"name": campaign.name, "kind": str(campaign.kind), "status": "not saved", "warnings": warnings}
    return about | _preview(context, due, now, report)


def list_all_campaigns(context: Context, now: datetime) -> list[Data]:
    """Every campaign with its status and its next date, in our own zone."""
    with context.database.read() as session:
        return [_about(context, row, now) for row in list_campaigns(session)]


def _about(context: Context, row: StoredCampaign, now: datetime) -> Data:
    campaign = read_campaign(row)
    today = local_date(now, ZoneInfo(context.settings.org_timezone))
    ahead = [on for on in campaign.dates if on >= today]
    times = [slot.at.isoformat("minutes") for slot in campaign.slots]
    return {
        "name": row.name,
        "kind": str(campaign.kind),
        "status": str(row.status),
        "version": row.version,
        "next_on": ahead[0] if ahead else None,
        "last_on": campaign.dates[-1] if campaign.dates else None,
        "times": times or sorted({step.at.isoformat("minutes") for step in campaign.steps}),
        "changed_at": row.changed_at,
        "changed_by": row.changed_by,
    }


def _preview(context: Context, due: DueCampaign, now: datetime, report: Progress | None) -> Data:
    tally = _Tally()
    with context.database.read() as session:
        sources = _with(load_sources(session, context), due)
        ids = session.scalars(
            select(Enrollment.participant_id)
            .where(Enrollment.status.in_((EnrollmentStatus.WAITING, EnrollmentStatus.ACTIVE)))
            .distinct()
            .order_by(Enrollment.participant_id)
        ).all()
        for start in range(0, len(ids), BATCH):
            _preview_batch(session, due, sources, ids[start : start + BATCH], now, tally)
            if report is not None:
                report(min(start + BATCH, len(ids)), len(ids))
    next_texts = [
        {"local": local, "people": len(moments), "first_at": min(moments), "last_at": max(moments)}
        for local, moments in sorted(tally.moments.items())
    ]
    return {
        "people": tally.getting,
        "left_out": dict(sorted(tally.left_out.items())),
        "next": next_texts,
        "passed": _list_passed(context, due, now),
    }


def _with(sources: Sources, due: DueCampaign) -> Sources:
    others = [one for one in sources.campaigns if one.source != due.source]
    versions = {**sources.campaign_versions, due.source: due.version}
    return replace(sources, campaigns=[*others, due], campaign_versions=versions)


def _list_passed(context: Context, due: DueCampaign, now: datetime) -> list[str]:
    """The newest moments that have passed where we are: nobody gets those any more who has not already."""
    wall_clock = local_datetime(now, ZoneInfo(context.settings.org_timezone)).replace(tzinfo=None)
    moments = [datetime.combine(on, slot.at) for on in due.campaign.dates for slot in due.campaign.slots]
    passed = [moment.isoformat(timespec="minutes") for moment in sorted(moments) if moment <= wall_clock]
    return passed[-MOST_PASSED:]


def _preview_batch(
    session: Session, due: DueCampaign, sources: Sources, ids: Sequence[int], now: datetime, tally: _Tally
) -> None:
    rows = session.execute(
        select(*LIVES_BY, Participant.paused_until).where(is_one_of(session, Participant.id, ids))
    ).all()
    people = {row.id: as_due_person(row) for row in rows if row.status is ParticipantStatus.ACTIVE}
    others = {row.id: row for row in rows if row.status in _NOT_YET}
    for person_id in _list_waiting_members(session, due, others):
        tally.left_out[_NOT_YET[others[person_id].status]] += 1
    if not people:
        return
    load_speakers(session, people, sources)
    existing = load_existing(session, people, sources)
    paused = {row.id: row.paused_until for row in rows}
    for person in people.values():
        audience = as_audience(person, sources.programs)
        if due.campaign.audience.list_enrolled(audience, due.tags):
            text = _find_next(person, due, sources, audience, existing[person.id], now)
            _count(text, person, paused[person.id], tally)


def _count(text: PlannedText | str, person: DuePerson, paused_until: datetime | None, tally: _Tally) -> None:
    if isinstance(text, str):
        tally.left_out[text] += 1
    elif text.state is MessageState.EXPIRED:
        tally.left_out[text.reason or "expired"] += 1
    elif paused_until is not None and paused_until >= text.send_before:
        tally.left_out["paused"] += 1
    else:
        tally.count(text, person.zone)


def _find_next(
    person: DuePerson,
    due: DueCampaign,
    sources: Sources,
    audience: Person,
    existing: ExistingTexts,
    now: datetime,
) -> PlannedText | str:
    """The fate of the person's next text of this campaign that has not passed; a word when there is none."""
    on = local_date(max(now, due.scheduled_at), person.zone) - timedelta(days=1)
    fate: PlannedText | str = "nothing_ahead"
    for _ in range(_TRIES):
        following = next_date(due.campaign, audience, due.tags, on)
        if following is None:
            break
        on = following
        keys = {key for key in existing.keys if not key.startswith(f"{due.source}:")}
        counts, seated = existing.count_on(on), existing.seated.get(on, ())
        others = [one for one in seated if one.candidate.source != due.source]
        texts = plan_day(on, list_candidates(person, sources, on), person.hours, keys, counts, now, others)
        ours = [text for text in texts if text.candidate.source == due.source]
        ahead = [text for text in ours if text.reason not in ("too_late", "before_enrollment")]
        if ahead:
            return min(ahead, key=lambda text: text.due_at)
        fate = ours[-1] if ours else fate
    if fate == "nothing_ahead" and due.campaign.kind is not CampaignKind.SEQUENCE:
        return "past"
    return fate


def _list_waiting_members(session: Session, due: DueCampaign, rows: dict[int, Any]) -> list[int]:
    """Who would belong to the audience if they had agreed, in whatever phase they will be."""
    if not rows:
        return []
    programs: dict[int, list[Enrolled]] = {one: [] for one in rows}
    enrollments = select(Enrollment).where(
        is_one_of(session, Enrollment.participant_id, rows),
        Enrollment.status.in_((EnrollmentStatus.WAITING, EnrollmentStatus.ACTIVE)),
    )
    for row in session.scalars(enrollments):
        on = row.anchor_on or row.created_at.date()
        programs[row.participant_id].append(Enrolled(row.program_id, on, on, MAX_DAYS))
    tags: dict[int, frozenset[str]] = {one: frozenset() for one in rows}
    tagged = select(ParticipantTag).where(is_one_of(session, ParticipantTag.participant_id, rows))
    for tag in session.scalars(tagged):
        tags[tag.participant_id] |= {tag.tag_hash}
    return [
        one
        for one, row in rows.items()
        if due.campaign.audience.list_enrolled(Person(row.language, tags[one], programs[one]), due.tags)
    ]
