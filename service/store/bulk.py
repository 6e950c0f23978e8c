"""Statements over many rows at once, as each engine does them best."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Result,
    ScalarResult,
    Select,
    String,
    Text,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import TypeDecorator, TypeEngine

from service.domain.delivery import MessageState
from service.store.base import table_of
from service.store.messages import Message, MessageEvent
from service.store.participants import Participant, ParticipantStatus
from service.store.wake import wake_workers


class _Array(TypeDecorator[Collection[Any]]):
    """An array of ids, dates or instants, handed over as the text of one.

    Item by item takes the client four times as long.
    """

    impl = ARRAY
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:  # noqa: ARG002
        """What makes the text."""
        return lambda items: "{" + ",".join("NULL" if item is None else str(item) for item in items) + "}"


_PARTICIPANTS, _MESSAGES, _EVENTS = table_of(Participant), table_of(Message), table_of(MessageEvent)
_moves = func.unnest(
    bindparam("ids", type_=_Array(BigInteger)),
    bindparam("through", type_=_Array(Date)),
    bindparam("next_at", type_=_Array(DateTime(timezone=True))),
).table_valued("id", "through", "next_at", name="moves")
_MOVES = _moves.render_derived()
_MOVE_ALL = (
    update(_PARTICIPANTS)
    .where(_PARTICIPANTS.c.id == _MOVES.c.id)
    .values(planned_through=_MOVES.c.through, next_plan_at=_MOVES.c.next_at)
)
_MOVE_EACH = (
    update(_PARTICIPANTS)
    .where(_PARTICIPANTS.c.id == bindparam("b_id"))
    .values(planned_through=bindparam("b_through"), next_plan_at=bindparam("b_next_at"))
)


def is_one_of(
    session: Session, column: InstrumentedAttribute[Any] | ColumnElement[Any], values: Collection[int | str]
) -> ColumnElement[bool]:
    """Whether a column is one of many: on PostgreSQL one array in place of hundreds of parameters."""
    if session.get_bind().dialect.name == "sqlite":
        return column.in_(values)
    if isinstance(column.type, String):
        return column == any_(literal(list(values), ARRAY(Text)))
    return column == any_(literal(list(values), _Array(BigInteger)))


OneOf = Callable[[ColumnElement[Any] | InstrumentedAttribute[Any]], ColumnElement[bool]]


class ForMany:
    """A statement about many values, built once for each engine: building costs more than running.

    `build` is given what makes the condition "this column is one of the values"; whatever else changes from
    one run to the next is a parameter of its own.
    """

    def __init__(self, build: Callable[[OneOf], Select[Any]], values: TypeEngine[Any] | None = None) -> None:
        one_of = bindparam("values", type_=ARRAY(values) if values else _Array(BigInteger))
        self._postgresql = build(lambda column: column == any_(one_of))
        self._sqlite = build(lambda column: column.in_(bindparam("values", expanding=True)))

    def run(self, session: Session, values: Collection[int | str], **parameters: Any) -> Result[Any]:
        """Run it for rows, flushing no objects of the session."""
        return session.connection().execute(self._statement(session), {"values": list(values), **parameters})

    def load(self, session: Session, values: Collection[int | str], **parameters: Any) -> ScalarResult[Any]:
        """Run it for objects of the session."""
        return session.scalars(self._statement(session), {"values": list(values), **parameters})

    def _statement(self, session: Session) -> Select[Any]:
        return self._sqlite if session.get_bind().dialect.name == "sqlite" else self._postgresql


_PLANNED_COLUMNS = (
    *("participant_id", "dedupe_key", "source", "source_version", "kind", "lane", "text_id", "check_in_id"),
    *("late", "local_on", "send_after", "send_before", "due_at", "state", "reason", "final_at"),
)
_PLANNED = (
    func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    .table_valued(*(column(name, _MESSAGES.c[name].type) for name in _PLANNED_COLUMNS), name="planned")
    .render_derived(with_types=True)
)
_CREATED_AT = bindparam("created_at", type_=DateTime(timezone=True))
_ADDED = (
    postgresql.insert(_MESSAGES)
    .from_select(
        [*_PLANNED_COLUMNS, "tries", "created_at"],
        select(*_PLANNED.c, literal(0), _CREATED_AT),
    )
    .on_conflict_do_nothing()
    .returning(_MESSAGES.c.id, _MESSAGES.c.state, _MESSAGES.c.reason)
    .cte("added")
)
_ADD_PLANNED = select(literal(1)).add_cte(
    insert(_EVENTS)
    .from_select(
        ["message_id", "at", "to_state", "reason"],
        select(_ADDED.c.id, _CREATED_AT, _ADDED.c.state, _ADDED.c.reason).where(
            _ADDED.c.state != MessageState.PLANNED
        ),
    )
    .cte("told")
)
"""A text that is held or too late from the start keeps the reason in its trail, whatever comes after."""


def add_planned(session: Session, rows: Sequence[dict[str, Any]], now: datetime) -> None:
    """Insert texts that are not there yet; the unique key, not a check before it, prevents doubles."""
    if session.get_bind().dialect.name == "sqlite":
        _add_each(session, rows, now)
        return
    session.connection().execute(_ADD_PLANNED, {"rows": json.dumps(rows, default=str), "created_at": now})


def _add_each(session: Session, rows: Sequence[dict[str, Any]], now: datetime) -> None:
    connection = session.connection()
    statement = sqlite.insert(_MESSAGES).on_conflict_do_nothing()
    whole = [{**row, "tries": 0, "created_at": now} for row in rows]
    if planned := [row for row in whole if row["state"] is MessageState.PLANNED]:
        connection.execute(statement, planned)
    for row in whole:
        if row["state"] is MessageState.PLANNED:
            continue
        added = connection.execute(statement.returning(_MESSAGES.c.id), row).scalar()
        if added is not None:
            event = {"message_id": added, "at": now, "to_state": row["state"], "reason": row["reason"]}
            connection.execute(insert(_EVENTS), event)


def move_planning(session: Session, moves: Sequence[tuple[int, date, datetime | None]]) -> None:
    """Set, for each participant id, through which local date they are planned and when to plan them next."""
    if session.get_bind().dialect.name == "sqlite":
        rows = [{"b_id": one, "b_through": through, "b_next_at": at} for one, through, at in moves]
        session.connection().execute(_MOVE_EACH, rows)
        return
    ids, through, next_at = (list(values) for values in zip(*moves, strict=True))
    session.connection().execute(_MOVE_ALL, {"ids": ids, "through": through, "next_at": next_at})


_CLOCKS_DIFFER_BY = timedelta(minutes=5)


def lower_planning(
    session: Session, wanted: Sequence[ColumnElement[bool]], moments: Mapping[str, datetime], now: datetime
) -> None:
    """Plan active people no later than at the moment of their zone.

    They are locked first, in the order that all keep. So are those who are due already: somebody may be
    planning them by what stood before, and would move them on to a later day after this.
    """
    at = case(dict(moments), value=_PARTICIPANTS.c.timezone)
    due_at = _PARTICIPANTS.c.next_plan_at
    is_later = or_(due_at.is_(None), due_at > at)
    ids = session.scalars(
        select(_PARTICIPANTS.c.id)
        .where(
            *wanted,
            _PARTICIPANTS.c.status == ParticipantStatus.ACTIVE,
            _PARTICIPANTS.c.timezone.in_(moments),
            or_(is_later, due_at <= now + _CLOCKS_DIFFER_BY),
        )
        .order_by(_PARTICIPANTS.c.id)
        .with_for_update(key_share=True)
    ).all()
    if ids:
        lowered = update(_PARTICIPANTS).where(is_one_of(session, _PARTICIPANTS.c.id, ids), is_later)
        session.execute(lowered.values(next_plan_at=at))
        wake_workers(session)
