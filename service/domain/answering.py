"""Who answers a text: the provider already did, or we do."""

from __future__ import annotations

from enum import StrEnum

from service.domain.keywords import Keyword, TextReading


class OptOutMode(StrEnum):
    """Who answers STOP, HELP and START at the provider (provider's guide on opt-out keywords)."""

    APP = "app"
    TWILIO_DEFAULT = "twilio_default"
    ADVANCED = "advanced"


_PROVIDER_KEYWORDS = frozenset({Keyword.STOP, Keyword.START, Keyword.YES})


def has_provider_answered(mode: OptOutMode, reading: TextReading, opt_out_type: str | None) -> bool:
    """Whether the provider sent its own reply to this text.

    With default handling it answers exactly its STOP and START words (YES is one of them); HELP and INFO
    are answered by us there, because the provider's own help text names no hotline. With advanced opt-out
    it says so itself in `OptOutType`.
    """
    if opt_out_type:
        return True
    if mode is OptOutMode.TWILIO_DEFAULT:
        return reading.is_provider_word and reading.keyword in _PROVIDER_KEYWORDS
    return False
