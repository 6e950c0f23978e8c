"""How the command line talks: data on stdout, messages for people on stderr, one line for what is wrong."""

from __future__ import annotations

import getpass
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

import click
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from service.catalog import CatalogError
from service.config import ConfigError, load_settings
from service.domain.local_time import UnknownZoneError
from service.domain.phone import InvalidPhoneError, PhoneNumber, parse_phone
from service.logs import configure_logs
from service.store.database import DATABASE_AWAY, Database, real_now
from service.store.keyring import DecryptionError
from service.store.schema import BrokenReferencesError, find_pending_migration
from service.usecases.campaigns.save_campaign import CampaignConflictError, NoCampaignError
from service.usecases.meetings.import_meetings import MeetingImportError
from service.usecases.operations.explain_message import NoMessageError
from service.usecases.operations.live_mode import NotReadyError
from service.usecases.operations.staff_accounts import StaffError
from service.usecases.operations.staff_tasks import TaskError
from service.usecases.people.choose_meeting import MeetingChoiceError
from service.usecases.people.consent_changes import KeysMissingError
from service.usecases.people.show_participant import NobodyError
from service.wiring import Runtime, build_runtime

BAD_INPUT = 2
FAULT = 1
MOST_LINES = 100
ROW_ID = click.IntRange(1, 2**63 - 1)


class CliError(click.ClickException):
    """What was asked cannot be done; the message is one line that says what to do. Exit code 2."""

    exit_code = BAD_INPUT

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line, and nothing around it."""
        click.echo(self.format_message(), file=file, err=file is None)


class FaultError(CliError):
    """Something went wrong that nobody foresaw. Exit code 1."""

    exit_code = FAULT


_EXPECTED = (
    BrokenReferencesError,
    CampaignConflictError,
    ConfigError,
    CatalogError,
    DecryptionError,
    InvalidPhoneError,
    KeysMissingError,
    MeetingChoiceError,
    MeetingImportError,
    NobodyError,
    NoCampaignError,
    NoMessageError,
    NotReadyError,
    StaffError,
    TaskError,
    UnknownZoneError,
)


class OneLineGroup(click.Group):
    """A group whose commands end in one line, never in a traceback.

    A traceback's last line may quote what was stored or typed, so of an unexpected fault only its type and
    place are told.
    """

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _one_line_usage():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _one_line_usage():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except _EXPECTED as error:
            raise CliError(" ".join(str(error).split())) from None
        except (OperationalError, ArgumentError) as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise CliError(f"the database cannot be used ({cause}); check DATABASE_URL") from None
        except OSError as error:
            raise CliError(f"{error.strerror or 'input or output failed'} ({type(error).__name__})") from None
        except Exception as error:
            raise _unexpected(error) from None


@contextmanager
def _one_line_usage() -> Iterator[None]:
    """Say what is wrong with the words of a command in one line; a command without any shows its help."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "aftercare"
        raise CliError(f"{' '.join(error.format_message().split())} See `{command} --help`.") from None


def _unexpected(error: Exception) -> click.ClickException:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else ""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return FaultError(f"unexpected fault: {type(cause).__name__}{place}; please report it")


def say(message: str) -> None:
    """Tell the person at the terminal something. Never on stdout, which holds data only."""
    click.echo(message, err=True)


def say_each(lines: Sequence[str]) -> None:
    """Tell at most a hundred lines, and how many more there are: the first ones are the ones to mend."""
    for line in lines[:MOST_LINES]:
        say(line)
    if len(lines) > MOST_LINES:
        say(f"… and {len(lines) - MOST_LINES:,} more")


def emit(data: Any, as_json: bool, line: Callable[[Any], str]) -> None:
    """Print data on stdout: one JSON value, or words, with `line` for the object or each row of the list."""
    if as_json:
        click.echo(json.dumps(data, default=_plain, ensure_ascii=False))
    elif isinstance(data, list):
        for row in data:
            click.echo(line(row))
    else:
        click.echo(line(data))


def _plain(value: object) -> str:
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    raise TypeError(f"cannot print a {type(value).__name__}")


@contextmanager
def open_runtime(*, migrated: bool = True, wait_seconds: float = 0.0) -> Iterator[Runtime]:
    """The runtime from the environment's settings, closed at the end.

    A database that does not answer is waited for up to `wait_seconds`. Raises CliError when the database
    lacks a migration (unless `migrated` is False), and what `build_runtime` and the database raise.
    """
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    runtime = build_runtime(settings)
    try:
        _wait_for_database(runtime.database, wait_seconds)
        if migrated and find_pending_migration(runtime.database) is not None:
            raise CliError("the database is not migrated; run `aftercare db upgrade`")
        yield runtime
    finally:
        runtime.close()


def _wait_for_database(database: Database, seconds: float) -> None:
    until = monotonic() + seconds
    is_told = False
    if seconds:
        database.expect_answers_within(seconds)
    while monotonic() < until:
        try:
            with database.read() as session:
                real_now(session)
            return
        except DATABASE_AWAY:
            if not is_told:
                say(f"the database does not answer; waiting up to {seconds:.0f} seconds for it")
                is_told = True
            sleep(min(1.0, max(0.0, until - monotonic())))


PROGRESS_EVERY = 1_000


@contextmanager
def show_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what to tell of rows done, and of how many: a line that moves, or one per 1000 rows in a file."""
    is_terminal = sys.stderr.isatty()
    shown = 0

    def report(done: int, total: int) -> None:
        nonlocal shown
        if is_terminal:
            click.echo(f"\r{what}: {done} of {total}", err=True, nl=False)
        elif done // PROGRESS_EVERY > shown // PROGRESS_EVERY:
            click.echo(f"{what}: {done} of {total}", err=True)
        shown = done

    try:
        yield report
    finally:
        if is_terminal and shown:
            click.echo(err=True)


def find_operator() -> str:
    """Who runs the command, for the audit trail: the account on this machine."""
    try:
        return f"cli:{getpass.getuser()}"[:120]
    except (KeyError, OSError, ImportError):
        return "cli"


def parse_number(raw: str, country: str) -> PhoneNumber:
    """Read a number from the command line. Raises CliError without repeating it."""
    try:
        return parse_phone(raw, country)
    except InvalidPhoneError as error:
        raise CliError(f"PHONE: {error}; write it as +12025550123") from None


def read_file(path: Path) -> bytes:
    """The bytes of a file named on the command line. Raises CliError."""
    try:
        return path.read_bytes()
    except OSError as error:
        why = (error.strerror or "no access").lower()
        raise CliError(f"{path.name}: cannot be read ({why}); check the path") from None


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned columns of text."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))] if cells else []
    return "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
