"""The end of handling a text: what it was taken as, and the answer that rides in the webhook's response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, BindParameter, Insert, Integer, String, bindparam, insert, literal, select, update
from sqlalchemy.orm import Session

from service.domain.delivery import MessageState
from service.store.base import table_of
from service.store.database import RealTimeIn
from service.store.inbound import InboundMessage, Task, TaskKind, add_task
from service.store.messages import Attempt, Message, MessageEvent
from service.store.types import UtcInstant

_INBOUND, _TASKS = table_of(InboundMessage), table_of(Task)
_MESSAGES, _ATTEMPTS, _EVENTS = table_of(Message), table_of(Attempt), table_of(MessageEvent)
ANSWER = "answer"
"""Why such a message is there: it answers a text of the person's."""

_MESSAGE_COLUMNS = (
    *("participant_id", "inbound_id", "dedupe_key", "source", "source_version", "kind", "lane", "text_id"),
    *("text_version", "late", "body", "recipient", "send_after", "send_before", "due_at", "created_at"),
    "segments",
)


@dataclass(frozen=True, slots=True)
class RidingAnswer:
    """An answer that is on its way with the response; `values` are columns of its message, without its names.

    Its receipt is expected within `lease_seconds`, by the database's clock.
    """

    values: dict[str, Any]
    reference: str
    started_at: datetime
    lease_seconds: int


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a stored text was taken as, the XML that answers it and every repeat, and what staff should do."""

    participant_id: int | None
    meaning: str
    answer: str
    tasks: Sequence[tuple[TaskKind, str]] = ()
    is_faulty: bool = False


# Built once, like every statement of the webhook's path: building costs more than running.
_ADD_MESSAGE = (
    insert(_MESSAGES)
    .values(
        **{name: bindparam(f"m_{name}") for name in _MESSAGE_COLUMNS},
        state=MessageState.SENDING,
        reason=ANSWER,
        tries=1,
        lease_until=RealTimeIn(bindparam("lease_seconds", type_=Integer)),
    )
    .returning(_MESSAGES.c.id)
)
_ADD_ATTEMPT = insert(_ATTEMPTS)
_ADD_EVENT = insert(_EVENTS)
_ADD_TASK = insert(_TASKS).values(
    kind=bindparam("task_kind"),
    reason=bindparam("task_reason"),
    participant_id=bindparam("new_participant_id"),
    inbound_id=bindparam("to_finish"),
    created_at=bindparam("task_at"),
)
_FINISH = (
    update(_INBOUND)
    .where(_INBOUND.c.id == bindparam("to_finish"))
    .values({name: bindparam(f"new_{name}") for name in ("participant_id", "meaning", "answer", "is_faulty")})
)


def _add_attempt_of(message: CTE) -> Insert:
    columns = ["message_id", "number", "channel", "reference", "started_at"]
    values = (
        message.c.id,
        literal(1),
        literal("twiml"),
        bindparam("reference", type_=String),
        bindparam("started_at", type_=UtcInstant),
    )
    return _ADD_ATTEMPT.from_select(columns, select(*values))


def add_first_event(message: CTE, at: BindParameter[datetime]) -> Insert:
    """The first line in the trail of an answer that rides along."""
    columns = ["message_id", "at", "to_state", "reason"]
    values = message.c.id, at, literal(str(MessageState.SENDING)), literal(ANSWER)
    return insert(_EVENTS).from_select(columns, select(*values))


_MESSAGE_CTE = _ADD_MESSAGE.cte("new_message")
_ATTEMPT_CTE = _add_attempt_of(_MESSAGE_CTE).cte("new_attempt")
_EVENT_CTE = add_first_event(_MESSAGE_CTE, bindparam("started_at", type_=UtcInstant)).cte("new_event")
_TASK_CTE = _ADD_TASK.cte("new_task")
_FINISH_AT_ONCE = {
    (False, False): _FINISH,
    (True, False): _FINISH.add_cte(_ATTEMPT_CTE, _EVENT_CTE),
    (False, True): _FINISH.add_cte(_TASK_CTE),
    (True, True): _FINISH.add_cte(_ATTEMPT_CTE, _EVENT_CTE, _TASK_CTE),
}
"""With an answer, with a task: on PostgreSQL the end of a text is one statement in place of up to five."""


def name_answer(inbound_id: int) -> dict[str, object]:
    """What ties an answer to its text and makes it the only one."""
    source = f"i{inbound_id}"
    return {"inbound_id": inbound_id, "source": source, "dedupe_key": f"{source}:answer"}


def finish_inbound(
    session: Session,
    inbound_id: int,
    conclusion: Conclusion,
    now: datetime,
    riding: RidingAnswer | None = None,
) -> None:
    """Record how a stored text ended. With an answer, its message and try are stored as on their way."""
    connection = session.connection()
    first_task, *more_tasks = conclusion.tasks or (None,)
    values: dict[str, Any] = {
        "to_finish": inbound_id,
        "new_participant_id": conclusion.participant_id,
        "new_meaning": conclusion.meaning,
        "new_answer": conclusion.answer,
        "new_is_faulty": conclusion.is_faulty,
    }
    task: dict[str, Any] = {}
    if first_task is not None:
        task = {"task_kind": first_task[0], "task_reason": first_task[1], "task_at": now}
    message: dict[str, Any] = {}
    attempt: dict[str, Any] = {}
    if riding is not None:
        columns = riding.values | name_answer(inbound_id)
        message = {f"m_{name}": value for name, value in columns.items()}
        message["lease_seconds"] = riding.lease_seconds
        attempt = {"reference": riding.reference, "started_at": riding.started_at}
    if connection.dialect.name == "postgresql":
        connection.execute(_FINISH_AT_ONCE[bool(message), bool(task)], values | task | message | attempt)
    else:
        if message:
            message_id = connection.execute(_ADD_MESSAGE, message).scalar_one()
            attempt |= {"message_id": message_id, "number": 1, "channel": "twiml"}
            connection.execute(_ADD_ATTEMPT, attempt)
            first = {"message_id": message_id, "at": attempt["started_at"]}
            connection.execute(_ADD_EVENT, first | {"to_state": MessageState.SENDING, "reason": ANSWER})
        if task:
            connection.execute(_ADD_TASK, values | task)
        connection.execute(_FINISH, values)
    for kind, reason in more_tasks:
        add_task(session, kind, reason, now, participant_id=conclusion.participant_id, inbound_id=inbound_id)
