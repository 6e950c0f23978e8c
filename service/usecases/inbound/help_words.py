"""HELP and INFO: always answered, to anybody, with the hotlines of the person's country."""

from __future__ import annotations

from service.domain.kinds import MessageKind
from service.store.participants import ParticipantStatus
from service.usecases.inbound.reply import Incoming, Outcome, Reply


def answer_help(incoming: Incoming) -> Outcome:
    """Answer HELP. To a number that opted out it counts as a danger word: hotlines, no question, no offer."""
    if incoming.is_opted_out:
        return Outcome("help", Reply(("reply/help-opted-out",), kind=MessageKind.CRISIS_REPLY))
    return help_outcome(is_known=_is_known(incoming))


def answer_info(incoming: Incoming) -> Outcome:
    """Answer INFO: what this is, how often, who reads it."""
    if incoming.is_opted_out:
        return answer_help(incoming)
    return info_outcome(is_known=_is_known(incoming))


def help_outcome(*, is_known: bool) -> Outcome:
    return Outcome("help", Reply(("reply/help" if is_known else "reply/help-unknown",)))


def info_outcome(*, is_known: bool) -> Outcome:
    return Outcome("info", Reply(("reply/info" if is_known else "reply/help-unknown",)))


def _is_known(incoming: Incoming) -> bool:
    participant = incoming.participant
    return participant is not None and participant.status is not ParticipantStatus.LISTED
