"""The page docs/guidance-coverage.md: what carries which passage of the guidance, and first what does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from service.catalog import Catalog
from service.domain.guidance import Carrier, Coverage, Guidance, GuidanceItem, Passage, passages_among
from service.usecases.review.guidance_coverage import find_coverage, is_reached
from service.usecases.review.reached_texts import Reach, find_reach

_COLUMNS = (
    ("Messages", (Carrier.PROGRAM, Carrier.TOPIC, Carrier.TEXT)),
    ("Words", (Carrier.KEYWORD,)),
    ("Check-ins", (Carrier.CHECK_IN,)),
    ("Reminders", (Carrier.REMINDER,)),
    ("For staff", (Carrier.STAFF,)),
)
_REASONS = {
    Coverage.LATER: "What is to come",
    Coverage.PARTLY: "What is to come",
    Coverage.LEFT_OUT: "Why",
}
_INTRODUCTION = """\
# What the guidance asks for, and what carries it

Made by `aftercare messages coverage` from `messages/guidance.yaml` and from the `source` of every text; do
not edit it by hand. A passage is a guidance document and a line (`002:93`); the documents are not in this
repository. "Carried" means that something built here speaks of it, not that anybody has reviewed it
clinically: nobody has. The number after a topic is how many of its texts can reach somebody today.
"""

_NOT_SENT = "in no program yet"


@dataclass(frozen=True, slots=True)
class _Page:
    """What the page is made of."""

    catalog: Catalog
    guidance: Guidance
    reach: Reach
    topics: Counter[str]


def describe_coverage(catalog: Catalog, guidance: Guidance) -> str:
    """The page as Markdown: the same catalog and guidance give the same page."""
    reach = find_reach(catalog)
    reached = [entry for entry in catalog.entries.values() if entry.id in reach.texts]
    page = _Page(catalog, guidance, reach, Counter(entry.topic for entry in reached if entry.topic))
    parts = [
        _INTRODUCTION,
        *_summary(page),
        *_items_table(page),
        *_passages_table(page),
        *_staff_table(guidance),
    ]
    return "\n".join(parts)


def _coverage(page: _Page, item: GuidanceItem) -> Coverage:
    return find_coverage(item, page.reach, page.catalog)


def _summary(page: _Page) -> Iterator[str]:
    """How much is covered, and first of all what is not."""
    guidance = page.guidance
    counts = Counter(_coverage(page, item) for item in guidance.items)
    rows = ((str(each), str(counts[each])) for each in Coverage)
    yield from _table((f"Of {len(guidance.items)} items", ""), rows)
    for coverage, heading in (
        (Coverage.LATER, "Not built yet: nothing carries these"),
        (Coverage.PARTLY, "Carried in part: what is missing"),
        (Coverage.LEFT_OUT, "Left out on purpose, or never repeated"),
    ):
        items = [item for item in guidance.list_all() if _coverage(page, item) is coverage]
        if items:
            yield f"## {heading}\n"
            reasons = ((*_heads(item), item.later or item.not_used or _NOT_SENT) for item in items)
            yield from _table(("Item", "What the guidance says", "Passages", _REASONS[coverage]), reasons)


def _heads(item: GuidanceItem) -> tuple[str, str, str]:
    return item.id, item.says, _join(map(str, item.passages))


def _items_table(page: _Page) -> Iterator[str]:
    yield "## Item by item\n"
    rows = (
        (item.id, item.says, _coverage(page, item), *(_carriers(page, item, some) for _, some in _COLUMNS))
        for item in page.guidance.items
        if item.carriers
    )
    yield from _table(("Item", "What the guidance asks for", "Is", *(name for name, _ in _COLUMNS)), rows)


def _passages_table(page: _Page) -> Iterator[str]:
    yield "## Passage by passage\n"
    rows = (_passage_row(page, passage) for passage in page.guidance.list_passages())
    yield from _table(("Passage", "Items", "Texts that rest on it", "What else carries its items"), rows)


def _passage_row(page: _Page, passage: Passage) -> tuple[str, ...]:
    items = [item for item in page.guidance.list_all() if passage in item.passages]
    texts = [
        entry.id
        for entry in sorted(page.catalog.entries.values(), key=lambda entry: entry.id)
        if any(passage.holds(cited) for cited in passages_among(entry.source))
    ]
    others = [
        shown
        for item in items
        for carrier, names in item.carriers.items()
        for shown in _name(page, carrier, [name for name in names if name not in texts])
    ]
    if not texts and not others:
        others = [str(_coverage(page, item)) for item in items]
    shown_texts = _name(page, Carrier.TEXT, texts)
    return str(passage), _join(item.id for item in items), _join(shown_texts), _join(dict.fromkeys(others))


def _staff_table(guidance: Guidance) -> Iterator[str]:
    yield "## What staff have\n"
    rows = (
        (feature.name, feature.is_what, f"`{feature.where}`") for feature in guidance.staff_features.values()
    )
    yield from _table(("Name", "Is", "Where"), rows)


def _carriers(page: _Page, item: GuidanceItem, carriers: Iterable[Carrier]) -> str:
    return _join(
        shown for carrier in carriers for shown in _name(page, carrier, item.carriers.get(carrier, ()))
    )


def _name(page: _Page, carrier: Carrier, names: Iterable[str]) -> list[str]:
    """How carriers are shown; what reaches nobody yet says so."""
    if carrier is Carrier.TOPIC:
        return [f"topic {name} ({page.topics[name] or _NOT_SENT})" for name in names]
    if carrier is Carrier.PROGRAM:
        return [f"program {name}" for name in names]
    if carrier is Carrier.KEYWORD:
        return [name.upper() for name in names]
    return [
        f"`{name}`" if is_reached(carrier, name, page.reach, page.catalog) else f"`{name}` ({_NOT_SENT})"
        for name in names
    ]


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
    yield ""
