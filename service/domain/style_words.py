"""The word lists that texts are checked against: read from data, and found in a text.

A word is written in plain lower-case letters, without accents; several words are found in that order, inside
one clause. A star at the end of a word stands for any ending: `addict*` finds addict, addicts and addiction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.domain.data_record import DataError, DataRecord, show
from service.domain.wordings import normalize, split_clauses

LANGUAGES = ("en", "es")
_BOTH = "both"
_GROUPED = ("denied", "stigmatizing", "revealing")
_LISTED = ("names", "revealing_fields", "opting_topics")
_BY_LANGUAGE = ("asking", "not_asking_after", "imperatives")
_SECTIONS = (*_GROUPED, "hard", *_BY_LANGUAGE, *_LISTED)

Phrases = Mapping[str, tuple[str, ...]]
"""Phrases by language."""


class StyleError(DataError):
    """The word lists are wrong; one line says what and what was expected."""


@dataclass(frozen=True, slots=True)
class WordGroup:
    """Words that a text must not use, why, where that is said, and by language which."""

    because: str
    source: str
    phrases: Phrases


@dataclass(frozen=True, slots=True)
class Style:
    """Everything in `messages/style.yaml`.

    `hard` leads from a phrase to what to say in its place. `asking` begins a request ("try"), but not after
    a word of `not_asking_after`; `imperatives` tell somebody to do something. `names` are left out of reading
    grades. `revealing_fields` are placeholders whose values give a person away. `opting_topics` are those of
    texts about joining or leaving.
    """

    denied: tuple[WordGroup, ...]
    stigmatizing: tuple[WordGroup, ...]
    revealing: tuple[WordGroup, ...]
    hard: Mapping[str, Mapping[str, str]]
    asking: Phrases
    not_asking_after: Phrases
    imperatives: Phrases
    names: tuple[str, ...]
    revealing_fields: frozenset[str]
    opting_topics: frozenset[str]


def style_from_data(data: object) -> Style:
    """Read the word lists. Raises StyleError with one line and the place of the fault."""
    record = DataRecord.of(data, "style", StyleError)
    record.refuse_others(_SECTIONS)
    for section in _SECTIONS:
        if not record.values.get(section):
            raise record.fault(f"{section} is missing; expected its words", section)
    groups = {name: tuple(map(_group, record.list_records(name, f"style, {name}"))) for name in _GROUPED}
    return Style(
        denied=groups["denied"],
        stigmatizing=groups["stigmatizing"],
        revealing=groups["revealing"],
        hard=_hard(record.record_at(record.values["hard"], "style, hard", "hard")),
        asking=_phrases(record, "asking"),
        not_asking_after=_phrases(record, "not_asking_after"),
        imperatives=_phrases(record, "imperatives"),
        names=record.list_texts("names"),
        revealing_fields=frozenset(record.list_texts("revealing_fields")),
        opting_topics=frozenset(record.list_texts("opting_topics")),
    )


def list_clauses(text: str) -> list[list[str]]:
    """The plain words of each clause, for `find_phrases`."""
    return split_clauses(text)


def find_phrases(clauses: Iterable[Sequence[str]], phrases: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each phrase that is there, with the words that it found."""
    spread = list(clauses)
    everything = " | ".join(" ".join(words) for words in spread)
    for phrase in phrases:
        if phrase.split("*")[0] in everything:  # most are not, and this is quick to see
            found = _find_first(spread, phrase.split())
            if found is not None:
                yield phrase, found


def _find_first(clauses: Iterable[Sequence[str]], wanted: Sequence[str]) -> str | None:
    for words in clauses:
        for at in range(len(words) - len(wanted) + 1):
            if all(map(_fits, wanted, words[at:])):
                return " ".join(words[at : at + len(wanted)])
    return None


def count_asks(clauses: Iterable[Sequence[str]], style: Style, language: str) -> int:
    """How many requests begin in these clauses: "try" does, "to try" does not."""
    asking = [phrase.split() for phrase in style.asking[language]]
    not_after = frozenset(style.not_asking_after[language])
    return sum(
        list(clause[at : at + len(words)]) == words and (at == 0 or clause[at - 1] not in not_after)
        for clause in clauses
        for at in range(len(clause))
        for words in asking
    )


def _fits(wanted: str, word: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted


def _group(record: DataRecord) -> WordGroup:
    record.refuse_others(("because", "source", "words"))
    return WordGroup(record.get_text("because"), record.get_text("source"), _phrases(record, "words"))


def _phrases(record: DataRecord, name: str) -> dict[str, tuple[str, ...]]:
    words = record.record_at(record.values.get(name), f"{record.name}, {name}", name)
    words.refuse_others((*LANGUAGES, _BOTH))
    shared = _plain(words, _BOTH, words.list_texts(_BOTH))
    own = {language: _plain(words, language, words.list_texts(language)) for language in LANGUAGES}
    return {language: (*shared, *own[language]) for language in LANGUAGES}


def _hard(record: DataRecord) -> dict[str, dict[str, str]]:
    record.refuse_others(LANGUAGES)
    hard = {language: record.get_words(language) for language in LANGUAGES}
    for language, words in hard.items():
        _plain(record, language, tuple(words))
    return hard


def _plain(record: DataRecord, name: str, phrases: tuple[str, ...]) -> tuple[str, ...]:
    for phrase in phrases:
        words = phrase.split()
        if any(normalize(word.removesuffix("*")) != word.removesuffix("*") or word == "*" for word in words):
            problem = f"{name} has {show(phrase)}; expected plain lower-case letters, without accents"
            raise record.fault(problem, name)
    return phrases
