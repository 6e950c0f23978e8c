"""How hard a text is to read, by published formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.reading import count_syllables, list_sentences, reading_grade


@pytest.mark.parametrize(
    ("syllables", "words"),
    [
        (1, "a the make makes called whole while smile voice months clothes used friends you're don't guide"),
        (
            2,
            "people little tables needed wanted places changes breathing being didn't create someone",
        ),
        (2, "safety homework careful hopeful lonely movement every different evening handles struggle quiet"),
        (3, "medicine messages together appointment however easier idea area created radio family exercise"),
        (4, "emergency situation automatic society"),
    ],
)
def test_english_syllables_are_those_that_are_spoken(syllables: int, words: str) -> None:
    assert {word: count_syllables(word, "en") for word in words.split()} == dict.fromkeys(
        words.split(), syllables
    )


@pytest.mark.parametrize(
    ("reason", "syllables", "words"),
    [
        ("a silent u after q and g", 1, "que qui gue"),
        ("two dots make it heard", 3, "pingüino"),
        ("a weak vowel beside a strong one", 1, "bien hoy muy ya y dia"),
        ("a stressed weak vowel is apart", 2, "día oír país baúl"),
        ("two strong vowels are apart", 2, "leer peor"),
        ("y between vowels is a consonant", 2, "ayer reyes"),
        ("h does not join vowels", 3, "ahora alcohol"),
        ("long words", 4, "tratamiento seguridad cumpleaños"),
    ],
)
def test_spanish_syllables_follow_the_letters(reason: str, syllables: int, words: str) -> None:
    for word in words.split():
        assert count_syllables(word, "es") == syllables, (reason, word)


@pytest.mark.parametrize(
    ("reason", "text", "sentences"),
    [
        ("sentences end at full stops and question marks", "One. Two three? Four!", [1, 2, 1]),
        ("not inside a number or an address", "See 9.30 at findtreatment.gov today.", [5]),
        ("figures are no words", "1 good 2 OK 3 low", [3]),
        ("placeholders are no words", "{org}: call {org_phone} now.", [2]),
        ("names are left out", "SMART Recovery has rooms.", [2]),
        ("what has no words is no sentence", "{org}. 24/7. Yes.", [1]),
        ("an apostrophe is part of a word", "Don't. Won’t.", [1, 1]),
        ("Spanish marks", "¿Qué tal? Bien.", [2, 1]),
    ],
)
def test_sentences_are_counted_as_a_reader_sees_them(reason: str, text: str, sentences: list[int]) -> None:
    assert [len(words) for words in list_sentences(text, ["SMART Recovery"])] == sentences, reason


def test_a_label_before_a_colon_is_a_sentence_where_breath_is_counted() -> None:
    text = "Safety note: stay near someone."

    assert len(list_sentences(text)) == 1
    assert len(list_sentences(text, at_colons=True)) == 2


@pytest.mark.parametrize(
    ("reason", "language", "text", "grade"),
    [
        ("6 words of 6 syllables: 0.39*6 + 11.8 - 15.59", "en", "The cat sat on the mat.", -1.45),
        (
            "10 words of 15: 0.39*10 + 11.8*1.5 - 15.59",
            "en",
            "Every medicine appointment is a step to a good day",
            6.01,
        ),
        ("ease 206.84 - 60 - 1.02*4 is over 100", "es", "Yo voy con mis.", 3.0),
        ("ease 206.84 - 60*2 - 1.02*5 = 81.74", "es", "Llame cada martes antes cena", 4.83),
        ("ease 206.84 - 60*4 is under 30", "es", "Responsabilidad institucional", 16.0),
    ],
)
def test_grades_are_those_of_the_formulas(reason: str, language: str, text: str, grade: float) -> None:
    assert reading_grade(list_sentences(text), language) == pytest.approx(grade, abs=0.05), reason


def test_there_is_no_grade_without_words() -> None:
    with pytest.raises(ValueError, match="no words"):
        reading_grade([], "en")


@given(st.text(max_size=40), st.sampled_from(["en", "es"]))
def test_every_word_has_a_syllable_and_no_text_is_too_odd(text: str, language: str) -> None:
    assert count_syllables(text, language) >= 1
    assert all(list_sentences(text))


@given(st.lists(st.sampled_from(["sol", "mesa", "tarde", "camino"]), min_size=2, max_size=30))
def test_joining_two_sentences_never_makes_a_text_easier(words: list[str]) -> None:
    half = len(words) // 2
    for language in ("en", "es"):
        assert reading_grade([words], language) >= reading_grade([words[:half], words[half:]], language)
