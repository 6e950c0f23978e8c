"""The command that prints which texts and features carry which passage of the guidance."""

from __future__ import annotations

import click

from service.catalog import default_messages_path, load_catalog
from service.catalog.guidance import load_guidance
from service.cli.output import CliError, say_each
from service.usecases.review.guidance_coverage import list_coverage_faults
from service.usecases.review.guidance_page import describe_coverage


@click.command("coverage")
def coverage() -> None:
    """What the guidance asks for and what carries it, as the page docs/guidance-coverage.md.

    Needs no settings and no database. Exit 2 when an item points at nothing, or a text's passage is unknown.
    """
    root = default_messages_path()
    catalog, guidance = load_catalog(root), load_guidance(root)
    if faults := list_coverage_faults(catalog, guidance):
        say_each(faults)
        raise CliError(f"{len(faults)} faults; nothing is printed")
    click.echo(describe_coverage(catalog, guidance), nl=False)
