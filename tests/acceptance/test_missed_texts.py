"""Nobody who opted out is texted: texts that never reached us are found before anything unprompted leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.gateways.sms.twilio import TwilioAccount
from service.gateways.sms.twilio_records import TwilioRecords
from service.scheduler import Worker
from service.store.consent import ConsentEvent, ConsentKind
from service.store.conversations import Answer, Conversation
from service.store.inbound import InboundMessage, Task, TaskKind
from service.store.messages import Message
from service.store.participants import Participant, ParticipantStatus
from service.store.service_state import set_setting
from service.usecases.inbound.missed_texts import MissedCounts, find_missed_texts
from service.usecases.operations.live_mode import find_block
from service.usecases.sending.work import work_once
from tests.acceptance.line import Line, running_line
from tests.conftest import FakeClock
from tests.integration.test_import_participants import run_import
from tests.machines import wait_until
from tests.standin import Fault, On, accept_then_timeout, reset_before, slow, status

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
PERSON = "{},Ana Example,America/New_York,en,first-year,2026-11-10,written,2026-11-20T15:00,intake desk,"


@pytest.fixture
def line(database_url: str, clock: FakeClock) -> Iterator[Line]:
    with running_line(database_url, clock) as running:
        yield running


def join(line: Line) -> None:
    line.work()
    line.text("JOIN")
    line.text("YES")
    line.work()
    assert status_of(line) is ParticipantStatus.ACTIVE


def status_of(line: Line) -> ParticipantStatus:
    with line.runtime.database.read() as session:
        return session.scalars(select(Participant.status)).one()


def lose(line: Line, *bodies: str) -> list[str]:
    """The person texts while nothing of ours is reachable; returns the provider's ids."""
    sids = []
    for body in bodies:
        line.clock.advance(SECOND)
        sids.append(line.standin.record_inbound(line.phone, body))
    return sids


def look(line: Line) -> MissedCounts:
    return find_missed_texts(line.runtime.context, line.runtime.records, line.clock())


def block(line: Line) -> str | None:
    with line.runtime.database.read() as session:
        return find_block(line.runtime.context, session, line.clock())


def tasks(line: Line) -> list[tuple[TaskKind, str]]:
    with line.runtime.database.read() as session:
        rows = session.scalars(select(Task).where(Task.closed_at.is_(None)).order_by(Task.id))
        return [(row.kind, row.reason) for row in rows]


def meanings(line: Line) -> list[str | None]:
    with line.runtime.database.read() as session:
        return list(session.scalars(select(InboundMessage.meaning).order_by(InboundMessage.id)))


def unprompted(line: Line) -> list[tuple[MessageKind, MessageState]]:
    with line.runtime.database.read() as session:
        rows = session.execute(
            select(Message.kind, Message.state).where(Message.inbound_id.is_(None)).order_by(Message.id)
        )
        return [(row.kind, row.state) for row in rows]


def test_a_stop_that_never_reached_us_is_obeyed_before_anything_leaves(line: Line) -> None:
    join(line)
    said_at = line.clock.advance(10 * MINUTE)
    lose(line, "STOP")
    creates = line.standin.creates

    sent = line.pass_time(line.clock() + 3 * DAY, 6 * HOUR)

    assert sent == [], "nothing unprompted, and no confirmation so late"
    assert line.standin.creates == creates
    assert status_of(line) is ParticipantStatus.OPTED_OUT
    with line.runtime.database.read() as session:
        event = session.scalars(select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.OPTED_OUT)).one()
    assert event.expressed_at == said_at + SECOND, "when the provider received it"
    assert event.recorded_at > said_at + HOUR


def test_a_stop_found_within_five_minutes_is_confirmed_once(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, "STOP")
    line.clock.advance(2 * MINUTE)

    sent = line.work()

    assert [("no more texts" in body) for body in sent] == [True]
    assert line.pass_time(line.clock() + DAY, 6 * HOUR) == []


