"""`participants import` as an operator sees it: one clear line for what is wrong, and nothing half done."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from service.cli.main import main
from service.store.consent import ConsentEvent
from service.store.messages import Message
from service.store.participants import Participant
from service.store.staff import AuditEvent
from service.usecases.people.participant_cells import ImportRules, read_rows
from service.usecases.people.participant_file import ParticipantFileError, parse_table
from tests.conftest import NOW
from tests.integration.cli.conftest import Cli

HEADER = "phone,name,timezone,language,program,discharge_date,consent,consent_at,consent_by,tags"
GOOD = "+12025550111,Ana Example,America/Chicago,en,first-year,2026-11-20,written,2026-11-20,intake desk,a;b"


def make_row(**cells: str) -> str:
    """A file of one row that is good but for the given cells."""
    row = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | cells
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(row))
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue()


def count(cli: Cli, model: type[Participant] | type[Message]) -> int:
    with cli.database.read() as session:
        return session.execute(select(func.count()).select_from(model)).scalar_one()


def assert_nothing_done(cli: Cli) -> None:
    assert count(cli, Participant) == 0
    assert count(cli, Message) == 0


BAD_CELLS = [
    pytest.param({"phone": ""}, "phone: is empty", id="a person without a number cannot be texted"),
    pytest.param({"phone": "555-01"}, "phone: the telephone number is too short", id="too few digits"),
    pytest.param({"phone": "2025550111 x5"}, "phone: a telephone number has digits only", id="extension"),
    pytest.param(
        {"phone": "1.20256E+10"}, "phone: a telephone number has digits only", id="rounded by Excel"
    ),
    pytest.param({"timezone": "EST"}, "timezone: unknown time zone", id="EST keeps no daylight saving"),
    pytest.param({"timezone": "Chicago"}, "timezone: unknown time zone", id="a city is no zone"),
    pytest.param({"language": "fr"}, "language: unknown language", id="no French texts"),
    pytest.param({"program": "other"}, "program: unknown program; use first-year, ninety-days", id="program"),
    pytest.param({"discharge_date": "11/20/2026"}, "discharge_date: not an ISO date", id="ambiguous order"),
    pytest.param({"discharge_date": "2026-02-30"}, "discharge_date: no such day", id="February 30"),
    pytest.param(
        {"discharge_date": "2025-10-18"}, "discharge_date: more than 400 days ago", id="401 days past"
    ),
    pytest.param(
        {"discharge_date": "2027-01-23"}, "discharge_date: more than 60 days ahead", id="61 days ahead"
    ),
    pytest.param({"consent": "yes"}, "consent: unknown kind of consent", id="yes says not how"),
    pytest.param({"consent_at": ""}, "consent_at: is empty although there is consent", id="when is needed"),
    pytest.param({"consent_by": ""}, "consent_by: is empty although there is consent", id="who is needed"),
    pytest.param({"consent_at": "yesterday"}, "consent_at: not an ISO date", id="no word for a day"),
    pytest.param({"consent_at": "2026-11-24"}, "consent_at: lies in the future", id="tomorrow"),
    pytest.param(
        {"consent_at": "2026-11-23T09:01"}, "consent_at: lies in the future", id="in a minute, in Chicago"
    ),
    pytest.param({"consent_at": "0001-01-01"}, "consent_at: no plausible year", id="year one"),
    pytest.param({"consent_by": "call 202-555-0123"}, "consent_by: holds 7 or more digits", id="a number"),
    pytest.param({"consent_by": "desk 5550123"}, "consent_by: holds 7 or more digits", id="no area code"),
    pytest.param({"consent_by": "٥٥٥٠١٢٣"}, "consent_by: holds 7 or more digits", id="other digits"),
    pytest.param({"name": "x" * 201}, "name: longer than 200 characters", id="over-long name"),
    pytest.param({"name": "x" * 1001}, "name: longer than 1000 characters", id="over-long cell"),
    pytest.param({"name": "Ana\x07"}, "name: an unprintable character", id="a bell"),
    pytest.param({"tags": ";".join("abcdefghijklmnopqrstu")}, "tags: more than 20 tags", id="21 tags"),
]


@pytest.mark.parametrize(("cells", "expected"), BAD_CELLS)
def test_a_wrong_cell_is_told_in_one_line_with_row_and_column_and_nothing_is_done(
    cli: Cli, cells: dict[str, str], expected: str
) -> None:
    line = cli.refusal("participants", "import", cli.file(make_row(**cells)))

    assert line.startswith(f"people.csv: row 2, column {expected}")
    assert "; " in line
    assert_nothing_done(cli)


BAD_FILES = [
    pytest.param(b"", "row 1, column phone: the file is empty", id="empty"),
    pytest.param(b"\xef\xbb\xbf\r\n\r\n", "row 1, column phone: the file is empty", id="only a mark"),
    pytest.param(b"name\nAna\n", "row 1, column phone: the column is missing", id="no phone column"),
    pytest.param(b"phone,email\n", "row 1, column email: unknown column; use phone", id="unknown column"),
    pytest.param(b"phone,age,sex\n", "row 1, column age, sex: unknown columns", id="two unknown columns"),
    pytest.param(
        ("phone," + ",".join("abcdefghijklm") + "\n").encode(),
        "row 1, column a, b, c, d, e, f, g, h, i, j, ...: unknown columns",
        id="a table of something else",
    ),
    pytest.param(b"phone,Phone\n", "row 1, column phone: the column is there twice", id="twice"),
    pytest.param(
        b"+12025550111,Ana\n", "row 1, column phone: the first row holds data", id="no header at all"
    ),
    pytest.param(
        f"{HEADER}\n{GOOD}\n".encode("utf-16"), "row 1, column phone: the file is UTF-16", id="UTF-16"
    ),
    pytest.param(
        f"{HEADER}\n{GOOD}\n".encode("utf-16-le"), "row 1, column phone: a zero byte", id="UTF-16, no mark"
    ),
    pytest.param(
        "phone,name\n+12025550111,Ana\n+12025550112,José\n".encode("latin-1"),
        "row 3, column 2: a letter that is not UTF-8",
        id="Latin-1",
    ),
    pytest.param(
        b'phone,name\n+12025550111,"Ana\n', "row 2, column phone: quotation marks do not match", id="quote"
    ),
    pytest.param(
        b"phone,tags\n+12025550111,a,b\n", "row 2, column 3: more cells than columns", id="stray comma"
    ),
    pytest.param(
        b"phone\n(202) 555-0111\n\n+1 202 555 0111\n",
        "row 4, column phone: the same number as in row 2",
        id="the same number twice, written differently",
    ),
]


@pytest.mark.parametrize(("content", "expected"), BAD_FILES)
def test_a_file_that_cannot_be_read_is_told_in_one_line_and_nothing_is_done(
    cli: Cli, content: bytes, expected: str
) -> None:
    line = cli.refusal("participants", "import", cli.file(content))

    assert line.startswith(f"people.csv: {expected}")
    assert_nothing_done(cli)


def test_every_error_of_a_file_is_listed_and_no_number_is_printed(cli: Cli) -> None:
    bad = make_row(language="fr", discharge_date="2026")
    content = f"{bad}{GOOD},,\n555\n"

    result = cli.run("participants", "import", cli.file(content))

    assert result.exit_code == 2
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()[:-1]] == [
        "row 2, column language",
        "row 2, column discharge_date",
        "row 3, column phone",
        "row 4, column phone",
    ]
    assert "5550111" not in result.output
    assert_nothing_done(cli)


OVERSIZED = [
    pytest.param("x" * 200_000, "shorten it", id="one long line"),
    pytest.param("x,\n" * 60_000, "close the quotation mark", id="rows swallowed by an open quotation mark"),
]


@pytest.mark.parametrize(("cell", "remedy"), OVERSIZED)
def test_a_cell_beyond_the_limit_of_the_csv_library_is_told_with_its_place(
    cli: Cli, cell: str, remedy: str
) -> None:
    before = csv.field_size_limit(131_072)
    try:
        line = cli.refusal("participants", "import", cli.file(make_row(name=cell)))
    finally:
        csv.field_size_limit(before)

    assert line.startswith("people.csv: row 2, column name: longer than 1000 characters; ")
    assert remedy in line
    assert_nothing_done(cli)


def test_what_is_wrong_with_a_long_file_is_told_in_a_hundred_lines_and_a_count(cli: Cli) -> None:
    path = cli.file("\n".join(["phone", *["nobody"] * 1234]))

    refused = cli.run("participants", "import", path)
    skipped = cli.run("participants", "import", path, "--skip-bad-rows", "--json")

    assert refused.exit_code == 2
    lines = refused.stderr.splitlines()
    assert len(lines) == 102
    assert lines[99].startswith("people.csv: row 101, column phone")
    assert lines[100] == "… and 1,134 more"
    assert lines[101].startswith("nothing was imported: 1234 errors")
    assert len(skipped.stderr.splitlines()) == 101
    assert len(json.loads(skipped.stdout)["errors"]) == 1234


def test_the_files_name_and_numbers_stand_in_no_record(cli: Cli) -> None:
    name = "Ana Example 2025550111.csv"

    data = cli.data("participants", "import", cli.file(make_row(consent_by="desk 555012"), name))

    with cli.database.read() as session:
        events = session.scalars(select(ConsentEvent)).all()
        audit = session.scalars(select(AuditEvent)).one()
    assert [event.source_id for event in events] == [f"{data['source']}:2"]
    assert audit.subject == data["source"]
    kept = " ".join(str(value) for row in (*events, audit) for value in vars(row).values())
    assert "Ana" not in kept
    assert "5550111" not in kept


def test_bad_rows_can_be_skipped_and_are_listed(cli: Cli) -> None:
    content = "phone\n+12025550111\nnobody\n+12025550112\n"

    data = cli.data("participants", "import", cli.file(content), "--skip-bad-rows")

    assert (data["rows"], data["listed"], data["skipped"]) == (3, 2, 1)
    assert data["errors"][0]["row"] == 3
    assert count(cli, Participant) == 2


SHAPES = [
    pytest.param(lambda text: text.encode("utf-8-sig"), id="byte order mark"),
    pytest.param(lambda text: text.replace("\n", "\r\n").encode(), id="CRLF"),
    pytest.param(lambda text: text.replace("\n", "\r").encode(), id="old Mac line ends"),
    pytest.param(lambda text: text.replace(",", ";").encode(), id="semicolons"),
    pytest.param(lambda text: text.replace(",", "\t").encode(), id="tabs"),
    pytest.param(lambda text: text.replace("discharge_date", " Discharge Date ").encode(), id="header case"),
    pytest.param(lambda text: text.replace("\n", ",,\n").encode(), id="empty columns at the end"),
    pytest.param(lambda text: b"\n" + text.encode() + b"\n,,\n", id="empty rows"),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_spreadsheets_make_of_a_file_is_accepted(cli: Cli, shape: Callable[[str], bytes]) -> None:
    content = "phone,name,discharge_date\n+12025550111,Ana,2026-11-20\n2025550112,Ben,\n"

    data = cli.data("participants", "import", cli.file(shape(content)))

    assert (data["rows"], data["listed"]) == (2, 2)


def test_a_dry_run_says_what_would_happen_and_changes_nothing(cli: Cli) -> None:
    data = cli.data("participants", "import", cli.file(make_row()), "--dry-run")

    assert (data["dry_run"], data["welcomed"]) == (True, 1)
    assert_nothing_done(cli)


def test_numbers_without_a_country_code_are_read_in_the_given_country(cli: Cli) -> None:
    content = "phone\n020 7946 0123\n"

    assert "row 2" in cli.refusal("participants", "import", cli.file(content))
    assert cli.data("participants", "import", cli.file(content), "--country", "gb")["listed"] == 1


def test_a_country_that_does_not_exist_is_refused(cli: Cli) -> None:
    line = cli.refusal("participants", "import", cli.file("phone\n"), "--country", "XX")

    assert "--country" in line


def test_a_file_that_is_not_there_is_told_in_one_line(cli: Cli) -> None:
    line = cli.refusal("participants", "import", "nowhere.csv")

    assert line.startswith("nowhere.csv: cannot be read")


def test_the_words_for_people_give_the_counts(cli: Cli) -> None:
    result = cli.run("participants", "import", cli.file(make_row()))

    assert result.exit_code == 0
    assert result.stdout.startswith("1 rows: 0 listed, 0 asked, 1 welcomed")


def test_long_imports_show_progress_on_stderr(cli: Cli) -> None:
    numbers = "\n".join(f"+1999{number:07d}" for number in range(1001))

    result = cli.run("participants", "import", cli.file(f"phone\n{numbers}\n"), "--json")

    assert [line for line in result.stderr.splitlines() if "imported:" in line] == ["imported: 1000 of 1001"]


SOUP = st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode))
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=SOUP)
def test_any_byte_soup_gives_exit_2_and_one_clear_line(cli: Cli, content: bytes) -> None:
    assume(b"phone" not in content.lower())

    line = cli.refusal("participants", "import", cli.file(content, "soup.csv"))

    assert line.startswith("soup.csv: row ")
    assert ", column " in line


@settings(max_examples=500, deadline=None)
@given(content=SOUP)
def test_any_byte_soup_is_refused_with_its_place_on_one_line(content: bytes) -> None:
    assume(b"phone" not in content.lower())

    with pytest.raises(ParticipantFileError) as refused:
        parse_table(content)

    line = refused.value.fault.as_line("soup.csv")
    assert line.startswith(f"soup.csv: row {refused.value.fault.row}, column ")
    assert line.splitlines() == [line]


RULES = ImportRules("US", "America/New_York", {"first-year": "first-year", "bridge": "ninety-days"}, NOW)


@settings(max_examples=500, deadline=None)
@given(cells=st.lists(st.lists(CELL, min_size=10, max_size=10), min_size=1, max_size=3))
def test_any_cells_are_read_or_told_on_one_line_without_their_content(cells: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([HEADER.split(","), *cells])

    rows, shape_errors = parse_table(text.getvalue().encode())
    good, cell_errors = read_rows(rows, RULES)

    lines = [error.as_line("soup.csv") for error in shape_errors + cell_errors]
    assert all(line.splitlines() == [line] and ", column " in line for line in lines)
    assert {row.number for row in good}.isdisjoint(error.row for error in cell_errors)


def test_nothing_needs_settings_to_show_its_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["participants", "import", "--help"])

    assert result.exit_code == 0
    assert "consent_by" in result.stdout
