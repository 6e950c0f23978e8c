"""The answer format: whatever a text holds, the answer is XML that gives exactly that text back."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.twiml import EMPTY_RESPONSE, TwimlText, build_twiml, read_words


def read_back(xml: str) -> list[tuple[str, str | None]]:
    root = ElementTree.fromstring(xml.encode())
    assert root.tag == "Response"
    assert all(child.tag == "Message" and len(child) == 0 for child in root)
    return [(child.text or "", child.get("statusCallback")) for child in root]


@pytest.mark.parametrize(
    ("body", "read", "reason"),
    [
        ("Hi, it's us & co <3", "Hi, it's us & co <3", "signs that mean something in XML"),
        ("]]> <!-- -->", "]]> <!-- -->", "ends of what never began"),
        ("</Message><Message>x", "</Message><Message>x", "a text that would like to be two"),
        ("¿Cómo está? 😭", "¿Cómo está? 😭", "letters and faces of the world"),
        ("one\ntwo\tthree", "one\ntwo\tthree", "lines and tabs"),
        (" kept ", " kept ", "spaces at the ends"),
        ("a\x00b\x07c\x1bd", "abcd", "what XML cannot hold is left out"),
        ("a\x7fb\x85c\x9fd", "abcd", "nor what no phone shows"),
        ("a\ud83db", "ab", "half a face"),
        ("a\ufffeb\uffffc", "abc", "no characters at all"),
        ("\ufffd", "\ufffd", "a character like any other"),
    ],
)
def test_a_text_is_read_back_as_it_was(body: str, read: str, reason: str) -> None:
    assert read_back(build_twiml([TwimlText(body)])) == [(read, None)], reason


def test_silence_is_an_empty_response() -> None:
    assert build_twiml([]) == EMPTY_RESPONSE
    assert read_back(EMPTY_RESPONSE) == []


def test_several_texts_keep_their_order_and_their_addresses() -> None:
    texts = [
        TwimlText("one", "https://aftercare.invalid/twilio/status?ref=1&x=\"'<2>"),
        TwimlText("two"),
        TwimlText("three", "https://aftercare.invalid/twilio/status?ref=3"),
    ]
    assert read_back(build_twiml(texts)) == [(text.body, text.status_callback) for text in texts]


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4))
def test_any_texts_make_valid_xml_and_lose_only_what_cannot_be_shown(bodies: list[str]) -> None:
    read = read_back(build_twiml([TwimlText(body) for body in bodies]))

    assert len(read) == len(bodies)
    for body, (text, _) in zip(bodies, read, strict=True):
        # A reader of XML turns every line end into "\n"; what is no character is not written.
        lines = body.replace("\r\n", "\n").replace("\r", "\n")
        assert [c for c in text if c.isprintable()] == [c for c in lines if c.isprintable()]
        assert text.count("\n") == sum(c == "\n" for c in lines) or "\r" in body


@pytest.mark.parametrize("body", ["us & them <3", "</Message><Message>x", 'it said "no"', "one\ntwo"])
def test_the_words_of_an_answer_are_read_back(body: str) -> None:
    texts = [TwimlText(body, "https://aftercare.invalid/twilio/status?ref=1&x='2'"), TwimlText("more")]
    assert read_words(build_twiml(texts)).split() == [*body.split(), "more"]
    assert read_words(EMPTY_RESPONSE) == ""
