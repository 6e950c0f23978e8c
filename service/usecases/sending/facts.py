"""Everything the release decision needs to know about a batch of texts, read under the batch's locks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from service.domain.consent import Standing
from service.domain.delivery import ON_ITS_WAY, MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.local_time import local_date
from service.domain.program import Program
from service.domain.quiet_hours import DEFAULT_WINDOW
from service.domain.release import ReleaseFacts
from service.store.base import table_of
from service.store.bulk import ForMany
from service.store.consent import list_suppressed_hashes
from service.store.conversations import Conversation
from service.store.messages import Message
from service.store.participants import Participant, ParticipantStatus
from service.store.service_state import list_programs, remember_settings
from service.store.staff import list_staff_hashes
from service.usecases.context import Context
from service.usecases.operations.live_mode import find_block, is_trial
from service.usecases.people.wording import OPT_IN_REQUEST, WRITTEN_WELCOME
from service.usecases.sending.candidates import person_hours
from service.usecases.sending.rendering import RenderedText, RenderFault
from service.usecases.sending.void import list_current_versions

_NOT_SURELY_GONE = (
    *(MessageState.PLANNED, MessageState.HELD, MessageState.CLAIMED, MessageState.SENDING),
    MessageState.UNKNOWN,
)
EDITED = "edited"
_UTC = (ZoneInfo("UTC"),)
_STANDINGS = {
    ParticipantStatus.LISTED: Standing.LISTED,
    ParticipantStatus.ASKED: Standing.ASKED,
    ParticipantStatus.ACTIVE: Standing.ACTIVE,
    ParticipantStatus.OPTED_OUT: Standing.OPTED_OUT,
    ParticipantStatus.ERASED: Standing.UNKNOWN,
}


@dataclass(slots=True)
class BatchFacts:
    """Facts shared by a batch. Counts grow as texts of the same batch are let go."""

    now: datetime
    programs: dict[str, Program]
    hashes: dict[int, tuple[str, ...]]
    suppressed: set[str]
    trial_hashes: frozenset[str] | None
    blocked: str | None
    capped: dict[int, list[date]]
    open_until: dict[int, datetime]
    unwelcomed: set[int]
    versions: dict[str, int]
    released_to: dict[int, list[date]] = field(default_factory=lambda: defaultdict(list))
    zones: dict[int, ZoneInfo] = field(default_factory=dict)

    def of(
        self, message: Message, person: Participant | None, rendered: RenderedText | RenderFault
    ) -> ReleaseFacts:
        """The facts about one text. A text to a number without a profile can only be an answer."""
        is_current = self.versions.get(message.source, message.source_version) == message.source_version
        gone = None if is_current else EDITED
        if isinstance(rendered, RenderFault) and rendered.is_final:
            gone = rendered.reason
        if person is None:
            return self._of_stranger(message, gone)
        zones, window = person_hours(person)
        self.zones[person.id] = zones[0]
        days = self.capped.get(person.id, []) + self.released_to[person.id]
        return ReleaseFacts(
            kind=message.kind,
            send_before=message.send_before,
            standing=self._standing(person),
            asks_for_consent=message.text_id == OPT_IN_REQUEST,
            paused_until=person.paused_until,
            window=window,
            zones=zones,
            capped_today=days.count(local_date(self.now, zones[0])),
            capped_this_week=len(days),
            is_reachable_in_trial=self._is_reachable(person.phone_hash),
            blocked=self.blocked,
            asks_question=message.check_in_id is not None,
            open_question_until=self.open_until.get(person.id),
            subject_gone=gone,
            awaits_welcome=person.id in self.unwelcomed,
        )

    def note_question(self, participant_id: int, until: datetime) -> None:
        """A question is let go: no other one to this person until it is answered or over."""
        self.open_until[participant_id] = until

    def count_released(self, message: Message, now: datetime) -> None:
        if message.participant_id is None or not KIND_RULES[MessageKind(message.kind)].is_capped:
            return
        zone = self.zones[message.participant_id]
        self.released_to[message.participant_id].append(local_date(now, zone))

    def _standing(self, person: Participant) -> Standing:
        if person.phone_hash is None or person.phone is None:
            return Standing.UNKNOWN
        if self.suppressed.intersection(self.hashes[person.id]):
            return Standing.OPTED_OUT
        return _STANDINGS[ParticipantStatus(person.status)]

    def _is_reachable(self, phone_hash: str | None) -> bool:
        return self.trial_hashes is None or phone_hash in self.trial_hashes

    def _of_stranger(self, message: Message, gone: str | None) -> ReleaseFacts:
        return ReleaseFacts(
            kind=message.kind,
            send_before=message.send_before,
            standing=Standing.UNKNOWN,
            asks_for_consent=False,
            paused_until=None,
            window=DEFAULT_WINDOW,
            zones=_UTC,
            capped_today=0,
            capped_this_week=0,
            is_reachable_in_trial=self.trial_hashes is None,
            blocked=self.blocked,
            subject_gone=gone,
        )


def load_facts(
    context: Context,
    session: Session,
    people: dict[int, Participant],
    messages: Sequence[Message],
    now: datetime,
) -> BatchFacts:
    """Read what the batch's decisions depend on, in a handful of queries whatever its size."""
    hashes = {person.id: context.keyring.hash_all(person.phone) for person in people.values() if person.phone}
    remember_settings(session)
    return BatchFacts(
        now=now,
        programs=list_programs(session),
        hashes=hashes,
        suppressed=list_suppressed_hashes(session, [one for many in hashes.values() for one in many]),
        trial_hashes=list_staff_hashes(session) if is_trial(context, session) else None,
        blocked=find_block(context, session, now),
        capped=_capped_days(session, people, messages, now),
        open_until=_open_questions(session, people),
        unwelcomed=_list_unwelcomed(session, people),
        versions=list_current_versions(session, [message.source for message in messages]),
    )


