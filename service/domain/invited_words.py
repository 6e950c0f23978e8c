"""Which words a text invites people to send back to us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_ASKS = r"(?:reply|respond|answer|text|send|write|type|responda|conteste|envie|envíe|mande|escriba|ponga)"
_COMMAND = r"[A-ZÁÉÍÓÚÑ]{2,}(?: (?:[A-ZÁÉÍÓÚÑ]{2,}|\d+))*"
_INVITED = re.compile(rf"\b(?i:{_ASKS})(?: (?:with|back|con))? [\"'“«]?(?P<words>{_COMMAND}|[YN])(?![\w-])")
_FURTHER = re.compile(rf"[\"'”»]?(?:,| or| o|, or|, o) [\"'“«]?(?P<words>{_COMMAND}|[YN])(?![\w-])")
_SMALL = re.compile(
    rf"\b(?i:{_ASKS})(?: (?:with|back|con))? "
    r"(?:[\"'“«](?P<quoted>[^\"'”»]{1,20})[\"'”»]"
    r"|(?P<bare>(?!(?:si|with|back|con)\b)[a-zñ]{2,12}\b|[a-zñ]{1,2}(?=[,.;:!?]|$| or | o )))"
)
_IN_CAPITALS = re.compile(rf"(?<![\w-]){_COMMAND}(?![\w-])")
_TO_ANOTHER = re.compile(r"[\"'”»]? (?:to|al|a) (?:the )?(?:\d|~)")


@dataclass(frozen=True, slots=True)
class InvitedWord:
    """A word in a text that somebody may send to us. `is_asked`: the text asks for it in so many words.

    `is_capital`: it is written as commands are. A word in small letters may also be a word like any other.
    """

    words: str
    is_asked: bool
    is_capital: bool = True


def list_invited(text: str) -> Iterator[InvitedWord]:
    """The words that a text names as something to send to us; what goes to another number is left out."""
    plain = _PLACEHOLDER.sub("~", text)
    asked = list(_list_asked(plain))
    starts = {match.start("words") for match in asked}
    named = [match for match in _IN_CAPITALS.finditer(plain) if match.start() not in starts]
    for match in (*asked, *named, *_SMALL.finditer(plain)):
        words = next(group for group in (*match.groups(), match[0]) if group)
        is_small = match.re is _SMALL
        if not _TO_ANOTHER.match(plain, match.end()) and not (is_small and words.isupper()):
            yield InvitedWord(words, is_asked=match.re is not _IN_CAPITALS, is_capital=not is_small)


def _list_asked(plain: str) -> Iterator[re.Match[str]]:
    """What follows "reply", and further words after a comma or an "or"."""
    for first in _INVITED.finditer(plain):
        match: re.Match[str] | None = first
        while match is not None:
            yield match
            match = _FURTHER.match(plain, match.end())
