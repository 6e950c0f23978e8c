"""The exact words of a request for consent, kept with the consent event."""

from __future__ import annotations

from service.domain.program import Program
from service.domain.template import render
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.people.consent_changes import Wording

OPT_IN_REQUEST = "admin/opt-in-request"
WRITTEN_WELCOME = "admin/welcome-written"


def render_opt_in_request(context: Context, participant: Participant, program: Program) -> Wording:
    """What a person is asked before anything else is sent (carriers' wording, provider reference 3.4)."""
    return _render(context, participant, program, OPT_IN_REQUEST)


def render_written_welcome(context: Context, participant: Participant, program: Program) -> Wording:
    """The disclosure that follows a documented written consent."""
    return _render(context, participant, program, WRITTEN_WELCOME)


def _render(context: Context, participant: Participant, program: Program, text_id: str) -> Wording:
    text = context.catalog.get(text_id, participant.language, plain=participant.wants_plain)
    fields = context.common_fields(participant.country, participant.language)
    fields["frequency"] = frequency_of(program, participant.language)
    return Wording(text_id, text.version, render(text.body, fields))


def frequency_of(program: Program | None, language: str) -> str:
    """How often a program texts, in the person's language."""
    if program is None:
        return ""
    return program.frequency.get(language) or program.frequency.get("en", "")