@pytest.mark.parametrize(
    ("body", "answer", "task"),
    [
        ("HELP", "988", None),
        ("JOIN", "already", None),
        ("it is a hard day today", "988", (TaskKind.NEEDS_REPLY, "free_text")),
    ],
)
def test_other_texts_are_answered_by_api_and_words_are_read_by_a_human(
    line: Line, body: str, answer: str, task: tuple[TaskKind, str] | None
) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    [sid] = lose(line, body)
    line.clock.advance(20 * MINUTE)

    sent = line.work()

    assert len(sent) == 1
    assert answer in sent[0]
    assert tasks(line) == ([task] if task else [])
    assert line.text(body, MessageSid=sid) == [], "its webhook after all: answered once already"
    assert line.pass_time(line.clock() + 2 * HOUR) == []
    with line.runtime.database.read() as session:
        row = session.scalars(select(InboundMessage).where(InboundMessage.provider_message_id == sid)).one()
    assert row.found_at is not None
    assert row.received_at < row.found_at


def test_somebody_new_whose_join_was_lost_is_asked_and_can_agree(line: Line) -> None:
    run_import(line.runtime.context, PERSON.format("+12025550199"))
    line.work()
    line.clock.advance(10 * MINUTE)
    lose(line, "JOIN")
    line.clock.advance(10 * MINUTE)

    assert any("YES" in body for body in line.work())
    line.text("YES")

    with line.runtime.database.read() as session:
        statuses = session.scalars(select(Participant.status)).all()
    assert list(statuses) == [ParticipantStatus.ACTIVE] * 2


def test_an_answer_that_comes_too_late_to_help_is_for_staff(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, "HELP")
    line.clock.advance(3 * HOUR)

    line.work()

    assert (TaskKind.NEEDS_REPLY, "found_too_late") in tasks(line)
    with line.runtime.database.read() as session:
        states = session.scalars(
            select(Message.state).join(InboundMessage).where(InboundMessage.found_at.is_not(None))
        ).all()
    assert list(states) == [MessageState.EXPIRED]


def test_an_old_stop_found_now_does_not_undo_a_start_that_came_later(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, "STOP")
    line.clock.advance(5 * MINUTE)
    line.text("START")
    line.clock.advance(10 * MINUTE)

    line.work()

    assert status_of(line) is ParticipantStatus.ACTIVE
    assert (TaskKind.NEEDS_REPLY, "stop_before_newer_start") in tasks(line)
    with line.runtime.database.read() as session:
        kinds = session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)).all()
    assert kinds[-1] is ConsentKind.OPTED_OUT, "what was said is kept as evidence"


def test_a_lost_stop_beats_a_paper_that_was_signed_before_it(line: Line) -> None:
    """The paper was brought in after the stop, but says nothing newer than it."""
    join(line)
    line.text("STOP")
    signed_at = line.clock.advance(HOUR)
    line.clock.advance(HOUR)
    lose(line, "STOP")
    line.clock.advance(HOUR)
    local = signed_at.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None).isoformat("T", "minutes")
    paper = f"{line.phone},Ana Example,America/New_York,en,,2025-11-10,written,{local},intake desk,"
    run_import(line.runtime.context, paper, now=line.clock())
    assert status_of(line) is ParticipantStatus.ACTIVE

    sent = line.pass_time(line.clock() + DAY, 2 * HOUR)

    assert sent == []
    assert status_of(line) is ParticipantStatus.OPTED_OUT


def test_an_old_start_found_now_does_not_undo_a_stop_that_came_later(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, "START")
    line.clock.advance(5 * MINUTE)
    line.text("STOP")
    line.clock.advance(10 * MINUTE)

    assert line.work() == []

    assert status_of(line) is ParticipantStatus.OPTED_OUT
    assert line.pass_time(line.clock() + 2 * DAY, 6 * HOUR) == []


