"""What a listing calls a meeting, made fit for a text to a phone.

Anybody may have typed it: a web address or a telephone number in a name would reach people under our name,
and a phone makes both into something to tap. The person chose the meeting, so a cut name is enough.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from service.domain.segments import count_segments

MAX_NAME: Final = 50
MAX_PLACE: Final = 50
"""Characters. With both, the longest reminder in a United States zone fits one segment."""

_LINK: Final = re.compile(r"://|[\w-][.\u3002\uff61][^\W\d_]{2}|(?<!\d)\d{1,3}(?:\.\d{1,3}){3}(?!\d)")
_ABBREVIATION: Final = re.compile(r"\W*(?:[^\W\d_]{1,3}\.)+[A-Z][\w'\u2019-]*\W*")
"""St.Mary's, E.Main: kept, with a space behind the dot, which is no longer anything to tap."""

_NUMBER: Final = re.compile(r"\+?\(?\d(?:[\s().+/\-\u2010-\u2015]{0,3}\d){6,}")
_LOOK_ALIKES: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u2032\u02bc`\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212~\u2022\u00b7", "-"),
        **dict.fromkeys("[{", "("),
        **dict.fromkeys("]}", ")"),
        **dict.fromkeys("|\\", "/"),
    }
)


def drop_contacts(text: str) -> str:
    """The text on one line, without web and mail addresses and without runs of seven digits or more.

    A run may be broken up by spaces, brackets, dots, slashes or dashes, as telephone numbers are.
    """
    kept = " ".join(filter(None, map(_unlink, text.split())))
    return " ".join(re.sub(r"\(\s*\)", " ", _NUMBER.sub(" ", kept)).split())


def _unlink(token: str) -> str:
    if not _LINK.search(unicodedata.normalize("NFKC", token)):
        return token
    return token.replace(".", ". ").rstrip() if _ABBREVIATION.fullmatch(token) else ""


def fold_to_gsm(text: str) -> str | None:
    """The text in characters of one septet each (GSM 03.38), accents and ornaments dropped where they must.

    None when a letter or digit has no such spelling: the words in another script would be beyond reading.
    """
    folded = "".join(map(_fold, unicodedata.normalize("NFKC", text).translate(_LOOK_ALIKES)))
    return None if "\0" in folded else " ".join(folded.split())


def _fold(char: str) -> str:
    if _is_basic(char):
        return char
    bare = "".join(one for one in unicodedata.normalize("NFKD", char) if not unicodedata.combining(one))
    if bare and all(map(_is_basic, bare)):
        return bare
    category = unicodedata.category(char)
    if category[0] in "LN":
        return "\0"
    return "" if category[0] == "M" or category == "Cf" else " "


def _is_basic(char: str) -> bool:
    count = count_segments(char)
    return count.encoding == "GSM-7" and count.units == 1


def words_for_text(text: str | None, longest: int) -> str | None:
    """What a text may say of a meeting: at most `longest` septets, cut between words; None for nothing."""
    folded = fold_to_gsm(text or "")
    words = drop_contacts(folded) if folded else ""
    if len(words) > longest:
        words = words[: longest + 1].rpartition(" ")[0] or words[:longest]
    words = words.strip(" ,.;:-/&(+")
    return words or None


def name_and_place(name: str, place: str | None) -> tuple[str, str]:
    """Both as a text may say them, one after the other; an empty one cannot be said."""
    words, where = words_for_text(name, MAX_NAME) or "", words_for_text(place, MAX_PLACE) or ""
    together = f"{words}. {where}"
    # Half a telephone number in each is one in the text.
    return words, where if drop_contacts(together) == together else ""
