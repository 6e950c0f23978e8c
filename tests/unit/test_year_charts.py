"""Plots are well-formed SVG, the same bytes for the same figures, with bars as long as their numbers."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from service.usecases.year.charts import Band, Series, draw_columns, draw_line, draw_rows, find_ticks

SVG = "{http://www.w3.org/2000/svg}"


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (7, [0, 2, 4, 6, 8]),
        (9.3, [0, 2, 4, 6, 8, 10]),
        (100, [0, 20, 40, 60, 80, 100]),
        (4321, [0, 1000, 2000, 3000, 4000, 5000]),
    ],
)
def test_ticks_are_round_numbers_that_reach_the_highest(highest: float, ticks: list[float]) -> None:
    assert find_ticks(highest) == ticks


def test_columns_are_stacked() -> None:
    svg = draw_columns("t", ["1", "2"], [Series("a", (4, 2)), Series("b", (4, None))])

    bars = [one for one in read(svg).iter("rect") if one.get("width") not in (None, "11")]
    heights = [float(one.get("height", 0)) for one in bars]
    assert heights[0] == pytest.approx(heights[1], abs=0.11)
    assert heights[2] == pytest.approx(heights[0] / 2, abs=0.11)
    assert float(bars[1].get("y", 0)) + heights[1] == pytest.approx(float(bars[0].get("y", 0)), abs=0.11)


def test_a_gap_in_a_line_stays_a_gap() -> None:
    svg = draw_line("t", ["1", "2", "3"], [Series("a", (10, None, 30))], highest=100, unit=" %")

    assert len(list(read(svg).iter("circle"))) == 2
    assert not [one for one in read(svg).iter("line") if one.get("stroke-width") == "2"]


def test_rows_are_as_long_as_their_numbers() -> None:
    svg = draw_rows("t", [("most", 200), ("half", 100)])

    widths = [float(one.get("width", 0)) for one in read(svg).iter("rect")]
    assert widths[1] == pytest.approx(widths[0] / 2, abs=0.11)
    assert "200" in svg


def test_names_are_escaped_and_bytes_repeat() -> None:
    drawn = [draw_columns("a < b", ["<"], [Series("&", (1,))], bands=[Band("x", 0, 0)]) for _ in range(2)]

    assert drawn[0] == drawn[1]
    assert read(drawn[0]).get("aria-label") == "a < b"


def test_nothing_to_draw_is_no_fault() -> None:
    for svg in (draw_columns("t", [], []), draw_line("t", [], []), draw_rows("t", [])):
        assert read(svg).tag in ("svg", f"{SVG}svg")