@pytest.mark.parametrize(
    ("bodies", "taken_as", "end"),
    [
        (("STOP", "START"), ["stop", "reopen"], ParticipantStatus.ACTIVE),
        (("START", "STOP"), ["start", "stop"], ParticipantStatus.OPTED_OUT),
        (("STOP", "START", "STOP"), ["stop", "reopen", "stop"], ParticipantStatus.OPTED_OUT),
    ],
)
def test_lost_texts_are_taken_in_in_the_order_in_which_they_were_written(
    line: Line, bodies: tuple[str, ...], taken_as: list[str], end: ParticipantStatus
) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, *bodies)
    line.clock.advance(10 * MINUTE)

    line.work()

    assert status_of(line) is end
    assert meanings(line)[2:] == taken_as


def test_a_yes_from_before_the_question_agrees_to_nothing(line: Line) -> None:
    line.work()
    run_import(line.runtime.context, PERSON.format("+12025550199"))
    lose(line, "YES")
    line.clock.advance(5 * MINUTE)
    line.text("JOIN")
    line.clock.advance(10 * MINUTE)

    line.work()

    with line.runtime.database.read() as session:
        newest = session.scalars(select(Participant).order_by(Participant.id.desc()).limit(1)).one()
    assert newest.status is ParticipantStatus.ASKED


def test_an_old_answer_found_late_is_not_taken_for_the_answer_to_a_newer_question(line: Line) -> None:
    join(line)
    lose(line, "1")
    with line.runtime.database.begin() as session:
        person = session.scalars(select(Participant.id)).one()
        session.add(
            Conversation(
                participant_id=person,
                check_in_id="pulse",
                check_in_version=line.runtime.context.catalog.check_in("pulse").version,
                question_id=line.runtime.context.catalog.check_in("pulse").questions[0].id,
                opened_at=line.clock.advance(MINUTE),
                expires_at=line.clock() + DAY,
            )
        )
    line.clock.advance(10 * MINUTE)
    look(line)
    with line.runtime.database.read() as session:
        assert session.scalars(select(Answer)).all() == []
    assert (TaskKind.NEEDS_REPLY, "free_text") in tasks(line)

    lose(line, "1")
    line.clock.advance(2 * HOUR)
    look(line)

    with line.runtime.database.read() as session:
        assert len(session.scalars(select(Answer)).all()) == 1, "written after the question: its answer"


def test_texts_whose_webhook_may_still_come_are_left_for_the_next_look(line: Line) -> None:
    join(line)
    line.clock.advance(2 * HOUR)
    lose(line, "STOP")

    line.work()
    assert status_of(line) is ParticipantStatus.ACTIVE
    line.clock.advance(3 * MINUTE)
    line.work()

    assert status_of(line) is ParticipantStatus.OPTED_OUT


def test_nothing_unprompted_leaves_before_the_provider_was_asked(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, "STOP")
    faults = {status(503): 0.4, reset_before(): 0.3, accept_then_timeout(0.05): 0.3}
    line.standin.by_chance(faults, seed=3, on=On.LOOKUP)
    creates = line.standin.creates

    sent = line.pass_time(line.clock() + 2 * DAY, 4 * HOUR)

    assert sent == []
    assert line.standin.creates == creates
    assert block(line) == "inbound_not_checked"
    line.standin.by_chance({}, seed=3, on=On.LOOKUP)
    assert line.pass_time(line.clock() + 2 * DAY, 4 * HOUR) == []
    assert status_of(line) is ParticipantStatus.OPTED_OUT
    assert line.standin.creates == creates


