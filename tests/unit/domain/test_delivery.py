"""Never twice, never silently lost: the states a text may pass through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.delivery import (
    FINAL,
    ON_ITS_WAY,
    STOPPABLE,
    TRANSITIONS,
    WAITING,
    IllegalTransitionError,
    MessageState,
    check_transition,
    find_receipt_state,
    may_follow,
    next_state_on_receipt,
)

S = MessageState
STATUSES = ["accepted", "queued", "sending", "sent", "delivered", "undelivered", "failed", "read", "canceled"]


def test_every_state_has_a_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(S)


@pytest.mark.parametrize(
    ("before", "after", "because"),
    [
        (S.UNKNOWN, S.SENDING, "an unclear answer is never the reason to send again at once"),
        (S.SENDING, S.PLANNED, "what may have left is not planned again"),
        (S.SENDING, S.CANCELED, "what may have left cannot be called back"),
        (S.ACCEPTED, S.PLANNED, "the provider has it"),
        (S.DELIVERED, S.FAILED, "states only move forward"),
        (S.DELIVERED, S.SENT, "states only move forward"),
        (S.CANCELED, S.PLANNED, "a canceled text stays canceled; a new row is a new intention"),
        (S.EXPIRED, S.PLANNED, "too late stays too late"),
        (S.PLANNED, S.SENDING, "nothing leaves without a claim"),
        (S.HELD, S.SENDING, "nothing leaves without a claim"),
    ],
)
def test_steps_that_would_break_a_promise_do_not_exist(
    before: MessageState, after: MessageState, because: str
) -> None:
    assert not may_follow(before, after), because
    with pytest.raises(IllegalTransitionError):
        check_transition(before, after)


def test_only_a_claim_leads_to_sending() -> None:
    assert {state for state in S if may_follow(state, S.SENDING)} == {S.CLAIMED}


def test_an_opt_out_can_cancel_everything_that_has_not_left() -> None:
    assert all(may_follow(state, S.CANCELED) for state in STOPPABLE)
    assert not STOPPABLE & ON_ITS_WAY
    assert WAITING < STOPPABLE


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("state", [S.DELIVERED, S.CANCELED, S.EXPIRED])
def test_a_receipt_never_moves_a_text_that_is_through(state: MessageState, status: str) -> None:
    assert next_state_on_receipt(state, status) is None


def test_a_late_receipt_still_settles_what_nobody_could_tell() -> None:
    assert next_state_on_receipt(S.UNRESOLVED, "delivered") is S.DELIVERED
    assert next_state_on_receipt(S.UNKNOWN, "sent") is S.SENT


@pytest.mark.parametrize("status", ["", "partially_delivered", "DELIVERED?", "x" * 500])
def test_a_status_we_do_not_know_changes_nothing(status: str) -> None:
    assert find_receipt_state(status) is None
    assert next_state_on_receipt(S.SENDING, status) is None


@given(st.lists(st.sampled_from(STATUSES), max_size=12))
def test_receipts_in_any_order_end_where_the_furthest_one_says(statuses: list[str]) -> None:
    state, rank = S.SENDING, {S.SENDING: 0, S.ACCEPTED: 1, S.SENT: 2}
    for status in statuses:
        following = next_state_on_receipt(state, status)
        if following is not None:
            assert rank.get(following, 3) > rank.get(state, 3) or state in rank
            state = following

    assert state in ON_ITS_WAY or state in FINAL
    if "delivered" in statuses and not {"undelivered", "failed", "canceled", "read"} & set(statuses):
        assert state is S.DELIVERED
