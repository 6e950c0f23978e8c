"""Look at the catalog: one text as it would be sent."""

from __future__ import annotations

from typing import Any

from service.catalog import Catalog
from service.domain.segments import count_segments
from service.domain.template import render
from service.usecases.review.example_person import ExamplePerson


class NoTextError(Exception):
    """The catalog has no such text."""

    def __init__(self, text_id: str) -> None:
        super().__init__(f"there is no text {text_id[:80]}; ids are in messages/texts/")


def preview_text(
    catalog: Catalog, text_id: str, language: str, person: ExamplePerson, *, is_plain: bool
) -> dict[str, Any]:
    """Render a text for an example person, and say what it costs then and at its longest.

    Raises NoTextError.
    """
    try:
        entry, text = catalog.text(text_id), catalog.get(text_id, language, plain=is_plain)
    except LookupError:
        raise NoTextError(text_id) from None
    fields = person.list_fields(catalog, entry, language)
    body = render(text.body, fields)
    count, most = count_segments(body), count_segments(render(text.body, fields | dict(entry.fields)))
    return {
        "id": text_id,
        "version": text.version,
        "language": text.language,
        "plain": text.is_plain,
        "country": person.country,
        "body": body,
        "segments": count.segments,
        "units": count.units,
        "encoding": count.encoding,
        "costly": list(count.costly),
        "longest_segments": most.segments,
        "longest_units": most.units,
    }
