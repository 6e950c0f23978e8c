"""People in a program, planned hour by hour, with a phone that takes everything: for tests of plans."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from service.catalog.yaml_files import YamlFile, read_yaml_file
from service.domain.kinds import MessageKind
from service.domain.local_time import local_date
from service.domain.phone import PhoneNumber
from service.gateways.sms.recording import RecordingTransport
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant, ParticipantStatus
from service.store.service_state import ProgramVersion
from service.usecases.campaigns.save_campaign import Saved, save_campaign
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.operations.live_mode import go_live
from service.usecases.operations.program_rows import hash_definition, sync_programs
from service.usecases.people.tags import add_tags
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.plan import plan_due
from tests.conftest import NOW, FakeClock

_SIDS = count(1)


@dataclass
class Plans:
    """A service with people in it, and a clock."""

    context: Context
    clock: FakeClock = field(default_factory=FakeClock)
    transport: RecordingTransport = field(default_factory=RecordingTransport)

    def join(
        self,
        number: int,
        zone: str = "America/New_York",
        *,
        language: str = "en",
        tags: tuple[str, ...] = (),
        program: str = "first-year",
        day: int = 100,
    ) -> PhoneNumber:
        """Somebody who has been in a program for `day` days; due now. From day 101 on only Mondays speak."""
        now, phone = self.clock(), PhoneNumber(f"+1202555{number:04}")
        today = local_date(now, ZoneInfo(zone))
        anchor = today - timedelta(days=day)
        lookup = self.context.keyring.hash_newest(phone.e164)
        with self.context.database.begin() as session:
            person = Participant(
                phone=phone.e164,
                phone_hash=lookup.value,
                phone_key_id=lookup.key_id,
                status=ParticipantStatus.ACTIVE,
                timezone=zone,
                zone_is_confirmed=True,
                language=language,
                next_plan_at=now,
                planned_through=today - timedelta(days=1),
                created_at=now,
            )
            session.add(person)
            session.flush()
            add_tags(session, self.context.keyring, person.id, tags, now)
            session.add(
                Enrollment(
                    participant_id=person.id,
                    program_id=program,
                    status=EnrollmentStatus.ACTIVE,
                    anchor_on=anchor,
                    started_on=anchor,
                    started_at=now - timedelta(days=day),
                    created_at=now,
                )
            )
        return phone

    def save(self, text: str, *, is_draft: bool = False) -> Saved:
        return save_campaign(self.context, self.file(text), "cli:test", self.clock(), is_draft=is_draft)

    def file(self, text: str) -> YamlFile:
        """A campaign file as it is read from disk."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "campaign.yaml"
            path.write_text(text, encoding="utf-8")
            return read_yaml_file(path, path)

    def plan(self, at: datetime | None = None) -> None:
        if at is not None:
            self.clock.at = at
        plan_due(self.context, self.clock())

    def send(self) -> list[str]:
        """Let a worker send what is due; returns the texts."""
        before = len(self.transport.sent)
        deliver_due(self.context, self.transport, self.clock)
        return [sms.body for sms in self.transport.sent[before:]]

    def pass_time(
        self, until: datetime, step: timedelta = timedelta(hours=1)
    ) -> list[tuple[datetime, str, str]]:
        """Plan and send at every step; returns when what went to whom."""
        sent = []
        while self.clock.at < until:
            self.clock.advance(min(step, until - self.clock.at))
            self.plan()
            before = len(self.transport.sent)
            self.send()
            sent += [(self.clock.at, sms.to.e164, sms.body) for sms in self.transport.sent[before:]]
        return sent

    def text_in(self, phone: PhoneNumber, body: str) -> None:
        """Somebody texts the line."""
        receive_text(self.context, IncomingText(self.form_of(phone, body)), self.clock())

    def form_of(self, phone: PhoneNumber, body: str) -> dict[str, str]:
        """What the provider tells of a text, each time of another one."""
        sid = f"SM{next(_SIDS):032x}"
        return {"MessageSid": sid, "From": phone.e164, "To": "+12025550199", "Body": body, "NumMedia": "0"}

    def texts(
        self, kind: MessageKind | None = None, person: int | None = None
    ) -> list[tuple[str, str | None]]:
        """State and reason of every text, in the order in which they were planned."""
        query = select(Message.state, Message.reason).order_by(Message.id)
        if kind is not None:
            query = query.where(Message.kind == kind)
        if person is not None:
            query = query.where(Message.participant_id == person)
        with self.context.database.read() as session:
            return [(str(state), reason) for state, reason in session.execute(query)]


PLAIN_YEAR: dict[str, Any] = read_yaml_file(
    Path(__file__).parents[1], Path(__file__).parents[1] / "data/programs/first-year.yaml"
).data
"""The program of these tests: what the shipped one says may change without making them wrong."""


def store_programs(context: Context, *programs: dict[str, Any]) -> None:
    """Store programs of a test's own beside the shipped ones, each as its next version."""
    definitions = MappingProxyType({program["id"]: program for program in programs})
    with context.database.begin() as session:
        sync_programs(session, replace(context.catalog, program_definitions=definitions), NOW)


def open_plans(context: Context) -> Plans:
    """People live by the plain year, in place of the shipped one."""
    plans = Plans(context)
    with context.database.begin() as session:
        session.execute(
            update(ProgramVersion)
            .where(ProgramVersion.program_id == "first-year")
            .values(definition=PLAIN_YEAR, sha256=hash_definition(PLAIN_YEAR))
        )
    go_live(context, "test", NOW, force=True)
    return plans
