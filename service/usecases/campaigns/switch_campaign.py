"""Pause a campaign and resume it. What waits is taken back; what is still ahead is planned again."""

from __future__ import annotations

from datetime import datetime

from service.store.campaigns import CampaignStatus, StoredCampaign, find_campaign
from service.usecases.campaigns.save_campaign import NoCampaignError, Saved, SaveOutcome, record_change
from service.usecases.context import Context
from service.usecases.sending.edits import apply_campaign


def pause_campaign(context: Context, name: str, by: str, now: datetime) -> Saved:
    """Say nothing of a campaign until it is resumed. Safe to repeat; commits. Raises NoCampaignError."""
    return _switch(context, name, CampaignStatus.PAUSED, by, now)


def resume_campaign(context: Context, name: str, by: str, now: datetime) -> Saved:
    """Go on with a paused campaign. What passed meanwhile is not sent any more. Raises NoCampaignError."""
    return _switch(context, name, CampaignStatus.ACTIVE, by, now)


def _switch(context: Context, name: str, status: CampaignStatus, by: str, now: datetime) -> Saved:
    with context.database.begin() as session:
        row = find_campaign(session, " ".join(name.split()), lock=True)
        if row is None:
            raise NoCampaignError("there is no campaign of that name; see `aftercare campaigns list`")
        if row.status is CampaignStatus.DRAFT:
            raise NoCampaignError("the campaign is a draft; create it without --draft to schedule it")
        outcome = SaveOutcome.UNCHANGED if row.status is status else SaveOutcome.CHANGED
        if outcome is SaveOutcome.CHANGED:
            _change(row, status, now)
            record_change(session, row, _ACTIONS[status], by, now)
    taken_back = 0
    if row.version != row.applied_version:
        taken_back = apply_campaign(context, row.id, now)
    return Saved(row.id, row.name, row.status, row.version, outcome, taken_back, ())


def _change(row: StoredCampaign, status: CampaignStatus, now: datetime) -> None:
    row.status = status
    if status is CampaignStatus.ACTIVE:
        row.scheduled_at = row.scheduled_at or now
        row.resumed_at = now


_ACTIONS = {CampaignStatus.PAUSED: "campaign_paused", CampaignStatus.ACTIVE: "campaign_resumed"}
