"""Which texts and check-ins can reach anybody: a text of the bank that no program chooses reaches nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.catalog import Catalog
from service.domain.kinds import MessageKind
from service.domain.program import Program

SENT_BY_CHOICE = frozenset(
    {
        MessageKind.MEETING_REMINDER,
        MessageKind.APPOINTMENT_REMINDER,
        MessageKind.MEDICINE_REMINDER,
        MessageKind.CAMPAIGN,
    }
)
"""Kinds that come because the person or staff chose so, whatever the program says."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Ids of what a program, an answer or a choice of the person's can send."""

    texts: frozenset[str]
    check_ins: frozenset[str]


def find_reach(catalog: Catalog) -> Reach:
    """What of a catalog can reach somebody. Answers to a person's own words always can."""
    check_ins = {name for program in catalog.programs.values() for name in _asked_by(program)}
    asked = {text_id for name in check_ins for text_id in catalog.check_in(name).text_ids()}
    only_asked = {text_id for one in catalog.check_ins.values() for text_id in one.text_ids()}
    sent = {text_id for program in catalog.programs.values() for text_id in _sent_by(program, catalog)}
    answers = {
        entry.id
        for entry in catalog.entries.values()
        if (not entry.is_unprompted or entry.kind in SENT_BY_CHOICE) and entry.id not in only_asked
    }
    return Reach(frozenset(asked | sent | answers), frozenset(check_ins))


def _asked_by(program: Program) -> Iterator[str]:
    for step in program.steps:
        if step.check_in_id is not None:
            yield step.check_in_id
    for weekly in program.weekly:
        yield from weekly.check_in_ids


def _sent_by(program: Program, catalog: Catalog) -> Iterator[str]:
    for step in program.steps:
        yield from step.text_ids
    for weekly in program.weekly:
        yield from weekly.text_ids
        phases = {row.phase for row in program.rows if row.id in weekly.rows}
        for kind, topics in ((weekly.kind, weekly.topics), (MessageKind.NUDGE, weekly.nudge_topics)):
            for text in catalog.bank.get(kind, ()):
                if text.topic in topics and (not phases or phases & text.phases):
                    yield text.id
