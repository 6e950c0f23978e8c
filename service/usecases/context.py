"""What every use case needs, handed in by whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex

from service.catalog import Catalog
from service.config import Settings
from service.domain.hotlines import Hotline, find_hotline
from service.store.database import Database
from service.store.keyring import Keyring


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the texts and the settings of one process."""

    database: Database
    catalog: Catalog
    settings: Settings

    @property
    def keyring(self) -> Keyring:
        return self.database.keyring

    def status_callback(self, reference: str) -> str:
        """The address to which the provider tells the fate of the try called `reference`."""
        return f"{self.settings.public_url}/twilio/status?ref={reference}"

    def common_fields(self, country: str) -> dict[str, str]:
        """Placeholders every text may use: who we are, and the hotlines of the person's country.

        A country without lines of its own (a territory that has the same ones) gets those of ours.
        """
        hotlines = self.catalog.hotlines
        numbers = {
            kind: _number(
                find_hotline(hotlines, country, kind)
                or find_hotline(hotlines, self.settings.org_country, kind)
            )
            for kind in ("emergency", "crisis", "treatment")
        }
        return {
            "org": self.settings.org_name,
            "org_phone": self.settings.org_phone,
            "org_hours": self.settings.org_hours,
            **numbers,
        }


def new_reference() -> str:
    """A random reference that names nothing and nobody."""
    return token_hex(16)


def _number(hotline: Hotline | None) -> str:
    return "" if hotline is None else (hotline.voice or hotline.sms or "")
