"""What a word about consent changes, decided from what is known and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

OPT_IN_VALID_FOR = timedelta(days=30)
"""How long a request for consent may be answered with YES."""


class Standing(StrEnum):
    """How a number stands with us."""

    UNKNOWN = "unknown"
    LISTED = "listed"
    ASKED = "asked"
    ACTIVE = "active"
    OPTED_OUT = "opted_out"


class JoinDecision(StrEnum):
    ASK = "ask"
    ALREADY_JOINED = "already_joined"
    STAY_SILENT = "stay_silent"


class StartDecision(StrEnum):
    EXPLAIN_JOINING = "explain_joining"
    CONFIRM = "confirm"
    REOPEN = "reopen"
    ALREADY_JOINED = "already_joined"


class DocumentedConsent(StrEnum):
    """What the `consent` column of an import says."""

    NONE = ""
    VERBAL = "verbal"
    WRITTEN = "written"


class ImportDecision(StrEnum):
    """What a documented consent does to a number."""

    LIST_ONLY = "list_only"
    ASK = "ask"
    WELCOME = "welcome"
    KEEP = "keep"
    KEEP_OPTED_OUT = "keep_opted_out"


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """What is known about a number when consent is decided.

    `is_enrolled` says whether the program in question already runs for this person.
    """

    standing: Standing
    opted_out_at: datetime | None = None
    is_enrolled: bool = False


def decide_join(facts: ConsentFacts) -> JoinDecision:
    """JOIN by text: asks, except where it would break a promise.

    A number that opted out stays silent: only START words or a new documented opt-in reopen it (47 CFR
    64.1200(a)(12): one confirmation is the only further text).
    """
    if facts.standing is Standing.OPTED_OUT:
        return JoinDecision.STAY_SILENT
    if facts.standing is Standing.ACTIVE and facts.is_enrolled:
        return JoinDecision.ALREADY_JOINED
    return JoinDecision.ASK


def decide_start(facts: ConsentFacts, *, has_profile: bool) -> StartDecision:
    """START by text: reopens what STOP closed, confirms what was asked, else explains how to join."""
    if facts.standing is Standing.OPTED_OUT:
        return StartDecision.REOPEN if has_profile else StartDecision.EXPLAIN_JOINING
    if facts.standing is Standing.ASKED:
        return StartDecision.CONFIRM
    if facts.standing is Standing.ACTIVE:
        return StartDecision.ALREADY_JOINED
    return StartDecision.EXPLAIN_JOINING


def decide_import(
    facts: ConsentFacts, consent: DocumentedConsent, consent_at: datetime | None
) -> ImportDecision:
    """What a documented consent does. After an opt-out only a consent given later counts."""
    if facts.standing is Standing.OPTED_OUT:
        is_newer = (
            consent is not DocumentedConsent.NONE
            and consent_at is not None
            and facts.opted_out_at is not None
            and consent_at > facts.opted_out_at
        )
        if not is_newer:
            return ImportDecision.KEEP_OPTED_OUT
    elif facts.standing is Standing.ACTIVE and facts.is_enrolled:
        return ImportDecision.KEEP
    if consent is DocumentedConsent.WRITTEN:
        return ImportDecision.WELCOME
    if consent is DocumentedConsent.VERBAL:
        return ImportDecision.KEEP if facts.standing is Standing.ASKED else ImportDecision.ASK
    return ImportDecision.LIST_ONLY


def is_opt_in_open(asked_at: datetime | None, now: datetime) -> bool:
    """Whether a YES may still be read as consent."""
    return asked_at is not None and now - asked_at <= OPT_IN_VALID_FOR
