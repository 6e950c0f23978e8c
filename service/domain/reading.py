"""How hard a text is to read: words, sentences, syllables, and the school grade that they come to.

English: Flesch-Kincaid grade (Kincaid et al. 1975, Research Branch Report 8-75, US Navy). Spanish: the ease
of Fernandez Huerta (Consigna 214, 1959), corrected as G. Law showed in 2011, turned into a grade by the table
that goes with it. Written here because the kept library (textstat) brings nltk, which fetches a dictionary
over the network when it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

SMALLEST_SAMPLE = 100
"""Words. Both formulas were made for samples of a hundred words; a grade of fewer is a guess."""

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_SENTENCE_END = re.compile(r"[.?!](?=\s|$)|\n")
_COLON = re.compile(r"[:;](?=\s|$)")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")

_VOWELS = re.compile(r"[aeiouy]+")
_CORRECTIONS = (
    (re.compile(r"(?:[^aeiouyl]|[aeiouy]l|ui?gu)e$"), -1),  # make, whole; not table
    (re.compile(r"(?:[^aeiouylscgxz]|[aeiouy]l)(?<![sc]h)es$"), -1),  # times; not places, tables
    (re.compile(r"(?:[^aeiouyltd]|[aeiouyl]l)ed$"), -1),  # called; not needed, settled
    (re.compile(r"[^aeiouy]e(?:ly|less|ful|ment|thing|times?|one|body|w|t[yi])"), -1),  # safely, someone
    (
        re.compile(r"[^cgst]i[ao]|iet|[^cgq]ua[lt]|[aeiouy]ing|[iy]er$|ea$|reat[ei]|eo[^upr]"),
        1,
    ),  # idea, being
    (re.compile(r"ism$|thm$|[sd]n't$"), 1),  # rhythm, didn't
    (re.compile(r"^(?:every|evening|inter|sever|differ)"), -1),  # as spoken
)
"""What counting groups of vowels gets wrong, and by how much."""

_HARD_U = re.compile(r"(?<=[gq])u(?=[eiéí])")
_STRONG, _STRESSED_WEAK = frozenset("aeoáéó"), frozenset("íú")
_SPANISH_VOWELS = re.compile(r"[aeiouáéíóúü]+")

_GRADE_OF_EASE = ((100, 3), (90, 4), (80, 5), (70, 6), (60, 8), (50, 12), (30, 16))
"""Ease and grade: 80-90 is fifth grade, 70-80 sixth, 60-70 seventh and eighth (Fernandez Huerta 1959)."""


def list_sentences(text: str, names: Iterable[str] = (), *, at_colons: bool = False) -> list[list[str]]:
    """The words of each sentence, without placeholders, figures and `names`; none without a word.

    `at_colons` takes a label before a colon for a sentence of its own, as a reader who stops for breath does.
    """
    text = _PLACEHOLDER.sub(" ", text)
    for name in names:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text, flags=re.IGNORECASE)
    if at_colons:
        text = _COLON.sub("\n", text)
    return [words for part in _SENTENCE_END.split(text) if (words := _WORD.findall(part))]


def count_syllables(word: str, language: str) -> int:
    """Syllables as spoken, at least one. Spanish is exact but for accents left out; English a good guess."""
    return _count_spanish(word.lower()) if language == "es" else _count_english(word.lower())


def reading_grade(sentences: Sequence[Sequence[str]], language: str) -> float:
    """The years of school that a reader needs. Raises ValueError without words."""
    words = [word for sentence in sentences for word in sentence]
    if not words:
        raise ValueError("there are no words to grade")
    per_sentence = len(words) / len(sentences)
    per_word = sum(count_syllables(word, language) for word in words) / len(words)
    if language == "es":
        return _grade_of_ease(206.84 - 60 * per_word - 1.02 * per_sentence)
    return 0.39 * per_sentence + 11.8 * per_word - 15.59


def _count_english(word: str) -> int:
    word = word.replace("’", "'")
    wrong = sum(by for pattern, by in _CORRECTIONS if pattern.search(word))
    return max(1, len(_VOWELS.findall(word)) + wrong)


def _count_spanish(word: str) -> int:
    word = re.sub(r"y(?![aeiouáéíóú])", "i", _HARD_U.sub("", word))
    return max(1, sum(_count_nuclei(run) for run in _SPANISH_VOWELS.findall(word)))


def _count_nuclei(run: str) -> int:
    """Two strong vowels are apart, and so is a stressed weak one; others share a syllable."""
    return 1 + sum(
        bool({first, second} & _STRESSED_WEAK) or (first in _STRONG and second in _STRONG)
        for first, second in pairwise(run)
    )


def _grade_of_ease(ease: float) -> float:
    points = _GRADE_OF_EASE
    if ease >= points[0][0]:
        return float(points[0][1])
    for (easier, low), (harder, high) in pairwise(points):
        if ease >= harder:
            return low + (high - low) * (easier - ease) / (easier - harder)
    return float(points[-1][1])
