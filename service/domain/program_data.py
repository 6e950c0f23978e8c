"""Programs from and to plain data: a YAML file, or the JSON of a database row."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import time
from itertools import pairwise
from typing import Any

from service.domain.data_record import DataRecord, show
from service.domain.kinds import ANSWER_KINDS, MessageKind
from service.domain.program_answers import AnswerRule, Flag, StepUp
from service.domain.program_steps import (
    MAX_DAYS,
    PHASES,
    WEEKDAYS,
    CadenceRow,
    LatePolicy,
    OnlyIf,
    Program,
    ProgramError,
    Step,
    WeeklyStep,
)
from service.domain.wordings import normalize

LANGUAGES = ("en", "es")
LONGEST_JOIN_CODE = 3
"""Words that JOIN reads as the name of a program."""

_PROGRAM_KEYS = (
    *("id", "version", "name", "word", "days", "kept_days", "frequency", "review", "source"),
    *("rows", "choices", "step_up", "steps", "weekly"),
)
_SHARED_KEYS = ("time", "kind", "texts", "check_ins", "late")
_STEP_KEYS = ("id", "day", "only", *_SHARED_KEYS)
_WEEKLY_KEYS = (
    *("id", "weekdays", "rows", "first_day", "last_day", "every_weeks", "first_week", "topics", "nudge"),
    *_SHARED_KEYS,
)
_ROW_KEYS = ("id", "first_day", "last_day", "phase", "only")
_CHOICE_KEYS = ("question", "values", "within_days", "topics")
_STEP_UP_KEYS = ("red", "amber", "ambers", "within_days", "for_days")
_FLAG_KEYS = ("question", "values", "first_day", "last_day")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TIME = re.compile(r"[0-2][0-9]:[0-5][0-9]")
_EARLIEST, _LATEST = time(8), time(21)
_UNASKED = frozenset(MessageKind) - ANSWER_KINDS - {MessageKind.STAFF_ALERT}


def program_from_data(data: Mapping[str, Any]) -> Program:
    """Read a program. Raises ProgramError with one line and the place of the fault.

    Step times lie from 08:00 to before 21:00, the widest hours that anybody may choose (47 CFR
    64.1200(c)(1)).
    """
    record = DataRecord.of(data, "program", ProgramError)
    program_id = record.get_text("id")
    record = record.named(f"program {program_id}")
    record.refuse_others(_PROGRAM_KEYS)
    if not _ID.fullmatch(program_id) or len(program_id.split("-")) > LONGEST_JOIN_CODE:
        raise record.fault("the id cannot be texted; expected at most three words like first-year", "id")
    days = record.get_number("days", 1, MAX_DAYS)
    kept_days = record.get_number("kept_days", days, MAX_DAYS, default=days)
    rows = tuple(_row(item, kept_days) for item in record.list_records("rows", "row"))
    _check_rows(record, rows)
    program = Program(
        id=program_id,
        version=record.get_number("version", 1, 10_000),
        name=record.get_text("name"),
        word=_join_word(record),
        days=days,
        frequency=_frequency(record),
        steps=tuple(_step(item, kept_days) for item in record.list_records("steps", "step")),
        weekly=tuple(_weekly(item, kept_days, rows) for item in record.list_records("weekly", "step")),
        kept_days=kept_days,
        rows=rows,
        choices=tuple(_choice(item) for item in record.list_records("choices", "choice")),
        step_up=_step_up(record, kept_days),
    )
    _refuse_doubles(record)
    return program


def program_to_data(program: Program) -> dict[str, Any]:
    """The plain data of a program; `program_from_data` reads it back as an equal one."""
    return {
        "id": program.id,
        "version": program.version,
        "name": program.name,
        "word": program.word,
        "days": program.days,
        "frequency": dict(program.frequency),
        **_rhythm_data(program),
        "steps": [_step_data(step) for step in program.steps],
        "weekly": [_weekly_data(step) for step in program.weekly],
    }


def program_hash(program: Program) -> str:
    """SHA-256 over what a program says and when, not over how its file is laid out."""
    text = json.dumps(program_to_data(program), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _rhythm_data(program: Program) -> dict[str, Any]:
    """What a program says about its rhythm; nothing for one that has only days."""
    data: dict[str, Any] = {}
    if program.kept_days > program.days:
        data["kept_days"] = program.kept_days
    if program.rows:
        data["rows"] = [_row_data(row) for row in program.rows]
    if program.choices:
        data["choices"] = [
            {
                "question": rule.question_id,
                "values": sorted(rule.values),
                "within_days": rule.within_days,
                "topics": list(rule.topics),
            }
            for rule in program.choices
        ]
    if program.step_up is not None:
        data["step_up"] = {
            "red": [_flag_data(flag) for flag in program.step_up.red],
            "amber": [_flag_data(flag) for flag in program.step_up.amber],
            "ambers": program.step_up.ambers,
            "within_days": program.step_up.within_days,
            "for_days": program.step_up.for_days,
        }
    return data


def _row_data(row: CadenceRow) -> dict[str, Any]:
    data = {"id": row.id, "first_day": row.first_day, "last_day": row.last_day, "phase": row.phase}
    return data | ({"only": str(row.only)} if row.only else {})


def _flag_data(flag: Flag) -> dict[str, Any]:
    return {
        "question": flag.question_id,
        "values": sorted(flag.values),
        "first_day": flag.first_day,
        "last_day": flag.last_day,
    }


def _step_data(step: Step) -> dict[str, Any]:
    data = {"id": step.id, "day": step.day, **_shared_data(step)}
    if step.only:
        data["only"] = str(step.only)
    return data | ({"check_ins": [step.check_in_id]} if step.check_in_id else {"texts": list(step.text_ids)})


def _weekly_data(step: WeeklyStep) -> dict[str, Any]:
    data = {
        "id": step.id,
        "weekdays": [name for name, number in WEEKDAYS.items() if number in step.weekdays],
        "first_day": step.first_day,
        "last_day": step.last_day,
        "every_weeks": step.every_weeks,
        **_shared_data(step),
    }
    for name, value in (("rows", sorted(step.rows)), ("nudge", list(step.nudge_topics))):
        if value:
            data[name] = value
    if step.first_week:
        data["first_week"] = step.first_week
    said = {"check_ins": step.check_in_ids, "topics": step.topics, "texts": step.text_ids}
    return data | {name: list(ids) for name, ids in said.items() if ids}


def _shared_data(step: Step | WeeklyStep) -> dict[str, str]:
    return {"time": step.at.strftime("%H:%M"), "kind": str(step.kind), "late": str(step.late)}


def _step(item: DataRecord, days: int) -> Step:
    item.refuse_others(_STEP_KEYS)
    texts, check_ins, _ = _said(item, ("texts", "check_ins"))
    if len(texts) + len(check_ins) != 1:
        raise item.fault("it falls on one day only; expected one text or one check-in", "texts")
    return Step(
        id=item.get_text("id"),
        day=item.get_number("day", 0, days),
        at=_time(item),
        kind=_kind(item),
        text_ids=texts,
        check_in_id=check_ins[0] if check_ins else None,
        late=item.get_choice("late", LatePolicy, LatePolicy.SKIP),
        only=_only(item),
    )


def _weekly(item: DataRecord, days: int, rows: Sequence[CadenceRow]) -> WeeklyStep:
    item.refuse_others(_WEEKLY_KEYS)
    texts, check_ins, topics = _said(item, ("texts", "check_ins", "topics"))
    in_rows = item.list_texts("rows")
    for name in in_rows:
        if name not in {row.id for row in rows}:
            raise item.fault(f"there is no row {show(name)}; expected one of the program's rows", "rows")
    nudge = item.list_texts("nudge")
    if nudge and not check_ins:
        raise item.fault("it asks nothing; expected nudge only beside check_ins", "nudge")
    # A step of rows falls on whatever day one of them holds: LESS and MORE bring rows to other days.
    first_day = item.get_number("first_day", 0, days, default=0 if in_rows else None)
    every_weeks = item.get_number("every_weeks", 1, 52, default=1)
    return WeeklyStep(
        id=item.get_text("id"),
        weekdays=_weekdays(item),
        first_day=first_day,
        last_day=item.get_number("last_day", first_day, days, default=days if in_rows else None),
        every_weeks=every_weeks,
        at=_time(item),
        kind=_kind(item),
        text_ids=texts,
        check_in_ids=check_ins,
        late=item.get_choice("late", LatePolicy, LatePolicy.SKIP),
        rows=frozenset(in_rows),
        first_week=item.get_number("first_week", 0, every_weeks - 1, default=0),
        topics=topics,
        nudge_topics=nudge,
    )


def _only(item: DataRecord) -> OnlyIf | None:
    return item.get_choice("only", OnlyIf) if "only" in item.values else None


def _row(item: DataRecord, days: int) -> CadenceRow:
    item.refuse_others(_ROW_KEYS)
    phase = item.get_text("phase")
    if phase not in PHASES:
        raise item.fault(f"phase is {show(phase)}; expected one of {', '.join(PHASES)}", "phase")
    first_day = item.get_number("first_day", 0, days)
    return CadenceRow(
        id=item.get_text("id"),
        first_day=first_day,
        last_day=item.get_number("last_day", first_day, days),
        phase=phase,
        only=_only(item),
    )


def _check_rows(record: DataRecord, rows: Sequence[CadenceRow]) -> None:
    for number, (before, row) in enumerate(pairwise(rows), start=1):
        if row.first_day <= before.last_day:
            problem = f"row {row.id} begins before {before.id} ends; expected rows in the order of their days"
            raise record.fault(problem, "rows", number, "first_day")
        if row.id in {other.id for other in rows[:number]}:
            raise record.fault(
                f"row {row.id} is there twice; expected an id of its own", "rows", number, "id"
            )


def _choice(item: DataRecord) -> AnswerRule:
    item.refuse_others(_CHOICE_KEYS)
    return AnswerRule(
        question_id=item.get_text("question"),
        values=_values(item),
        within_days=item.get_number("within_days", 1, 60, default=7),
        topics=_needed(item, "topics"),
    )


def _step_up(record: DataRecord, days: int) -> StepUp | None:
    if "step_up" not in record.values:
        return None
    item = record.record_at(record.values["step_up"], f"{record.name}, step_up", "step_up")
    item.refuse_others(_STEP_UP_KEYS)
    return StepUp(
        red=tuple(_flag(one, days) for one in item.list_records("red", "flag")),
        amber=tuple(_flag(one, days) for one in item.list_records("amber", "flag")),
        ambers=item.get_number("ambers", 1, 10, default=2),
        within_days=item.get_number("within_days", 1, 60, default=14),
        for_days=item.get_number("for_days", 1, 60, default=14),
    )


def _flag(item: DataRecord, days: int) -> Flag:
    item.refuse_others(_FLAG_KEYS)
    first_day = item.get_number("first_day", 0, days, default=0)
    return Flag(
        question_id=item.get_text("question"),
        values=_values(item),
        first_day=first_day,
        last_day=item.get_number("last_day", first_day, days, default=days),
    )


def _values(item: DataRecord) -> frozenset[str]:
    return frozenset(_needed(item, "values"))


def _needed(item: DataRecord, name: str) -> tuple[str, ...]:
    found = item.list_texts(name)
    if not found:
        raise item.fault(f"{name} is missing; expected at least one", name)
    return found


def _join_word(record: DataRecord) -> str:
    word = record.get_text("word")
    if not 1 <= len(normalize(word).split()) <= LONGEST_JOIN_CODE:
        raise record.fault(f"word is {show(word)}; expected one to three words of letters", "word")
    return word


def _frequency(record: DataRecord) -> dict[str, str]:
    frequency = record.get_words("frequency")
    if set(frequency) != set(LANGUAGES):
        raise record.fault("frequency lacks or has other languages; expected en and es", "frequency")
    return frequency


def _weekdays(item: DataRecord) -> frozenset[int]:
    names = item.list_values("weekdays")
    if not names or any(name not in list(WEEKDAYS) for name in names):
        raise item.fault(f"weekdays is {show(names)}; expected some of {', '.join(WEEKDAYS)}", "weekdays")
    return frozenset(WEEKDAYS[name] for name in names)


def _time(item: DataRecord) -> time:
    value = item.values.get("time")
    if not isinstance(value, str) or not _TIME.fullmatch(value) or value >= "24":
        raise item.fault(f"time is {show(value)}; expected it in quotes, like '17:00'", "time")
    at = time.fromisoformat(value)
    if not _EARLIEST <= at < _LATEST:
        raise item.fault(f"time is {show(value)}; expected 08:00 to 20:59", "time")
    return at


def _kind(item: DataRecord) -> MessageKind:
    kind = item.get_choice("kind", MessageKind)
    if kind not in _UNASKED:
        raise item.fault(f"kind is {show(str(kind))}; expected one that is sent unasked", "kind")
    return kind


def _said(item: DataRecord, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Texts, check-ins and topics: one of them, and the others empty."""
    said = {name: item.list_texts(name) for name in ("texts", "check_ins", "topics")}
    if sum(map(bool, said.values())) != 1:
        raise item.fault(f"it must say one thing; expected either {' or '.join(names)}", "texts")
    return said["texts"], said["check_ins"], said["topics"]


def _refuse_doubles(record: DataRecord) -> None:
    seen = set()
    for name in ("steps", "weekly"):
        for position, item in enumerate(record.list_values(name)):
            if item["id"] in seen:
                problem = f"step id {item['id']} is there twice; expected an id of its own"
                raise record.fault(problem, name, position, "id")
            seen.add(item["id"])
