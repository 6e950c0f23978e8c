"""What a listing says of a meeting becomes words that can stand in a text: short, plain, nothing to tap."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.meeting_words import drop_contacts, fold_to_gsm, words_for_text
from service.domain.segments import count_segments

TAPPABLE = re.compile(r"://|\w\.[a-z]{2}|\d(?:[ ().+/-]{0,2}\d){6}", re.IGNORECASE)
"""What phones make a link or a number of, told in another way than the code does."""

PIECES = [*"ab .:/@-+()0123456789Sé", "http://", "www.", ".com", "í", "Ж", "☀", "\u200b", "．", "2025550123"]
ODD = st.lists(st.sampled_from(PIECES), max_size=80).map("".join)
SETTINGS = settings(max_examples=500, deadline=None)


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("Evening Circle", "Evening Circle", "an ordinary name stays"),
        ("12 Steps to 9 Lives", "12 Steps to 9 Lives", "small numbers are part of names"),
        (
            "St.Mary's Hall, 1250 E.Main St.",
            "St. Mary's Hall, 1250 E. Main St.",
            "an abbreviation is no link",
        ),
        ("Wait...what? 7.30 p.m.", "Wait...what? 7.30 p.m.", "dots alone are no link"),
        ("Join http://evil.example/x now", "Join now", "an address"),
        ("Join HTTPS://EVIL.EXAMPLE", "Join", "an address in capitals"),
        ("Join (www.evil.example)", "Join", "an address without its scheme"),
        ("Join bit.ly/abc", "Join", "a shortened address"),
        ("Join Bit.Ly", "Join Bit. Ly", "written as an abbreviation: taken apart"),
        ("Join evil\uff0ecom", "Join", "a dot of another width"),
        ("Join evil\u3002com", "Join", "a dot that browsers take for one"),
        ("Join 10.0.0.1/x", "Join", "an address in numbers"),
        ("Write ana@mail.example", "Write", "a mail address"),
        ("Call 2025550123", "Call", "a number"),
        ("Call (202) 555-0123 now", "Call now", "a number, spelled usually"),
        ("Call +1.202.555.0123", "Call", "a number with dots"),
        ("Call 2 0 2 5 5 5 0", "Call", "digits apart"),
        ("Call 202\u2013555\u20130123", "Call", "dashes of another length"),
        ("Room 202555", "Room 202555", "six digits are no number"),
        ("2025550123", "", "nothing else"),
    ],
)
def test_nothing_to_tap_is_left_of_a_name(text: str, expected: str, reason: str) -> None:
    assert drop_contacts(text) == expected, reason


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("Noche de Ñandú", "Noche de Ñandu", "é and ñ are cheap, ú is not"),
        ("Círculo – “Mañana”", 'Circulo - "Mañana"', "marks that editors put in"),
        ("Sunday\u200b ☀\ufe0f Group", "Sunday Group", "ornaments go"),
        ("[Big] {Book}~€|^", "(Big) (Book)- /", "what costs two septets"),
        ("ＮＡ ①", "NA 1", "wide and circled letters"),
        ("Группа", None, "another script"),
        ("東京 Group", None, "another script in part"),
        ("٢٠٢", None, "digits of another script"),
    ],
)
def test_letters_are_spelled_with_what_one_septet_holds(text: str, expected: str | None, reason: str) -> None:
    assert fold_to_gsm(text) == expected, reason


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("one two three", "one two", "cut between words"),
        ("one two", "one two", "what fits is whole"),
        ("one two (three", "one two", "no open bracket stays"),
        ("onetwothreefour", "onetwoth", "one long word is cut"),
        ("", None, "nothing"),
        (None, None, "nothing at all"),
        ("2025550123", None, "nothing that may stay"),
    ],
)
def test_words_are_cut_where_it_hurts_least(text: str | None, expected: str | None, reason: str) -> None:
    assert words_for_text(text, 8) == expected, reason


@SETTINGS
@given(text=st.one_of(ODD, st.text(max_size=300)), longest=st.integers(5, 60))
def test_any_name_becomes_short_words_of_one_septet_a_letter_or_none(text: str, longest: int) -> None:
    words = words_for_text(text, longest)

    if words is not None:
        count = count_segments(words)
        assert (count.encoding, count.units) == ("GSM-7", len(words))
        assert 0 < len(words) <= longest
        assert TAPPABLE.search(words) is None
        assert words_for_text(words, longest) == words
