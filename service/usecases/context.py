"""What every use case needs, handed in by whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_hex

from service.catalog import Catalog
from service.config import Settings
from service.domain.hotlines import Hotline, find_hotline
from service.domain.template import render
from service.store.database import Database
from service.store.keyring import Keyring


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the texts and the settings of one process."""

    database: Database
    catalog: Catalog
    settings: Settings
    _fields: dict[tuple[str, str], dict[str, str]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def keyring(self) -> Keyring:
        return self.database.keyring

    def status_callback(self, reference: str) -> str:
        """The address to which the provider tells the fate of the try called `reference`."""
        return f"{self.settings.public_url}/twilio/status?ref={reference}"

    def common_fields(self, country: str, language: str) -> dict[str, str]:
        """Placeholders every text may use: who we are, and the hotlines of the person's country.

        A country without lines of its own (a territory that has the same ones) gets those of ours.
        """
        key = country, language
        if key not in self._fields:
            self._fields[key] = self._find_fields(country, language)
        return dict(self._fields[key])

    def _find_fields(self, country: str, language: str) -> dict[str, str]:
        ours = self.settings
        who = {"org": ours.org_name, "org_phone": ours.org_phone, "org_hours": ours.org_hours}
        return who | find_hotline_fields(self.catalog, country, ours.org_country, language)


def find_hotline_fields(catalog: Catalog, country: str, ours: str, language: str) -> dict[str, str]:
    """The placeholders of the hotlines of a country; those of `ours` for a kind that it does not have."""
    lines = {
        kind: find_hotline(catalog.hotlines, country, kind) or find_hotline(catalog.hotlines, ours, kind)
        for kind in ("emergency", "crisis", "treatment")
    }
    numbers = {kind: _number(line) for kind, line in lines.items()}
    crisis = lines["crisis"]
    takes_texts = crisis is not None and crisis.sms is not None and crisis.sms == crisis.voice
    phrase = catalog.get("phrase/call-or-text" if takes_texts else "phrase/call", language)
    return numbers | {"crisis_contact": render(phrase.body, {"number": numbers["crisis"]})}


def new_reference() -> str:
    """A random reference that names nothing and nobody."""
    return token_hex(16)


def _number(hotline: Hotline | None) -> str:
    return "" if hotline is None else (hotline.voice or hotline.sms or "")
