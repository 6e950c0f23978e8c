"""People whose day is to be planned: claimed under lock, with all that may speak on it and already does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.orm import Session

from service.domain.day_plan import Candidate, DayCounts, PlannedText
from service.domain.delivery import ON_ITS_WAY, STOPPABLE, MessageState
from service.domain.kinds import ASKING_KINDS, KIND_RULES, MessageKind
from service.domain.local_time import local_date
from service.domain.program import LatePolicy
from service.store.base import table_of
from service.store.bulk import ForMany, is_one_of
from service.store.messages import Message
from service.store.participants import Participant, ParticipantStatus
from service.usecases.sending.candidates import (
    DuePerson,
    Sources,
    find_stale,
    person_hours,
)

COUNTED = STOPPABLE | ON_ITS_WAY
"""Texts that count toward a day's and a week's limit: still to go, or surely or possibly gone."""


LIVES_BY = (
    Participant.id,
    Participant.timezone,
    Participant.zone_is_confirmed,
    Participant.area_timezones,
    Participant.window_opens,
    Participant.window_closes,
    Participant.window_opens_sunday,
    Participant.time_of_day,
    Participant.language,
    Participant.planned_through,
    Participant.status,
)
"""What of a participant decides their days."""


@dataclass(frozen=True, slots=True)
class VoidText:
    """A text that waits for something that was changed since. `planned_on` is the day to plan again."""

    message_id: int
    reason: str
    planned_on: date


@dataclass(slots=True)
class ExistingTexts:
    """What a person's days already hold: keys of texts, and the local dates of capped ones.

    `seated` are capped texts that wait for their day, and may lose their place to one of higher precedence;
    they are not in `capped`. `void` are those that no longer stand; they are in neither. `asked` are the
    dates that have a question, waiting or gone.
    """

    keys: set[str] = field(default_factory=set)
    capped: list[date] = field(default_factory=list)
    seated: dict[date, list[PlannedText]] = field(default_factory=lambda: defaultdict(list))
    void: list[VoidText] = field(default_factory=list)
    asked: set[date] = field(default_factory=set)

    def count_on(self, on: date) -> DayCounts:
        """Capped texts of the day and its week that cannot lose their place on this day."""
        monday = on - timedelta(days=on.weekday())
        days = self.capped
        if self.seated:
            days = days + [day for day, texts in self.seated.items() if day != on for _ in texts]
        return DayCounts(
            today=sum(1 for day in days if day == on),
            this_week=sum(1 for day in days if monday <= day < monday + timedelta(days=7)),
        )


def claim_people(
    session: Session,
    now: datetime,
    size: int,
    claimed: list[int] | None = None,
    *,
    only_id: int | None = None,
) -> dict[int, DuePerson]:
    """Lock up to `size` people who are due, skipping those that others hold, and read how they live.

    Their ids are put into `claimed` before anything of theirs is read that could be wrong.
    """
    query = (
        select(*LIVES_BY)
        .where(Participant.next_plan_at <= now)
        .order_by(Participant.next_plan_at)
        .limit(size)
        .with_for_update(skip_locked=True, key_share=True)
    )
    if only_id is not None:
        query = query.where(Participant.id == only_id)
    rows = session.execute(query).all()
    if claimed is not None:
        claimed += [row.id for row in rows]
    return {row.id: as_due_person(row) for row in rows}


def as_due_person(row: Any) -> DuePerson:
    """A participant row as planning sees it, with the columns of `LIVES_BY`. Raises for an unknown zone."""
    zones, window = person_hours(row)
    return DuePerson(
        id=row.id,
        hours_zones=zones,
        window=window,
        time_of_day=row.time_of_day,
        language=row.language,
        planned_through=row.planned_through,
        is_active=row.status == ParticipantStatus.ACTIVE,
    )


_MESSAGES = table_of(Message)
_STANDING = ForMany(
    lambda one_of: select(
        _MESSAGES.c.id,
        _MESSAGES.c.participant_id,
        _MESSAGES.c.dedupe_key,
        _MESSAGES.c.kind,
        _MESSAGES.c.state,
        _MESSAGES.c.local_on,
        case(
            (
                _MESSAGES.c.state.in_(ON_ITS_WAY),
                func.coalesce(_MESSAGES.c.accepted_at, _MESSAGES.c.send_after),
            ),
            (_MESSAGES.c.due_at != _MESSAGES.c.send_after, _MESSAGES.c.due_at),
        ).label("other_time"),
    ).where(
        one_of(_MESSAGES.c.participant_id),
        _MESSAGES.c.state != MessageState.CANCELED,
        _MESSAGES.c.local_on >= bindparam("since"),
    )
)


def load_existing(
    session: Session, people: dict[int, DuePerson], sources: Sources
) -> dict[int, ExistingTexts]:
    """What stands in each person's days already.

    A text that waits counts for the day to which it was put off; one that left, for the day on which it did
    (asking about it later moves its `due_at`), as it does when texts are let go.
    """
    existing: dict[int, ExistingTexts] = defaultdict(ExistingTexts)
    oldest = min((person.planned_through or date.max) for person in people.values())
    since = oldest - timedelta(days=8) if oldest != date.max else date.min
    rows = _STANDING.run(session, people, since=since).all()
    waiting = _load_waiting(session, [row.id for row in rows if row.state in STOPPABLE])
    for row in rows:
        mine, person = existing[row.participant_id], people[row.participant_id]
        text = waiting.get(row.id)
        if text is not None and (reason := find_stale(person, sources, text.source, text.source_version)):
            mine.void.append(VoidText(row.id, reason, planned_on(row.dedupe_key, row.local_on)))
            continue
        mine.keys.add(row.dedupe_key)
        if row.state in COUNTED and KIND_RULES[MessageKind(row.kind)].is_capped and row.local_on:
            on = local_date(row.other_time, person.zone) if row.other_time else row.local_on
            if row.kind in ASKING_KINDS:
                mine.asked.add(on)
            if text is not None and text.state is MessageState.PLANNED and not text.tries:
                mine.seated[on].append(_as_planned(text, on))
            else:
                mine.capped.append(on)
    return existing


def planned_on(key: str, local_on: date | None) -> date:
    """The local date whose plan a text belongs to, by its key; `local_on` when that is earlier.

    A text that a cap pushed out counts for a later date; a reminder's key names the date of the meeting.
    """
    by_key = date.fromisoformat(key.split(":")[2])
    return min(by_key, local_on) if local_on else by_key


def _load_waiting(session: Session, ids: Sequence[int]) -> dict[int, Any]:
    """More of the few texts that have not left yet."""
    if not ids:
        return {}
    query = select(
        Message.id,
        Message.dedupe_key,
        Message.source,
        Message.source_version,
        Message.kind,
        Message.text_id,
        Message.check_in_id,
        Message.late,
        Message.state,
        Message.send_after,
        Message.send_before,
        Message.due_at,
        Message.tries,
    ).where(is_one_of(session, Message.id, ids))
    return {row.id: row for row in session.execute(query)}


def _as_planned(row: Any, on: date) -> PlannedText:
    candidate = Candidate(
        key=row.dedupe_key,
        source=row.source,
        source_version=row.source_version,
        kind=MessageKind(row.kind),
        text_id=row.text_id,
        check_in_id=row.check_in_id,
        late=LatePolicy(row.late),
        at=row.send_after,
    )
    return PlannedText(
        candidate=candidate,
        send_after=row.send_after,
        send_before=row.send_before,
        due_at=row.due_at,
        local_on=on,
        state=MessageState.PLANNED,
        reason=None,
        message_id=row.id,
    )
