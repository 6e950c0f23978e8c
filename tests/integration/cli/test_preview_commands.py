"""`messages preview` and `messages coverage` as somebody uses them who edits or reviews texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from service.catalog import default_messages_path, load_catalog
from service.cli.main import main
from tests.integration.cli.conftest import Cli

COSTS = ("segments", "units", "longest_segments", "longest_units")


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings and without a database."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_text_is_shown_with_the_values_of_an_example_person(cli: Cli) -> None:
    data = cli.data("messages", "preview", "meeting/today")

    assert data["body"] == "Reminder for today at 6:30 PM: coffee with the crew."
    assert (data["plain"], data["country"]) == (False, "US")


def test_what_a_text_costs_is_told_for_the_example_and_for_the_longest_values(cli: Cli) -> None:
    data = cli.data("messages", "preview", "reply/help")

    assert all(data[name] >= 1 for name in COSTS)
    assert data["units"] < data["longest_units"]


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        pytest.param("US", "988", id="United States"),
        pytest.param("GB", "116 123", id="a crisis line that only takes calls"),
        pytest.param("gb", "999", id="in any case"),
    ],
)
def test_the_hotlines_are_those_of_the_country(cli: Cli, country: str, expected: str) -> None:
    assert expected in cli.data("messages", "preview", "reply/help", "--country", country)["body"]


def test_the_organization_is_ours(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORG_NAME", "Birch Lane")

    assert "Birch Lane" in cli.data("messages", "preview", "reply/help")["body"]


def test_how_often_texts_come_is_that_of_the_program(cli: Cli) -> None:
    catalog = load_catalog(default_messages_path())
    for program in catalog.programs.values():
        shown = cli.data("messages", "preview", "admin/welcome", "--program", program.id)["body"]
        assert program.frequency["en"] in shown


def test_a_text_without_plain_words_is_shown_as_it_is(cli: Cli) -> None:
    assert cli.data("messages", "preview", "caring/courage", "--plain")["plain"] is False
    assert cli.data("messages", "preview", "meeting/today", "--plain")["plain"] is True


@pytest.mark.parametrize("flags", [[], ["--language", "es"], ["--plain"], ["--country", "GB"]], ids=str)
def test_every_text_can_be_shown_in_every_way(cli: Cli, flags: list[str]) -> None:
    texts = cli.data("messages", "preview", *flags)

    assert {text["id"] for text in texts} == set(load_catalog(default_messages_path()).entries)
    assert not [text["id"] for text in texts if "{" in text["body"]]
    assert all(text["segments"] <= text["longest_segments"] for text in texts)


def test_a_text_is_shown_without_settings_and_without_a_database(empty_folder: Path) -> None:
    result = CliRunner().invoke(main, ["messages", "preview", "reply/help"])

    assert result.exit_code == 0, result.stderr
    assert "River House" in result.stdout
    assert "fictional organization" in result.stderr
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["tip/none"], "no text tip/none", id="a text that is not there"),
        pytest.param(["--program", "two-years"], "no program two-years", id="a program that is not there"),
        pytest.param(["--country", "FR"], "no hotlines for FR", id="a country without hotlines"),
        pytest.param(["reply/help", "--html", "x.html"], "leave out TEXT_ID", id="one text is no page"),
        pytest.param(["--html", "no/such/folder/x.html"], "No such file", id="a folder that is not there"),
        pytest.param(["--html", "x.html", "--json"], "--json", id="a page is no JSON"),
    ],
)
def test_what_cannot_be_shown_is_one_line(cli: Cli, arguments: list[str], problem: str) -> None:
    assert problem in cli.refusal("messages", "preview", *arguments)
    assert not Path("x.html").exists()


def test_the_year_is_written_as_one_page(empty_folder: Path) -> None:
    result = CliRunner().invoke(main, ["messages", "preview", "--html", "year.html"])

    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "not signed" in result.stderr
    page = (empty_folder / "year.html").read_text(encoding="utf-8")
    assert "<code>first-year</code>" in page
    assert "Nothing here has been clinically reviewed" in page


def test_the_page_of_another_program_has_its_calendar(empty_folder: Path) -> None:
    arguments = ["messages", "preview", "--html", "days.html", "--program", "ninety-days", "--country", "GB"]

    assert CliRunner().invoke(main, arguments).exit_code == 0

    page = (empty_folder / "days.html").read_text(encoding="utf-8")
    assert "<code>ninety-days</code>" in page
    assert "admin/ninety-days-complete" in page[: page.index("What comes every week")]


def test_the_page_is_the_same_whatever_the_settings(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.run("messages", "preview", "--html", "one.html").exit_code == 0
    monkeypatch.setenv("ORG_NAME", "Birch Lane")
    assert cli.run("messages", "preview", "--html", "two.html").exit_code == 0

    assert Path("one.html").read_bytes() == Path("two.html").read_bytes()


def test_the_coverage_of_the_guidance_is_printed_without_settings(empty_folder: Path) -> None:
    result = CliRunner().invoke(main, ["messages", "coverage"])

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("# What the guidance asks for")
    assert list(empty_folder.iterdir()) == []
