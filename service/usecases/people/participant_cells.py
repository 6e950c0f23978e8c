"""Read one row of the participants' file: what each cell must hold, by the contract of the import."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from service.domain.consent import DocumentedConsent
from service.domain.local_time import UnknownZoneError, get_zone, local_date, start_of_day, to_utc
from service.domain.phone import (
    DIGITS_OF_A_NUMBER,
    InvalidPhoneError,
    PhoneNumber,
    may_hold_number,
    parse_phone,
)
from service.usecases.people.participant_file import RawRow, RowError

DEFAULT_PROGRAM = "first-year"
LANGUAGES = ("en", "es")
DISCHARGED_AT_MOST_AGO = timedelta(days=400)
DISCHARGED_AT_MOST_AHEAD = timedelta(days=60)
EARLIEST_YEAR = 2000
MAX_NAME, MAX_CONSENT_BY, MAX_TAG, MAX_TAGS = 200, 120, 60, 20
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_WRITE_DATE = "write it as 2026-11-23"
_SAY_WHO = "say who recorded it by name or role, such as intake desk"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImportRules:
    """What rows are read against.

    `country` (ISO code) applies to numbers without a country code, `org_timezone` to rows without a zone.
    `programs` leads from a casefolded id or own word to the program's id. `now` is aware UTC.
    """

    country: str
    org_timezone: str
    programs: dict[str, str]
    now: datetime


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """One good row. `timezone` is None when the file names none; `consent_at` is aware UTC."""

    number: int
    phone: PhoneNumber
    name: str | None
    timezone: str | None
    language: str | None
    program_id: str
    discharge_on: date | None
    consent: DocumentedConsent
    consent_at: datetime | None
    consent_by: str | None
    tags: tuple[str, ...]


class CellError(ValueError):
    """One cell is wrong: the problem, and what to do about it. Never repeats the cell."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


@dataclass(slots=True)
class _Reader:
    """Reads the cells of one row and collects every error instead of stopping at the first."""

    row: RawRow
    errors: list[RowError] = field(default_factory=list)

    def read(self, column: str, parse: Callable[[str], T], otherwise: T) -> T:
        try:
            return parse(self.row.cells.get(column, ""))
        except CellError as error:
            self.fail(column, error.problem, error.remedy)
            return otherwise

    def fail(self, column: str, problem: str, remedy: str) -> None:
        self.errors.append(RowError(self.row.number, column, problem, remedy))


def read_rows(rows: Collection[RawRow], rules: ImportRules) -> tuple[list[ParticipantRow], list[RowError]]:
    """Every good row, and every error of the others; a number may stand in the file once."""
    good: list[ParticipantRow] = []
    errors: list[RowError] = []
    first_rows: dict[str, int] = {}
    for raw in rows:
        reader = _Reader(raw)
        row = _read_row(reader, rules)
        first = first_rows.setdefault(row.phone.e164, raw.number) if row.phone.e164 else raw.number
        if first != raw.number:
            reader.fail("phone", f"the same number as in row {first}", "keep one of the two rows")
        errors += reader.errors
        if not reader.errors:
            good.append(row)
    return good, errors


def _read_row(reader: _Reader, rules: ImportRules) -> ParticipantRow:
    phone = reader.read("phone", lambda text: _phone(text, rules.country), PhoneNumber(""))
    timezone = reader.read("timezone", _timezone, None)
    zone = ZoneInfo(timezone or rules.org_timezone)
    consent = reader.read("consent", _consent, DocumentedConsent.NONE)
    is_needed = consent is not DocumentedConsent.NONE
    return ParticipantRow(
        number=reader.row.number,
        phone=phone,
        name=reader.read("name", lambda text: _words(text, MAX_NAME), None),
        timezone=timezone,
        language=reader.read("language", _language, None),
        program_id=reader.read("program", lambda text: _program(text, rules.programs), DEFAULT_PROGRAM),
        discharge_on=reader.read(
            "discharge_date", lambda text: _discharge_on(text, local_date(rules.now, zone)), None
        ),
        consent=consent,
        consent_at=reader.read(
            "consent_at", lambda text: _consent_at(text, zone, rules.now, is_needed), None
        ),
        consent_by=reader.read("consent_by", lambda text: _consent_by(text, is_needed), None),
        tags=reader.read("tags", _tags, ()),
    )


