"""The guidance is covered as docs/guidance-coverage.md says: nothing forgotten, nothing claimed in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from service.catalog import default_messages_path, load_catalog
from service.catalog.guidance import load_guidance
from service.cli.main import main
from service.domain.guidance import (
    Coverage,
    Guidance,
    Passage,
    StaffFeature,
    guidance_from_data,
    passages_among,
)
from service.usecases.review.guidance_coverage import list_coverage_faults
from service.usecases.review.guidance_page import describe_coverage

ROOT = Path(__file__).resolve().parents[2]
CATALOG = load_catalog(default_messages_path())
GUIDANCE = load_guidance(default_messages_path())
PAGE = describe_coverage(CATALOG, GUIDANCE)
ASKED_FOR = 46


def command_exists(words: list[str]) -> bool:
    """Whether the words after `aftercare` lead to a command."""
    found: click.Command | None = main
    for word in words:
        found = found.commands.get(word) if isinstance(found, click.Group) else None
    return found is not None and not isinstance(found, click.Group)


def rows_of(passage: Passage) -> list[str]:
    return [line for line in PAGE.splitlines() if line.startswith(f"| {passage} |")]


def test_the_page_in_docs_is_what_the_command_prints_now() -> None:
    stored = (ROOT / "docs" / "guidance-coverage.md").read_text(encoding="utf-8")

    assert stored == PAGE, "run `aftercare messages coverage > docs/guidance-coverage.md`"


def test_every_item_of_the_guidance_is_there() -> None:
    assert [item.id for item in GUIDANCE.items] == [f"A1.{number}" for number in range(1, ASKED_FOR + 1)]


def test_every_item_points_at_something_and_every_text_rests_on_a_known_passage() -> None:
    assert list_coverage_faults(CATALOG, GUIDANCE) == []


@pytest.mark.parametrize("passage", GUIDANCE.list_passages(), ids=str)
def test_every_passage_has_one_row_that_says_what_carries_it(passage: Passage) -> None:
    rows = rows_of(passage)

    assert len(rows) == 1
    _, texts, others = (cell.strip() for cell in rows[0].strip("|").split("|")[1:])
    assert texts or others


def test_every_passage_that_a_text_cites_lies_in_a_row() -> None:
    known = GUIDANCE.list_passages()
    cited = {passage for entry in CATALOG.entries.values() for passage in passages_among(entry.source)}

    assert not [str(each) for each in cited if not any(passage.holds(each) for passage in known)]


def test_everything_that_carries_an_item_can_reach_somebody() -> None:
    assert "in no program yet" not in PAGE


def test_what_is_not_built_is_said_before_what_is() -> None:
    not_built = PAGE.index("## Not built yet")
    assert not_built < PAGE.index("## Carried in part") < PAGE.index("## Item by item")
    for item in GUIDANCE.items:
        if item.coverage is Coverage.LATER:
            assert PAGE.index(f"| {item.id} |") > not_built
            assert PAGE.count(f"| {item.id} | {item.says} |") == 1


@pytest.mark.parametrize("feature", GUIDANCE.staff_features.values(), ids=lambda feature: str(feature.name))
def test_every_feature_for_staff_is_where_it_says(feature: StaffFeature) -> None:
    program, *words = feature.where.split()
    exists = command_exists(words) if program == "aftercare" else (ROOT / feature.where).is_file()

    assert exists, feature.where


def test_every_feature_for_staff_carries_something() -> None:
    named = {name for item in GUIDANCE.items for names in item.carriers.values() for name in names}

    assert set(GUIDANCE.staff_features) <= named


def guidance(**values: Any) -> Guidance:
    """The real guidance with one more item in front."""
    item = {"id": "X", "says": "More.", "passages": ["009:1"]} | values
    added = guidance_from_data({"items": [item]})
    return Guidance(added.items + GUIDANCE.items, GUIDANCE.left_out, GUIDANCE.staff_features)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"texts": ["tip/none"]}, "no text tip/none", id="a text that was renamed"),
        pytest.param({"topics": ["sailing"]}, "no topic sailing", id="a topic without a text"),
        pytest.param({"keywords": ["sing"]}, "no keyword sing", id="a word nobody understands"),
        pytest.param({"check_ins": ["weekly/shoe"]}, "no check-in weekly/shoe", id="a question not asked"),
        pytest.param({"reminders": ["caring"]}, "no reminder caring", id="a kind that reminds of nothing"),
        pytest.param({"programs": ["two-years"]}, "no program two-years", id="a program that is not there"),
        pytest.param({"staff": ["butler"]}, "no staff butler", id="a feature staff do not have"),
    ],
)
def test_an_item_that_points_at_nothing_is_a_fault(values: dict[str, Any], expected: str) -> None:
    faults = list_coverage_faults(CATALOG, guidance(**values))

    assert len(faults) == 1
    assert "item X" in faults[0]
    assert expected in faults[0]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        pytest.param([], "is in no item", id="nobody knows the passage"),
        pytest.param(
            [{"id": "X", "says": "Sell.", "passages": ["002:92"], "not_used": "selling"}],
            "left out on purpose (selling)",
            id="the passage must not be used",
        ),
    ],
)
def test_a_text_must_rest_on_a_passage_that_is_used(kept: list[dict[str, Any]], expected: str) -> None:
    other = {"id": "Y", "says": "Other.", "passages": ["009:1"], "topics": ["sleep"]}
    few = guidance_from_data({"items": [other], "left_out": kept})

    faults = [fault for fault in list_coverage_faults(CATALOG, few) if "text tip/slow-breath:" in fault]

    assert len(faults) == 1
    assert faults[0].startswith("messages/texts/")
    assert expected in faults[0]
