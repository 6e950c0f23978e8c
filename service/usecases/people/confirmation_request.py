"""The text that asks to confirm a sign-up on the website: whether it may be planned, and planning it.

Called inside the transaction of `join_by_web`, with the participant's row locked.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.domain.confirmation_requests import LINE_WINDOW, EarlierRequest, RequestFacts
from service.domain.delivery import STOPPABLE, MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.local_time import local_date
from service.store.consent import ConsentChannel, ConsentEvent, ConsentKind
from service.store.inbound import InboundMessage, TaskKind, add_task, has_open_task
from service.store.messages import Attempt, Message
from service.store.participants import Participant
from service.store.service_state import count_recent, record_use
from service.store.wake import wake_workers
from service.usecases.people.wording import OPT_IN_REQUEST

REQUEST_USEFUL_FOR = timedelta(hours=48)
LINE_FULL_REASON = "sign_up_limit_reached"
LINE_REQUESTS = "join-requests"


def read_request_facts(session: Session, participant: Participant | None, now: datetime) -> RequestFacts:
    """What is known about requests to this person (None: nobody we know) and by the whole line."""
    line_count = count_recent(session, LINE_REQUESTS, now - LINE_WINDOW)
    if participant is None:
        return RequestFacts(line_count=line_count)
    return RequestFacts(
        earlier=_list_earlier(session, participant.id),
        heard_at=_find_heard_at(session, participant.id),
        line_count=line_count,
    )


def _list_earlier(session: Session, participant_id: int) -> list[EarlierRequest]:
    tried_at = select(func.max(Attempt.started_at)).where(Attempt.message_id == Message.id).scalar_subquery()
    query = select(Message.created_at, tried_at, Message.state).where(
        Message.participant_id == participant_id,
        Message.text_id == OPT_IN_REQUEST,
        # What answers the person's own JOIN was asked for by themselves.
        Message.inbound_id.is_(None),
    )
    return [EarlierRequest(*row) for row in session.execute(query)]


def _find_heard_at(session: Session, participant_id: int) -> datetime | None:
    texted = select(func.max(InboundMessage.received_at)).where(
        InboundMessage.participant_id == participant_id
    )
    documented = select(func.max(ConsentEvent.recorded_at)).where(
        ConsentEvent.participant_id == participant_id,
        or_(
            ConsentEvent.kind == ConsentKind.DOCUMENTED,
            and_(
                ConsentEvent.kind == ConsentKind.ASKED,
                ConsentEvent.channel.in_((ConsentChannel.IMPORT, ConsentChannel.STAFF)),
            ),
        ),
    )
    moments: list[datetime | None] = [session.scalars(query).one() for query in (texted, documented)]
    return max((moment for moment in moments if moment is not None), default=None)


def plan_request(session: Session, participant: Participant, program_id: str, now: datetime) -> bool:
    """Plan the text; False if the person's local day has one already.

    The unique key holds it to one a day even where two transactions read the same facts.
    """
    today = local_date(now, ZoneInfo(participant.timezone))
    row = {
        "participant_id": participant.id,
        "dedupe_key": f"j{participant.id}:{today.isoformat()}:opt-in",
        "source": f"j{participant.id}",
        "source_version": 1,
        "kind": MessageKind.ADMIN,
        "lane": KIND_RULES[MessageKind.ADMIN].lane,
        "text_id": OPT_IN_REQUEST,
        "fields": {"program": program_id},
        "late": "send",
        "local_on": today,
        "send_after": now,
        "send_before": now + REQUEST_USEFUL_FOR,
        "due_at": now,
        "state": MessageState.PLANNED,
        "tries": 0,
        "created_at": now,
    }
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    added = insert(Message).values(**row).on_conflict_do_nothing().returning(Message.id)
    if session.execute(added).first() is None:
        return False
    wake_workers(session)
    record_use(session, LINE_REQUESTS, now)
    return True


def has_unsent_request(session: Session, participant_id: int) -> bool:
    """Whether the newest request for consent is still to go: nobody has read it, and nothing answers it."""
    query = (
        select(Message.state, Message.tries)
        .where(
            Message.participant_id == participant_id,
            Message.text_id == OPT_IN_REQUEST,
            Message.state != MessageState.CANCELED,
        )
        .order_by(Message.id.desc())
    )
    newest = session.execute(query.limit(1)).first()
    return newest is not None and newest.state in STOPPABLE and newest.tries == 0


def tell_line_is_full(session: Session, now: datetime) -> None:
    """Put it on the staff list that sign-ups get no text, unless it is there already."""
    if not has_open_task(session, None, LINE_FULL_REASON):
        add_task(session, TaskKind.SIGN_UP_PAGE, LINE_FULL_REASON, now)
