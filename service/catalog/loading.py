"""Load hotlines, keywords, check-ins and programs, and refuse what would fail later, in front of a person."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from service.catalog.texts import TextEntry
from service.catalog.yaml_files import CatalogError, YamlFile, list_yaml_files, read_yaml_file
from service.domain.check_ins import CheckIn, Question, check_in_from_data
from service.domain.data_record import DataError, Place, show
from service.domain.hotlines import Hotline, countries_of, hotline_from_data, missing_lines
from service.domain.keywords import Keyword, KeywordTable, KeywordTableError, normalize, parse_keyword_table
from service.domain.kinds import ASKING_KINDS, MessageKind
from service.domain.program import Program, Step, WeeklyStep, program_from_data

"""Kinds of step that ask a check-in's first question."""

FAULT_TEXT = "reply/fault"
"""The answer when something broke: it must need nothing, so it has no fields."""

_KEYWORD_PLACE = re.compile(r"[a-z_]+(\.[^:. ]+)*(?=:)")


def check_fault_text(root: Path, entries: Mapping[str, TextEntry]) -> None:
    entry = entries.get(FAULT_TEXT)
    if entry is None:
        raise CatalogError(f"{root.name}/texts:1: there is no text {FAULT_TEXT}; expected one, for faults")
    if entry.fields:
        raise CatalogError(f"{entry.file}:{entry.line}: text {FAULT_TEXT}: it has fields; expected none")


def load_hotlines(root: Path) -> tuple[Hotline, ...]:
    """Raises CatalogError; also when a country lacks an emergency number or a crisis line."""
    file = read_yaml_file(root, root / "hotlines.yaml")
    if not isinstance(file.data, list) or not file.data:
        raise file.fault(f"found {show(file.data)}; expected a list of hotlines")
    try:
        lines = tuple(hotline_from_data(item, (position,)) for position, item in enumerate(file.data))
    except DataError as error:
        raise file.fault_of(error) from None
    for problem in missing_lines(lines, countries_of(lines)):
        first = next(position for position, line in enumerate(lines) if line.country == problem[:2])
        raise file.fault(f"{problem}; expected one that can be called", (first,))
    return lines


def load_keywords(root: Path) -> KeywordTable:
    """Raises CatalogError."""
    file = read_yaml_file(root, root / "keywords.yaml")
    if not isinstance(file.data, dict):
        raise file.fault(f"found {show(file.data)}; expected the sections of the keyword table")
    try:
        return parse_keyword_table(file.data)
    except KeywordTableError as error:
        named = _KEYWORD_PLACE.match(str(error))
        raise file.fault(str(error), tuple(named[0].split(".")) if named else ()) from None


def load_check_ins(
    root: Path, entries: Mapping[str, TextEntry], keywords: KeywordTable
) -> dict[str, CheckIn]:
    """Every check-in by id. Raises CatalogError."""
    check_ins: dict[str, CheckIn] = {}
    for file in list_yaml_files(root, "check_ins"):
        try:
            check_in = check_in_from_data(file.data)
        except DataError as error:
            raise file.fault_of(error) from None
        if check_in.id in check_ins:
            raise file.fault(f"check-in {check_in.id} is there twice; expected an id of its own", ("id",))
        _check_questions(file, check_in, entries, keywords)
        check_ins[check_in.id] = check_in
    return check_ins


def _check_questions(
    file: YamlFile, check_in: CheckIn, entries: Mapping[str, TextEntry], keywords: KeywordTable
) -> None:
    for key in ("skipped", "closing", "unclear"):
        _check_text(file, (key,), f"check-in {check_in.id}", entries)
    for number, question in enumerate(check_in.questions):
        name = f"check-in {check_in.id}, question {question.id}"
        place: Place = ("questions", number)
        for key in ("ask", "reask"):
            _check_text(file, (*place, key), name, entries)
        for reply in range(len(file.data["questions"][number]["replies"])):
            _check_text(file, (*place, "replies", reply, "text"), name, entries)
        _check_words(file, place, name, question, keywords)
    first = entries[check_in.questions[0].ask]
    if first.kind not in ASKING_KINDS:
        problem = f"{first.id} arrives unasked but is a {first.kind}; expected a checkin, checkup or pulse"
        raise file.fault(f"check-in {check_in.id}: {problem}", ("questions", 0, "ask"))


def _check_words(file: YamlFile, place: Place, name: str, question: Question, keywords: KeywordTable) -> None:
    """A word that does something of its own would never arrive as an answer, or would do that as well."""
    for word, value in question.words.items():
        if (
            keywords.words.get(word, Keyword.YES) not in {Keyword.YES, Keyword.NO}
            or word in keywords.languages
        ):
            problem = f"{name}: {show(word)} is a keyword; expected a word that only answers"
            raise file.fault(problem, (*place, "answers", "options", value))


