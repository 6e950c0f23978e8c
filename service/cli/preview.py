"""The command that shows texts: one on the terminal, or the whole year as a page to print and sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from service.catalog import Catalog, default_messages_path, load_catalog
from service.cli.output import CliError, emit, say
from service.config import ConfigError, load_settings
from service.domain.hotlines import countries_of
from service.domain.program import Program
from service.store.clock import system_clock
from service.usecases.review.example_person import DEFAULT_PROGRAM, ExamplePerson
from service.usecases.review.preview_texts import NoTextError, preview_text
from service.usecases.review.review_page import render_review_page


@click.command("preview")
@click.argument("text_id", metavar="[TEXT_ID]", required=False)
@click.option("--language", type=click.Choice(["en", "es"]), default="en", show_default=True)
@click.option("--plain", is_flag=True, help="The wording for people who chose plain words.")
@click.option("--country", metavar="CODE", help="Whose hotlines, like US.  [default: ours]")
@click.option("--program", "word", default=DEFAULT_PROGRAM, show_default=True, metavar="ID")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every text and the calendar of the program as one page to print and sign.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, or a list without TEXT_ID.")
def preview(
    text_id: str | None,
    language: str,
    plain: bool,
    country: str | None,
    word: str,
    page: Path | None,
    as_json: bool,
) -> None:
    """A text as an example person gets it, and what it costs; without an id, all. Needs no database.

    Who we are comes from the settings, if there are any.
    """
    catalog = load_catalog(default_messages_path())
    program = _find_program(catalog, word)
    if page is not None:
        if text_id is not None or as_json:
            raise CliError("--html writes a page of every text; leave out TEXT_ID and --json")
        _write_page(page, catalog, ExamplePerson(program, _find_country(catalog, country or "US")))
        return
    person = _example_person(catalog, program, country)
    ids = sorted(catalog.entries) if text_id is None else [text_id]
    try:
        texts = [preview_text(catalog, each, language, person, is_plain=plain) for each in ids]
    except NoTextError as error:
        raise CliError(str(error)) from None
    if text_id is None:
        emit(texts, as_json, lambda text: _preview_lines(text) + "\n")
    else:
        emit(texts[0], as_json, _preview_lines)


def _find_program(catalog: Catalog, word: str) -> Program:
    program = catalog.find_program(word)
    if program is None:
        raise CliError(
            f"there is no program {word[:40]}; expected one of {', '.join(sorted(catalog.programs))}"
        )
    return program


def _find_country(catalog: Catalog, code: str) -> str:
    countries = countries_of(catalog.hotlines)
    if code.upper() not in countries:
        raise CliError(
            f"there are no hotlines for {code[:10]}; expected one of {', '.join(sorted(countries))}"
        )
    return code.upper()


def _example_person(catalog: Catalog, program: Program, country: str | None) -> ExamplePerson:
    """Somebody of our organization; of a fictional one where no settings can be read."""
    try:
        ours = load_settings()
    except ConfigError:
        say("no settings here: shown with a fictional organization")
        return ExamplePerson(program, _find_country(catalog, country or "US"))
    return ExamplePerson(
        program,
        _find_country(catalog, country or ours.org_country),
        ours.org_name,
        ours.org_phone,
        ours.org_hours,
        ours.org_country,
    )


def _write_page(page: Path, catalog: Catalog, person: ExamplePerson) -> None:
    html = render_review_page(catalog, person, system_clock().date())
    page.write_text(html, encoding="utf-8")
    say(f"{page}: {len(catalog.entries)} texts, {len(catalog.unsigned_ids())} of them not signed")


def _preview_lines(data: dict[str, Any]) -> str:
    cost = f"{_segments(data['segments'])}, {data['units']} units, {data['encoding']}"
    costly = f"; costly characters: {' '.join(data['costly'])}" if data["costly"] else ""
    longest = f"; at its longest {_segments(data['longest_segments'])}, {data['longest_units']} units"
    wording = f"{data['language']}{', plain' if data['plain'] else ''}, {data['country']}"
    return f"{data['body']}\n({data['id']}, version {data['version']}, {wording}: {cost}{costly}{longest})"


def _segments(number: int) -> str:
    return f"{number} segment{'' if number == 1 else 's'}"
