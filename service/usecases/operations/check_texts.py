"""Check the texts: everything that is wrong with the catalog, each with its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.catalog import CatalogError, TextEntry
from service.catalog.survey import PlacedHotline, Survey, survey_messages
from service.domain.check_in_data import SKIP_WORDS
from service.domain.check_ins import CheckIn
from service.domain.hotlines import stale_lines
from service.domain.keywords import KeywordTable
from service.domain.kinds import MessageKind
from service.domain.style_words import Style
from service.domain.wording_faults import Wording
from service.domain.wording_rules import Severity, find_problems

HOTLINES_FRESH_FOR_DAYS = 90
"""After this a hotline is worth a call; after 180 days unprompted texts stop (see live mode)."""

_FAULT = re.compile(r"(?P<file>[^:]*):(?P<line>\d+): (?P<problem>.*)", re.DOTALL)
_FAULTY_TEXT = re.compile(
    r"text (?P<id>\S+): (?:(?P<wording>(?:en|es)(?:_plain)?): )?(?P<problem>.*)", re.DOTALL
)
_TALKS_OF_CHECK_INS = frozenset(
    {MessageKind.CHECKIN, MessageKind.CHECKUP, MessageKind.PULSE, MessageKind.NUDGE}
)


@dataclass(frozen=True, slots=True)
class TextFinding:
    """One thing that is wrong: where, of which text and wording, by which rule, and what to do about it."""

    file: str
    line: int
    id: str | None
    wording: str | None
    rule: str
    severity: Severity
    problem: str


def check_texts(root: Path, now: datetime) -> list[TextFinding]:
    """Everything wrong with a messages folder, by file and line.

    Steps: each part is read by itself, and what cannot be read is a finding; the rules of wording judge the
    rest; then what `now` makes stale, and what nobody has signed.
    """
    survey = survey_messages(root)
    findings = [_fault(error) for error in survey.faults]
    if survey.style is not None and survey.keywords is not None:
        findings += _judge(survey, survey.style, survey.keywords)
    findings += _stale(survey.hotlines, now)
    findings += _unsigned(root, survey.entries)
    return sorted(findings, key=lambda finding: (finding.file, finding.line, finding.rule, finding.problem))


def _fault(error: CatalogError) -> TextFinding:
    place = _FAULT.match(str(error))
    file, line, problem = place.group("file", "line", "problem") if place else ("messages", "1", str(error))
    text = _FAULTY_TEXT.match(problem)
    named = text.group("id", "wording", "problem") if text else (None, None, problem)
    return TextFinding(file, int(line), named[0], named[1], "load", Severity.ERROR, named[2])


def _judge(survey: Survey, style: Style, keywords: KeywordTable) -> Iterator[TextFinding]:
    questions = _list_questions(survey.check_ins.values())
    wordings = [
        wording
        for entry in survey.entries.values()
        for wording in _list_wordings(entry, questions, style, keywords)
    ]
    for wording, rule, problem in find_problems(wordings):
        entry = survey.entries[wording.text_id]
        line = entry.wording_lines[wording.name]
        yield TextFinding(entry.file, line, entry.id, wording.name, rule.name, rule.severity, problem)


def _list_questions(check_ins: Iterable[CheckIn]) -> dict[str, frozenset[str]]:
    """The texts that ask, and the words that answer each."""
    questions: dict[str, frozenset[str]] = {}
    for check_in in check_ins:
        for question in check_in.questions:
            words = frozenset(word for answer in question.words for word in answer.split())
            for text_id in (question.ask, question.reask):
                questions[text_id] = questions.get(text_id, SKIP_WORDS) | words
    return questions


def _list_wordings(
    entry: TextEntry, questions: Mapping[str, frozenset[str]], style: Style, keywords: KeywordTable
) -> Iterator[Wording]:
    no_answers = SKIP_WORDS if entry.kind in _TALKS_OF_CHECK_INS else frozenset[str]()
    for name, body in entry.wordings.items():
        yield Wording(
            text_id=entry.id,
            kind=entry.kind,
            topic=entry.topic or "",
            name=name,
            body=body,
            fields=entry.fields,
            others=entry.wordings,
            answers=questions.get(entry.id, no_answers),
            is_question=entry.id in questions,
            style=style,
            keywords=keywords,
        )


def _stale(hotlines: Iterable[PlacedHotline], now: datetime) -> Iterator[TextFinding]:
    for placed in hotlines:
        line = placed.hotline
        if stale_lines([line], now.date(), HOTLINES_FRESH_FOR_DAYS):
            problem = (
                f"not verified since {line.last_verified}, over {HOTLINES_FRESH_FOR_DAYS} days; "
                "call it, then set last_verified"
            )
            name = f"{line.country} {line.name}"
            yield TextFinding(placed.file, placed.line, name, None, "hotline", Severity.WARNING, problem)


def _unsigned(root: Path, entries: Mapping[str, TextEntry]) -> Iterator[TextFinding]:
    """One line for all of them: they are many until the first review."""
    unsigned = sorted(entry.id for entry in entries.values() if not entry.is_signed)
    if unsigned:
        problem = (
            f"{len(unsigned)} of {len(entries)} texts have no clinical review, like {unsigned[0]}; "
            "have them signed before going live"
        )
        yield TextFinding(f"{root.name}/texts", 1, None, None, "unsigned", Severity.WARNING, problem)
