"""The rules of wording in one table: what is wrong with a text that could be sent.

A text that cannot be sent (a missing language, an unknown field, too many segments) never gets here: the
catalog refuses it. Sources are sections of the content and safety design.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.domain import wording_faults, wordings_together
from service.domain.kinds import ANSWER_KINDS, MessageKind
from service.domain.wording_faults import Wording

ALL = frozenset(MessageKind)
UNASKED = ALL - ANSWER_KINDS - {MessageKind.STAFF_ALERT}
"""What reaches a phone without the person having written first."""
PUSHES = UNASKED - {MessageKind.ADMIN}
"""What is written by us alone: the rest of what arrives unasked carries wording that carriers require."""
REMINDERS = frozenset(
    {MessageKind.APPOINTMENT_REMINDER, MessageKind.MEDICINE_REMINDER, MessageKind.MEETING_REMINDER}
)

_CARRIER_TOPICS = frozenset({"consent", "help", "hotlines", "receipt"})


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: which texts it is for, and where it comes from. `find` yields one line for each fault.

    `asks_too`: also for the questions of check-ins; `plain_too`: also for plain wordings.
    """

    name: str
    severity: Severity
    why: str
    find: Callable[[Wording], Iterable[str]]
    kinds: frozenset[MessageKind] = ALL
    asks_too: bool = False
    plain_too: bool = True
    not_topics: frozenset[str] = frozenset()

    def is_for(self, wording: Wording) -> bool:
        if wording.topic in self.not_topics or (wording.is_plain and not self.plain_too):
            return False
        return wording.kind in self.kinds or (self.asks_too and wording.is_question)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOfAll:
    """A rule about many texts together. `find` yields the wording that a fault is told of, and the fault."""

    name: str
    severity: Severity
    why: str
    find: Callable[[Sequence[Wording]], Iterable[tuple[Wording, str]]]
    kinds: frozenset[MessageKind] = ALL
    not_topics: frozenset[str] = frozenset()

    def is_for(self, wording: Wording) -> bool:
        return wording.kind in self.kinds and wording.topic not in self.not_topics


RULES: tuple[Rule, ...] = (
    Rule(
        name="language-pair",
        severity=Severity.ERROR,
        why="A person who chose plain words gets them in their own language (B10).",
        find=wording_faults.find_missing_pair,
    ),
    Rule(
        name="alphabet",
        severity=Severity.ERROR,
        why="One letter outside GSM-7 more than halves what fits a segment (B3); pushes are one segment.",
        find=wording_faults.find_costly_characters,
        kinds=UNASKED,
    ),
    Rule(
        name="alphabet",
        severity=Severity.WARNING,
        why="An answer may pay for a letter, but somebody should have meant it (B3).",
        find=wording_faults.find_costly_characters,
        kinds=ALL - UNASKED,
    ),
    Rule(
        name="grade",
        severity=Severity.WARNING,
        why="Sixth grade (B5). The grade of one short text is noisy, so this only points at it.",
        find=wording_faults.find_hard_reading,
        not_topics=_CARRIER_TOPICS,  # wording that carriers require, hotlines and their labels
    ),
    Rule(
        name="sentence-length",
        severity=Severity.ERROR,
        why="At most 14 words a sentence (B5). Consent texts carry wording that carriers require.",
        find=wording_faults.find_long_sentences,
        kinds=UNASKED,
        asks_too=True,
        not_topics=_CARRIER_TOPICS,
    ),
    Rule(
        name="sentence-length",
        severity=Severity.WARNING,
        why="At most 14 words a sentence (B5); an answer may have to say more.",
        find=wording_faults.find_long_sentences,
        kinds=ALL - UNASKED,
        not_topics=_CARRIER_TOPICS,
    ),
    Rule(
        name="denied",
        severity=Severity.ERROR,
        why="Statements of the sources that are wrong, dated, promotional or harmful (A3).",
        find=wording_faults.find_denied,
    ),
    Rule(
        name="figures",
        severity=Severity.ERROR,
        why="No success or relapse figures, no doses, in any text (A3).",
        find=wording_faults.find_figures,
    ),
    Rule(
        name="person-first",
        severity=Severity.ERROR,
        why="Words that shame keep people from answering (A3, B5).",
        find=wording_faults.find_stigmatizing,
    ),
    Rule(
        name="revealing",
        severity=Severity.ERROR,
        why="A text that arrives unasked may be read by somebody else (B10). Plain wordings were chosen.",
        find=wording_faults.find_revealing,
        kinds=UNASKED,
        asks_too=True,
        plain_too=False,
    ),
    Rule(
        name="hard-word",
        severity=Severity.WARNING,
        why="Common words (B5).",
        find=wording_faults.find_hard_words,
    ),
    Rule(
        name="one-ask",
        severity=Severity.ERROR,
        why="One ask per message (B5).",
        find=wording_faults.find_many_asks,
        kinds=PUSHES,
        asks_too=True,
    ),
    Rule(
        name="caring",
        severity=Severity.ERROR,
        why="A caring note has no advice, no question and no reminder (B3, Motto).",
        find=wording_faults.find_demands,
        kinds=frozenset({MessageKind.CARING}),
    ),
    Rule(
        name="shouting",
        severity=Severity.WARNING,
        why="No pile of exclamation marks (B5).",
        find=wording_faults.find_shouting,
    ),
    Rule(
        name="keyword",
        severity=Severity.ERROR,
        why="Phone companies read END as stop and YES as start; an invited word must do something (C3).",
        find=wording_faults.find_keyword_collisions,
    ),
)
"""What is asked of each wording. Of two rows with one name, the first that is for a wording counts."""

RULES_OF_ALL: tuple[RuleOfAll, ...] = (
    RuleOfAll(
        name="grade-of-kind",
        severity=Severity.ERROR,
        why="Sixth grade or below, over all texts of a kind together (B5).",
        find=wordings_together.find_hard_kinds,
        not_topics=_CARRIER_TOPICS,
    ),
    RuleOfAll(
        name="repeat",
        severity=Severity.ERROR,
        why="People leave when texts repeat (B4).",
        find=wordings_together.find_repeats,
        kinds=UNASKED,
    ),
    RuleOfAll(
        name="repeat",
        severity=Severity.WARNING,
        why="Two answers may say the same, but one text is easier to review.",
        find=wordings_together.find_repeats,
        kinds=ALL - UNASKED,
    ),
    RuleOfAll(
        name="near-repeat",
        severity=Severity.WARNING,
        why="People leave when texts repeat (B4). Reminders of one plan are alike on purpose.",
        find=wordings_together.find_near_repeats,
        kinds=PUSHES - REMINDERS,
    ),
)
"""What is asked of many wordings together."""

EVERY_RULE: tuple[Rule | RuleOfAll, ...] = (*RULES, *RULES_OF_ALL)


def find_problems(wordings: Sequence[Wording]) -> Iterator[tuple[Wording, Rule | RuleOfAll, str]]:
    """Everything that is wrong with these wordings, with the rule that says so; in no order."""
    for wording in wordings:
        for rule in _list_rules(wording):
            for problem in rule.find(wording):
                yield wording, rule, problem
    for rule_of_all in RULES_OF_ALL:
        for wording, problem in rule_of_all.find([each for each in wordings if rule_of_all.is_for(each)]):
            yield wording, rule_of_all, problem


def _list_rules(wording: Wording) -> Iterable[Rule]:
    rules: dict[str, Rule] = {}
    for rule in RULES:
        if rule.is_for(wording):
            rules.setdefault(rule.name, rule)
    return rules.values()
