"""The provider's answer format: texts to send back, each with the address for its receipts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr, unescape

EMPTY_RESPONSE = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Says nothing to the person."""

_TAG = re.compile("<[^>]*>")


@dataclass(frozen=True, slots=True)
class TwimlText:
    body: str
    status_callback: str | None = None


def build_twiml(texts: Sequence[TwimlText]) -> str:
    """Return the XML that makes the provider send these texts (at most ten a webhook)."""
    if not texts:
        return EMPTY_RESPONSE
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        + "".join(_message(text) for text in texts)
        + "</Response>"
    )


def read_words(xml: str) -> str:
    """The words that an answer of ours says, several texts behind each other."""
    return unescape(_TAG.sub(" ", xml)).strip()


def _message(text: TwimlText) -> str:
    callback = f" statusCallback={quoteattr(text.status_callback)}" if text.status_callback else ""
    return f"<Message{callback}>{escape(_printable(text.body))}</Message>"


def _printable(body: str) -> str:
    """Drop what XML 1.0 cannot hold: one such character would make the whole answer invalid."""
    return "".join(char for char in body if char in "\n\r\t" or (char >= " " and not _is_unusable(char)))


def _is_unusable(char: str) -> bool:
    return "\ud800" <= char <= "\udfff" or char in "\ufffe\uffff" or "\x7f" <= char <= "\x9f"
