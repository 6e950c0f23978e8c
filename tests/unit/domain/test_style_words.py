"""The word lists that texts are checked against."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.style_words import StyleError, count_asks, find_phrases, list_clauses, style_from_data

DATA: dict[str, Any] = {
    "denied": [{"because": "it sells", "source": "A3", "words": {"both": ["promo*"], "en": ["act now"]}}],
    "stigmatizing": [
        {"because": "it shames", "source": "A3", "words": {"en": ["addict*"], "es": ["adict*"]}}
    ],
    "revealing": [{"because": "it tells", "source": "B10", "words": {"en": ["meeting"], "es": ["reunion"]}}],
    "hard": {"en": {"utilize": "use"}, "es": {"utilizar": "usar"}},
    "asking": {"en": ["try"], "es": ["pruebe", "trate de"]},
    "not_asking_after": {"en": ["to", "you"], "es": ["que"]},
    "imperatives": {"en": ["call", "please"], "es": ["llame", "por favor"]},
    "names": ["SMART Recovery"],
    "revealing_fields": ["place"],
    "opting_topics": ["consent"],
}
STYLE = style_from_data(DATA)


def test_words_for_both_languages_are_looked_for_in_each() -> None:
    assert STYLE.denied[0].phrases == {"en": ("promo*", "act now"), "es": ("promo*",)}


@pytest.mark.parametrize(
    ("reason", "phrase", "text", "found"),
    [
        ("a word", "clean", "Keep it clean.", "clean"),
        ("in capitals and accents", "reunion", "REUNIÓN hoy", "reunion"),
        ("not part of a word", "clean", "The cleaner is here.", None),
        ("any ending", "addict*", "an addiction", "addiction"),
        ("several words in order", "act now", "Please act now!", "act now"),
        ("with an ending", "old habit*", "old habits die", "old habits"),
        ("not across a full stop", "act now", "An act. Now rest.", None),
        ("with an apostrophe", "dont stop", "Don't stop.", "dont stop"),
        ("at the very end", "act now", "act", None),
    ],
)
def test_a_phrase_is_found_as_it_is_read(reason: str, phrase: str, text: str, found: str | None) -> None:
    assert [words for _, words in find_phrases(list_clauses(text), [phrase])] == ([found] if found else [])


@pytest.mark.parametrize(
    ("reason", "language", "text", "count"),
    [
        ("one", "en", "Fresh air helps. Try a park.", 1),
        ("two", "en", "Try a park, then try a bench.", 2),
        ("after to it is no request", "en", "It takes heart to try. You try hard.", 0),
        ("two words", "es", "Trate de dormir. Pruebe leer.", 2),
    ],
)
def test_requests_are_counted(reason: str, language: str, text: str, count: int) -> None:
    assert count_asks(list_clauses(text), STYLE, language) == count, reason


@pytest.mark.parametrize(
    ("reason", "path", "value", "problem", "place"),
    [
        ("a section is missing", ["hard"], None, "style: hard is missing; expected its words", ("hard",)),
        ("an unknown section", ["bad"], ["x"], "style: unknown key 'bad'", ("bad",)),
        ("no reason", ["denied", 0, "because"], None, "because is missing", ("denied", 0, "because")),
        ("an unknown language", ["asking"], {"fr": ["essayez"]}, "unknown key 'fr'", ("asking", "fr")),
        ("an accent", ["asking", "es"], ["envíe"], "es has 'envíe'; expected plain", ("asking", "es")),
        ("a capital", ["asking", "en"], ["Try"], "en has 'Try'; expected plain", ("asking", "en")),
        ("a star alone", ["asking", "en"], ["*"], "en has '*'; expected plain", ("asking", "en")),
        ("no list", ["asking", "en"], "try", "en is 'try'; expected a list", ("asking", "en")),
        ("a number", ["names"], [7], "names has 7; expected text", ("names", 0)),
        (
            "a hard word with an accent",
            ["hard", "es"],
            {"técnica": "forma"},
            "es has 'técnica'",
            ("hard", "es"),
        ),
        ("nothing instead", ["hard", "en"], {"utilize": ""}, "utilize is ''", ("hard", "en", "utilize")),
    ],
)
def test_a_fault_says_where_it_is(
    reason: str, path: list[Any], value: object, problem: str, place: tuple[str | int, ...]
) -> None:
    data = copy.deepcopy(DATA)
    inner: Any = data
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value

    with pytest.raises(StyleError) as error:
        style_from_data(data)

    assert problem in str(error.value), reason
    assert error.value.place == place


@given(st.text(max_size=60))
def test_no_text_is_too_odd_to_look_through(text: str) -> None:
    found = list(find_phrases(list_clauses(text), ["promo*", "act now"]))

    assert len(found) <= 2
