"""The whole catalog as one page that a clinician can print, read and sign."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from service.catalog import Catalog, TextEntry
from service.domain.check_ins import CheckIn, Question
from service.domain.hotlines import Hotline
from service.domain.kinds import MessageKind
from service.domain.segments import count_segments
from service.domain.template import render
from service.usecases.operations.program_rows import hash_definition
from service.usecases.review.example_person import ExamplePerson
from service.usecases.review.program_calendar import list_answer_rules, list_weekly_plans, list_weeks
from service.usecases.written_pages import open_templates

KIND_TITLES: Mapping[MessageKind, str] = {
    MessageKind.SAFETY: "Safety texts",
    MessageKind.CRISIS_REPLY: "Answers to words of danger",
    MessageKind.CHECKIN: "Check-ins: what is asked first",
    MessageKind.CHECKUP: "Check-ups: what is asked first",
    MessageKind.PULSE: "Short check-ins: what is asked first",
    MessageKind.REPLY: "Answers to a person's own text",
    MessageKind.OPT_OUT_REPLY: "Confirming a stop",
    MessageKind.TIP: "Tips",
    MessageKind.SKILL_SERIES: "Skills in several texts",
    MessageKind.WEEKEND_PLAN: "Before the weekend",
    MessageKind.CARING: "Caring notes",
    MessageKind.MILESTONE: "Milestones",
    MessageKind.NUDGE: "After a check-in without an answer",
    MessageKind.MEETING_REMINDER: "Reminders of meetings",
    MessageKind.APPOINTMENT_REMINDER: "Reminders of appointments",
    MessageKind.MEDICINE_REMINDER: "Reminders of medicine",
    MessageKind.ADMIN: "Consent, welcome and the end of a program",
    MessageKind.CAMPAIGN: "Campaigns",
    MessageKind.STAFF_ALERT: "Alerts to staff",
}
"""Every kind, in the order in which a reviewer should read: what matters most comes first."""

_TEMPLATES = Path(__file__).with_name("templates")
_OPENING_LETTERS = 110
_WRITTEN = {"checkin": "check-in", "checkup": "check-up", "check_in": "check-ins", "no topic": "other"}
_FIELD = re.compile(r"(\{[a-z][a-z0-9_]*\})")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a wording; `is_filled` is what differs from person to person."""

    words: str
    is_filled: bool


@dataclass(frozen=True, slots=True)
class Wording:
    """One wording as the example person gets it. `most_segments` is what it costs at its longest."""

    language: str
    is_plain: bool
    parts: tuple[Part, ...]
    most_segments: int


@dataclass(frozen=True, slots=True)
class ReviewText:
    """A text with what a reviewer signs: all its wordings, bound by one fingerprint."""

    id: str
    version: int
    sha: str
    state: str
    sources: str
    phases: str
    default: tuple[Wording, ...]
    plain: tuple[Wording, ...]


@dataclass(frozen=True, slots=True)
class TopicGroup:
    topic: str
    texts: tuple[ReviewText, ...]


@dataclass(frozen=True, slots=True)
class KindGroup:
    title: str
    is_unprompted: bool
    topics: tuple[TopicGroup, ...]
    texts: int


@dataclass(frozen=True, slots=True)
class Branch:
    """Answers that get the same text back, how that text begins, and what it asks of staff."""

    answers: str
    text_id: str
    opening: str
    task: str


@dataclass(frozen=True, slots=True)
class ReviewQuestion:
    id: str
    ask: Branch
    reask: Branch
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class ReviewCheckIn:
    id: str
    version: int
    window_hours: int
    questions: tuple[ReviewQuestion, ...]
    ends: tuple[Branch, ...]


def render_review_page(catalog: Catalog, person: ExamplePerson, on: date) -> str:
    """The page for the example person's program. The same catalog, person and date give the same bytes."""
    environment = open_templates(_TEMPLATES)
    environment.filters["in_words"] = _in_words
    return environment.get_template("review.html").render(
        on=on.isoformat(),
        fingerprint=hash_catalog(catalog),
        person=person,
        program=person.program,
        kind_titles=KIND_TITLES,
        weeks=list_weeks(person.program, catalog),
        plans=list_weekly_plans(person.program, catalog),
        answer_rules=list_answer_rules(person.program),
        kinds=tuple(_list_kinds(catalog, person)),
        check_ins=tuple(_review_check_in(each, catalog, person) for each in catalog.check_ins.values()),
        hotlines=catalog.hotlines,
        texts=len(catalog.entries),
        unsigned=len(catalog.unsigned_ids()),
    )


def _in_words(name: str) -> str:
    """The name of a kind or a topic as people write it."""
    return _WRITTEN.get(name, name.replace("_", " ").replace("-", " "))