def test_answers_leave_while_unprompted_texts_wait(line: Line) -> None:
    join(line)
    line.standin.by_chance({status(503): 1.0}, seed=3, on=On.LOOKUP)
    line.clock.advance(DAY)
    line.work()
    assert block(line) == "inbound_not_checked"

    assert any("988" in body for body in line.text("HELP"))
    held = [state for kind, state in unprompted(line) if state is MessageState.HELD]
    assert held, "unprompted texts are held, with the reason"
    line.standin.by_chance({}, seed=3, on=On.LOOKUP)
    line.clock.advance(5 * MINUTE)

    assert line.work() != [], "and go out as soon as the provider has answered"


@pytest.mark.parametrize("answer", [status(404, 20404), status(405), status(501)])
def test_a_provider_without_such_a_list_stops_nothing_and_staff_are_told_once(
    database_url: str, clock: FakeClock, answer: object
) -> None:
    with running_line(database_url, clock) as line:
        line.standin.by_chance({answer: 1.0}, seed=1, on=On.LOOKUP)  # type: ignore[dict-item]
        run_import(line.runtime.context, PERSON.format(line.phone))

        assert len(line.work()) == 1, "the welcome goes out"
        line.pass_time(line.clock() + DAY, 2 * HOUR)

        assert block(line) is None
        assert tasks(line).count((TaskKind.CONFIGURATION, "inbound_list_refused")) == 1


def test_a_new_database_has_nothing_to_look_for(line: Line) -> None:
    lose(line, "HELP")
    line.clock.advance(10 * MINUTE)
    line.standin.script(status(500), on=On.LOOKUP)  # nobody may ask

    assert look(line) == MissedCounts()

    assert block(line) is None
    assert meanings(line) == []


def test_while_workers_tick_the_provider_is_asked_every_ten_minutes_and_no_more(line: Line) -> None:
    join(line)
    looks = 0
    for _ in range(4 * 10 * 2):
        line.clock.advance(MINUTE / 2)
        looks += look(line).has_looked
    assert looks == 4


def test_many_workers_find_a_lost_text_once(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, *(f"words number {number}" for number in range(6)), "HELP")
    line.clock.advance(10 * MINUTE)
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: look(line), range(4)))

    assert sum(one.has_looked for one in counts) == 1
    assert sum(one.taken_in for one in counts) == 7
    answers = line.work()
    assert len(answers) == 2, "one receipt for the words, and the help"


@pytest.mark.parametrize(
    ("mode", "body", "is_answered", "reason"),
    [
        ("twilio_default", "STOP", False, "Twilio has confirmed its own word"),
        ("twilio_default", "please stop texting me", True, "Twilio does not read sentences"),
        ("twilio_default", "HELP", True, "Twilio's own help names no hotline"),
        ("advanced", "STOP", False, "Twilio has confirmed its own word"),
        ("advanced", "HELP", True, "hotlines twice are better than none"),
    ],
)
def test_who_answers_a_lost_text_depends_on_the_opt_out_mode(
    database_url: str, clock: FakeClock, mode: str, body: str, is_answered: bool, reason: str
) -> None:
    with running_line(database_url, clock, mode=mode) as line:
        join(line)
        line.clock.advance(10 * MINUTE)
        lose(line, body)
        line.clock.advance(3 * MINUTE)

        assert len(line.work()) == int(is_answered), reason
        assert (status_of(line) is ParticipantStatus.OPTED_OUT) is (body != "HELP"), reason


def test_a_stop_too_young_to_take_in_keeps_everything_unprompted_waiting(line: Line) -> None:
    join(line)
    line.clock.advance(3 * DAY)
    lose(line, "STOP")
    came_back_at = line.clock()

    assert line.work() == []
    assert status_of(line) is ParticipantStatus.ACTIVE, "its webhook may be on its way"
    assert block(line) == "inbound_not_checked"
    sent: list[str] = []
    while status_of(line) is ParticipantStatus.ACTIVE:
        line.clock.advance(10 * SECOND)
        assert sent == []
        sent = line.work()

    assert "no more texts" in "".join(sent), "what comes with the stop, and nothing before it"
    assert line.clock() - came_back_at <= 3 * MINUTE
    assert block(line) is None
    assert line.pass_time(line.clock() + DAY, 6 * HOUR) == []


