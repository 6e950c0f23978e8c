"""The guidance behind the texts: its passages, what each item asks for, and what here carries it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from service.domain.data_record import DataError, DataRecord, show

_PASSAGE = re.compile(r"([0-9]{3}):([0-9]{1,4})(?:-([0-9]{1,4}))?")
_LOOKS_LIKE_PASSAGE = re.compile(r"[0-9]+:")


class GuidanceError(DataError):
    """The guidance file is wrong; one line says what and what was expected."""


class Carrier(StrEnum):
    """What may carry an item; the values are keys of the file."""

    PROGRAM = "programs"
    TOPIC = "topics"
    TEXT = "texts"
    KEYWORD = "keywords"
    CHECK_IN = "check_ins"
    REMINDER = "reminders"
    STAFF = "staff"


class Coverage(StrEnum):
    """How far an item is carried by what is built."""

    CARRIED = "carried"
    PARTLY = "in part"
    LATER = "not built yet"
    LEFT_OUT = "left out on purpose"


@dataclass(frozen=True, slots=True, order=True)
class Passage:
    """Lines `first` to `last` of a guidance document."""

    document: str
    first: int
    last: int

    def __str__(self) -> str:
        lines = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.document}:{lines}"

    def holds(self, other: Passage) -> bool:
        """Whether the other passage lies inside this one."""
        return self.document == other.document and self.first <= other.first and other.last <= self.last


@dataclass(frozen=True, slots=True)
class StaffFeature:
    """Something staff can do, and where: a command, or a file of this repository."""

    name: str
    is_what: str
    where: str


@dataclass(frozen=True, slots=True)
class GuidanceItem:
    """One thing the guidance asks for. `later` is what is not built yet; `not_used` is why it is left out."""

    id: str
    says: str
    passages: tuple[Passage, ...]
    carriers: Mapping[Carrier, tuple[str, ...]]
    later: str | None
    not_used: str | None

    @property
    def coverage(self) -> Coverage:
        if self.not_used is not None:
            return Coverage.LEFT_OUT
        if not self.carriers:
            return Coverage.LATER
        return Coverage.PARTLY if self.later else Coverage.CARRIED


@dataclass(frozen=True, slots=True)
class Guidance:
    """What the guidance asks for, what of it no text repeats, and the features of staff that items name."""

    items: tuple[GuidanceItem, ...]
    left_out: tuple[GuidanceItem, ...]
    staff_features: Mapping[str, StaffFeature]

    def list_all(self) -> tuple[GuidanceItem, ...]:
        """The items, then what is left out."""
        return self.items + self.left_out

    def list_passages(self) -> tuple[Passage, ...]:
        """Every passage that an item names, once, by document and line."""
        return tuple(sorted({passage for item in self.list_all() for passage in item.passages}))

    def list_items_of(self, cited: Passage) -> tuple[GuidanceItem, ...]:
        """The items one of whose passages holds the cited one."""
        return tuple(
            item for item in self.list_all() if any(passage.holds(cited) for passage in item.passages)
        )


def parse_passage(text: str) -> Passage:
    """Read "002:93" or "002:20-31". Raises ValueError."""
    match = _PASSAGE.fullmatch(text)
    if match is None or int(match[3] or match[2]) < int(match[2]):
        raise ValueError(
            f"{show(text)} is no passage; expected a document and lines, like 002:93 or 002:20-31"
        )
    return Passage(match[1], int(match[2]), int(match[3] or match[2]))


def passages_among(sources: Iterable[str]) -> tuple[Passage, ...]:
    """The guidance passages among the sources of a text; the others are named rules. Raises ValueError."""
    return tuple(parse_passage(source) for source in sources if _LOOKS_LIKE_PASSAGE.match(source))


def guidance_from_data(data: object) -> Guidance:
    """Read the whole file. Raises GuidanceError with one line and the place of the fault."""
    record = DataRecord.of(data, "guidance", GuidanceError)
    record.refuse_others(("staff_features", "items", "left_out"))
    found: dict[str, GuidanceItem] = {}
    for name in ("items", "left_out"):
        for one in record.list_records(name, "item"):
            item = _item(one)
            if item.id in found:
                raise one.fault("its id is there twice; expected an id of its own", "id")
            if name == "left_out" and item.not_used is None:
                raise one.fault("not_used is missing; expected why no text repeats it", "not_used")
            found[item.id] = item
    asked = len(record.list_values("items"))
    if not asked:
        raise record.fault("there are no items; expected at least one", "items")
    items = tuple(found.values())
    return Guidance(items[:asked], items[asked:], _staff_features(record))


def _staff_features(record: DataRecord) -> dict[str, StaffFeature]:
    features = record.record_at(record.values.get("staff_features", {}), "staff features", "staff_features")
    found: dict[str, StaffFeature] = {}
    for name, value in features.values.items():
        feature = features.record_at(value, f"staff feature {name}", name)
        feature.refuse_others(("is", "where"))
        found[name] = StaffFeature(name, feature.get_text("is"), feature.get_text("where"))
    return found


def _item(record: DataRecord) -> GuidanceItem:
    record = record.named(f"item {record.get_text('id')}")
    record.refuse_others(("id", "says", "passages", *Carrier, "later", "not_used"))
    item = GuidanceItem(
        id=record.get_text("id"),
        says=record.get_text("says"),
        passages=_passages(record),
        carriers={carrier: names for carrier in Carrier if (names := record.list_texts(carrier))},
        later=record.find_text("later"),
        not_used=record.find_text("not_used"),
    )
    if item.not_used is not None and (item.carriers or item.later):
        raise record.fault("it is left out on purpose and yet carried; expected one of the two", "not_used")
    if item.coverage is Coverage.LATER and item.later is None:
        raise record.fault("nothing carries it; expected something that does, or later, or not_used")
    return item


def _passages(record: DataRecord) -> tuple[Passage, ...]:
    names = record.list_texts("passages")
    if not names:
        raise record.fault("passages is missing; expected where the guidance says it", "passages")
    try:
        return tuple(parse_passage(name) for name in names)
    except ValueError as error:
        raise record.fault(str(error), "passages") from None