def _phone(text: str, country: str) -> PhoneNumber:
    if not text:
        raise CellError("is empty", "give the telephone number")
    try:
        return parse_phone(text, country)
    except InvalidPhoneError as error:
        raise CellError(str(error), "write it as +1 and ten digits") from None


def _timezone(text: str) -> str | None:
    if not text:
        return None
    try:
        return get_zone(text).key
    except UnknownZoneError:
        raise CellError("unknown time zone", "use an IANA name such as America/Chicago") from None


def _language(text: str) -> str | None:
    if text and text.casefold() not in LANGUAGES:
        raise CellError("unknown language", f"use {' or '.join(LANGUAGES)}")
    return text.casefold() or None


def _program(text: str, programs: dict[str, str]) -> str:
    wanted = text.casefold() or DEFAULT_PROGRAM
    if wanted not in programs:
        raise CellError("unknown program", f"use {', '.join(sorted(set(programs.values())))}")
    return programs[wanted]


def _consent(text: str) -> DocumentedConsent:
    try:
        return DocumentedConsent(text.casefold())
    except ValueError:
        raise CellError("unknown kind of consent", "use verbal or written, or leave it empty") from None


def _date(text: str) -> date:
    try:
        if _ISO_DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        raise CellError("no such day", _WRITE_DATE) from None
    raise CellError("not an ISO date", _WRITE_DATE)


def _discharge_on(text: str, today: date) -> date | None:
    if not text:
        return None
    on = _date(text)
    if on < today - DISCHARGED_AT_MOST_AGO:
        raise CellError(
            f"more than {DISCHARGED_AT_MOST_AGO.days} days ago", "correct the date or leave it empty"
        )
    if on > today + DISCHARGED_AT_MOST_AHEAD:
        raise CellError(f"more than {DISCHARGED_AT_MOST_AHEAD.days} days ahead", "correct the date")
    return on


def _consent_at(text: str, zone: ZoneInfo, now: datetime, is_needed: bool) -> datetime | None:
    if not text:
        if is_needed:
            raise CellError("is empty although there is consent", f"say when it was given, {_WRITE_DATE}")
        return None
    at = _instant(text, zone)
    if at > now:
        raise CellError("lies in the future", "say when consent was given")
    return at


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """A day counts from its beginning: a consent of the day of an opt-out is not surely newer than it."""
    if _ISO_DATE.fullmatch(text):
        on = _date(text)
        _check_year(on.year)
        return start_of_day(on, zone)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CellError("not an ISO date or date-time", f"{_WRITE_DATE} or 2026-11-23T15:30") from None
    _check_year(at.year)
    return at.astimezone(UTC) if at.tzinfo else to_utc(at.date(), at.time(), zone)


def _check_year(year: int) -> None:
    if not EARLIEST_YEAR <= year < 9000:
        raise CellError("no plausible year", "correct the year")


def _consent_by(text: str, is_needed: bool) -> str | None:
    if is_needed and not text:
        raise CellError("is empty although there is consent", "say who recorded it")
    # Kept readable for ever with the consent: a name, a role or a staff account, never anybody's number.
    if may_hold_number(text):
        raise CellError(f"holds {DIGITS_OF_A_NUMBER} or more digits, as a telephone number does", _SAY_WHO)
    return _words(text, MAX_CONSENT_BY)


def _tags(text: str) -> tuple[str, ...]:
    tags = [_words(tag, MAX_TAG) for tag in text.split(";")]
    named: Sequence[str] = [tag for tag in tags if tag]
    if len(named) > MAX_TAGS:
        raise CellError(f"more than {MAX_TAGS} tags", "keep the ones you filter by")
    return tuple({tag.casefold(): tag for tag in named}.values())


def _words(text: str, longest: int) -> str | None:
    words = " ".join(text.split())
    if len(words) > longest:
        raise CellError(f"longer than {longest} characters", "shorten it")
    return words or None
