"""How many SMS segments a text takes, and which characters make it dear (GSM 03.38, 3GPP TS 23.038).

Written here because no kept library simulates the border between segments: a character of two units that
does not fit at the end of a segment moves to the next, so dividing the length is wrong by one now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _EXTENSION
_GSM_SINGLE, _GSM_PART = 160, 153
_UCS2_SINGLE, _UCS2_PART = 70, 67
_LAST_SINGLE_UNIT = "\uffff"


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """What a text costs.

    `units` are septets (GSM-7) or UTF-16 code units (UCS-2). `costly` lists, once each and in order, the
    characters that force UCS-2; it is empty exactly when the encoding is GSM-7.
    """

    encoding: Literal["GSM-7", "UCS-2"]
    segments: int
    units: int
    costly: tuple[str, ...]


def count_segments(text: str) -> SegmentCount:
    """Count as carriers do: 160 septets or 153 each when split; 70 UTF-16 units or 67 each when split.

    An escape pair or a surrogate pair is never split. An empty text counts as one segment: a carrier
    would charge it as one, and a zero would let it slip through the pacing for free.
    """
    if _BASIC.issuperset(text):
        count = len(text)
        return SegmentCount("GSM-7", 1 if count <= _GSM_SINGLE else -(-count // _GSM_PART), count, ())
    if _GSM.issuperset(text):
        septets = [2 if char in _EXTENSION else 1 for char in text]
        return SegmentCount("GSM-7", _pack(septets, _GSM_SINGLE, _GSM_PART), sum(septets), ())
    units = [2 if char > _LAST_SINGLE_UNIT else 1 for char in text]
    costly = tuple(dict.fromkeys(char for char in text if char not in _GSM))
    return SegmentCount("UCS-2", _pack(units, _UCS2_SINGLE, _UCS2_PART), sum(units), costly)


def _pack(widths: Sequence[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    segments, room = 1, part
    for width in widths:
        if width > room:
            segments, room = segments + 1, part
        room -= width
    return segments
