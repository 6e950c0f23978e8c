"""What can be wrong with one wording of a text: a function for each kind of fault, told in plain words.

Which texts each is for, how grave it is and why stands in the table of `wording_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from service.domain.invited_words import InvitedWord, list_invited
from service.domain.keywords import Keyword, KeywordTable, read_text
from service.domain.kinds import MessageKind
from service.domain.reading import list_sentences, reading_grade
from service.domain.segments import count_segments
from service.domain.style_words import Style, WordGroup, count_asks, find_phrases, list_clauses
from service.domain.template import placeholders, render

GRADE_OF_A_TEXT = 8.0
"""Years of school: the most that a single text may ask for."""
SHORTEST_GRADED = 10
"""Words. The grade of a shorter text says nothing."""
LONGEST_SENTENCE = 14
"""Words, without fields, figures and names."""

_FIGURES = re.compile(
    r"\d+(?:[.,]\d+)?\s?(?:%|per ?cent\b|por ciento\b|mg\b|milligrams?\b|miligramos?\b)", re.IGNORECASE
)
_OPTING = frozenset({Keyword.STOP, Keyword.START, Keyword.YES})
_TOLD = frozenset({"STOP", "ALTO", "START", "EMPEZAR", "YES", "SI", "SÍ"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One wording of a text, and what is needed to judge it.

    `name` is `en`, `es`, `en_plain` or `es_plain`; `others` are the text's other wordings by name. `answers`
    are the words taken as an answer while it is open; `is_question`: a check-in asks it.
    """

    text_id: str
    kind: MessageKind
    topic: str
    name: str
    body: str
    fields: Mapping[str, str]
    others: Mapping[str, str]
    answers: frozenset[str]
    is_question: bool
    style: Style
    keywords: KeywordTable

    @property
    def language(self) -> str:
        return self.name[:2]

    @property
    def is_plain(self) -> bool:
        return self.name.endswith("_plain")

    @property
    def plain_words(self) -> str:
        """The text without its placeholders."""
        return re.sub(r"\{[^{}]*\}", " ", self.body)


def find_costly_characters(wording: Wording) -> Iterator[str]:
    count = count_segments(render(wording.body, wording.fields))
    for character in count.costly:
        plural = "" if count.segments == 1 else "s"
        yield (
            f"{character!r} forces UCS-2, 70 characters a segment ({count.segments} segment{plural}); "
            "write it without that character"
        )


def find_missing_pair(wording: Wording) -> Iterator[str]:
    other = {"en": "es", "es": "en"}[wording.language]
    pair = wording.name.replace(wording.language, other)
    if pair not in wording.others:
        yield f"{pair} is missing; write the same in that language"


def find_hard_reading(wording: Wording) -> Iterator[str]:
    sentences = list_sentences(wording.body, wording.style.names)
    if sum(map(len, sentences)) < SHORTEST_GRADED:
        return
    grade = reading_grade(sentences, wording.language)
    if grade > GRADE_OF_A_TEXT:
        yield f"it reads at grade {grade:.0f}; use shorter words and sentences"


def find_long_sentences(wording: Wording) -> Iterator[str]:
    for words in list_sentences(wording.body, wording.style.names, at_colons=True):
        if len(words) > LONGEST_SENTENCE:
            yield (
                f"the sentence from {' '.join(words[:3])!r} has {len(words)} words; "
                f"split it, at most {LONGEST_SENTENCE}"
            )


def find_denied(wording: Wording) -> Iterator[str]:
    return _find_groups(wording, wording.style.denied)


def find_stigmatizing(wording: Wording) -> Iterator[str]:
    return _find_groups(wording, wording.style.stigmatizing)


def find_figures(wording: Wording) -> Iterator[str]:
    for match in _FIGURES.finditer(wording.body):
        yield f"it says {match[0]!r}; leave figures and doses out, no text quotes odds or amounts"


def find_revealing(wording: Wording) -> Iterator[str]:
    yield from _find_groups(wording, wording.style.revealing)
    for field in sorted(placeholders(wording.body) & wording.style.revealing_fields):
        yield f"it fills in {{{field}}}, which gives a person away; keep that for the plain wording"


def find_hard_words(wording: Wording) -> Iterator[str]:
    hard = wording.style.hard[wording.language]
    for phrase, found in find_phrases(list_clauses(wording.plain_words), hard):
        yield f"it says {found!r}, a hard word; instead: {hard[phrase]}"


def find_many_asks(wording: Wording) -> Iterator[str]:
    tries = count_asks(list_clauses(wording.plain_words), wording.style, wording.language)
    questions = wording.body.count("?")
    if tries + questions > 1:
        yield f"it asks {tries + questions} things ({tries} to try, {questions} questions); keep one"


def find_demands(wording: Wording) -> Iterator[str]:
    """A caring note is a note: nothing in it has to be done."""
    if "?" in wording.body:
        yield "it asks a question; a caring note asks for nothing"
    starts = [clause[:3] for clause in list_clauses(wording.plain_words)]
    for phrase in wording.style.imperatives[wording.language]:
        wanted = phrase.split()
        if any(start[: len(wanted)] == wanted for start in starts):
            yield f"it tells people what to do ({phrase!r}); a caring note asks for nothing"


def find_shouting(wording: Wording) -> Iterator[str]:
    if wording.body.count("!") > 1:
        yield "it has more than one '!'; keep one at most"


def find_keyword_collisions(wording: Wording) -> Iterator[str]:
    seen: set[str] = set()
    for invited in list_invited(wording.body):
        problem = _find_collision(wording, invited)
        if problem is not None and problem not in seen:
            seen.add(problem)
            yield problem


def _find_collision(wording: Wording, invited: InvitedWord) -> str | None:
    reading = read_text(invited.words, wording.keywords)
    said = invited.words
    if reading.keyword in _OPTING:
        if not _is_about_opting(wording, said):
            meaning = (
                "opts a person out" if reading.keyword is Keyword.STOP else "means start to a phone company"
            )
            return f"it invites {said!r}, which {meaning}; use another word or a digit"
        return None
    if not invited.is_asked or not invited.is_capital or reading.keyword is not None:
        return None
    if set(said.lower().split()) <= wording.answers:
        return None
    return f"it invites {said!r}, which is no command; use one from keywords.yaml or a digit"


def _is_about_opting(wording: Wording, said: str) -> bool:
    """Of the words that stop and start, texts tell these: the others only catch what people write."""
    if said.upper() not in _TOLD:
        return False
    is_about = wording.topic in wording.style.opting_topics
    return is_about or wording.kind in {MessageKind.ADMIN, MessageKind.OPT_OUT_REPLY}


def _find_groups(wording: Wording, groups: Iterable[WordGroup]) -> Iterator[str]:
    clauses = list_clauses(wording.plain_words)
    for group in groups:
        for _, found in find_phrases(clauses, group.phrases[wording.language]):
            yield f"it says {found!r}: {group.because} ({group.source})"