def test_sending_goes_on_as_soon_as_the_webhook_of_a_young_text_has_come(line: Line) -> None:
    join(line)
    line.clock.advance(3 * DAY)
    [sid] = lose(line, "HELP")
    look(line)
    assert block(line) == "inbound_not_checked"

    line.clock.advance(5 * SECOND)
    assert len(line.text("HELP", MessageSid=sid)) == 1, "answered at once, as ever"
    line.clock.advance(30 * SECOND)
    look(line)

    assert block(line) is None


def test_a_line_where_nothing_came_in_waits_for_one_look_and_no_longer(line: Line) -> None:
    join(line)
    line.clock.advance(3 * DAY)
    assert look(line).has_looked
    assert block(line) is None


def test_a_text_that_cannot_be_taken_in_is_one_task_and_stops_nothing(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    [sid, _] = lose(line, "half a character \ud83d", "STOP")
    line.clock.advance(10 * MINUTE)

    counts = look(line)

    assert (counts.taken_in, counts.failed) == (1, 1)
    assert status_of(line) is ParticipantStatus.OPTED_OUT
    assert block(line) is None
    line.pass_time(line.clock() + 3 * HOUR)
    assert tasks(line).count((TaskKind.HANDLING_FAULT, "missed_text_not_taken_in")) == 1
    with line.runtime.database.read() as session:
        query = select(InboundMessage).join(Task, Task.inbound_id == InboundMessage.id)
        row = session.scalars(query.where(Task.reason == "missed_text_not_taken_in")).one()
    assert (row.provider_message_id, row.body, row.sender) == (sid, None, None)


def records_of(line: Line, **limits: object) -> TwilioRecords:
    account = TwilioAccount(
        line.standin.account_sid,
        line.standin.auth_token,
        messaging_service_sid=line.standin.service_sid,
        api_url=line.standin.url,
    )
    return TwilioRecords(account, **limits)  # type: ignore[arg-type]


def test_more_than_is_listed_in_one_go_is_read_in_slices_with_progress_kept(line: Line) -> None:
    join(line)
    line.clock.advance(HOUR)
    for number in range(40):
        line.clock.advance(SECOND)
        line.standin.record_inbound(f"+1202555{100 + number % 10:04d}", f"words {number}")
    lose(line, "STOP")
    line.clock.advance(2 * HOUR)
    looks, taken_in = 0, 0
    with closing(records_of(line, page_size=3, max_pages=2)) as records:
        while block(line) is not None:
            counts = find_missed_texts(line.runtime.context, records, line.clock.advance(10 * SECOND))
            looks, taken_in = looks + 1, taken_in + counts.taken_in
            assert counts.has_looked, "it goes on at the next tick"
            assert looks < 12

    assert looks > 1
    assert taken_in == 41
    assert status_of(line) is ParticipantStatus.OPTED_OUT


def test_a_look_that_breaks_stops_no_answer_and_frees_nothing_unprompted(line: Line) -> None:
    join(line)
    line.clock.advance(3 * DAY)
    with line.runtime.database.begin() as session:
        set_setting(session, "inbound_check_lease", {"until": "no time at all"}, line.clock(), "test")
    plan_answer_to(line)

    sent = line.work()

    assert len(sent) == 1, "the answer"
    assert block(line) == "inbound_not_checked"


@pytest.mark.parametrize("fault", [status(500), slow(0.6)], ids=["500", "hangs"])
def test_one_round_ends_and_answers_go_while_the_provider_does_not_list(
    database_url: str, clock: FakeClock, fault: object
) -> None:
    with running_line(database_url, clock) as line:
        join(line)
        line.clock.advance(3 * DAY)
        plan_answer_to(line)
        line.standin.by_chance({fault: 1.0}, seed=1, on=On.LOOKUP)  # type: ignore[dict-item]
        creates, began = line.standin.creates, time.monotonic()
        with closing(records_of(line, timeout=(1.0, 0.2))) as records:
            runtime = line.runtime
            work_once(runtime.context, runtime.transport, runtime.clock, records)

        assert time.monotonic() - began < 5.0
        assert line.standin.creates == creates + 1, "the answer, and nothing else"
        assert block(line) == "inbound_not_checked"


def test_a_worker_that_starts_sends_answers_though_the_list_hangs(line: Line) -> None:
    join(line)
    line.clock.advance(3 * DAY)
    plan_answer_to(line)
    line.standin.by_chance({slow(2.0): 1.0}, seed=1, on=On.LOOKUP)
    creates = line.standin.creates
    worker = Worker(line.runtime, plan_every=0.1, deliver_every=0.1, first_look_within=0.2)
    began = time.monotonic()
    worker.start()
    try:
        wait_until(lambda: line.standin.creates > creates, "the answer", 1.8)
        assert time.monotonic() - began < 1.9, "the first look is still waiting"
        assert block(line) == "inbound_not_checked"
    finally:
        assert worker.stop(10.0)
    assert line.standin.creates == creates + 1


def plan_answer_to(line: Line) -> None:
    """An answer that goes by API is due now."""
    now = line.clock()
    with line.runtime.database.begin() as session:
        session.add(
            Message(
                source="test",
                source_version=1,
                dedupe_key="test:answer",
                kind=MessageKind.REPLY,
                lane=KIND_RULES[MessageKind.REPLY].lane,
                text_id="reply/start-unknown",
                late="send",
                recipient="+12025550199",
                send_after=now,
                send_before=now + 2 * HOUR,
                due_at=now,
                state=MessageState.PLANNED,
                tries=0,
                created_at=now,
            )
        )


STOP_AND_START: list[tuple[timedelta, str]] = [
    (timedelta(0), "in the same moment"),
    (timedelta(milliseconds=500), "half a second later: the provider's times are whole seconds"),
    (timedelta(seconds=-60), "the provider's clock is a minute behind ours"),
]


@pytest.mark.parametrize(("written", "reason"), STOP_AND_START)
def test_a_lost_stop_wins_over_a_start_that_it_cannot_be_told_from(
    line: Line, written: timedelta, reason: str
) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    line.text("STOP")
    line.clock.advance(10 * MINUTE)
    line.text("START")
    line.standin.record_inbound(line.phone, "STOP", at=line.clock() + written)

    sent = line.pass_time(line.clock() + 3 * DAY, 6 * HOUR)

    assert (status_of(line), sent) == (ParticipantStatus.OPTED_OUT, []), reason


def test_of_a_start_and_a_stop_in_one_second_that_both_were_lost_the_stop_counts(line: Line) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    line.text("STOP")
    line.clock.advance(10 * MINUTE)
    for body in ("START", "STOP", "START"):
        line.standin.record_inbound(line.phone, body)

    sent = line.pass_time(line.clock() + 3 * DAY, 6 * HOUR)

    assert (status_of(line), sent) == (ParticipantStatus.OPTED_OUT, [])


@pytest.mark.parametrize("answer", [status(401, 20003), status(403), status(400), status(500)])
def test_a_bad_answer_in_place_of_the_list_lets_nothing_unprompted_go(line: Line, answer: Fault) -> None:
    join(line)
    line.clock.advance(10 * MINUTE)
    lose(line, "STOP")
    line.clock.advance(DAY)
    line.standin.script(answer, on=On.LOOKUP)
    creates = line.standin.creates

    assert line.work() == []
    assert block(line) == "inbound_not_checked"
    sent = line.pass_time(line.clock() + DAY, 6 * HOUR)

    assert (sent, line.standin.creates) == ([], creates)
    assert status_of(line) is ParticipantStatus.OPTED_OUT
