"""Which text of the bank somebody gets: in turns through the topics, never again within sixty days. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


class Bank(Mapping[MessageKind, tuple[BankText, ...]]):
    """The texts of each kind that may be chosen, in the order of the catalog. Never changes."""

    def __init__(self, texts: Mapping[MessageKind, tuple[BankText, ...]]) -> None:
        self._texts = dict(texts)
        self._turns: dict[tuple[MessageKind, tuple[str, ...], str | None], tuple[str, ...]] = {}

    def __getitem__(self, kind: MessageKind) -> tuple[BankText, ...]:
        return self._texts[kind]

    def __iter__(self) -> Iterator[MessageKind]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def in_turns(self, kind: MessageKind, topics: tuple[str, ...], phase: str | None) -> tuple[str, ...]:
        """The ids of one text of each topic, then the second of each, and so on: what fits the phase."""
        key = kind, topics, phase
        turns = self._turns.get(key)
        if turns is None:
            turns = self._turns[key] = _in_turns(self._texts.get(kind, ()), topics, phase)
        return turns


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
    if wanted and (wished := tuple(topic for topic in wanted if topic in topics)):
        text_id = _first_unused(bank.in_turns(kind, wished, phase), 0, used)
        if text_id is not None:
            return text_id
    return _first_unused(bank.in_turns(kind, tuple(topics), phase), turn, used)


def _first_unused(line: Sequence[str], start: int, used: Collection[str]) -> str | None:
    for number in range(len(line)):
        text_id = line[(start + number) % len(line)]
        if text_id not in used:
            return text_id
    return None


def _in_turns(texts: Sequence[BankText], topics: Sequence[str], phase: str | None) -> tuple[str, ...]:
    columns = [
        [text.id for text in texts if text.topic == topic and (phase is None or phase in text.phases)]
        for topic in topics
    ]
    rounds = zip_longest(*columns)
    return tuple(text_id for one_each in rounds for text_id in one_each if text_id is not None)
