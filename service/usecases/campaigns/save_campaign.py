"""Save a campaign from its file: checked as a whole, stored under its name, scheduled at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.catalog.texts import UNPROMPTED_KINDS
from service.catalog.yaml_files import YamlFile
from service.domain.campaign import Campaign, CampaignText
from service.domain.campaign_data import CampaignError, campaign_from_data, campaign_to_data, with_start
from service.domain.data_record import Place
from service.domain.local_time import local_date
from service.domain.segments import count_segments
from service.domain.template import TemplateError, placeholders, render
from service.store.campaigns import CampaignStatus, StoredCampaign, find_campaign, read_campaign
from service.store.service_state import list_programs
from service.store.staff import AuditEvent
from service.usecases.context import Context, new_reference
from service.usecases.sending.edits import apply_campaign

MOST_SEGMENTS = 4


class NoCampaignError(Exception):
    """There is no campaign of that name; the message says so in one line."""


class CampaignConflictError(Exception):
    """Somebody else saved a campaign of this name at the same moment; the message says what to do."""


class SaveOutcome(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a campaign: how many texts of older versions were taken back, and what to look at."""

    campaign_id: int
    name: str
    status: CampaignStatus
    version: int
    outcome: SaveOutcome
    taken_back: int
    warnings: tuple[str, ...]


def save_campaign(
    context: Context, file: YamlFile, by: str, now: datetime, *, is_draft: bool = False
) -> Saved:
    """Store the campaign of a file under its name, and schedule it unless it is a draft.

    A changed one is a new version: what was planned under the old one is canceled and its people are planned
    again. A paused one stays paused until it is resumed. An unchanged one changes nothing. Commits the new
    version, then takes effect batch by batch. Raises CatalogError with file and line, CampaignConflictError.
    """
    try:
        with context.database.begin() as session:
            campaign, warnings = read_campaign_file(context, session, file, now)
            row, outcome = _store(session, campaign, by, now, is_draft=is_draft)
    except IntegrityError:
        raise CampaignConflictError("somebody else saved this campaign at the same moment; repeat") from None
    taken_back = 0
    if row.version != row.applied_version:
        taken_back = apply_campaign(context, row.id, now)
    return Saved(row.id, row.name, row.status, row.version, outcome, taken_back, tuple(warnings))


def read_campaign_file(
    context: Context, session: Session, file: YamlFile, now: datetime
) -> tuple[Campaign, list[str]]:
    """The campaign of a file, checked against the catalog and the programs, and what is unusual about it.

    Raises CatalogError: one line with file and line.
    """
    try:
        campaign = campaign_from_data(file.data)
        before = find_campaign(session, campaign.name)
        campaign = with_start(campaign, _first_date(context, before, now))
        _check_programs(session, campaign)
        warnings = [
            line for place, text in _list_texts(campaign) for line in _check_text(context, text, place)
        ]
    except CampaignError as error:
        raise file.fault_of(error) from None
    return campaign, warnings


def _first_date(context: Context, before: StoredCampaign | None, now: datetime) -> date:
    """From when a rule without a first date counts: since it was first saved, else today where we are."""
    recurrence = read_campaign(before).recurrence if before is not None else None
    if recurrence is not None and recurrence.starts_on is not None:
        return recurrence.starts_on
    return local_date(now, ZoneInfo(context.settings.org_timezone))


def _check_programs(session: Session, campaign: Campaign) -> None:
    known = list_programs(session)
    for program_id in sorted(campaign.audience.programs):
        if program_id not in known:
            problem = f"there is no program {program_id[:40]!r}; expected some of {', '.join(sorted(known))}"
            raise CampaignError(f"campaign, audience: {problem}", ("audience", "program"))


def _list_texts(campaign: Campaign) -> Iterator[tuple[Place, CampaignText]]:
    if campaign.text is not None:
        yield (), campaign.text
    for position, step in enumerate(campaign.steps):
        yield ("steps", position), step.text


def _check_text(context: Context, text: CampaignText, place: Place) -> Iterator[str]:
    if text.template is not None:
        _check_template(context, text.template, place)
    for language, wording in text.wordings.items():
        where = (*place, "text", language)
        fields = context.common_fields(context.settings.org_country, language)
        try:
            unknown = sorted(placeholders(wording) - set(fields))
            if unknown:
                expected = ", ".join(f"{{{name}}}" for name in sorted(fields))
                raise CampaignError(f"{{{unknown[0]}}} is nothing we can fill in; expected {expected}", where)
            body = render(wording, fields)
        except TemplateError as error:
            raise CampaignError(f"text {language}: {error}", where) from None
        yield from _measure(body, language, where)


def _check_template(context: Context, text_id: str, place: Place) -> None:
    entry = context.catalog.entries.get(text_id)
    where = (*place, "template")
    if entry is None:
        problem = f"there is no text {text_id[:80]!r}; expected the id of one"
        raise CampaignError(f"{problem}, see `aftercare messages preview`", where)
    if entry.kind not in UNPROMPTED_KINDS:
        raise CampaignError(f"text {text_id} answers people or speaks for us; expected another", where)
    unknown = set(entry.fields) - set(context.common_fields(context.settings.org_country, "en"))
    if unknown:
        raise CampaignError(f"text {text_id} needs {min(unknown)}, which a campaign does not know", where)


def _measure(body: str, language: str, where: Place) -> Iterator[str]:
    count = count_segments(body)
    if count.segments > MOST_SEGMENTS:
        problem = f"it takes {count.segments} segments; expected at most {MOST_SEGMENTS}, better one"
        raise CampaignError(f"text {language}: {problem}", where)
    if count.costly:
        costly = " ".join(count.costly[:8])
        yield f"text {language}: {costly} double the price of a text ({count.segments} segments)"
    elif count.segments > 1:
        yield f"text {language}: it takes {count.segments} segments"


def _store(
    session: Session, campaign: Campaign, by: str, now: datetime, *, is_draft: bool
) -> tuple[StoredCampaign, SaveOutcome]:
    row = find_campaign(session, campaign.name, lock=True)
    definition = campaign_to_data(campaign)
    if row is None:
        row = StoredCampaign(name=campaign.name, version=0, applied_version=0, created_at=now)
        outcome, status = SaveOutcome.ADDED, CampaignStatus.DRAFT if is_draft else CampaignStatus.ACTIVE
    else:
        outcome, status = SaveOutcome.CHANGED, _status_after(row.status, is_draft=is_draft)
        if campaign_to_data(read_campaign(row)) == definition and row.status is status:
            return row, SaveOutcome.UNCHANGED
    row.definition, row.status = definition, status
    if status is CampaignStatus.ACTIVE and row.scheduled_at is None:
        row.scheduled_at = now
    record_change(session, row, f"campaign_{outcome}", by, now)
    return row, outcome


def _status_after(status: CampaignStatus, *, is_draft: bool) -> CampaignStatus:
    """A pause is somebody's decision, and a new file does not end it."""
    if is_draft:
        return CampaignStatus.DRAFT
    return CampaignStatus.PAUSED if status is CampaignStatus.PAUSED else CampaignStatus.ACTIVE


def record_change(session: Session, row: StoredCampaign, action: str, by: str, now: datetime) -> None:
    """Make what was set on a locked campaign its next version, and record who did it."""
    row.version += 1
    row.revision = new_reference()
    row.changed_at, row.changed_by = now, by
    session.add(row)
    session.flush()
    detail = {"version": row.version, "status": str(row.status)}
    event = AuditEvent(at=now, actor=by, action=action, subject=f"campaign {row.id}", detail=detail)
    session.add(event)
    session.flush()
