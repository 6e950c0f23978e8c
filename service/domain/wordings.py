"""Kinds of statement: patterns of words that a clinician can read, matched without regular expressions.

A pattern is a line of steps, matched word by word inside one clause of a message:

    word          that word                      <name>      any phrase of a word list
    one|<name>    either                         -<name>     one word that is not in the list
    x?            x or nothing                   x*3         x up to three times
    *3            up to three words of any kind  ^  $        start and end of the clause
    ~<name>       first only: the word before is not in the list

Every repetition is bounded and patterns are found by their first word, so the work grows with the length of
the message and nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

LONGEST = 1600
"""Characters that are read. A provider delivers no more (Twilio: 1600)."""

_APOSTROPHES = dict.fromkeys(map(ord, "'’‘‛`´ʼʹ′＇"))
_NOT_WORD = re.compile(r"[\W_]+")
_TRAILING_OFF = re.compile(r"\.{2,}|…")
_CLAUSE_END = re.compile(r"[.,;:!?\n\r|()¡¿•—–]+| - ")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_DROPPED = frozenset({"Mn", "Me", "Cf", "Cs", "Co"})
_REPEATED = re.compile(r"(.+)\*([1-9])")
_GAP = re.compile(r"\*([1-9])")

Phrase = tuple[str, ...]

BLANK = "~"
"""Stands for a word that is not to be read: no pattern matches it, not even as a word of any kind."""


class WordingError(ValueError):
    """A pattern that cannot be read. The message names the pattern."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One step, taken between `least` and `most` times.

    `phrases`: the phrases by their first word; None stands for any one word that is not in `excludes`.
    """

    phrases: Mapping[str, tuple[Phrase, ...]] | None
    least: int = 1
    most: int = 1
    excludes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Pattern:
    steps: tuple[_Step, ...]
    at_start: bool
    at_end: bool
    not_after: frozenset[str]

    def may_match(self, present: frozenset[str]) -> bool:
        """Whether every step that must be taken has a first word among those present: most have not."""
        return not any(
            step.least and step.phrases is not None and present.isdisjoint(step.phrases)
            for step in self.steps
        )


class Wordings:
    """A set of patterns, ready to be matched."""

    __slots__ = ("_by_first",)

    def __init__(self, patterns: Iterable[str], lists: Mapping[str, Sequence[str]]) -> None:
        """Raises WordingError for a pattern that cannot be read or that could begin anywhere."""
        self._by_first: dict[str, list[_Pattern]] = {}
        phrases = {name: _read_phrases(words) for name, words in lists.items()}
        for line in patterns:
            pattern = _compile(line, phrases)
            for word in _first_words(line, pattern):
                self._by_first.setdefault(word, []).append(pattern)

    def find_spans(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """The parts of the clause that say this, as start and end of a slice; they may overlap."""
        present = frozenset(words)
        likely = {
            word: [pattern for pattern in self._by_first.get(word, ()) if pattern.may_match(present)]
            for word in present
        }
        for start, word in enumerate(words):
            for pattern in likely[word]:
                end = _match(pattern, words, start)
                if end is not None:
                    yield start, end

    def blank_out(self, words: Sequence[str]) -> list[str]:
        """The clause with every word that belongs to a match replaced by BLANK."""
        left = list(words)
        for start, end in self.find_spans(words):
            left[start:end] = [BLANK] * (end - start)
        return left

    def is_said(self, words: Sequence[str]) -> bool:
        """Whether the clause says this anywhere."""
        return next(self.find_spans(words), None) is not None


def normalize(body: str) -> str:
    """The words of a message: lower case, no accents, apostrophes, punctuation, emoji or hidden characters.

    One space between words. Reads the first 1,600 characters. Never raises.
    """
    return " ".join(_NOT_WORD.sub(" ", _fold(body)).split())


def split_clauses(body: str, breaks: frozenset[str] = frozenset()) -> list[list[str]]:
    """The normalized words of each clause; letters drawn out ("stooop") are shortened.

    A clause ends at punctuation and at the words in `breaks`, but not at dots that trail off
    ("i cant... stop").
    """
    folded = _TRAILING_OFF.sub(" ", body[:LONGEST])
    clauses: list[list[str]] = []
    for part in _CLAUSE_END.split(folded):
        clauses.append([])
        for word in _NOT_WORD.sub(" ", _fold(part)).split():
            if word in breaks:
                clauses.append([])
            else:
                clauses[-1].append(_LONG_RUN.sub(r"\1", word))
    return [words for words in clauses if words]


def _fold(body: str) -> str:
    text = body[:LONGEST].translate(_APOSTROPHES)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)[:LONGEST].lower()
        text = unicodedata.normalize("NFD", text)
        text = "".join(char for char in text if unicodedata.category(char) not in _DROPPED)
    text = text[:LONGEST].lower()
    return "".join(char for char in text if char >= " " or char.isspace())


def _read_phrases(words: Sequence[str]) -> frozenset[Phrase]:
    return frozenset(tuple(normalize(word).split()) for word in words if normalize(word))


def _compile(line: str, lists: Mapping[str, frozenset[Phrase]]) -> _Pattern:
    tokens = line.split()
    at_start, at_end = tokens[:1] == ["^"], tokens[-1:] == ["$"]
    tokens = tokens[1 if at_start else 0 : len(tokens) - (1 if at_end else 0)]
    not_after: frozenset[str] = frozenset()
    if tokens and tokens[0].startswith("~"):
        not_after = _single_words(_look_up(tokens.pop(0)[1:], lists, line))
    if not tokens:
        raise WordingError(f"pattern {line!r} has no words")
    return _Pattern(tuple(_read_step(token, lists, line) for token in tokens), at_start, at_end, not_after)


def _read_step(token: str, lists: Mapping[str, frozenset[Phrase]], line: str) -> _Step:
    if gap := _GAP.fullmatch(token):
        return _Step(None, 0, int(gap[1]))
    least, most = 1, 1
    if token.endswith("?"):
        token, least = token[:-1], 0
    elif repeated := _REPEATED.fullmatch(token):
        token, least, most = repeated[1], 0, int(repeated[2])
    if token.startswith("-"):
        return _Step(None, least, most, _single_words(_look_up(token[1:], lists, line)))
    by_first: dict[str, list[Phrase]] = {}
    for phrase in _look_up(token, lists, line):
        by_first.setdefault(phrase[0], []).append(phrase)
    return _Step({word: tuple(phrases) for word, phrases in by_first.items()}, least, most)


def _single_words(phrases: Iterable[Phrase]) -> frozenset[str]:
    return frozenset(phrase[0] for phrase in phrases if len(phrase) == 1)


def _look_up(token: str, lists: Mapping[str, frozenset[Phrase]], line: str) -> frozenset[Phrase]:
    found: set[Phrase] = set()
    for word in token.split("|"):
        if word.startswith("<") and word.endswith(">"):
            if word[1:-1] not in lists:
                raise WordingError(f"pattern {line!r} uses the unknown word list {word}")
            found |= lists[word[1:-1]]
        elif not word or normalize(word) != word:
            raise WordingError(
                f"pattern {line!r}: write {word!r} in plain lower-case letters, without accents"
            )
        else:
            found.add((word,))
    return frozenset(found)


def _first_words(line: str, pattern: _Pattern) -> set[str]:
    found: set[str] = set()
    for step in pattern.steps:
        if step.phrases is None:
            break
        found |= set(step.phrases)
        if step.least:
            return found
    raise WordingError(f"pattern {line!r} must begin with a word that it cannot do without")


def _match(pattern: _Pattern, words: Sequence[str], start: int) -> int | None:
    if pattern.at_start and start:
        return None
    if start and words[start - 1] in pattern.not_after:
        return None
    reached = {start}
    for step in pattern.steps:
        reached = _advance(step, words, reached)
        if not reached:
            return None
    if pattern.at_end:
        return len(words) if len(words) in reached else None
    return max(reached)


def _advance(step: _Step, words: Sequence[str], starts: set[int]) -> set[int]:
    """Every position that the step can reach from any of the positions before it."""
    reached, frontier = (set() if step.least else set(starts)), starts
    for _ in range(step.most):
        frontier = {end for at in frontier if at < len(words) for end in _step_ends(step, words, at)}
        if not frontier:
            break
        reached |= frontier
    return reached


def _step_ends(step: _Step, words: Sequence[str], at: int) -> Sequence[int]:
    word = words[at]
    if step.phrases is None:
        return () if word == BLANK or word in step.excludes else (at + 1,)
    return [
        at + len(phrase)
        for phrase in step.phrases.get(word, ())
        if len(phrase) == 1 or tuple(words[at : at + len(phrase)]) == phrase
    ]
