"""The life of one intended text: its states, what may follow what, and why.

A text is *intended* once (its dedupe key says for what), tried at most a few times, and ends in a state
that says whether it surely went out, surely did not, or nobody can tell. An unclear answer is a state of
its own, `UNKNOWN`, and is never the reason to send again.
"""

from __future__ import annotations

from enum import StrEnum


class MessageState(StrEnum):
    """Where an intended text stands."""

    PLANNED = "planned"
    HELD = "held"
    CLAIMED = "claimed"
    SENDING = "sending"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    UNRESOLVED = "unresolved"
    CANCELED = "canceled"
    EXPIRED = "expired"


_S = MessageState
_HAS_ARRIVED = frozenset({_S.ACCEPTED, _S.SENT, _S.DELIVERED})

TRANSITIONS: dict[MessageState, frozenset[MessageState]] = {
    _S.PLANNED: frozenset({_S.CLAIMED, _S.HELD, _S.CANCELED, _S.EXPIRED}) | _HAS_ARRIVED,
    _S.HELD: frozenset({_S.PLANNED, _S.CLAIMED, _S.CANCELED, _S.EXPIRED}) | _HAS_ARRIVED,
    _S.CLAIMED: frozenset({_S.SENDING, _S.PLANNED, _S.HELD, _S.CANCELED, _S.EXPIRED, _S.FAILED})
    | _HAS_ARRIVED,
    _S.SENDING: frozenset(
        {_S.ACCEPTED, _S.SENT, _S.DELIVERED, _S.UNDELIVERED, _S.FAILED, _S.REJECTED, _S.UNKNOWN}
    ),
    _S.ACCEPTED: frozenset({_S.SENT, _S.DELIVERED, _S.UNDELIVERED, _S.FAILED}),
    _S.SENT: frozenset({_S.DELIVERED, _S.UNDELIVERED, _S.FAILED}),
    _S.DELIVERED: frozenset(),
    _S.UNDELIVERED: frozenset({_S.PLANNED}),
    _S.FAILED: frozenset({_S.PLANNED}) | _HAS_ARRIVED,
    _S.REJECTED: frozenset({_S.PLANNED, _S.FAILED, _S.CANCELED}),
    _S.UNKNOWN: frozenset(
        {
            _S.ACCEPTED,
            _S.SENT,
            _S.DELIVERED,
            _S.UNDELIVERED,
            _S.FAILED,
            _S.PLANNED,
            _S.UNRESOLVED,
        }
    ),
    _S.UNRESOLVED: frozenset({_S.ACCEPTED, _S.SENT, _S.DELIVERED, _S.UNDELIVERED, _S.FAILED}),
    _S.CANCELED: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""What may follow what. `UNRESOLVED` still accepts a late receipt: a fact beats a shrug. A text that
waits to be tried again ends as delivered when its last try turns out to have arrived after all; one that
waits because its try was looked up and not found (or failed because of that) also goes back to accepted or
sent, as soon as the provider says that it has it: see `next_state_on_receipt`."""

_ONLY_AFTER_ABSENCE: dict[MessageState, frozenset[MessageState]] = {
    _S.PLANNED: frozenset({_S.ACCEPTED, _S.SENT}),
    _S.HELD: frozenset({_S.ACCEPTED, _S.SENT}),
    _S.CLAIMED: frozenset({_S.ACCEPTED, _S.SENT}),
    _S.FAILED: _HAS_ARRIVED,
}

WAITING = frozenset({_S.PLANNED, _S.HELD})
"""Nothing has left the building and nobody is working on it."""

STOPPABLE = frozenset({_S.PLANNED, _S.HELD, _S.CLAIMED})
"""May still be canceled by an opt-out, a pause or an edit."""

ON_ITS_WAY = frozenset({_S.SENDING, _S.ACCEPTED, _S.SENT, _S.DELIVERED, _S.UNKNOWN, _S.UNRESOLVED})
"""Surely or possibly on the person's phone: counts toward the caps."""

FINAL = frozenset({_S.DELIVERED, _S.UNDELIVERED, _S.FAILED, _S.CANCELED, _S.EXPIRED, _S.UNRESOLVED})
"""No further step of ours is planned from here."""

_RECEIPT_STATES: dict[str, MessageState] = {
    "accepted": _S.ACCEPTED,
    "scheduled": _S.ACCEPTED,
    "queued": _S.ACCEPTED,
    "sending": _S.ACCEPTED,
    "sent": _S.SENT,
    "delivered": _S.DELIVERED,
    "read": _S.DELIVERED,
    "undelivered": _S.UNDELIVERED,
    "failed": _S.FAILED,
    "canceled": _S.FAILED,
}
"""The provider's message statuses. Receipts arrive late, doubled and out of order (provider guide on
status callbacks), so a state is only ever moved forward."""


class IllegalTransitionError(Exception):
    """A message was asked to make a step that its life does not have."""


def may_follow(current: MessageState, following: MessageState) -> bool:
    """Say whether a message in `current` may step to `following`."""
    return following in TRANSITIONS[current]


def check_transition(current: MessageState, following: MessageState) -> None:
    """Raise IllegalTransitionError unless the step is in the table."""
    if not may_follow(current, following):
        raise IllegalTransitionError(f"a message cannot go from {current} to {following}")


def find_receipt_state(status: str) -> MessageState | None:
    """Translate a provider's status word; None for one we do not know."""
    return _RECEIPT_STATES.get(status)


def next_state_on_receipt(
    current: MessageState, status: str, *, was_absent: bool = False
) -> MessageState | None:
    """Return the state a receipt moves the message to, or None if it moves nothing.

    A receipt that repeats, or that tells of an earlier stage than the one already known, moves nothing.
    `was_absent`: the try was looked up twice and not found. If the provider then says that it has it after
    all, the text must not go out again. Without that, a text that waits for another try had one that surely
    failed, and an early stage of it told late stops nothing.
    """
    following = find_receipt_state(status)
    if following is None or not may_follow(current, following):
        return None
    if not was_absent and following in _ONLY_AFTER_ABSENCE.get(current, ()):
        return None
    return following
