"""Commands about people: bring them in, look at one, erase one, choose their meetings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from phonenumbers import SUPPORTED_REGIONS

from service.cli.output import (
    BAD_INPUT,
    ROW_ID,
    CliError,
    emit,
    find_operator,
    open_runtime,
    parse_number,
    read_file,
    say,
    say_each,
    show_progress,
)
from service.usecases.people.choose_meeting import (
    MeetingChoice,
    Operator,
    choose_meeting,
    drop_meeting,
    list_meetings_of,
)
from service.usecases.people.erase_participant import Erasure, erase_participant
from service.usecases.people.import_participants import (
    ImportRefusedError,
    ImportRequest,
    ImportResult,
    import_participants,
)
from service.usecases.people.imported_person import RowOutcome
from service.usecases.people.move_zone import MoveOutcome, change_zone
from service.usecases.people.participant_file import ParticipantFileError
from service.usecases.people.show_participant import show_participant

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
WEEKDAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@click.group()
def participants() -> None:
    """People: import, show, erase, and the meetings they chose."""


@participants.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--country", default="US", show_default=True, help="For numbers without a country code.")
@click.option("--skip-bad-rows", is_flag=True, help="Import the good rows and list the bad ones.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@as_json_option
def import_command(file: Path, country: str, skip_bad_rows: bool, dry_run: bool, as_json: bool) -> None:
    """Bring in people from FILE (CSV), with the consent each gave. Safe to repeat.

    Columns: phone, name, timezone, language, program, discharge_date, consent (empty, verbal or written),
    consent_at, consent_by, tags (semicolon-separated). Only phone is required.
    """
    if country.upper() not in SUPPORTED_REGIONS:
        raise CliError("--country is no country code; use two letters such as US")
    content = read_file(file)
    with open_runtime() as runtime, show_progress("imported") as report:
        request = ImportRequest(content, find_operator(), country.upper(), skip_bad_rows, dry_run)
        try:
            result = import_participants(runtime.context, request, runtime.clock(), report)
        except ParticipantFileError as error:
            raise CliError(error.fault.as_line(file.name)) from None
        except ImportRefusedError as error:
            _say_errors(file, error)
            raise click.exceptions.Exit(BAD_INPUT) from None
    say_each([f"skipped: {error.as_line(file.name)}" for error in result.errors])
    stays = "opted out earlier and stays so; only a newer consent reopens"
    say_each([f"{file.name}: row {row}: {stays}" for row in result.opted_out_rows])
    emit(_import_data(file, result, dry_run), as_json, _import_line)


def _say_errors(file: Path, refused: ImportRefusedError) -> None:
    say_each([error.as_line(file.name) for error in refused.errors])
    if len(refused.errors) > 1:
        say(f"nothing was imported: {len(refused.errors)} errors; correct them or use --skip-bad-rows")


def _import_data(file: Path, result: ImportResult, dry_run: bool) -> dict[str, Any]:
    counts = {str(outcome): result.counts[outcome] for outcome in RowOutcome}
    errors = [
        {"row": error.row, "column": error.column, "problem": error.problem, "remedy": error.remedy}
        for error in result.errors
    ]
    return {
        "file": file.name,
        "source": result.source,
        "dry_run": dry_run,
        "rows": result.rows,
        **counts,
        "skipped": len({error.row for error in result.errors}),
        "opted_out_rows": result.opted_out_rows,
        "errors": errors,
    }


def _import_line(data: dict[str, Any]) -> str:
    parts = [f"{data[outcome]} {outcome.replace('_', ' ')}" for outcome in RowOutcome]
    would = "would be " if data["dry_run"] else ""
    return f"{data['rows']} rows: {would}{', '.join(parts)}, {data['skipped']} skipped"


@participants.command("show")
@click.argument("phone")
@as_json_option
def show(phone: str, as_json: bool) -> None:
    """One person: consent with its wording, programs, texts, meetings, open tasks. Looking is recorded."""
    with open_runtime() as runtime:
        number = parse_number(phone, runtime.settings.org_country)
        data = show_participant(runtime.context, number, find_operator(), runtime.clock())
    emit(data, as_json, _show_lines)


def _show_lines(data: dict[str, Any]) -> str:
    lines = [f"{name}: {value}" for name, value in data.items() if not isinstance(value, list)]
    for name, rows in data.items():
        if isinstance(rows, list):
            lines.append(f"{name}:" if rows else f"{name}: none")
            lines += [f"  {_row_words(row)}" for row in rows]
    return "\n".join(lines)


def _row_words(row: object) -> str:
    if not isinstance(row, dict):
        return str(row)
    return ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)


@participants.command("erase")
@click.argument("phone")
@click.option("--yes", is_flag=True, help="Required: this cannot be undone.")
@as_json_option
def erase(phone: str, yes: bool, as_json: bool) -> None:
    """Delete everything readable about a number and never text it again. Safe to repeat."""
    if not yes:
        raise CliError("erasing cannot be undone; repeat with --yes")
    with open_runtime() as runtime:
        number = parse_number(phone, runtime.settings.org_country)
        found = erase_participant(runtime.context, number, find_operator(), runtime.clock())
    emit({"result": str(found)}, as_json, lambda _row: _ERASED[found])


_ERASED = {
    Erasure.ERASED: "erased; the number stays on the list of those never to be texted",
    Erasure.NOTHING_STORED: "nothing was stored; the number is on the list of those never to be texted",
}


@participants.command("zone")
@click.argument("phone")
@click.argument("zone")
@as_json_option
def zone_command(phone: str, zone: str, as_json: bool) -> None:
    """Set the time ZONE (IANA, like America/Chicago) a person lives in; their day is planned anew there."""
    with open_runtime() as runtime:
        number = parse_number(phone, runtime.settings.org_country)
        moved = change_zone(runtime.context, number, zone, find_operator(), runtime.clock())
    emit({"result": str(moved)}, as_json, lambda _row: _MOVED[moved])


_MOVED = {
    MoveOutcome.MOVED: "moved; what was waiting is planned anew by the clock there",
    MoveOutcome.UNCHANGED: "nothing to do: this is the zone already",
}


@participants.command("meetings")
@click.argument("phone")
@click.option("--add", "add_id", type=ROW_ID, metavar="ID", help="Remind of this meeting.")
@click.option("--remove", "remove_id", type=ROW_ID, metavar="ID", help="No more reminders of this meeting.")
@click.option("--list", "is_listing", is_flag=True, help="Show what was chosen (the default).")
@click.option("--label", help="What the reminder calls it; only the person should understand it.")
@click.option("--minutes-before", type=click.IntRange(10, 1440), default=120, show_default=True)
@as_json_option
def person_meetings(
    phone: str,
    add_id: int | None,
    remove_id: int | None,
    is_listing: bool,
    label: str | None,
    minutes_before: int,
    as_json: bool,
) -> None:
    """Meetings a person wants to be reminded of."""
    if sum((add_id is not None, remove_id is not None, is_listing)) > 1:
        raise CliError("use one of --add, --remove and --list")
    with open_runtime() as runtime:
        number = parse_number(phone, runtime.settings.org_country)
        operator = Operator(find_operator(), runtime.clock())
        if add_id is not None:
            choice = MeetingChoice(add_id, label, minutes_before)
            outcome = choose_meeting(runtime.context, number, choice, operator)
        elif remove_id is not None:
            outcome = drop_meeting(runtime.context, number, remove_id, operator)
        else:
            rows = list_meetings_of(runtime.context, number, operator)
            emit(rows, as_json, _meeting_line)
            return
    result = {"meeting_id": add_id or remove_id, "result": str(outcome)}
    emit(result, as_json, lambda row: f"meeting {row['meeting_id']}: {row['result']}")


def _meeting_line(row: dict[str, Any]) -> str:
    when = f"{WEEKDAYS[row['weekday']]} {row['starts_at']} {row['timezone']}"
    gone = " (no longer held)" if row["is_gone"] else ""
    return f"{row['id']}  {when}  {row['name']}  {row['minutes_before']} min before{gone}"
