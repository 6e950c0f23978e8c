"""Read the participants' file as a table: encoding, separator, columns. For cells see `participant_cells`.

People export from spreadsheets: a byte order mark, CRLF, semicolons or tabs, and a header in any case are
fine. What is not is said with its row (the header is row 1, as a spreadsheet counts), its column, and what
to do.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

COLUMNS = (
    "phone",
    "name",
    "timezone",
    "language",
    "program",
    "discharge_date",
    "consent",
    "consent_at",
    "consent_by",
    "tags",
)
MAX_BYTES = 20_000_000
MAX_CELL = 1_000
MAX_SHOWN = 10
_SEPARATORS = (",", ";", "\t")
_SAVE_AS = 'save it as "CSV UTF-8"'
_USE_COLUMNS = f"use {', '.join(COLUMNS)}"


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one cell, in words that never repeat what the cell holds."""

    row: int
    column: str
    problem: str
    remedy: str

    def as_line(self, file_name: str) -> str:
        return f"{file_name}: row {self.row}, column {self.column}: {self.problem}; {self.remedy}"


class ParticipantFileError(Exception):
    """The file cannot be read as a table of participants; `fault` says where and why."""

    def __init__(self, fault: RowError) -> None:
        super().__init__(f"row {fault.row}, column {fault.column}: {fault.problem}; {fault.remedy}")
        self.fault = fault


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row: its number in the file, and its cells by column, stripped."""

    number: int
    cells: dict[str, str]


def parse_table(content: bytes) -> tuple[list[RawRow], list[RowError]]:
    """The rows that have cells, and what is wrong with the shape of others.

    Raises ParticipantFileError when the file as a whole cannot be read.
    """
    records = _list_records(_decode(content))
    header_row, names = next(records, (1, None))
    if names is None:
        raise _fault(1, "phone", "the file is empty", "put the column names in the first row")
    columns = _read_header(header_row, names)
    rows: list[RawRow] = []
    errors: list[RowError] = []
    for number, cells in records:
        error = _find_shape_error(number, columns, cells)
        if error is not None:
            errors.append(error)
        else:
            rows.append(RawRow(number, dict(zip(columns, [*cells, *[""] * len(columns)], strict=False))))
    return rows, errors


def _decode(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _fault(1, "phone", f"the file is larger than {MAX_BYTES // 1_000_000} MB", "split it")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _fault(1, "phone", "the file is UTF-16", _SAVE_AS)
    if b"\0" in content:
        row = content[: content.index(b"\0")].count(b"\n") + 1
        raise _fault(row, "phone", "a zero byte: the file is UTF-16 or no text at all", _SAVE_AS)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("latin-1")
        row, line = before.count("\n") + 1, before.rpartition("\n")[2]
        index = line.count(_sniff(content.partition(b"\n")[0].decode("latin-1"))) + 1
        problem = "a letter that is not UTF-8: the file is probably Windows-1252 or Latin-1"
        raise _fault(row, str(index), problem, _SAVE_AS) from None


def _sniff(header: str) -> str:
    """The separator under which most of the header's names are ours; a comma when none is better."""
    return max(_SEPARATORS, key=lambda mark: sum(_plain_name(cell) in COLUMNS for cell in header.split(mark)))


def _list_records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with anything in them, numbered as a spreadsheet does: a cell of several lines is one row."""
    lines = io.StringIO(text, newline="")
    # A cell past the library's limit would end the whole file, without its column: ours is told with both.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    separator = _sniff(next((line for line in text.splitlines() if line.strip()), ""))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            record = next(reader, None)
        except csv.Error:
            raise _fault(
                number, "phone", "quotation marks do not match", 'write a quotation mark inside a cell as ""'
            ) from None
        if record is None:
            return
        cells = [cell.strip() for cell in record]
        if any(cells):
            yield number, cells


def _read_header(row: int, names: Sequence[str]) -> list[str]:
    columns = [_plain_name(name) for name in names]
    while columns and not columns[-1]:
        columns.pop()
    if any(sum(char.isdigit() for char in name) >= 7 for name in columns):
        raise _fault(row, "phone", "the first row holds data", f"put column names there: {_USE_COLUMNS}")
    unknown = [_printable(name) for name in columns if name not in COLUMNS]
    if "phone" not in columns:
        found = f" (found {', '.join(unknown[:MAX_SHOWN])})" if unknown else ""
        raise _fault(row, "phone", f"the column is missing{found}", _USE_COLUMNS)
    if unknown:
        raise _fault(
            row,
            ", ".join(unknown[:MAX_SHOWN]) + (", ..." if len(unknown) > MAX_SHOWN else ""),
            "unknown column" if len(unknown) == 1 else "unknown columns",
            _USE_COLUMNS,
        )
    for name in columns:
        if columns.count(name) > 1:
            raise _fault(row, name, "the column is there twice", "keep one")
    return columns


def _plain_name(name: str) -> str:
    return "_".join(name.strip().strip('"').casefold().replace("-", " ").replace("_", " ").split())


def _printable(name: str) -> str:
    shown = "".join(char for char in name if char.isprintable())[:40]
    return shown or "(no name)"


def _find_shape_error(number: int, columns: Sequence[str], cells: Sequence[str]) -> RowError | None:
    if any(cells[len(columns) :]):
        return RowError(
            number, str(len(columns) + 1), "more cells than columns", "put quotation marks around the cell"
        )
    for column, cell in zip(columns, cells, strict=False):
        if len(cell) > MAX_CELL:
            return RowError(number, column, f"longer than {MAX_CELL} characters", _shorten(cell))
        if any(unicodedata.category(char) == "Cc" and not char.isspace() for char in cell):
            return RowError(number, column, "an unprintable character", "type it again")
    return None


def _shorten(cell: str) -> str:
    return "close the quotation mark that it begins with" if "\n" in cell or "\r" in cell else "shorten it"


def _fault(row: int, column: str, problem: str, remedy: str) -> ParticipantFileError:
    return ParticipantFileError(RowError(row, column, problem, remedy))
