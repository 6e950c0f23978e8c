"""Commands about listings of support meetings."""

from __future__ import annotations

from typing import Any

import click

from service.cli.output import CliError, emit, find_operator, open_runtime, say_each
from service.usecases.meetings.import_meetings import import_meetings, list_meetings
from service.usecases.meetings.read_listing import ListingRequest, read_listing

FORMATS = ("bmlt", "meeting-guide", "ics", "csv")
SUPPORTED = ("bmlt",)
WEEKDAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@click.group()
def meetings() -> None:
    """Listings of support meetings."""


@meetings.command("import")
@click.argument("source")
@click.option("--format", "listing_format", type=click.Choice(FORMATS), required=True)
@click.option("--timezone", required=True, help="IANA zone of meetings that name none.")
@click.option("--name", help="Name of the source; the file or address otherwise.")
@click.option("--accept-shrink", is_flag=True, help="Believe a listing that lost more than a fifth.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def import_command(
    source: str, listing_format: str, timezone: str, name: str | None, accept_shrink: bool, as_json: bool
) -> None:
    """Take over the listing at SOURCE, a file or an address. Safe to repeat."""
    if listing_format not in SUPPORTED:
        raise CliError(f"--format {listing_format} is not supported yet; use {', '.join(SUPPORTED)}")
    with open_runtime() as runtime:
        request = ListingRequest(source, listing_format, timezone, name, accept_shrink)
        read = read_listing(request)
        say_each(read.problems)
        changes = import_meetings(runtime.context, read.listing, find_operator(), runtime.clock())
    data = {
        "source": read.listing.source_name,
        "meetings": len(read.listing.listings),
        "added": changes.added,
        "changed": changes.changed,
        "vanished": changes.vanished,
        "unchanged": changes.unchanged,
        "people_planned_again": changes.people_planned_again,
        "problems": len(read.problems),
    }
    emit(data, as_json, lambda row: ", ".join(f"{key}: {value}" for key, value in row.items()))


@meetings.command("list")
@click.option("--city", help="Only meetings in this city.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_command(city: str | None, as_json: bool) -> None:
    """Meetings that are held now."""
    with open_runtime() as runtime:
        rows = list_meetings(runtime.context, city)
    emit(rows, as_json, _line)


def _line(row: dict[str, Any]) -> str:
    when = f"{WEEKDAYS[row['weekday']]} {row['starts_at']} {row['timezone']}"
    return f"{row['id']}  {when}  {row['name']}  {row['place'] or row['venue']}  {row['city'] or ''}".rstrip()
