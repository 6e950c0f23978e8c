"""Programs are rows: the newest version runs, and putting a file back is a change like any other."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from service.catalog import Catalog
from service.store.service_state import list_programs
from service.usecases.context import Context
from service.usecases.operations.program_rows import sync_programs
from tests.conftest import NOW


def with_word(catalog: Catalog, word: str) -> Catalog:
    """The catalog with another join word for the first-year program."""
    definitions = dict(catalog.program_definitions)
    definitions["first-year"] = {**definitions["first-year"], "word": word}
    return replace(catalog, program_definitions=MappingProxyType(definitions))


def sync(context: Context, catalog: Catalog) -> tuple[dict[str, int], int, str]:
    """Sync; returns the counts, and the version and the word that run."""
    with context.database.begin() as session:
        counts = sync_programs(session, catalog, NOW)
    with context.database.read() as session:
        program = list_programs(session)["first-year"]
    return counts, program.version, program.word


def test_the_newest_version_runs_also_when_a_file_is_put_back(context: Context) -> None:
    word = context.catalog.programs["first-year"].word
    same = {"added": 0, "changed": 0, "unchanged": 2}
    other = {"added": 0, "changed": 1, "unchanged": 1}
    version = sync(context, context.catalog)[1]

    assert sync(context, context.catalog) == (same, version, word), "safe to repeat"
    edited = with_word(context.catalog, "LANTERN")
    assert sync(context, edited) == (other, version + 1, "LANTERN")
    assert sync(context, edited) == (same, version + 1, "LANTERN")
    assert sync(context, context.catalog) == (other, version + 2, word)
