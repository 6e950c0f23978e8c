"""What an inbound text leads to, before it becomes rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from service.domain.keywords import TextReading
from service.domain.kinds import MessageKind
from service.domain.phone import PhoneNumber
from service.store.consent import Suppression, is_suppressed
from service.store.inbound import TaskKind
from service.store.participants import Participant, ParticipantStatus
from service.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Reply:
    """One text to send back. `parts` are text ids put behind each other with a space between.

    `must_arrive` replies go by API when the provider has already answered the text itself.
    """

    parts: tuple[str, ...]
    fields: dict[str, str] = field(default_factory=dict)
    kind: MessageKind = MessageKind.REPLY
    must_arrive: bool = False
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads an answer, and how they want it."""

    participant_id: int | None
    phone: PhoneNumber
    language: str
    country: str
    wants_plain: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a text was taken as, and the answer if there is one."""

    meaning: str
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text that has its row. `phone` is None for a sender that is no number."""

    id: int
    sent_to: str
    participant_id: int | None
    provider_message_id: str
    phone: PhoneNumber | None
    body: str
    opt_out_type: str | None
    has_media: bool
    received_at: datetime
    was_missed: bool = False
    """It never reached us: found in the provider's records, and answered by API if at all."""


@dataclass(slots=True)
class Incoming:
    """One inbound text under way: its row, who sent it, and how it reads."""

    context: Context
    session: Session
    row: StoredText
    phone: PhoneNumber
    participant: Participant | None
    suppression: Suppression | None
    body: str
    reading: TextReading
    now: datetime
    open_conversation_id: int | None = None
    tasks: list[tuple[TaskKind, str]] = field(default_factory=list)

    def note_task(self, kind: TaskKind, reason: str) -> None:
        """Put this text on the staff list when its handling is recorded."""
        self.tasks.append((kind, reason))

    @property
    def is_opted_out(self) -> bool:
        return is_suppressed(self.suppression)

    @property
    def active_participant(self) -> Participant | None:
        """Who wrote, if they have agreed to be texted."""
        person = self.participant
        return person if person is not None and person.status is ParticipantStatus.ACTIVE else None

    @property
    def reader(self) -> Reader:
        person = self.participant
        if person is None:
            return Reader(None, self.phone, "en", self.context.settings.org_country, wants_plain=False)
        return Reader(person.id, self.phone, person.language, person.country, person.wants_plain)
