"""The report of a simulated year: one object for programs, one page for people, from the same figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from service.catalog import Catalog
from service.domain.program import Program
from service.domain.year.figures import (
    GROUPS,
    Month,
    Stretch,
    count_stretches,
    count_tasks,
    list_months,
    list_phases,
    list_weeks,
)
from service.domain.year.ledger import LedgerText
from service.domain.year.promises import (
    PROMISES,
    Broken,
    OnePerson,
    check_promises,
    list_safety_fates,
)
from service.domain.year.rates import RATES
from service.usecases.review.review_page import hash_catalog
from service.usecases.written_pages import open_templates
from service.usecases.year.charts import Band, Series, draw_columns, draw_line, draw_rows
from service.usecases.year.readings import PartOfYear
from service.usecases.year.run import YearOptions, read_course

NOTES = (
    "Simulated people: no claim about real ones.",
    "The texts have not been clinically reviewed.",
)
DEFAULT_PRICE = 0.0113
"""US dollars a segment, out or in. An assumption about list price and carrier's fee: give your own."""

_TEMPLATES = Path(__file__).with_name("templates")
MOST_BROKEN = 200


@dataclass(frozen=True, slots=True)
class Revision:
    """What was simulated: the version of the service, its revision in git if it is known, and the texts."""

    version: str
    commit: str


@dataclass(frozen=True, slots=True)
class Reported:
    """A year with what it is judged and priced by."""

    options: YearOptions
    catalog: Catalog
    program: Program
    revision: Revision
    price: float
    year: PartOfYear


def build_report(one: Reported) -> dict[str, Any]:
    """Every figure of the report, and what was broken. The same year gives the same report."""
    year, options = one.year, one.options
    course = read_course(one.program, options)
    broken = check_promises(year.diaries, year.texts, course)
    last_on = (course.ends_at - timedelta(days=1)).date()
    weeks, phases = list_weeks(options.days), list_phases(course.phases, options.days)
    for stretches in (weeks, phases):
        count_stretches(stretches, year.diaries, year.texts, last_on)
        count_tasks(stretches, year.diaries, [(task.person, task.on) for task in year.tasks])
    months = list_months(year.texts, year.texts_in)
    return {
        "notes": list(NOTES),
        "options": {
            "people": options.people,
            "days": options.days,
            "program": options.program_id,
            "seed": options.seed,
            "start": options.start_on.isoformat(),
            "price_per_segment": one.price,
        },
        "revision": {**asdict(one.revision), "texts": hash_catalog(one.catalog)[:12]},
        "totals": _list_totals(year, months, one.price),
        "promises": [
            {
                "id": name,
                "words": words,
                "broken": len(broken[name]),
                "first": [_show_broken(each) for each in broken[name][:MOST_BROKEN]],
            }
            for name, (words, _) in PROMISES.items()
        ],
        "safety_days": _count_safety(one),
        "phases": [_show_stretch(stretch) for stretch in phases],
        "weeks": [_show_stretch(stretch) for stretch in weeks],
        "kept_back": _ranked({f"{state}: {reason}": n for (state, reason), n in year.kept_back.items()}),
        "tasks": _ranked(Counter(f"{task.kind}: {task.reason}" for task in year.tasks)),
        "taken_as": _ranked(year.meanings),
        "kinds": _ranked(Counter(text.kind or "answer" for text in year.texts)),
        "months": [_show_month(month, one.price) for month in months],
        "rates": [asdict(rate) for rate in RATES],
    }


def is_kept(report: Mapping[str, Any]) -> bool:
    """Whether every promise was kept."""
    return not any(promise["broken"] for promise in report["promises"])


def _list_totals(year: PartOfYear, months: Sequence[Month], price: float) -> dict[str, Any]:
    unasked = [text for text in year.texts if not text.is_reply]
    segments = sum(month.all_segments for month in months)
    return {
        "joined": sum(diary.joined_at is not None for diary in year.diaries),
        "stopped": sum(bool(diary.stopped) for diary in year.diaries),
        "refused_by_carrier": sum(diary.refused_at is not None for diary in year.diaries),
        "went_on": sum(diary.has_kept for diary in year.diaries),
        "unasked": len(unasked),
        "not_arrived": sum(not text.has_arrived for text in unasked),
        "answers": len(year.texts) - len(unasked),
        "texts_in": len(year.texts_in),
        "questions": sum(len(diary.asked) for diary in year.diaries),
        "answered": sum(asked.is_answered for diary in year.diaries for asked in diary.asked),
        "staff_tasks": len(year.tasks),
        "segments": segments,
        "cost": round(segments * price, 2),
    }


