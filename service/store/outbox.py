"""Many texts a step: what is claimed, let go and settled in bulk, as each engine does it best.

Each of these changes the state of texts and writes the trail in the same statement or transaction, always
together. The caller has checked, under lock or by the condition named, that the step is one a text may take.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from sqlalchemy import CTE, Float, Integer, bindparam, func, insert, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from service.domain.delivery import MessageState
from service.store.base import table_of
from service.store.bulk import is_one_of
from service.store.database import RealTimeIn
from service.store.messages import LIST_DUE, LOCK_DUE, Attempt, Message, MessageEvent
from service.store.participants import Participant
from service.store.types import keyring_of

_MESSAGES, _ATTEMPTS = table_of(Message), table_of(Attempt)
_EVENTS, _PARTICIPANTS = table_of(MessageEvent), table_of(Participant)


def _claim(due: CTE) -> ReturningUpdate[tuple[int]]:
    return (
        update(_MESSAGES)
        .where(_MESSAGES.c.id.in_(select(due.c.id)))
        .values(
            state=MessageState.CLAIMED,
            claim_token=bindparam("claim_token"),
            lease_until=RealTimeIn(bindparam("lease_seconds", type_=Float)),
        )
        .returning(_MESSAGES.c.id)
    )


_CLAIM_POSTGRESQL, _CLAIM_SQLITE = _claim(LOCK_DUE.cte("due")), _claim(LIST_DUE.cte("due"))


def claim_texts(session: Session, claim_token: str, size: int, now: datetime, lease: timedelta) -> list[int]:
    """Take a lease, by the database's clock, on up to `size` texts that are due at `now`, first lanes first.

    Rows that another worker holds are skipped, not waited for.
    """
    statement = _CLAIM_SQLITE if session.get_bind().dialect.name == "sqlite" else _CLAIM_POSTGRESQL
    values = {"now": now, "size": size, "claim_token": claim_token, "lease_seconds": lease.total_seconds()}
    return [row.id for row in session.connection().execute(statement, values)]


@dataclass(frozen=True, slots=True)
class Departure:
    """A claimed text that is let go: its words, its try, and until when its fate is awaited."""

    message_id: int
    body: str
    text_id: str
    text_version: int
    segments: int
    number: int
    reference: str
    lease_until: datetime


_DEPART = text(
    """
    WITH gone AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r (
            message_id bigint, body text, text_id varchar, text_version integer, segments smallint,
            number smallint, reference varchar, lease_until timestamptz)
    ), moved AS (
        UPDATE messages AS m
        SET state = 'sending', reason = NULL, body = gone.body, text_id = gone.text_id,
            text_version = gone.text_version, segments = gone.segments, tries = gone.number,
            lease_until = gone.lease_until,
            recipient = COALESCE(
                (SELECT p.phone FROM participants AS p WHERE p.id = m.participant_id), m.recipient)
        FROM gone WHERE m.id = gone.message_id
    ), told AS (
        INSERT INTO message_events (message_id, at, from_state, to_state)
        SELECT message_id, :now, 'claimed', 'sending' FROM gone
    )
    INSERT INTO attempts (message_id, number, channel, reference, started_at)
    SELECT message_id, number, 'api', reference, :now FROM gone
    RETURNING message_id, id
    """
)
_DEPART_ONE = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"))
    .values(
        state=MessageState.SENDING,
        reason=None,
        body=bindparam("b_body"),
        text_id=bindparam("b_text_id"),
        text_version=bindparam("b_text_version"),
        segments=bindparam("b_segments"),
        tries=bindparam("b_number"),
        lease_until=bindparam("b_lease_until"),
        # The number is copied as it is stored, encrypted, and not opened for it.
        recipient=func.coalesce(
            select(_PARTICIPANTS.c.phone)
            .where(_PARTICIPANTS.c.id == _MESSAGES.c.participant_id)
            .scalar_subquery(),
            _MESSAGES.c.recipient,
        ),
    )
)


_TRY = insert(_ATTEMPTS).returning(_ATTEMPTS.c.id, _ATTEMPTS.c.message_id)
_TELL = insert(_EVENTS)
_STANDING = select(_MESSAGES.c.id, _MESSAGES.c.claim_token).where(
    _MESSAGES.c.id.in_(bindparam("ids", expanding=True)), _MESSAGES.c.state == MessageState.SENDING
)
_ARRIVE_ONE = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"))
    .values(
        state=MessageState.ACCEPTED,
        reason=None,
        accepted_at=bindparam("b_now"),
        claim_token=None,
        lease_until=None,
        segments=func.coalesce(bindparam("b_segments", type_=Integer), _MESSAGES.c.segments),
    )
)
_TRY_TAKEN = (
    update(_ATTEMPTS)
    .where(_ATTEMPTS.c.id == bindparam("b_id"))
    .values(outcome="accepted", finished_at=bindparam("b_now"), provider_message_id=bindparam("b_named"))
)


def depart(session: Session, departures: Sequence[Departure], now: datetime) -> dict[int, int]:
    """Move claimed texts to `sending` with a try each; returns the try's id by the text's."""
    if not departures:
        return {}
    if session.get_bind().dialect.name == "postgresql":
        encrypt = keyring_of(session.get_bind().dialect).encrypt
        rows = [
            {
                "message_id": one.message_id,
                "body": encrypt(one.body),
                "text_id": one.text_id,
                "text_version": one.text_version,
                "segments": one.segments,
                "number": one.number,
                "reference": one.reference,
                "lease_until": one.lease_until.isoformat(),
            }
            for one in departures
        ]
        found = session.connection().execute(_DEPART, {"rows": json.dumps(rows), "now": now})
        return {row.message_id: row.id for row in found}
    return _depart_each(session, departures, now)


def _depart_each(session: Session, departures: Sequence[Departure], now: datetime) -> dict[int, int]:
    connection = session.connection()
    connection.execute(
        _DEPART_ONE,
        [
            {
                "b_id": one.message_id,
                "b_body": one.body,
                "b_text_id": one.text_id,
                "b_text_version": one.text_version,
                "b_segments": one.segments,
                "b_number": one.number,
                "b_lease_until": one.lease_until,
            }
            for one in departures
        ],
    )
    tries = [
        {
            "message_id": one.message_id,
            "number": one.number,
            "channel": "api",
            "reference": one.reference,
            "started_at": now,
        }
        for one in departures
    ]
    steps = [
        {"message_id": one.message_id, "at": now, "from_state": "claimed", "to_state": "sending"}
        for one in departures
    ]
    connection.execute(_TELL, steps)
    return {row.message_id: row.id for row in connection.execute(_TRY, tries)}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A text that the provider took, named by it, as told by the worker that holds `claim_token`."""

    message_id: int
    attempt_id: int
    claim_token: str
    provider_message_id: str
    segments: int | None


