"""What reading a listing yields, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.meetings import MeetingListing


class FeedError(Exception):
    """The content as a whole is no listing; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with one row. Rows count from 1; row 0 is about the whole file.

    A row that lacks an id, a weekday or a time is left out. A row whose lesser fields are at fault is kept
    without them: its id is then among the listings too.
    """

    row: int
    external_id: str | None
    message: str


@dataclass(frozen=True, slots=True)
class MeetingFeed:
    """Everything that could be read, and everything that could not."""

    listings: tuple[MeetingListing, ...]
    problems: tuple[RowProblem, ...]