def load_programs(
    root: Path,
    entries: Mapping[str, TextEntry],
    check_ins: Mapping[str, CheckIn],
    keywords: KeywordTable,
) -> tuple[dict[str, Program], dict[str, dict[str, Any]]]:
    """Every program by id, and the plain data it was read from. Raises CatalogError."""
    programs: dict[str, Program] = {}
    definitions: dict[str, dict[str, Any]] = {}
    words: dict[str, str] = {}
    for file in list_yaml_files(root, "programs"):
        try:
            program = program_from_data(file.data)
        except DataError as error:
            raise file.fault_of(error) from None
        _check_steps(file, "steps", program.steps, entries, check_ins)
        _check_steps(file, "weekly", program.weekly, entries, check_ins)
        _check_answer_rules(file, program, check_ins)
        for key, text in (("id", program.id), ("word", program.word)):
            word = normalize(text)
            taken = words.get(word, program.id) != program.id
            if taken or word in keywords.words or word in keywords.languages:
                by = f"program {words[word]}" if taken else "a keyword"
                raise file.fault(f"program {program.id}: {word!r} is {by} too; expected another", (key,))
            words[word] = program.id
        if program.id in programs:
            raise file.fault(f"program {program.id} is there twice; expected an id of its own", ("id",))
        programs[program.id], definitions[program.id] = program, file.data
    return programs, definitions


def _check_steps(
    file: YamlFile,
    section: str,
    steps: Iterable[Step | WeeklyStep],
    entries: Mapping[str, TextEntry],
    check_ins: Mapping[str, CheckIn],
) -> None:
    told = {(entry.kind, entry.topic) for entry in entries.values() if entry.phase}
    for number, step in enumerate(steps):
        place: Place = (section, number)
        name = f"step {step.id}"
        if isinstance(step, WeeklyStep):
            _check_topics(file, place, step, told)
        for position, text_id in enumerate(step.text_ids):
            _check_text(file, (*place, "texts", position), name, entries)
            kind = entries[text_id].kind
            if kind is not step.kind:
                problem = f"{name}: its kind is {step.kind} but {text_id} is a {kind}; expected the same"
                raise file.fault(problem, (*place, "texts", position))
        asked = step.check_in_ids if isinstance(step, WeeklyStep) else (step.check_in_id,)
        for position, check_in_id in enumerate(filter(None, asked)):
            if check_in_id not in check_ins:
                problem = f"{name}: there is no check-in {check_in_id}; expected one of check_ins/"
                raise file.fault(problem, (*place, "check_ins", position))
            if step.kind not in ASKING_KINDS:
                problem = f"{name}: it asks but is a {step.kind}; expected a checkin, checkup or pulse"
                raise file.fault(problem, (*place, "kind"))


def _check_topics(
    file: YamlFile, place: Place, step: WeeklyStep, told: Collection[tuple[MessageKind, str | None]]
) -> None:
    for key, kind, topics in (
        ("topics", step.kind, step.topics),
        ("nudge", MessageKind.NUDGE, step.nudge_topics),
    ):
        for position, topic in enumerate(topics):
            if (kind, topic) not in told:
                problem = f"step {step.id}: no {kind} is about {show(topic)}; expected a topic of texts/"
                raise file.fault(problem, (*place, key, position))


def _check_answer_rules(file: YamlFile, program: Program, check_ins: Mapping[str, CheckIn]) -> None:
    """A rule about an answer that nobody can give would never hold, and nobody would notice."""
    rules: list[tuple[Place, str, frozenset[str]]] = [
        (("choices", number), rule.question_id, rule.values) for number, rule in enumerate(program.choices)
    ]
    if program.step_up is not None:
        for colour, flags in (("red", program.step_up.red), ("amber", program.step_up.amber)):
            rules += [
                (("step_up", colour, number), flag.question_id, flag.values)
                for number, flag in enumerate(flags)
            ]
    for place, question_id, values in rules:
        asked = (question for check_in in check_ins.values() for question in check_in.questions)
        known = [question for question in asked if question.id == question_id]
        if not known:
            problem = f"there is no question {show(question_id)}; expected one of check_ins/"
            raise file.fault(problem, (*place, "question"))
        possible = {value for question in known for value in question.values}
        if strange := sorted(values - possible):
            problem = f"{show(strange[0])} is no answer to {question_id}; expected some of its values"
            raise file.fault(problem, (*place, "values"))


def _check_text(file: YamlFile, place: Place, name: str, entries: Mapping[str, TextEntry]) -> None:
    text_id = file.data
    for step in place:
        text_id = text_id[step]
    if text_id not in entries:
        raise file.fault(f"{name}: there is no text {text_id}; expected an id from texts/", place)
