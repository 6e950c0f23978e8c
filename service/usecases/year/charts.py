"""Bars and lines as inline SVG: no script, no network, the same bytes for the same figures (decision 20)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 26, 34
COLORS = ("#0b5c8a", "#e08a1e", "#4c9f70", "#8c6bb1")
_GRAY, _INK = "#d5d5d5", "#333"
_ROW, _NAMES, _LETTER = 24, 250, 7


@dataclass(frozen=True, slots=True)
class Series:
    """A name and one value for each category; None leaves a gap."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of categories (first and last position) with a name of its own, shaded."""

    name: str
    first: int
    last: int


def draw_columns(
    title: str, categories: Sequence[str], series: Sequence[Series], *, bands: Sequence[Band] = ()
) -> str:
    """Columns for each category, the series stacked on each other."""
    totals = [sum(one.values[n] or 0 for one in series) for n in range(len(categories))]
    plot = _Plot(categories, max(totals, default=0))
    parts = [*plot.draw_frame(bands), *_draw_legend(series)]
    for position in range(len(categories)):
        below = 0.0
        for number, one in enumerate(series):
            value = one.values[position] or 0
            if value:
                top, bottom = plot.y(below + value), plot.y(below)
                x, width = plot.x(position) + 0.1 * plot.step, 0.8 * plot.step
                parts.append(
                    f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" '
                    f'fill="{COLORS[number % len(COLORS)]}"/>'
                )
            below += value
    return _wrap(title, HEIGHT, parts)


def draw_line(
    title: str,
    categories: Sequence[str],
    series: Sequence[Series],
    *,
    bands: Sequence[Band] = (),
    highest: float | None = None,
    unit: str = "",
) -> str:
    """A line for each series; the axis ends at `highest`, if that is given."""
    values = [value for one in series for value in one.values if value is not None]
    plot = _Plot(categories, highest if highest is not None else max(values, default=0), unit)
    parts = [*plot.draw_frame(bands), *_draw_legend(series)]
    for number, one in enumerate(series):
        color = COLORS[number % len(COLORS)]
        points = [
            (plot.x(position) + plot.step / 2, plot.y(value)) if value is not None else None
            for position, value in enumerate(one.values)
        ]
        for before, after in pairwise(points):
            if before is not None and after is not None:
                parts.append(
                    f'<line x1="{before[0]:.1f}" y1="{before[1]:.1f}" x2="{after[0]:.1f}" '
                    f'y2="{after[1]:.1f}" stroke="{color}" stroke-width="2"/>'
                )
        parts += [
            f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.5" fill="{color}"/>'
            for point in points
            if point is not None
        ]
    return _wrap(title, HEIGHT, parts)


def draw_rows(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """One horizontal bar a row, with its name and its number."""
    highest = max((value for _, value in rows), default=0) or 1
    room = WIDTH - _NAMES - 70
    parts = []
    for position, (name, value) in enumerate(rows):
        middle = position * _ROW + _ROW / 2
        length = room * value / highest
        parts.append(_text(_NAMES - 8, middle + 4, name, "end"))
        parts.append(
            f'<rect x="{_NAMES}" y="{middle - 7:.1f}" width="{max(length, 1):.1f}" height="14" '
            f'fill="{COLORS[0]}"/>'
        )
        parts.append(_text(_NAMES + length + 6, middle + 4, f"{value:,.0f}"))
    return _wrap(title, max(len(rows), 1) * _ROW, parts)


def find_ticks(highest: float, most: int = 5) -> list[float]:
    """Round numbers from 0 up to the first one that is not below `highest`: steps of 1, 2 or 5."""
    if highest <= 0:
        return [0.0, 1.0]
    size = 10.0 ** floor(log10(highest / most))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor * most >= highest * 0.999)
    ticks = [0.0]
    while ticks[-1] < highest * 0.999:
        ticks.append(round(step * len(ticks), 6))
    return ticks


class _Plot:
    """Where values lie on the paper."""

    def __init__(self, categories: Sequence[str], highest: float, unit: str = "") -> None:
        self._categories = categories
        self._ticks = find_ticks(highest)
        self._unit = unit
        self.step = (WIDTH - LEFT - RIGHT) / max(len(categories), 1)

    def x(self, position: int) -> float:
        return LEFT + position * self.step

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self._ticks[-1]

    def draw_frame(self, bands: Sequence[Band]) -> Iterator[str]:
        for number, band in enumerate(bands):
            width = (band.last - band.first + 1) * self.step
            if number % 2:
                yield (
                    f'<rect x="{self.x(band.first):.1f}" y="{TOP}" width="{width:.1f}" '
                    f'height="{HEIGHT - TOP - BOTTOM}" fill="#f3f3f3"/>'
                )
            yield _text(self.x(band.first) + width / 2, HEIGHT - 4, band.name, "middle")
        for tick in self._ticks:
            y = self.y(tick)
            yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{_GRAY}"/>'
            yield _text(LEFT - 6, y + 4, f"{tick:,g}{self._unit}", "end")
        widest = max((len(name) for name in self._categories), default=1)
        every = max(1, ceil(_LETTER * (widest + 2) / self.step))
        for position in range(0, len(self._categories), every):
            x = self.x(position) + self.step / 2
            yield _text(x, HEIGHT - BOTTOM + 15, self._categories[position], "middle")


def _draw_legend(series: Sequence[Series]) -> Iterator[str]:
    x = float(LEFT)
    for number, one in enumerate(series):
        yield f'<rect x="{x:.1f}" y="4" width="11" height="11" fill="{COLORS[number % len(COLORS)]}"/>'
        yield _text(x + 16, 14, one.name)
        x += 34 + 7 * len(one.name)


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{escape(words)}</text>'


def _wrap(title: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}" '
        f'font-size="12" font-family="sans-serif">{"".join(parts)}</svg>'
    )
