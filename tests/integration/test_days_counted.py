"""A limit's day: a text counts for the day on which it left, however often it is asked about since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from sqlalchemy import select, update

from service.catalog import Catalog
from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.store.database import Database
from service.store.messages import Message
from service.store.participants import Participant
from service.usecases.sending.due_people import LIVES_BY, ExistingTexts, as_due_person, load_existing
from service.usecases.sending.speakers import load_sources
from tests.conftest import FakeClock
from tests.integration.provider_line import ProviderLine, provider_line
from tests.standin import reset_after_accept

S = MessageState
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONDAY = date(2026, 11, 23)


@pytest.fixture
def line(database: Database, catalog: Catalog, clock: FakeClock) -> Iterator[ProviderLine]:
    with provider_line(database, catalog, clock) as running:
        yield running


def days_of(line: ProviderLine) -> list[date]:
    """The days for which the person's texts count."""
    with line.context.database.read() as session:
        row = session.execute(select(*LIVES_BY).where(Participant.id == line.people[0])).one()
        people = {row.id: as_due_person(row)}
        sources = load_sources(session, line.context)
        existing: ExistingTexts = load_existing(session, people, sources)[row.id]
    return existing.capped + [day for day, texts in existing.seated.items() for _ in texts]


def test_a_text_that_is_asked_about_for_days_counts_for_the_day_on_which_it_was_taken(
    line: ProviderLine,
) -> None:
    text = line.add_text(kind=MessageKind.TIP)
    line.deliver()
    for _ in range(6):
        line.poll(12 * HOUR)
    assert line.get(text).due_at > line.get(text).send_after + DAY, "it was asked about"

    assert days_of(line) == [MONDAY]


def test_a_text_that_is_looked_up_past_midnight_counts_for_the_day_on_which_it_was_sent(
    line: ProviderLine,
) -> None:
    text = line.add_text(kind=MessageKind.TIP)
    line.standin.script(reset_after_accept())
    line.deliver()
    with line.context.database.begin() as session:
        session.execute(update(Message).where(Message.id == text).values(due_at=line.clock() + DAY))
    assert line.state(text) is S.UNKNOWN

    assert days_of(line) == [MONDAY]


FATES: list[tuple[MessageState, timedelta, timedelta | None, int, str]] = [
    (S.HELD, 2 * DAY, None, 2, "put off: the day for which it waits"),
    (S.HELD, 0 * DAY, None, 0, "waits for its own time"),
    (S.CLAIMED, 1 * DAY, None, 1, "put off, and about to go"),
    (S.SENT, 1 * DAY, 1 * DAY, 1, "put off to the day after, and taken then"),
    (S.DELIVERED, 0 * DAY, 1 * DAY, 1, "nobody was there to send it on its day"),
    (S.ACCEPTED, 7 * DAY, 0 * DAY, 0, "asked about a week later"),
    (S.UNRESOLVED, 1 * DAY, None, 0, "looked up the day after, and never found"),
]


def test_what_waits_counts_for_its_next_time_and_what_left_for_the_time_it_left(line: ProviderLine) -> None:
    text = line.add_text(kind=MessageKind.TIP)
    now = line.clock()
    for state, due, accepted, day, reason in FATES:
        accepted_at = None if accepted is None else now + accepted
        with line.context.database.begin() as session:
            values = {"state": state, "due_at": now + due, "accepted_at": accepted_at}
            session.execute(update(Message).where(Message.id == text).values(**values))

        assert days_of(line) == [MONDAY + day * DAY], reason