_ARRIVE = text(
    """
    WITH taken AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r (
            message_id bigint, attempt_id bigint, claim_token varchar, provider_message_id varchar,
            segments smallint)
    ), moved AS (
        UPDATE messages AS m
        SET state = 'accepted', reason = NULL, accepted_at = :now, claim_token = NULL, lease_until = NULL,
            segments = COALESCE(taken.segments, m.segments)
        FROM taken
        WHERE m.id = taken.message_id AND m.state = 'sending' AND m.claim_token = taken.claim_token
        RETURNING m.id, taken.attempt_id, taken.provider_message_id
    ), tried AS (
        UPDATE attempts AS a
        SET outcome = 'accepted', finished_at = :now, provider_message_id = moved.provider_message_id
        FROM moved WHERE a.id = moved.attempt_id
    ), told AS (
        INSERT INTO message_events (message_id, at, from_state, to_state)
        SELECT id, :now, 'sending', 'accepted' FROM moved
    )
    SELECT id FROM moved
    """
)


def arrive(session: Session, arrivals: Sequence[Arrival], now: datetime) -> set[int]:
    """Move texts from `sending` to `accepted`; returns the ids of those that stood there, in that claim.

    The others (a receipt was faster, the lease ran out) are left as they are.
    """
    if not arrivals:
        return set()
    if session.get_bind().dialect.name == "postgresql":
        rows = [
            {
                "message_id": one.message_id,
                "attempt_id": one.attempt_id,
                "claim_token": one.claim_token,
                "provider_message_id": one.provider_message_id,
                "segments": one.segments,
            }
            for one in sorted(arrivals, key=attrgetter("message_id"))
        ]
        found = session.connection().execute(_ARRIVE, {"rows": json.dumps(rows), "now": now})
        return {row.id for row in found}
    return _arrive_each(session, arrivals, now)


def _arrive_each(session: Session, arrivals: Sequence[Arrival], now: datetime) -> set[int]:
    """On SQLite, which has one writer: who stands there is read first, and nobody moves it meanwhile."""
    connection = session.connection()
    ids = [one.message_id for one in arrivals]
    standing = {row.id: row.claim_token for row in connection.execute(_STANDING, {"ids": ids})}
    moved = [one for one in arrivals if standing.get(one.message_id) == one.claim_token]
    if not moved:
        return set()
    connection.execute(
        _ARRIVE_ONE, [{"b_id": one.message_id, "b_now": now, "b_segments": one.segments} for one in moved]
    )
    connection.execute(
        _TRY_TAKEN,
        [{"b_id": one.attempt_id, "b_now": now, "b_named": one.provider_message_id} for one in moved],
    )
    steps = [
        {"message_id": one.message_id, "at": now, "from_state": "sending", "to_state": "accepted"}
        for one in moved
    ]
    connection.execute(_TELL, steps)
    return {one.message_id for one in moved}


def give_back(session: Session, ids: Sequence[int]) -> None:
    """Undo the claim of texts for which the sender has no time yet. Nothing happened, so no trail."""
    session.execute(
        update(_MESSAGES)
        .where(is_one_of(session, _MESSAGES.c.id, ids))
        .values(state=MessageState.PLANNED, claim_token=None, lease_until=None)
    )
