"""Which words a text invites people to send to us."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.invited_words import list_invited


@pytest.mark.parametrize(
    ("reason", "text", "asked"),
    [
        ("a word after reply", "Reply HELP for people to call.", ["HELP"]),
        ("with a figure", "Reply PAUSE 3 for a rest.", ["PAUSE 3"]),
        ("with a placeholder", "Reply PAUSE {days} for a rest.", ["PAUSE"]),
        ("in quotes", 'Please answer with "YES" today.', ["YES"]),
        ("in small letters and quotes", 'Reply "end" when done.', ["end"]),
        ("bare and small, where only a word to send can stand", "Reply yes or no.", ["yes"]),
        ("bare and small before more words", "Reply end when done.", ["end"]),
        ("a list", "Reply DONE, LATER or NEVER.", ["DONE", "LATER", "NEVER"]),
        ("one letter", "Reply Y or N.", ["Y", "N"]),
        ("Spanish", "Responda AYUDA o mande PAUSA 3.", ["AYUDA", "PAUSA 3"]),
        ("Spanish after con", "Conteste con SÍ.", ["SÍ"]),
        ("nothing asked", "No need to reply. We saw it.", []),
        ("a figure is an answer", "Reply 1 or 2.", []),
        ("si that means if", "Responda si puede.", []),
        ("si that means yes", "Responda si o no.", ["si"]),
        ("to another number", "Text HOME to 741741, or mande AYUDA al {crisis}.", []),
    ],
)
def test_what_is_asked_for_is_found(reason: str, text: str, asked: list[str]) -> None:
    assert [word.words for word in list_invited(text) if word.is_asked] == asked, reason


@pytest.mark.parametrize(
    ("reason", "text", "named"),
    [
        ("told without being asked for", "HELP for help, STOP to end.", ["HELP", "STOP"]),
        ("a list of words", "Words: HELP, PAUSE 3, STOP.", ["HELP", "PAUSE 3", "STOP"]),
        ("one capital is no word to send", "I am Dr. X.", []),
        ("parts of a name are none", "A T-SHIRT day", []),
    ],
)
def test_words_in_capitals_are_named(reason: str, text: str, named: list[str]) -> None:
    assert [word.words for word in list_invited(text) if not word.is_asked] == named, reason


@given(st.text(alphabet='Reply STOPend"{}to 12,.or', max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    assert all(word.words for word in list_invited(text))
