"""A worker and the provider's stand-in over real HTTP, on a fake clock, with receipts told by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from service.catalog import Catalog
from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.gateways.sms.twilio import TwilioAccount, TwilioTransport
from service.gateways.sms.twilio_records import TwilioRecords
from service.store.database import Database, real_now
from service.store.inbound import Task, TaskKind
from service.store.messages import Attempt, Message, MessageEvent
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.operations.live_mode import go_live
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.look_up import LookUpCounts, look_up_due
from service.usecases.sending.poll import PollCounts, poll_silent
from service.usecases.sending.receipts import Receipt, record_receipt
from service.usecases.sending.recover import recover_abandoned
from tests.conftest import FakeClock, make_settings
from tests.integration.test_import_participants import run_import
from tests.standin import TwilioStandin
from tests.standin.messages import StandinMessage

PERSON = "{},Ana Example,America/New_York,en,,2025-11-10,written,2026-11-20T15:00,intake desk,"
READ_SECONDS = 0.2
TIP = "tip/sleep-wind-down"


def number_of(position: int) -> str:
    return f"+1202555{110 + position:04d}"


@dataclass
class ProviderLine:
    """People who agreed and were welcomed; what is sent from here on is the test's."""

    context: Context
    standin: TwilioStandin
    transport: TwilioTransport
    records: TwilioRecords
    clock: FakeClock
    people: list[int] = field(default_factory=list)
    texts: int = 0

    def add_people(self, count: int) -> None:
        """List and welcome people; their welcomes are told as delivered."""
        first = len(self.people)
        run_import(self.context, *(PERSON.format(number_of(first + one)) for one in range(count)))
        self.deliver()
        for taken in self.standin.accepted[-count:]:
            self.tell(taken["reference"] or "", "delivered", sid=taken["sid"])
        with self.context.database.read() as session:
            self.people = list(session.scalars(select(Participant.id).order_by(Participant.id)))

    def add_text(
        self,
        person: int = 0,
        kind: MessageKind = MessageKind.SAFETY,
        *,
        text_id: str = TIP,
        check_in_id: str | None = None,
        useful_for: timedelta = timedelta(hours=8),
    ) -> int:
        """Plan one text that is due now; returns its id."""
        self.texts += 1
        now = self.clock()
        values = {
            "participant_id": self.people[person],
            "dedupe_key": f"test:{self.texts}",
            "source": "test",
            "source_version": 1,
            "kind": kind,
            "lane": KIND_RULES[kind].lane,
            "text_id": text_id,
            "check_in_id": check_in_id,
            "late": "send",
            "local_on": now.date(),
            "send_after": now,
            "send_before": now + useful_for,
            "due_at": now,
            "state": MessageState.PLANNED,
            "tries": 0,
            "created_at": now,
        }
        with self.context.database.begin() as session:
            return session.execute(insert(Message).values(**values).returning(Message.id)).scalar_one()

    def deliver(self) -> None:
        deliver_due(self.context, self.transport, self.clock)

    def look_up(self, after: timedelta = timedelta(0)) -> LookUpCounts:
        self.clock.advance(after)
        return look_up_due(self.context, self.records, self.clock())

    def poll(self, after: timedelta = timedelta(0)) -> PollCounts:
        self.clock.advance(after)
        return poll_silent(self.context, self.records, self.clock())

    def recover(self) -> None:
        recover_abandoned(self.context, self.clock())

    def let_leases_run_out(self) -> None:
        """As if a worker had died long ago: leases live by the database's own clock."""
        with self.context.database.begin() as session:
            past = real_now(session) - timedelta(seconds=1)
            session.execute(update(Message).where(Message.lease_until.is_not(None)).values(lease_until=past))

    def last_at_provider(self) -> StandinMessage:
        """The text that the provider took last, as it remembers it."""
        message = self.standin._book.find(self.standin.accepted[-1]["sid"])
        assert message is not None
        return message

    def move_at_provider(self, status: str, code: int | None = None) -> None:
        """The provider knows more, and its receipt gets lost."""
        self.standin._book.move(self.last_at_provider(), status, code)

    def tell(self, reference: str, status: str, code: int | None = None, sid: str | None = None) -> bool:
        """A receipt arrives."""
        return record_receipt(self.context, Receipt(reference, sid, status, code), self.clock())

    def get(self, message_id: int) -> Message:
        with self.context.database.read() as session:
            return session.scalars(select(Message).where(Message.id == message_id)).one()

    def state(self, message_id: int) -> MessageState:
        return self.get(message_id).state

    def attempts(self, message_id: int) -> list[Attempt]:
        with self.context.database.read() as session:
            query = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.id)
            return list(session.scalars(query))

    def reasons(self, message_id: int) -> list[str | None]:
        with self.context.database.read() as session:
            query = select(MessageEvent.reason).where(MessageEvent.message_id == message_id)
            return list(session.scalars(query.order_by(MessageEvent.id)))

    def tasks(self) -> list[tuple[TaskKind, str, int | None]]:
        with self.context.database.read() as session:
            rows = session.scalars(select(Task).where(Task.closed_at.is_(None)).order_by(Task.id))
            return [(row.kind, row.reason, row.message_id) for row in rows]

    def taken(self, since: datetime, person: int = 0) -> list[str]:
        """What the provider took for a person since then."""
        return [
            text["body"]
            for text in self.standin.accepted
            if text["to"] == number_of(person) and text["at"] >= since
        ]


@contextmanager
def provider_line(
    database: Database, catalog: Catalog, clock: FakeClock, people: int = 1, **changes: object
) -> Iterator[ProviderLine]:
    """Open the line with people who were welcomed an hour ago by the clock."""
    with TwilioStandin(clock=clock) as standin:
        settings = make_settings(
            database_url=str(database.engine.url),
            transport="twilio",
            twilio_account_sid=standin.account_sid,
            twilio_auth_token=standin.auth_token,
            twilio_messaging_service_sid=standin.service_sid,
            twilio_api_url=standin.url,
            twilio_optout_mode=changes.pop("mode", "app"),
            sender_segments_per_second=1000,
            **changes,
        )
        context = Context(database, catalog, settings)
        account = TwilioAccount(
            standin.account_sid,
            standin.auth_token,
            messaging_service_sid=standin.service_sid,
            api_url=standin.url,
        )
        timeout = (1.0, READ_SECONDS)
        with (
            closing(TwilioTransport(account, timeout=timeout)) as transport,
            closing(TwilioRecords(account, timeout=timeout)) as records,
        ):
            go_live(context, "test", clock(), force=True)
            line = ProviderLine(context, standin, transport, records, clock)
            if people:
                line.add_people(people)
            clock.advance(timedelta(hours=1))
            yield line
