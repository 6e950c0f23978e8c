"""Never silently lost: texts about which the provider says nothing more are asked for, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import column, select, table, update

from service.catalog import Catalog
from service.domain.delivery import MessageState
from service.gateways.sms.protocol import ProviderText
from service.store.database import Database
from service.store.inbound import TaskKind
from service.store.messages import Message
from service.usecases.sending.poll import poll_silent
from tests.conftest import FakeClock
from tests.integration.provider_line import ProviderLine, provider_line
from tests.standin import On, reset_before, status

S = MessageState
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def line(database: Database, catalog: Catalog, clock: FakeClock) -> Iterator[ProviderLine]:
    with provider_line(database, catalog, clock) as running:
        yield running


def send(line: ProviderLine, *told: str) -> int:
    """Send a text of which only some receipts arrive."""
    message_id = line.add_text()
    line.deliver()
    for one in told:
        line.tell(line.attempts(message_id)[-1].reference, one)
        line.move_at_provider(one)
    assert line.state(message_id) is (S.SENT if told else S.ACCEPTED)
    return message_id


@pytest.mark.parametrize(
    ("told", "at_provider", "code", "state", "tasks"),
    [
        ((), "delivered", None, S.DELIVERED, 0),
        (("sent",), "delivered", None, S.DELIVERED, 0),
        (("sent",), "undelivered", 30005, S.UNDELIVERED, 1),
        ((), "failed", 30007, S.FAILED, 1),
        ((), "sent", None, S.SENT, 0),
    ],
)
def test_after_twelve_hours_the_providers_word_moves_a_text(
    line: ProviderLine,
    told: tuple[str, ...],
    at_provider: str,
    code: int | None,
    state: MessageState,
    tasks: int,
) -> None:
    text = send(line, *told)
    line.move_at_provider(at_provider, code)
    creates = line.standin.creates

    assert line.poll(11 * HOUR).asked == 0, "its receipt may still come"
    counts = line.poll(HOUR)
    line.deliver()

    assert (counts.asked, counts.moved) == (1, 1)
    assert line.state(text) is state
    assert f"found_{at_provider}" in line.reasons(text)
    assert len(line.tasks()) == tasks
    assert line.standin.creates == creates, "asking sends nothing"


def poll_for(line: ProviderLine, span: timedelta) -> int:
    until, asked = line.clock() + span, 0
    while line.clock() < until:
        asked += line.poll(30 * MINUTE).asked
    return asked


def test_a_text_that_was_sent_and_never_confirmed_is_left_after_three_days(line: ProviderLine) -> None:
    text = send(line, "sent")

    asked = poll_for(line, 4 * DAY)

    assert 3 <= asked <= 7
    assert line.state(text) is S.SENT
    assert line.get(text).final_at is not None
    assert line.reasons(text)[-1] == "no_last_word"
    assert line.tasks() == [], "handed to the carrier is a fine last word"
    assert poll_for(line, 2 * DAY) == 0
    line.tell(line.attempts(text)[-1].reference, "delivered")
    assert line.state(text) is S.DELIVERED, "a very late receipt still counts"


@pytest.mark.parametrize("is_known", [True, False])
def test_a_text_that_never_left_the_provider_is_for_staff_after_three_days(
    line: ProviderLine, *, is_known: bool
) -> None:
    text = send(line)
    if not is_known:
        assert line.standin._book.remove(line.standin.accepted[-1]["sid"])
    creates = line.standin.creates

    poll_for(line, 4 * DAY)
    line.deliver()

    assert line.state(text) is S.ACCEPTED
    assert line.tasks() == [(TaskKind.UNRESOLVED_TEXT, "never_left_provider", text)]
    assert line.standin.creates == creates, "it is not sent again"
    line.tell(line.attempts(text)[-1].reference, "sent")
    assert line.state(text) is S.SENT


@pytest.mark.parametrize("fault", [status(503), reset_before()])
def test_while_the_provider_is_away_nothing_is_concluded(line: ProviderLine, fault: object) -> None:
    text = send(line)
    line.standin.by_chance({fault: 1.0}, seed=1, on=On.LOOKUP)  # type: ignore[dict-item]
    poll_for(line, DAY)
    assert line.state(text) is S.ACCEPTED
    line.standin.by_chance({}, seed=1, on=On.LOOKUP)
    line.move_at_provider("delivered")

    poll_for(line, DAY)

    assert line.state(text) is S.DELIVERED


def test_a_text_that_was_due_long_before_it_was_taken_is_given_its_twelve_hours(line: ProviderLine) -> None:
    text = send(line)
    with line.context.database.begin() as session:
        session.execute(update(Message).where(Message.id == text).values(due_at=line.clock() - 30 * HOUR))

    assert line.poll(11 * HOUR).asked == 0
    assert line.poll(HOUR).asked == 1


def test_a_receipt_that_comes_while_we_ask_wins(line: ProviderLine) -> None:
    text = send(line, "sent")

    class Slow:
        def fetch(self, sid: str) -> ProviderText | None:
            found = line.records.fetch(sid)
            line.tell(line.attempts(text)[-1].reference, "delivered")
            return found

    counts = poll_silent(line.context, Slow(), line.clock.advance(12 * HOUR))  # type: ignore[arg-type]

    assert line.state(text) is S.DELIVERED
    assert counts.moved == 0
    assert line.get(text).claim_token is None


def test_a_text_is_asked_about_by_one_worker_and_a_dead_ones_is_taken_up(line: ProviderLine) -> None:
    text = send(line)
    line.move_at_provider("delivered")
    asked = []

    class Meanwhile:
        def fetch(self, sid: str) -> ProviderText | None:
            asked.append(sid)
            assert line.poll().asked == 0, "another worker leaves it alone"
            line.let_leases_run_out()
            assert line.poll().asked == 1, "until the lease runs out"
            return line.records.fetch(sid)

    poll_silent(line.context, Meanwhile(), line.clock.advance(12 * HOUR))  # type: ignore[arg-type]

    assert len(asked) == 1
    assert line.state(text) is S.DELIVERED
    assert line.reasons(text).count("found_delivered") == 1


def test_nobody_is_asked_without_records(line: ProviderLine) -> None:
    send(line)
    assert poll_silent(line.context, None, line.clock() + DAY).asked == 0


@pytest.mark.parametrize(("table_name", "column_name"), [("messages", "body"), ("participants", "phone")])
def test_a_text_that_no_key_opens_is_asked_about_once_and_is_for_staff(
    line: ProviderLine, table_name: str, column_name: str
) -> None:
    broken, other = send(line, "sent"), send(line, "sent")
    line.move_at_provider("delivered")
    rows = table(table_name, column("id"), column(column_name))
    row_id = broken if table_name == "messages" else line.people[0]
    with line.context.database.begin() as session:
        session.execute(update(rows).where(rows.c.id == row_id).values({column_name: "not a token"}))

    line.poll(12 * HOUR)

    with line.context.database.read() as session:
        left = session.execute(select(Message.state, Message.final_at).where(Message.id == broken)).one()
    assert (left.state, left.final_at) == (S.SENT, line.clock())
    assert line.reasons(broken)[-1] == "unreadable"
    assert (TaskKind.UNRESOLVED_TEXT, "unreadable", broken) in line.tasks()
    if table_name == "messages":
        assert line.state(other) is S.DELIVERED
    line.let_leases_run_out()
    assert line.poll().asked == 0
