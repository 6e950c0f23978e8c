"""What people typed into a listing, made fit to be stored, shown and texted."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any, Final
from urllib.parse import urlsplit

from service.domain.meeting_words import drop_contacts

_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>")
_REMOVED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_JOINERS: Final = frozenset("\u200c\u200d")
_LONGEST_URL: Final = 2000
_LONGEST_RAW: Final = 2000


def clean_text(value: Any, longest: int) -> str | None:
    """Plain text on one line of at most `longest` characters; None when there is nothing to say.

    HTML entities (also doubled ones) and tags are resolved, runs of white space become one space. Control
    characters, unpaired surrogates and marks that turn the direction of writing are removed: databases
    refuse some, and others disguise what a text says. Joiners stay, Persian is spelled with them.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    text = str(value)
    if "&" in text:
        text = html.unescape(html.unescape(text))
    text = unicodedata.normalize("NFC", " ".join(_TAG.sub(" ", text).split()))
    if not text.isprintable():
        text = "".join(char for char in text if _is_kept(char))
        text = " ".join(text.split())
    return text[:longest].rstrip() or None


def clean_name(value: Any, longest: int) -> str | None:
    """Like `clean_text`, for what may be texted: without addresses and numbers to tap, which have fields."""
    text = clean_text(value, _LONGEST_RAW)
    return clean_text(drop_contacts(text), longest) if text else None


def clean_url(value: Any) -> str | None:
    """A web address, or None for anything else: a link that was cut or guessed leads nowhere."""
    words = (clean_text(value, _LONGEST_URL + 1) or "").split(maxsplit=1)
    if not words or len(words[0]) > _LONGEST_URL:
        return None
    try:
        parts = urlsplit(words[0])
    except ValueError:
        return None
    return words[0] if parts.scheme in {"http", "https"} and parts.hostname else None


def _is_kept(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in _REMOVED
