"""What can be wrong with many texts together: they are hard to read, or say the same again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby

from service.domain.kinds import MessageKind
from service.domain.reading import SMALLEST_SAMPLE, list_sentences, reading_grade
from service.domain.style_words import list_clauses
from service.domain.template import placeholders
from service.domain.wording_faults import Wording

GRADE_OF_A_KIND = 6.0
"""Years of school: the most that all texts of a kind may ask for, read as one."""
NEAR_REPEAT = 0.8
"""Shared words of two texts in all their words: from here on they read as the same text."""


def find_hard_kinds(wordings: Sequence[Wording]) -> Iterator[tuple[Wording, str]]:
    """Each kind in each language, all its texts read as one; told of its hardest text."""
    by_kind: dict[tuple[MessageKind, str], list[Wording]] = defaultdict(list)
    for wording in wordings:
        by_kind[wording.kind, wording.language].append(wording)
    for (kind, language), group in by_kind.items():
        graded = {
            wording.text_id + wording.name: (wording, sentences)
            for wording in group
            if (sentences := list_sentences(wording.body, wording.style.names))
        }
        together = [sentence for _, sentences in graded.values() for sentence in sentences]
        if sum(map(len, together)) < SMALLEST_SAMPLE:
            continue
        grade = reading_grade(together, language)
        if grade > GRADE_OF_A_KIND:
            hardest, _ = max(graded.values(), key=lambda pair: reading_grade(pair[1], language))
            yield (
                hardest,
                f"the {kind} texts together read at grade {grade:.1f}, over {GRADE_OF_A_KIND:.0f}; "
                "shorten words and sentences, beginning with this one",
            )


def find_repeats(wordings: Sequence[Wording]) -> Iterator[tuple[Wording, str]]:
    """The same words under two ids: one person would read the same text twice."""
    seen: dict[tuple[str, str], Wording] = {}
    for wording in wordings:
        key = wording.language, " ".join(_tokens(wording))
        first = seen.setdefault(key, wording)
        if first.text_id != wording.text_id:
            yield wording, f"it says the same as {first.text_id}; write another text or use that one"


def find_near_repeats(wordings: Sequence[Wording]) -> Iterator[tuple[Wording, str]]:
    """Two texts of a kind whose sets of words overlap: shared words in all words of both (Jaccard 1901)."""
    for _, group in groupby(sorted(wordings, key=_kind_and_name), key=_kind_and_name):
        sets = [(wording, _tokens(wording)) for wording in group]
        for (first, words), (second, others) in combinations([(w, frozenset(t)) for w, t in sets], 2):
            shared = len(words & others) / len(words | others) if words | others else 0.0
            if shared >= NEAR_REPEAT and words != others:
                yield second, f"it is nearly the same as {first.text_id}; change one of them"


def _kind_and_name(wording: Wording) -> tuple[str, str]:
    return wording.kind, wording.name


def _tokens(wording: Wording) -> list[str]:
    fields = [f"{{{field}}}" for field in sorted(placeholders(wording.body))]
    return [word for clause in list_clauses(wording.plain_words) for word in clause] + fields