def hash_catalog(catalog: Catalog) -> str:
    """SHA-256 over all that the page shows: texts, check-ins, programs and hotlines."""
    lines = [f"text {entry.id} {entry.version} {entry.sha256}" for entry in catalog.entries.values()]
    lines += [f"program {name} {hash_definition(data)}" for name, data in catalog.program_definitions.items()]
    lines += [f"check-in {_check_in_line(check_in)}" for check_in in catalog.check_ins.values()]
    lines += [f"hotline {_hotline_line(line)}" for line in catalog.hotlines]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _check_in_line(check_in: CheckIn) -> str:
    ids = [check_in.skipped, check_in.closing, check_in.unclear]
    asked = [
        (each.id, each.ask, each.reask, sorted(each.replies.items()), sorted(each.tasks.items()))
        for each in check_in.questions
    ]
    return repr((check_in.id, check_in.version, check_in.window_hours, ids, asked))


def _hotline_line(line: Hotline) -> str:
    return repr([str(getattr(line, name)) for name in Hotline.__dataclass_fields__])


def _list_kinds(catalog: Catalog, person: ExamplePerson) -> Iterator[KindGroup]:
    for kind, title in KIND_TITLES.items():
        entries = [entry for entry in catalog.entries.values() if entry.kind is kind]
        if entries:
            topics = tuple(_list_topics(catalog, entries, person))
            yield KindGroup(title, entries[0].is_unprompted, topics, len(entries))


def _list_topics(
    catalog: Catalog, entries: Sequence[TextEntry], person: ExamplePerson
) -> Iterator[TopicGroup]:
    in_order = sorted(entries, key=lambda entry: (entry.topic or "", entry.id))
    for topic, texts in groupby(in_order, key=lambda entry: entry.topic or "no topic"):
        yield TopicGroup(
            topic,
            tuple(_review_text(catalog, entry, person) for entry in texts),
        )


def _review_text(catalog: Catalog, entry: TextEntry, person: ExamplePerson) -> ReviewText:
    wordings = [_wording(catalog, entry, name, person) for name in entry.wordings]
    return ReviewText(
        id=entry.id,
        version=entry.version,
        sha=entry.sha256[:12],
        state=_state(entry),
        sources=", ".join(entry.source),
        phases=", ".join(entry.phase),
        default=tuple(wording for wording in wordings if not wording.is_plain),
        plain=tuple(wording for wording in wordings if wording.is_plain),
    )


def _state(entry: TextEntry) -> str:
    if entry.review is None:
        return "draft"
    signed = f"signed by {entry.review['by']} on {entry.review['on']}"
    return signed if entry.is_signed else f"{signed}, for other words than these"


def _wording(catalog: Catalog, entry: TextEntry, name: str, person: ExamplePerson) -> Wording:
    body, language = entry.wordings[name], name[:2]
    fields = person.list_fields(catalog, entry, language)
    return Wording(
        language=language,
        is_plain=name.endswith("_plain"),
        parts=tuple(
            Part(render(words, fields), is_filled=bool(_FIELD.fullmatch(words)))
            for words in _split_at_fields(body)
        ),
        most_segments=count_segments(render(body, fields | dict(entry.fields))).segments,
    )


def _split_at_fields(body: str) -> Iterator[str]:
    """A wording in pieces: the words between placeholders, and each placeholder. Doubled braces are words."""
    pieces = re.split(r"(\{\{|\}\})", body)
    for piece in pieces:
        yield from ([piece] if piece in ("{{", "}}") else filter(None, _FIELD.split(piece)))


def _review_check_in(check_in: CheckIn, catalog: Catalog, person: ExamplePerson) -> ReviewCheckIn:
    def branch(answers: str, text_id: str, task: str = "") -> Branch:
        return Branch(answers, text_id, _opening(catalog, text_id, person), task)

    ends = (("SKIP", check_in.skipped), ("at the end", check_in.closing), ("not clear", check_in.unclear))
    return ReviewCheckIn(
        id=check_in.id,
        version=check_in.version,
        window_hours=check_in.window_hours,
        questions=tuple(
            ReviewQuestion(
                question.id,
                branch("asks", question.ask),
                branch("asks again", question.reask),
                tuple(branch(*each) for each in _list_answers(question)),
            )
            for question in check_in.questions
        ),
        ends=tuple(branch(when, text_id) for when, text_id in ends),
    )


def _list_answers(question: Question) -> Iterator[tuple[str, str, str]]:
    """Answers, the text that they lead to, and the task for staff that they make."""
    led_to: dict[tuple[str, str], list[str]] = defaultdict(list)
    for value in question.values:
        led_to[question.replies[value], str(question.tasks.get(value, ""))].append(value)
    for (text_id, task), values in led_to.items():
        yield ", ".join(values), text_id, task


def _opening(catalog: Catalog, text_id: str, person: ExamplePerson) -> str:
    """How a text begins, in English: enough to know it by."""
    entry = catalog.text(text_id)
    body = render(entry.wordings["en"], person.list_fields(catalog, entry, "en"))
    return body if len(body) <= _OPENING_LETTERS else body[:_OPENING_LETTERS].rsplit(" ", 1)[0] + " ..."
