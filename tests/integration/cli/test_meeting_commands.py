"""`meetings` as an operator uses it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from service.store.meetings import Meeting
from service.store.staff import AuditEvent
from service.usecases.meetings.read_listing import is_own_network, name_source
from tests.integration.cli.conftest import Cli


def make_row(number: int, **changes: str) -> dict[str, str]:
    """One meeting as a BMLT server tells it: Tuesdays (3) at half past six."""
    return {
        "id_bigint": str(number),
        "weekday_tinyint": "3",
        "venue_type": "1",
        "start_time": "18:30:00",
        "duration_time": "01:00:00",
        "time_zone": "",
        "formats": "O,D",
        "lang_enum": "en",
        "longitude": "-75.2",
        "latitude": "43.1",
        "meeting_name": f"Circle {number}",
        "location_text": "Example Hall",
        "location_street": "1 Example Street",
        "location_municipality": "Utica",
        "location_province": "NY",
        "location_postal_code_1": "13501",
        "published": "1",
    } | changes


def import_rows(cli: Cli, rows: list[dict[str, str]], *more: str) -> Any:
    return cli.data(*arguments(cli, rows, *more))


def arguments(cli: Cli, rows: list[dict[str, str]], *more: str) -> tuple[str, ...]:
    path = cli.file(json.dumps(rows), "list.json")
    zone = ("--timezone", "America/New_York")
    return ("meetings", "import", path, "--format", "bmlt", *zone, *more)


def test_a_listing_is_taken_over_and_again_changes_nothing(cli: Cli) -> None:
    rows = [make_row(number) for number in range(1, 6)]

    first = import_rows(cli, rows)
    again = import_rows(cli, rows)

    assert (first["source"], first["added"], first["problems"]) == ("list.json", 5, 0)
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 5)
    listed = cli.data("meetings", "list")
    assert [row["weekday"] for row in listed] == [2] * 5
    assert (listed[0]["starts_at"], listed[0]["timezone"]) == ("18:30", "America/New_York")


def test_meetings_are_listed_by_city(cli: Cli) -> None:
    import_rows(cli, [make_row(1), make_row(2, location_municipality="Rome")])

    assert [row["name"] for row in cli.data("meetings", "list", "--city", "rome")] == ["Circle 2"]


def test_rows_that_cannot_be_read_are_listed_and_counted(cli: Cli) -> None:
    result = cli.run(*arguments(cli, [make_row(1), make_row(2, start_time="soon")]), "--json")

    assert result.exit_code == 0
    data = json.loads(result.stdout)
    assert (data["added"], data["problems"]) == (1, 1)
    assert len(result.stderr.splitlines()) == 1


def test_problems_of_a_long_listing_are_told_in_a_hundred_lines_and_a_count(cli: Cli) -> None:
    rows = [make_row(number, start_time="soon") for number in range(150)]

    result = cli.run(*arguments(cli, [*rows, make_row(150)]), "--json")

    lines = result.stderr.splitlines()
    assert len(lines) == 101
    assert lines[-1] == "… and 50 more"
    assert json.loads(result.stdout)["problems"] == 150


def test_a_listing_that_shrinks_is_refused_in_one_line_until_it_is_accepted(cli: Cli) -> None:
    import_rows(cli, [make_row(number) for number in range(1, 11)])
    fewer = [make_row(number) for number in range(1, 4)]

    assert "--accept-shrink" in cli.refusal(*arguments(cli, fewer))
    assert len(cli.data("meetings", "list")) == 10
    assert import_rows(cli, fewer, "--accept-shrink")["vanished"] == 7


@pytest.mark.parametrize("other", ["meeting-guide", "ics", "csv"])
def test_other_formats_are_not_supported_yet(cli: Cli, other: str) -> None:
    line = cli.refusal("meetings", "import", "list.txt", "--format", other, "--timezone", "America/New_York")

    assert "not supported yet" in line


BROKEN = [
    pytest.param("list.json", b"", "America/New_York", id="empty"),
    pytest.param("list.json", b"<html>", "America/New_York", id="no JSON"),
    pytest.param("list.json", b"\xff\xfe\x00", "America/New_York", id="no text"),
    pytest.param("list.json", b"{}", "America/New_York", id="no meetings"),
    pytest.param("list.json", b"[]", "Utica", id="no such zone"),
]


@pytest.mark.parametrize(("name", "content", "zone"), BROKEN)
def test_what_cannot_be_read_is_told_in_one_line_and_changes_nothing(
    cli: Cli, name: str, content: bytes, zone: str
) -> None:
    path = cli.file(content, name)

    cli.refusal("meetings", "import", path, "--format", "bmlt", "--timezone", zone)

    with cli.database.read() as session:
        assert session.scalars(select(Meeting)).all() == []
        assert session.scalars(select(AuditEvent)).all() == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("nowhere.json", "nowhere.json", id="no such file"),
        pytest.param("http://127.0.0.1:1/list", "127.0.0.1", id="nobody listens"),
        pytest.param("http://[broken/list", "not a web address", id="no address"),
        pytest.param("ftp://127.0.0.1/list", "http", id="another protocol"),
    ],
)
def test_a_source_that_cannot_be_had_is_told_in_one_line(cli: Cli, source: str, expected: str) -> None:
    line = cli.refusal("meetings", "import", source, "--format", "bmlt", "--timezone", "America/New_York")

    assert expected in line


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("http://127.0.0.1:8080/list.json", True, id="this machine"),
        pytest.param("http://localhost/list.json", True, id="this machine by name"),
        pytest.param("https://192.168.1.5/list.json", True, id="this network"),
        pytest.param("https://[::1]/list.json", True, id="this machine by IPv6"),
        pytest.param("https://[fd00::5]/list.json", True, id="this network by IPv6"),
        pytest.param("https://1.1.1.1/list.json", False, id="a public address"),
        pytest.param("https://list.example.org/", False, id="a public name"),
        pytest.param("folder/list.json", False, id="a file"),
    ],
)
def test_only_an_address_typed_as_private_may_lead_into_the_own_network(source: str, expected: bool) -> None:
    assert is_own_network(source) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("/somewhere/list.json", "list.json", id="a file without its folder"),
        pytest.param(
            "https://a:b@list.example.org/json/?key=secret", "list.example.org/json/", id="no secrets"
        ),
    ],
)
def test_a_source_without_a_name_is_called_by_what_may_be_shown(source: str, expected: str) -> None:
    assert name_source(source) == expected