def _show_broken(broken: Broken) -> dict[str, Any]:
    return {"person": broken.person, "on": broken.on.isoformat(), "how": broken.how}


def _count_safety(one: Reported) -> list[dict[str, Any]]:
    course = read_course(one.program, one.options)
    texts: dict[int, list[LedgerText]] = {diary.number: [] for diary in one.year.diaries}
    for text in one.year.texts:
        if text.kind == "safety":
            texts[text.person].append(text)
    fates = Counter(
        fate
        for diary in one.year.diaries
        for _, fate in list_safety_fates(OnePerson(diary, texts[diary.number], course))
    )
    return _ranked(fates)


def _show_stretch(stretch: Stretch) -> dict[str, Any]:
    rate = stretch.answer_rate
    weekly = {group: round(value, 3) for group, value in stretch.weekly.items()}
    return {
        "name": stretch.name,
        "first_day": stretch.first_day,
        "last_day": stretch.last_day,
        "person_weeks": round(stretch.days / 7, 1),
        "weekly": weekly,
        "weekly_in_all": round(sum(stretch.weekly.values()), 3),
        "asked": stretch.asked,
        "answered": stretch.answered,
        "answer_rate": None if rate is None else round(rate, 3),
        "tasks": stretch.tasks,
    }


def _show_month(month: Month, price: float) -> dict[str, Any]:
    return {
        "month": month.name,
        "texts": {group: month.texts[group] for group in ("unasked", "answers", "in")},
        "segments": {group: month.segments[group] for group in ("unasked", "answers", "in")},
        "cost": round(month.all_segments * price, 2),
    }


def _ranked(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Most first; equal ones by name."""
    return [
        {"name": name, "number": number}
        for name, number in sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    ]


def render_report(report: Mapping[str, Any]) -> str:
    """The page: every plot with its table beside it. No script, nothing from the network."""
    environment = open_templates(_TEMPLATES)
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["weekly"] = lambda value: f"{value:.1f}"
    environment.filters["percent"] = lambda value: "" if value is None else f"{100 * value:.0f} %"
    environment.filters["money"] = lambda value: f"${value:,.2f}"
    environment.filters["plain"] = lambda words: words.replace("_", " ")
    return environment.get_template("year.html").render(
        report=report, groups=GROUPS, is_kept=is_kept(report), plots=_draw(report)
    )


def _draw(report: Mapping[str, Any]) -> dict[str, str]:
    weeks, months = report["weeks"], report["months"]
    names = [week["name"] for week in weeks]
    bands = _list_bands(report)
    return {
        "weeks": draw_columns(
            "Texts a week and person, by week of the program",
            names,
            [Series(group, tuple(week["weekly"][group] for week in weeks)) for group in GROUPS],
            bands=bands,
        ),
        "answers": draw_line(
            "Share of questions answered, by week of the program",
            names,
            [Series("answered", tuple(_percent(week["answer_rate"]) for week in weeks))],
            bands=bands,
            highest=100,
            unit=" %",
        ),
        "kept_back": draw_rows("Why texts waited or did not go", _rows(report["kept_back"])),
        "tasks": draw_rows("What staff were told", _rows(report["tasks"])),
        "months": draw_columns(
            "Segments a month",
            [month["month"] for month in months],
            [
                Series(group, tuple(float(month["segments"][group]) for month in months))
                for group in ("unasked", "answers", "in")
            ],
        ),
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _rows(ranked: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    return [(row["name"].replace("_", " "), row["number"]) for row in ranked]


def _list_bands(report: Mapping[str, Any]) -> list[Band]:
    """Phases as stretches of weeks; a week belongs to the phase in which it begins."""
    weeks = report["weeks"]
    bands = []
    for phase in report["phases"]:
        mine = [
            n for n, week in enumerate(weeks) if phase["first_day"] <= week["first_day"] <= phase["last_day"]
        ]
        if mine:
            name = phase["name"] if len(mine) > 3 else ""
            bands.append(Band(name, mine[0], mine[-1]))
    return bands
