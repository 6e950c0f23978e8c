"""Who answers STOP, HELP and START: the provider already did, or we do (design section 7, step 6)."""

from __future__ import annotations

import pytest

from service.catalog import Catalog
from service.domain.answering import OptOutMode, has_provider_answered
from service.domain.keywords import read_text

APP, DEFAULT, ADVANCED = OptOutMode.APP, OptOutMode.TWILIO_DEFAULT, OptOutMode.ADVANCED
STOP_WORDS = ("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL")
START_WORDS = ("START", "YES", "UNSTOP")

CASES: list[tuple[OptOutMode, str, str | None, bool, str]] = [
    *((DEFAULT, word, None, True, "the provider confirms its own stop words") for word in STOP_WORDS),
    *((DEFAULT, word, None, True, "and its own start words") for word in START_WORDS),
    *((APP, word, None, False, "its handling is switched off") for word in (*STOP_WORDS, *START_WORDS)),
    *((ADVANCED, word, None, False, "it says when it answered") for word in (*STOP_WORDS, *START_WORDS)),
    (DEFAULT, "stop", None, True, "whatever the letters' case"),
    (DEFAULT, " Stop ", None, True, "and the spaces around it"),
    (DEFAULT, "HELP", None, False, "its own help text names no hotline"),
    (DEFAULT, "INFO", None, False, "its own help text names no hotline"),
    (DEFAULT, "ALTO", None, False, "it knows no Spanish word"),
    (DEFAULT, "AYUDA", None, False, "it knows no Spanish word"),
    (DEFAULT, "STOP PLEASE", None, False, "only a single word counts for it"),
    (DEFAULT, "please stop texting me", None, False, "only a single word counts for it"),
    (DEFAULT, "opt out", None, False, "its word is OPTOUT, in one"),
    (DEFAULT, "JOIN", None, False, "a word of ours"),
    (DEFAULT, "5", None, False, "an answer to a question"),
    (DEFAULT, "", None, False, "nothing at all"),
    *((ADVANCED, "NOMORE", said, True, "a word of the account's own") for said in ("STOP", "START", "HELP")),
    (APP, "STOP", "STOP", True, "the setting is wrong; the provider itself says that it answered"),
    (DEFAULT, "HELP", "HELP", True, "the provider itself says that it answered"),
    (ADVANCED, "STOP", "", False, "an empty word says nothing"),
]


@pytest.mark.parametrize(("mode", "body", "opt_out_type", "expected", "reason"), CASES)
def test_who_answers(
    catalog: Catalog, mode: OptOutMode, body: str, opt_out_type: str | None, expected: bool, reason: str
) -> None:
    reading = read_text(body, catalog.keywords)
    assert has_provider_answered(mode, reading, opt_out_type) is expected, reason
