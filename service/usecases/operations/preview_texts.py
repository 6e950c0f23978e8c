"""Look at the catalog: one text as it would be sent, and what keeps the whole from going live."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.catalog import Catalog
from service.domain.hotlines import stale_lines
from service.domain.segments import count_segments
from service.domain.template import render
from service.usecases.context import Context
from service.usecases.operations.live_mode import HOTLINES_GOOD_FOR_DAYS
from service.usecases.people.wording import frequency_of


class NoTextError(Exception):
    """The catalog has no such text."""

    def __init__(self, text_id: str) -> None:
        super().__init__(f"there is no text {text_id[:80]}; ids are in messages/texts/")


def preview_text(context: Context, text_id: str, language: str, *, is_plain: bool) -> dict[str, Any]:
    """Render a text with the longest names and numbers its file gives, for the rest with ours.

    Raises NoTextError.
    """
    try:
        text = context.catalog.get(text_id, language, plain=is_plain)
    except LookupError:
        raise NoTextError(text_id) from None
    longest = dict(context.catalog.entries[text_id].fields)
    common = context.common_fields(context.settings.org_country, language)
    # Whole phrases are shown in the language of the text; their longest ones may be in another.
    phrases = {"crisis_contact": common["crisis_contact"]}
    if "frequency" in longest:
        programs = context.catalog.programs.values()
        phrases["frequency"] = max((frequency_of(program, language) for program in programs), key=len)
    body = render(text.body, common | longest | phrases)
    count = count_segments(body)
    return {
        "id": text_id,
        "version": text.version,
        "language": language,
        "body": body,
        "segments": count.segments,
        "units": count.units,
        "encoding": count.encoding,
        "costly": list(count.costly),
    }


def list_warnings(catalog: Catalog, now: datetime) -> list[dict[str, str]]:
    """What keeps the catalog from going live. That it loaded at all is the rest of the check."""
    unsigned = catalog.unsigned_ids()
    warnings = []
    if unsigned:
        problem = f"{len(unsigned)} texts have no clinical review: {', '.join(sorted(unsigned)[:5])}, ..."
        warnings.append({"check": "unsigned", "problem": problem})
    for line in stale_lines(catalog.hotlines, now.date(), HOTLINES_GOOD_FOR_DAYS):
        problem = f"{line.country} {line.name}: not verified for {HOTLINES_GOOD_FOR_DAYS} days"
        warnings.append({"check": "hotline", "problem": problem})
    return warnings