_MESSAGES, _CONVERSATIONS = table_of(Message), table_of(Conversation)
_CAPPED_KINDS = [kind for kind, rule in KIND_RULES.items() if rule.is_capped]
_CAPPED = ForMany(
    lambda one_of: select(_MESSAGES.c.participant_id, _MESSAGES.c.accepted_at, _MESSAGES.c.send_after).where(
        one_of(_MESSAGES.c.participant_id),
        _MESSAGES.c.local_on >= bindparam("since"),
        _MESSAGES.c.kind.in_(_CAPPED_KINDS),
        _MESSAGES.c.state.in_(ON_ITS_WAY),
    )
)
_WELCOMES = ForMany(
    lambda one_of: (
        select(_MESSAGES.c.participant_id, _MESSAGES.c.state)
        .where(one_of(_MESSAGES.c.participant_id), _MESSAGES.c.text_id == WRITTEN_WELCOME)
        .order_by(_MESSAGES.c.id)
    )
)
_OPEN_QUESTIONS = ForMany(
    lambda one_of: select(_CONVERSATIONS.c.participant_id, _CONVERSATIONS.c.expires_at).where(
        one_of(_CONVERSATIONS.c.participant_id), _CONVERSATIONS.c.closed_at.is_(None)
    )
)


def _capped_days(
    session: Session, people: dict[int, Participant], messages: Sequence[Message], now: datetime
) -> dict[int, list[date]]:
    """Per person, the local dates this week on which capped texts went (or may have gone) out."""
    capped = (message for message in messages if KIND_RULES[MessageKind(message.kind)].is_capped)
    asked = {message.participant_id for message in capped if message.participant_id is not None}
    days: dict[int, list[date]] = defaultdict(list)
    if not asked:
        return days
    for row in _CAPPED.run(session, asked, since=(now - timedelta(days=10)).date()):
        zone = ZoneInfo(people[row.participant_id].timezone)
        today = local_date(now, zone)
        on = local_date(row.accepted_at or row.send_after, zone)
        if today - timedelta(days=today.weekday()) <= on <= today:
            days[row.participant_id].append(on)
    return days


def _list_unwelcomed(session: Session, people: dict[int, Participant]) -> set[int]:
    """Whose disclosure is still to go, or may not have gone: the newest one, as consent may be given anew."""
    newest = {row.participant_id: row.state for row in _WELCOMES.run(session, people)}
    return {owner for owner, state in newest.items() if state in _NOT_SURELY_GONE}


def _open_questions(session: Session, people: dict[int, Participant]) -> dict[int, datetime]:
    return {row.participant_id: row.expires_at for row in _OPEN_QUESTIONS.run(session, people)}
