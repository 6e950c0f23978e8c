"""The order in which a text is understood. Each handler changes rows and returns the answer.

Stop wordings first, then help, then what was asked last (to agree, to go on, the open question), then the
other keywords, and whatever is left goes to a human with one receipt in twelve hours.
"""

from __future__ import annotations

from collections.abc import Callable

from service.domain.keywords import Keyword
from service.usecases.inbound import consent_words, keep_words, rhythm_words, settings_words
from service.usecases.inbound.check_in_answers import answer_open_question
from service.usecases.inbound.found_late import find_outdated
from service.usecases.inbound.free_text import queue_for_staff
from service.usecases.inbound.help_words import answer_help, answer_info
from service.usecases.inbound.reply import Incoming, Outcome

Handler = Callable[[Incoming], Outcome]

_HANDLERS: dict[Keyword, Handler] = {
    Keyword.HELP: answer_help,
    Keyword.INFO: answer_info,
    Keyword.START: consent_words.start,
    Keyword.YES: consent_words.say_yes,
    Keyword.JOIN: consent_words.join,
    Keyword.PAUSE: settings_words.pause,
    Keyword.RESUME: settings_words.resume,
    Keyword.LANG: settings_words.set_language,
    Keyword.MORE: rhythm_words.more,
    Keyword.LESS: rhythm_words.less,
    Keyword.TIME: rhythm_words.choose_time,
    Keyword.KEEP: keep_words.keep,
}

_BEFORE_QUESTIONS = frozenset({Keyword.HELP, Keyword.INFO, Keyword.START})
"""Words that mean the same whatever was asked."""


def decide_outcome(incoming: Incoming) -> Outcome:
    """Work out what a text means and do it. Runs in the caller's transaction; commits nothing."""
    reading = incoming.reading
    if incoming.row.was_missed and (outdated := find_outdated(incoming)) is not None:
        return outdated
    if reading.is_wrong_number:
        return consent_words.wrong_number(incoming)
    if reading.is_stop or incoming.row.opt_out_type == "STOP":
        return consent_words.stop(incoming)
    if incoming.row.opt_out_type == "START":
        return consent_words.start(incoming)
    if incoming.is_opted_out and reading.keyword not in _BEFORE_QUESTIONS:
        return consent_words.stay_silent(incoming)
    if reading.keyword in _BEFORE_QUESTIONS:
        return _HANDLERS[reading.keyword](incoming)
    outcome = (
        consent_words.confirm_if_asked(incoming)
        or keep_words.keep_if_asked(incoming)
        or answer_open_question(incoming)
    )
    if outcome is not None:
        return outcome
    if reading.keyword is not None and reading.keyword in _HANDLERS:
        return _HANDLERS[reading.keyword](incoming)
    return consent_words.join_by_own_word(incoming) or queue_for_staff(incoming)
