"""Programs from and to plain data: a YAML file, or the JSON of a database row."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import time
from typing import Any

from service.domain.data_record import DataRecord, show
from service.domain.kinds import ANSWER_KINDS, MessageKind
from service.domain.program_steps import (
    MAX_DAYS,
    WEEKDAYS,
    LatePolicy,
    Program,
    ProgramError,
    Step,
    WeeklyStep,
)
from service.domain.wordings import normalize

LANGUAGES = ("en", "es")
LONGEST_JOIN_CODE = 3
"""Words that JOIN reads as the name of a program."""

_PROGRAM_KEYS = ("id", "version", "name", "word", "days", "frequency", "review", "source", "steps", "weekly")
_SHARED_KEYS = ("time", "kind", "texts", "check_ins", "late")
_STEP_KEYS = ("id", "day", *_SHARED_KEYS)
_WEEKLY_KEYS = ("id", "weekdays", "first_day", "last_day", "every_weeks", *_SHARED_KEYS)
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
    program = Program(
        id=program_id,
        version=record.get_number("version", 1, 10_000),
        name=record.get_text("name"),
        word=_join_word(record),
        days=days,
        frequency=_frequency(record),
        steps=tuple(_step(item, days) for item in record.list_records("steps", "step")),
        weekly=tuple(_weekly(item, days) for item in record.list_records("weekly", "step")),
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
        "steps": [_step_data(step) for step in program.steps],
        "weekly": [_weekly_data(step) for step in program.weekly],
    }


def program_hash(program: Program) -> str:
    """SHA-256 over what a program says and when, not over how its file is laid out."""
    text = json.dumps(program_to_data(program), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _step_data(step: Step) -> dict[str, Any]:
    data = {"id": step.id, "day": step.day, **_shared_data(step)}
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
    asks = bool(step.check_in_ids)
    return data | ({"check_ins": list(step.check_in_ids)} if asks else {"texts": list(step.text_ids)})


def _shared_data(step: Step | WeeklyStep) -> dict[str, str]:
    return {"time": step.at.strftime("%H:%M"), "kind": str(step.kind), "late": str(step.late)}


def _step(item: DataRecord, days: int) -> Step:
    item.refuse_others(_STEP_KEYS)
    texts, check_ins = _said(item)
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
    )


def _weekly(item: DataRecord, days: int) -> WeeklyStep:
    item.refuse_others(_WEEKLY_KEYS)
    texts, check_ins = _said(item)
    first_day = item.get_number("first_day", 0, days)
    return WeeklyStep(
        id=item.get_text("id"),
        weekdays=_weekdays(item),
        first_day=first_day,
        last_day=item.get_number("last_day", first_day, days),
        every_weeks=item.get_number("every_weeks", 1, 52, default=1),
        at=_time(item),
        kind=_kind(item),
        text_ids=texts,
        check_in_ids=check_ins,
        late=item.get_choice("late", LatePolicy, LatePolicy.SKIP),
    )


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


def _said(item: DataRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    texts, check_ins = item.list_texts("texts"), item.list_texts("check_ins")
    if bool(texts) == bool(check_ins):
        raise item.fault("it must say one thing; expected either texts or check_ins", "texts")
    return texts, check_ins


def _refuse_doubles(record: DataRecord) -> None:
    seen = set()
    for name in ("steps", "weekly"):
        for position, item in enumerate(record.list_values(name)):
            if item["id"] in seen:
                problem = f"step id {item['id']} is there twice; expected an id of its own"
                raise record.fault(problem, name, position, "id")
            seen.add(item["id"])
