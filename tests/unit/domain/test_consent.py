"""Nobody who opted out is texted: what each word about consent may change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.consent import (
    ConsentFacts,
    DocumentedConsent,
    ImportDecision,
    JoinDecision,
    Standing,
    StartDecision,
    decide_import,
    decide_join,
    decide_start,
    is_opt_in_open,
)

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(days=1), NOON + timedelta(days=1)
OUT = ConsentFacts(Standing.OPTED_OUT, NOON)


@pytest.mark.parametrize(
    ("facts", "decision", "because"),
    [
        (ConsentFacts(Standing.UNKNOWN), JoinDecision.ASK, "a new number is asked"),
        (ConsentFacts(Standing.LISTED), JoinDecision.ASK, "listed by staff is not consent"),
        (ConsentFacts(Standing.ASKED), JoinDecision.ASK, "asking again is answered again"),
        (ConsentFacts(Standing.ACTIVE), JoinDecision.ASK, "consent is for one program, not all"),
        (ConsentFacts(Standing.ACTIVE, is_enrolled=True), JoinDecision.ALREADY_JOINED, "nothing to do"),
        (OUT, JoinDecision.STAY_SILENT, "only START words reopen a number"),
    ],
)
def test_join_asks_unless_that_would_break_a_promise(
    facts: ConsentFacts, decision: JoinDecision, because: str
) -> None:
    assert decide_join(facts) is decision, because


@pytest.mark.parametrize(
    ("facts", "has_profile", "decision", "because"),
    [
        (ConsentFacts(Standing.UNKNOWN), False, StartDecision.EXPLAIN_JOINING, "nobody we know"),
        (ConsentFacts(Standing.LISTED), True, StartDecision.EXPLAIN_JOINING, "was never asked"),
        (ConsentFacts(Standing.ASKED), True, StartDecision.CONFIRM, "START is a clear yes"),
        (ConsentFacts(Standing.ACTIVE), True, StartDecision.ALREADY_JOINED, "nothing to do"),
        (OUT, True, StartDecision.REOPEN, "the one word that reopens"),
        (OUT, False, StartDecision.EXPLAIN_JOINING, "erased: there is nothing to go on with"),
    ],
)
def test_start_reopens_and_confirms(
    facts: ConsentFacts, has_profile: bool, decision: StartDecision, because: str
) -> None:
    assert decide_start(facts, has_profile=has_profile) is decision, because


W, V, N = DocumentedConsent.WRITTEN, DocumentedConsent.VERBAL, DocumentedConsent.NONE


@pytest.mark.parametrize(
    ("facts", "consent", "given_at", "decision", "because"),
    [
        (ConsentFacts(Standing.UNKNOWN), N, None, ImportDecision.LIST_ONLY, "no consent, no text"),
        (ConsentFacts(Standing.UNKNOWN), V, BEFORE, ImportDecision.ASK, "verbal is confirmed by text"),
        (ConsentFacts(Standing.UNKNOWN), W, BEFORE, ImportDecision.WELCOME, "written starts the program"),
        (ConsentFacts(Standing.ASKED), V, BEFORE, ImportDecision.KEEP, "one request, not two"),
        (ConsentFacts(Standing.ASKED), W, BEFORE, ImportDecision.WELCOME, "paper settles it"),
        (ConsentFacts(Standing.ACTIVE, is_enrolled=True), W, AFTER, ImportDecision.KEEP, "runs already"),
        (OUT, N, None, ImportDecision.KEEP_OPTED_OUT, "a list is not an opt-in"),
        (OUT, W, BEFORE, ImportDecision.KEEP_OPTED_OUT, "the opt-out is newer"),
        (OUT, W, NOON, ImportDecision.KEEP_OPTED_OUT, "the same moment is not later"),
        (OUT, V, BEFORE, ImportDecision.KEEP_OPTED_OUT, "the opt-out is newer"),
        (OUT, W, None, ImportDecision.KEEP_OPTED_OUT, "no date proves nothing"),
        (OUT, W, AFTER, ImportDecision.WELCOME, "a newer documented opt-in reopens"),
        (OUT, V, AFTER, ImportDecision.ASK, "a newer verbal one is confirmed by text"),
    ],
)
def test_a_documented_consent_counts_only_when_it_is_newer_than_the_opt_out(
    facts: ConsentFacts,
    consent: DocumentedConsent,
    given_at: datetime | None,
    decision: ImportDecision,
    because: str,
) -> None:
    assert decide_import(facts, consent, given_at) is decision, because


@pytest.mark.parametrize(
    ("asked_at", "is_open", "because"),
    [
        (None, False, "nothing was asked"),
        (NOON - timedelta(days=29), True, "within a month"),
        (NOON - timedelta(days=31), False, "a YES after that answers something else"),
    ],
)
def test_yes_is_consent_only_while_consent_was_asked(
    asked_at: datetime | None, is_open: bool, because: str
) -> None:
    assert is_opt_in_open(asked_at, NOON) is is_open, because
