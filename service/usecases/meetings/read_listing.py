"""Read a listing of meetings from a file or an address into facts that can be taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import SplitResult, urlsplit

from service.domain.local_time import get_zone
from service.gateways.meetings.bmlt import read_bmlt
from service.gateways.meetings.feed import FeedError, RowProblem
from service.gateways.meetings.public_hosts import is_public
from service.gateways.meetings.source import SourceError, load_source
from service.usecases.meetings.import_meetings import ListingImport, MeetingImportError


@dataclass(frozen=True, slots=True)
class ListingRequest:
    """Which listing to read. `timezone` (IANA) applies where the listing names none."""

    source: str
    format: str
    timezone: str
    name: str | None = None
    accept_shrink: bool = False


@dataclass(frozen=True, slots=True)
class ListingRead:
    """A listing that was read, and a line for each row that could not be."""

    listing: ListingImport
    problems: Sequence[str]


def read_listing(request: ListingRequest) -> ListingRead:
    """Load and read. Raises MeetingImportError in one line when the listing as a whole cannot be read."""
    get_zone(request.timezone)
    name = request.name or name_source(request.source)
    try:
        feed = read_bmlt(
            load_source(request.source, allow_private=is_own_network(request.source)), request.timezone
        )
    except (SourceError, FeedError) as error:
        raise MeetingImportError(f"{name}: {error}") from None
    listing = ListingImport(
        source_name=name,
        format=request.format,
        timezone=request.timezone,
        listings=feed.listings,
        unreadable_ids=[problem.external_id for problem in feed.problems if problem.external_id],
        accept_shrink=request.accept_shrink,
    )
    return ListingRead(listing, [_say(name, problem) for problem in feed.problems])


def _say(name: str, problem: RowProblem) -> str:
    place = f"row {problem.row}: " if problem.row else ""
    return f"{name}: {place}{problem.message}"


def is_own_network(source: str) -> bool:
    """Whether the operator typed an address of this machine or network itself.

    Any other address, and every redirect to another host, stays barred from leading in there.
    """
    parts = _split(source)
    host = (parts.hostname or "") if parts else ""
    try:
        return not is_public(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _split(source: str) -> SplitResult | None:
    """The parts of a web address; None for a file, and for what only looks like an address."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") else None


def name_source(source: str) -> str:
    """A name for a source that has none: the file, or the address without its query, which may hold a key."""
    parts = _split(source)
    if parts is not None:
        return f"{parts.hostname or ''}{parts.path}"[:255]
    return PurePath(source).name[:255]
