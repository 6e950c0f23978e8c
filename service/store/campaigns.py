"""Campaigns as rows. What they say and to whom is encrypted as one value; only the newest version is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Integer, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from service.domain.campaign import Campaign
from service.domain.campaign_data import campaign_from_data
from service.store.base import Base
from service.store.types import BigId, EncryptedJson, UtcInstant, Word


class CampaignStatus(StrEnum):
    """A draft and a paused campaign say nothing."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"


class StoredCampaign(Base):
    """A campaign. Every edit, pause and resumption is a new `version`; what another one planned is void.

    `applied_version` is the last one under which that was taken back and the audience made due. `revision` is
    random and new with each version. Dates before `scheduled_at`, when it was first scheduled, were never
    spoken for; moments before `resumed_at` passed while it was paused.
    """

    __tablename__ = "campaigns"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    status: Mapped[CampaignStatus] = mapped_column(Word(CampaignStatus, 12))
    version: Mapped[int] = mapped_column(Integer, default=1)
    applied_version: Mapped[int] = mapped_column(Integer, default=0)
    revision: Mapped[str] = mapped_column(String(32))
    definition: Mapped[dict[str, Any]] = mapped_column(EncryptedJson)
    scheduled_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    resumed_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    created_at: Mapped[datetime] = mapped_column(UtcInstant)
    changed_at: Mapped[datetime] = mapped_column(UtcInstant)
    changed_by: Mapped[str] = mapped_column(String(120))

    @property
    def source(self) -> str:
        """What its texts name as their source."""
        return f"c{self.id}"


def list_campaigns(session: Session) -> Sequence[StoredCampaign]:
    """Every campaign, by name."""
    return session.scalars(select(StoredCampaign).order_by(StoredCampaign.name)).all()


def find_campaign(session: Session, name: str, *, lock: bool = False) -> StoredCampaign | None:
    query = select(StoredCampaign).where(StoredCampaign.name == name)
    return session.scalars(query.with_for_update() if lock else query).first()


_READ: dict[str, Campaign] = {}
"""Campaigns read before, by revision: such a one never changes, and its dates are dear."""
_MOST_READ = 1_000


def read_campaign(row: StoredCampaign) -> Campaign:
    """The campaign of a row, as the rules see it."""
    found = _READ.get(row.revision)
    if found is None:
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        found = _READ[row.revision] = campaign_from_data(row.definition)
    return found
