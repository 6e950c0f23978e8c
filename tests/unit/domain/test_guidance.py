"""The guidance file: passages are read exactly; an item is carried, to come, or left out with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.guidance import (
    Coverage,
    GuidanceError,
    Passage,
    guidance_from_data,
    parse_passage,
    passages_among,
)


def item(**values: Any) -> dict[str, Any]:
    return {"id": "A1.1", "says": "Support goes on.", "passages": ["002:93"], "topics": ["sleep"]} | values


def coverage_of(**values: Any) -> Coverage:
    return guidance_from_data({"items": [item(**values)]}).items[0].coverage


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("002:93", Passage("002", 93, 93), id="one line"),
        pytest.param("002:20-31", Passage("002", 20, 31), id="several lines"),
        pytest.param("000:3-3", Passage("000", 3, 3), id="a stretch of one line is that line"),
    ],
)
def test_a_passage_is_a_document_and_lines(text: str, expected: Passage) -> None:
    assert parse_passage(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2:93", id="documents have three digits"),
        pytest.param("002:", id="no line"),
        pytest.param("002:31-20", id="the end before the beginning"),
        pytest.param("002:20,31", id="a list in one name"),
        pytest.param("rule B3", id="a named rule"),
    ],
)
def test_anything_else_is_no_passage(text: str) -> None:
    with pytest.raises(ValueError, match="is no passage"):
        parse_passage(text)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        pytest.param("002:20-31", "002:25", True, id="a line inside"),
        pytest.param("002:20-31", "002:20-31", True, id="the same"),
        pytest.param("002:20-31", "002:30-32", False, id="it goes on after the end"),
        pytest.param("002:20-31", "001:25", False, id="another document"),
        pytest.param("002:25", "002:20-31", False, id="larger than the passage"),
    ],
)
def test_a_passage_holds_what_lies_inside_it(outer: str, inner: str, expected: bool) -> None:
    assert parse_passage(outer).holds(parse_passage(inner)) is expected


def test_named_rules_among_the_sources_of_a_text_are_no_passages() -> None:
    assert passages_among(["rule A4.1", "002:93", "draft OD_EN"]) == (Passage("002", 93, 93),)


def test_a_slip_in_a_passage_is_not_taken_for_a_rule() -> None:
    with pytest.raises(ValueError, match="002:93a"):
        passages_among(["002:93a"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({}, Coverage.CARRIED, id="something carries it"),
        pytest.param({"later": "a word"}, Coverage.PARTLY, id="something is missing"),
        pytest.param({"topics": [], "later": "a word"}, Coverage.LATER, id="only promised is not covered"),
        pytest.param({"topics": [], "not_used": "selling"}, Coverage.LEFT_OUT, id="left out with a reason"),
    ],
)
def test_how_far_an_item_is_carried_follows_from_what_it_names(
    values: dict[str, Any], expected: Coverage
) -> None:
    assert coverage_of(**values) is expected


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param({"items": []}, "no items", id="an empty file covers nothing"),
        pytest.param({"items": [item(topics=[])]}, "nothing carries it", id="silence is no coverage"),
        pytest.param({"items": [item(passages=[])]}, "passages is missing", id="from nowhere"),
        pytest.param({"items": [item(passages=["here"])]}, "is no passage", id="not a passage"),
        pytest.param({"items": [item(not_used="why")]}, "and yet carried", id="left out and carried"),
        pytest.param({"items": [item(topic="sleep")]}, "unknown key 'topic'", id="a slip in a key"),
        pytest.param({"items": [item(), item()]}, "there twice", id="two items of one name"),
        pytest.param(
            {"items": [item()], "left_out": [item(id="A3.1")]}, "not_used is missing", id="no reason given"
        ),
        pytest.param(
            {"items": [item()], "staff_features": {"tasks": {"is": "a list"}}},
            "staff feature tasks: where is missing",
            id="a feature that is nowhere",
        ),
    ],
)
def test_a_wrong_file_is_one_line(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(GuidanceError, match=problem) as error:
        guidance_from_data(data)

    assert "\n" not in str(error.value)


def test_a_passage_leads_to_every_item_that_names_it() -> None:
    left_out = item(id="A3.1", passages=["002:93"], topics=[], not_used="selling")
    guidance = guidance_from_data({"items": [item(passages=["002:90-95"])], "left_out": [left_out]})

    assert [found.id for found in guidance.list_items_of(parse_passage("002:93"))] == ["A1.1", "A3.1"]
    assert [str(passage) for passage in guidance.list_passages()] == ["002:90-95", "002:93"]
