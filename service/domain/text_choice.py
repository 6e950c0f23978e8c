"""Which text of the bank somebody gets: in turns through the topics, never again within sixty days. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from service.domain.kinds import MessageKind

NO_REPEAT_DAYS = 60
"""Repetition is what people complain about (evidence B1: SmokefreeTXT, Text2Quit)."""


@dataclass(frozen=True, slots=True)
class BankText:
    """What choosing looks at: a text of the catalog without its words."""

    id: str
    topic: str
    phases: frozenset[str]


Bank = Mapping[MessageKind, tuple[BankText, ...]]
"""The texts of each kind that may be chosen, in the order of the catalog."""


def choose_text(
    bank: Bank,
    kind: MessageKind,
    topics: Sequence[str],
    phase: str | None,
    turn: int,
    used: Collection[str],
    wanted: Sequence[str] = (),
) -> str | None:
    """The id of the text whose turn it is, of those about `topics` that fit the phase; None if none is left.

    Topics take turns, and within a topic texts keep the order of the catalog, so that `turn` alone would go
    through all of them before any came again. Those in `used` are passed over. Topics in `wanted` come first,
    whatever the turn.
    """
    texts = bank.get(kind, ())
    wished = [topic for topic in wanted if topic in topics]
    for asked, start in ((tuple(wished), 0), (tuple(topics), turn)):
        line = _in_turns(texts, asked, phase) if asked else ()
        for number in range(len(line)):
            text_id = line[(start + number) % len(line)]
            if text_id not in used:
                return text_id
    return None


@lru_cache(maxsize=256)
def _in_turns(texts: tuple[BankText, ...], topics: tuple[str, ...], phase: str | None) -> tuple[str, ...]:
    """One text of each topic, then the second of each, and so on: what fits the phase."""
    columns = [
        [text.id for text in texts if text.topic == topic and (phase is None or phase in text.phases)]
        for topic in topics
    ]
    rounds = zip_longest(*columns)
    return tuple(text_id for one_each in rounds for text_id in one_each if text_id is not None)
