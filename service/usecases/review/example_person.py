"""The fictional person for whom texts are shown to whoever writes, reviews or operates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.catalog import Catalog, TextEntry
from service.domain.program import Program
from service.usecases.context import find_hotline_fields
from service.usecases.people.wording import frequency_of

DEFAULT_PROGRAM = "first-year"

_OWN: Mapping[str, Mapping[str, str]] = {
    "en": {
        "label": "coffee with the crew",
        "name": "Morning Light Group",
        "place": "12 Example Street",
        "time": "6:30 PM",
        "zone": "Eastern Time",
        "days": "3",
        "until": "Wednesday, December 2, 2026",
    },
    "es": {
        "label": "cafe con el grupo",
        "name": "Grupo Luz del Dia",
        "place": "12 Example Street",
        "time": "18:30",
        "zone": "hora del este",
        "days": "3",
        "until": "miercoles, 2 de diciembre de 2026",
    },
}
"""What the person chose and what was arranged with them, as texts say it."""


@dataclass(frozen=True, slots=True)
class ExamplePerson:
    """Somebody in a program, in a country, with an organization. All of it is fictional unless given."""

    program: Program
    country: str = "US"
    org: str = "River House"
    org_phone: str = "202-555-0100"
    org_hours: str = "Mon-Fri 9-5"
    org_country: str = "US"

    def list_fields(self, catalog: Catalog, entry: TextEntry, language: str) -> dict[str, str]:
        """A value for every placeholder of a text; one not known here gets the longest of its file."""
        hotlines = find_hotline_fields(catalog, self.country, self.org_country, language)
        return {
            **entry.fields,
            **hotlines,
            **_OWN.get(language, _OWN["en"]),
            "number": hotlines["crisis"],
            "org": self.org,
            "org_phone": self.org_phone,
            "org_hours": self.org_hours,
            "frequency": frequency_of(self.program, language),
        }
