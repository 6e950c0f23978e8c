"""Reads listings in the JSON of the Basic Meeting List Toolbox, which Narcotics Anonymous publishes.

Fields and codes: the semantic API description in bmlt-enabled/bmlt-server
(src/storage/api-docs/api-docs-semantic.json). Servers leave out what a search did not ask for, so that only
the id, the weekday and the time are required here. Contact persons (contact_*) are never read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from typing import Any, Final

from service.domain.local_time import UnknownZoneError, get_zone
from service.domain.meetings import MeetingListing, Venue
from service.gateways.meetings.cleaning import clean_name, clean_text, clean_url
from service.gateways.meetings.feed import FeedError, MeetingFeed, RowProblem

__all__ = ["FeedError", "MeetingFeed", "RowProblem", "read_bmlt"]

Row = Mapping[str, Any]

_VENUES: Final = {"1": Venue.IN_PERSON, "2": Venue.VIRTUAL, "3": Venue.HYBRID}
_ONLINE: Final = "VM"
_HYBRID: Final = "HY"
_CLOSED: Final = "TC"
_NO = frozenset({"0", "false", "no"})
_UNNAMED: Final = "NA Meeting"
"""What the servers themselves call a meeting without a name."""

_PROMPT: Final = "#@-@#"
"""Some servers write a field as its prompt, this mark, and the value."""

_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9])(?::([0-5][0-9]))?")
_MAX_FORMATS: Final = 40
_LONGEST_ID: Final = 80


class _RowError(Exception):
    """A row cannot become a meeting."""


def read_bmlt(content: bytes, timezone: str) -> MeetingFeed:
    """Read a server's answer to GetSearchResults, with or without its list of formats.

    `timezone` (IANA) applies to rows that name none: most do not. Raises FeedError when the content is not
    such an answer, and UnknownZoneError for a wrong `timezone`.
    """
    get_zone(timezone)
    problems: list[RowProblem] = []
    rows = _find_rows(_parse(_decode(content, problems)))
    listings: dict[str, MeetingListing] = {}
    for number, row in enumerate(rows, start=1):
        notes: list[str] = []
        external_id = _find_id(row)
        try:
            listing = _read_row(row, external_id, timezone, notes)
        except _RowError as error:
            notes = [str(error)]
        else:
            if listings.setdefault(listing.external_id, listing) is not listing:
                notes = ["the id_bigint was used by an earlier row, which is kept"]
        problems += [RowProblem(number, external_id, note) for note in notes]
    return MeetingFeed(tuple(listings.values()), tuple(problems))


def _decode(content: bytes, problems: list[RowProblem]) -> str:
    try:
        return content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        pass
    problems.append(RowProblem(0, None, "not UTF-8: read as Western European, so check accented letters"))
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _parse(text: str) -> Any:
    if not text.strip():
        raise FeedError("the listing is empty")
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        raise FeedError("this is a web page or XML, not JSON; use the address that ends in /json/")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise FeedError(f"the JSON is cut off after {where}; fetch it again") from None
        raise FeedError(f"this is not JSON: it breaks at {where}") from None
    except (ValueError, RecursionError):
        raise FeedError("this is not JSON that a meeting server writes") from None


def _find_rows(answer: Any) -> Sequence[Any]:
    if isinstance(answer, Mapping):
        answer = answer.get("meetings")
    if not isinstance(answer, list):
        raise FeedError("this JSON holds no list of meetings")
    if not answer:
        raise FeedError("the listing has no meetings")
    if not any(isinstance(row, Mapping) and "id_bigint" in row for row in answer):
        raise FeedError("this JSON is no list of meetings: not one row has an id_bigint")
    return answer


def _find_id(row: Any) -> str | None:
    external_id = _text(row, "id_bigint", _LONGEST_ID + 1) if isinstance(row, Mapping) else None
    return external_id if external_id and len(external_id) <= _LONGEST_ID else None


def _read_row(row: Any, external_id: str | None, timezone: str, notes: list[str]) -> MeetingListing:
    """One row as a meeting. Raises _RowError; notes what was left out of a meeting that is kept."""
    if not isinstance(row, Mapping):
        raise _RowError("the row is not an object with fields")
    if external_id is None:
        raise _RowError(f"the id_bigint is missing or longer than {_LONGEST_ID} characters")
    formats = _read_formats(row)
    venue = _find_venue(row, formats)
    latitude, longitude = _read_position(row)
    return MeetingListing(
        external_id=external_id,
        name=clean_name(_value(row, "meeting_name"), 255) or _UNNAMED,
        fellowship="NA",
        weekday=_read_weekday(row),
        starts_at=_read_start(row),
        duration=_read_duration(row, notes),
        timezone=_read_timezone(row, timezone, notes),
        venue=venue,
        place=clean_name(_value(row, "location_text"), 255),
        address=clean_name(_value(row, "location_street"), 255),
        city=_text(row, "location_municipality", 120),
        region=_text(row, "location_province", 120),
        postal_code=_text(row, "location_postal_code_1", 20),
        latitude=latitude,
        longitude=longitude,
        join_url=_read_join_url(row, notes),
        join_phone=_text(row, "phone_meeting_number", 80),
        join_notes=_read_join_notes(row),
        formats=formats,
        language=_text(row, "lang_enum", 8),
        is_published=str(row.get("published")).strip().lower() not in _NO,
        # A closed room with a way to join online is how servers write "online for the time being".
        is_temporarily_closed=_CLOSED in formats and venue is Venue.IN_PERSON,
    )


def _text(row: Row, name: str, longest: int) -> str | None:
    return clean_text(_value(row, name), longest)


def _value(row: Row, name: str) -> Any:
    value = row.get(name)
    return value.rsplit(_PROMPT, maxsplit=1)[-1] if isinstance(value, str) else value


def _read_weekday(row: Row) -> int:
    """Servers count from 1, Sunday."""
    text = _text(row, "weekday_tinyint", 10) or ""
    if text not in {"1", "2", "3", "4", "5", "6", "7"}:
        raise _RowError("the weekday_tinyint is not 1 (Sunday) to 7 (Saturday)")
    return (int(text) - 2) % 7 + 1


def _read_start(row: Row) -> time:
    match = _CLOCK.fullmatch(_text(row, "start_time", 20) or "")
    if match is None or int(match[1]) > 23:
        raise _RowError("the start_time is not a time from 00:00:00 to 23:59:59")
    return time(int(match[1]), int(match[2]), int(match[3] or 0))


def _read_duration(row: Row, notes: list[str]) -> timedelta | None:
    text = _text(row, "duration_time", 20)
    if text is None:
        return None
    match = _CLOCK.fullmatch(text)
    if match is None or int(match[1]) > 24:
        notes.append("the duration_time is not a time such as 01:30:00 and was left out")
        return None
    return timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=int(match[3] or 0)) or None


def _read_timezone(row: Row, timezone: str, notes: list[str]) -> str:
    name = _text(row, "time_zone", 64)
    if name is None:
        return timezone
    try:
        return get_zone(name).key
    except UnknownZoneError:
        notes.append("the time_zone is no IANA name, so the time zone of the whole listing was used")
        return timezone


def _read_formats(row: Row) -> tuple[str, ...]:
    codes = (code.strip()[:20] for code in (_text(row, "formats", 1000) or "").split(","))
    return tuple(dict.fromkeys(code for code in codes if code))[:_MAX_FORMATS]


def _find_venue(row: Row, formats: Sequence[str]) -> Venue:
    """The venue type, else the format codes, else what the row offers.

    "In person" is also what servers fill in for old rows, so the codes for online count before it.
    """
    stated = _VENUES.get(_text(row, "venue_type", 10) or "")
    url = clean_url(row.get("virtual_meeting_link"))
    phone = _text(row, "phone_meeting_number", 80)
    is_hybrid = _HYBRID in formats
    if stated is Venue.HYBRID or (is_hybrid and stated is not Venue.VIRTUAL):
        return Venue.HYBRID
    if stated is Venue.VIRTUAL or _ONLINE in formats:
        return Venue.PHONE if phone and not url else Venue.VIRTUAL
    if stated is None and (url or phone):
        has_place = _text(row, "location_street", 255) or _text(row, "location_text", 255)
        return Venue.HYBRID if has_place else Venue.VIRTUAL if url else Venue.PHONE
    return Venue.IN_PERSON


def _read_position(row: Row) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees; 0, 0 is what servers write for "not looked up"."""
    try:
        latitude = float(_text(row, "latitude", 40) or "nan")
        longitude = float(_text(row, "longitude", 40) or "nan")
    except ValueError:
        return None, None
    is_given = math.isfinite(latitude) and math.isfinite(longitude) and (latitude, longitude) != (0, 0)
    if not is_given or abs(latitude) > 90 or abs(longitude) > 180:
        return None, None
    return latitude, longitude


def _read_join_url(row: Row, notes: list[str]) -> str | None:
    url = clean_url(row.get("virtual_meeting_link"))
    if url is None and _text(row, "virtual_meeting_link", 10):
        notes.append("the virtual_meeting_link is not a web address and was left out")
    return url


def _read_join_notes(row: Row) -> str | None:
    """How to find the room and how to get into the call; both are what a newcomer asks."""
    notes = (_text(row, "location_info", 500), _text(row, "virtual_meeting_additional_info", 500))
    return "; ".join(note for note in notes if note) or None
