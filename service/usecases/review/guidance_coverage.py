"""Whether what is said to carry the guidance is there, and can reach anybody."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from service.catalog import Catalog, TextEntry
from service.domain.guidance import Carrier, Coverage, Guidance, GuidanceItem, passages_among
from service.domain.keyword_table import Keyword
from service.domain.kinds import MessageKind
from service.usecases.review.reached_texts import Reach

REMINDERS = frozenset(
    {MessageKind.MEETING_REMINDER, MessageKind.APPOINTMENT_REMINDER, MessageKind.MEDICINE_REMINDER}
)


def list_coverage_faults(catalog: Catalog, guidance: Guidance) -> list[str]:
    """What does not fit: an item that names something that is not there, a text whose passage is nowhere."""
    known = _list_known(catalog, guidance)
    faults = [
        f"guidance.yaml: item {item.id}: there is no {carrier.rstrip('s').replace('_', '-')} {name}"
        for item in guidance.list_all()
        for carrier, names in item.carriers.items()
        for name in names
        if name not in known[carrier]
    ]
    for entry in catalog.entries.values():
        faults += _find_source_faults(entry, guidance)
    return faults


def find_coverage(item: GuidanceItem, reach: Reach, catalog: Catalog) -> Coverage:
    """How far an item is carried: what no program sends yet carries nothing."""
    if not item.carriers or item.coverage is Coverage.LEFT_OUT:
        return item.coverage
    names = ((carrier, name) for carrier, names in item.carriers.items() for name in names)
    return item.coverage if any(is_reached(*each, reach, catalog) for each in names) else Coverage.LATER


def is_reached(carrier: Carrier, name: str, reach: Reach, catalog: Catalog) -> bool:
    """Whether what carries an item can reach somebody."""
    if carrier is Carrier.TEXT:
        return name in reach.texts
    if carrier is Carrier.CHECK_IN:
        return name.split("/", maxsplit=1)[0] in reach.check_ins
    if carrier is Carrier.TOPIC:
        return any(entry.topic == name and entry.id in reach.texts for entry in catalog.entries.values())
    return True


def _list_known(catalog: Catalog, guidance: Guidance) -> Mapping[Carrier, Collection[str]]:
    """The names that an item may give, by what they are names of."""
    kinds_with_text = {entry.kind for entry in catalog.entries.values()}
    questions = {
        f"{check_in.id}/{question.id}"
        for check_in in catalog.check_ins.values()
        for question in check_in.questions
    }
    return {
        Carrier.PROGRAM: catalog.programs,
        Carrier.TOPIC: {entry.topic for entry in catalog.entries.values() if entry.topic},
        Carrier.TEXT: catalog.entries,
        Carrier.KEYWORD: frozenset(map(str, Keyword)),
        Carrier.CHECK_IN: questions | set(catalog.check_ins),
        Carrier.REMINDER: frozenset(map(str, REMINDERS & kinds_with_text)),
        Carrier.STAFF: guidance.staff_features,
    }


def _find_source_faults(entry: TextEntry, guidance: Guidance) -> Iterator[str]:
    place = f"{entry.file}:{entry.line}: text {entry.id}"
    try:
        cited = passages_among(entry.source)
    except ValueError as error:
        yield f"{place}: {error}"
        return
    for passage in cited:
        items = guidance.list_items_of(passage)
        if not items:
            yield f"{place}: the passage {passage} is in no item of guidance.yaml; expected it in one"
        elif all(item.coverage is Coverage.LEFT_OUT for item in items):
            why = items[0].not_used
            yield f"{place}: the passage {passage} is left out on purpose ({why}); expected another source"
