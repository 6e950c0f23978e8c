"""What a text costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.segments import count_segments

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"


@pytest.mark.parametrize(
    ("reason", "text", "encoding", "segments", "units"),
    [
        ("a carrier would charge an empty text as one", "", "GSM-7", 1, 0),
        ("the longest single", "a" * 160, "GSM-7", 1, 160),
        ("one more is two", "a" * 161, "GSM-7", 2, 161),
        ("two full parts", "a" * 306, "GSM-7", 2, 306),
        ("three parts", "a" * 307, "GSM-7", 3, 307),
        ("the provider's longest body", "a" * 1600, "GSM-7", 11, 1600),
        ("an extension character costs two", "€" * 80, "GSM-7", 1, 160),
        ("eighty one do not fit one", "€" * 81, "GSM-7", 2, 162),
        ("76 pairs a part, because 153 is odd", "€" * 153, "GSM-7", 3, 306),
        ("a pair at the border moves on", "a" * 152 + "€" + "a" * 152, "GSM-7", 3, 306),
        ("a pair that just fits stays", "a" * 151 + "€" + "a" * 153, "GSM-7", 2, 306),
        ("the longest single", "á" * 70, "UCS-2", 1, 70),
        ("one more is two", "á" * 71, "UCS-2", 2, 71),
        ("two full parts", "á" * 134, "UCS-2", 2, 134),
        ("three parts", "á" * 135, "UCS-2", 3, 135),
        ("an emoji is a surrogate pair", "🙂" * 35, "UCS-2", 1, 70),
        ("33 pairs a part, because 67 is odd", "🙂" * 67, "UCS-2", 3, 134),
        ("a surrogate pair at the border moves on", "á" * 66 + "🙂" + "á" * 66, "UCS-2", 3, 134),
        ("a lone surrogate is one unit", "\ud800", "UCS-2", 1, 1),
    ],
)
def test_texts_are_counted_as_carriers_do(
    reason: str, text: str, encoding: str, segments: int, units: int
) -> None:
    count = count_segments(text)
    assert (count.encoding, count.segments, count.units) == (encoding, segments, units), reason


@pytest.mark.parametrize("char", sorted(BASIC))
def test_a_basic_character_is_one_septet(char: str) -> None:
    count = count_segments(char)
    assert (count.encoding, count.units, count.costly) == ("GSM-7", 1, ())


@pytest.mark.parametrize("char", sorted(EXTENSION))
def test_an_extension_character_is_two_septets(char: str) -> None:
    count = count_segments(char)
    assert (count.encoding, count.units, count.costly) == ("GSM-7", 2, ())


@pytest.mark.parametrize("char", [*"áíóúêç’“”–—…•`\t\u00a0\u200b🙂Á", "\x1b", "\x00"])
def test_one_character_outside_the_alphabet_makes_the_whole_text_dear(char: str) -> None:
    count = count_segments("plain " + char)
    assert (count.encoding, count.costly) == ("UCS-2", (char,))


def test_the_alphabet_is_whole() -> None:
    assert len(set(BASIC)) == 127


def test_costly_characters_are_listed_once_and_in_order() -> None:
    assert count_segments("está rápida… ñ €").costly == ("á", "…")


@given(st.text(st.sampled_from(BASIC + EXTENSION), max_size=700))
def test_septets_never_cost_less_than_their_sum_nor_more_than_one_lost_unit_a_part(text: str) -> None:
    count = count_segments(text)
    expected = sum(2 if char in EXTENSION else 1 for char in text)
    assert (count.encoding, count.units) == ("GSM-7", expected)
    assert (count.segments == 1) == (expected <= 160)
    if count.segments > 1:
        assert -(-expected // 153) <= count.segments <= -(-expected // 152)


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("🙂á"), max_size=400))
def test_units_are_those_of_utf_16_when_a_character_is_costly(text: str) -> None:
    count = count_segments("á" + text)
    expected = len(("á" + text).encode("utf-16-be")) // 2
    assert (count.encoding, count.units) == ("UCS-2", expected)
    assert (count.segments == 1) == (expected <= 70)
    if count.segments > 1:
        assert -(-expected // 67) <= count.segments <= -(-expected // 66)


@given(st.text(max_size=300), st.characters())
def test_a_longer_text_never_costs_fewer_segments(text: str, char: str) -> None:
    assert count_segments(text + char).segments >= count_segments(text).segments
