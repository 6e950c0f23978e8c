"""The main job from the first text to the last, over real HTTP on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.store.consent import ConsentEvent
from service.store.conversations import Answer
from service.store.inbound import InboundMessage, Task
from service.store.meetings import ChosenMeeting, Meeting, MeetingSource
from service.store.messages import Message
from service.store.participants import Participant, ParticipantStatus
from service.usecases.people.consent_changes import plan_from
from tests.acceptance.line import Line, running_line
from tests.conftest import FakeClock

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def line(database_url: str) -> Iterator[Line]:
    clock = FakeClock(datetime(2026, 11, 22, 18, 0, tzinfo=UTC))  # Sunday 13:00 in New York
    with running_line(database_url, clock, org_name="Harbor House") as running:
        yield running


def _person(line: Line) -> Participant:
    with line.runtime.database.read() as session:
        return session.scalars(select(Participant)).one()


def _choose_meeting(line: Line, on: date, at: time) -> None:
    now = line.clock.at
    with line.runtime.database.begin() as session:
        person = session.scalars(select(Participant)).one()
        source = MeetingSource(name="test", format="bmlt", timezone="America/New_York")
        session.add(source)
        session.flush()
        meeting = Meeting(
            source_id=source.id,
            external_id="1",
            fingerprint="x",
            name="Evening Circle",
            weekday=on.isoweekday(),
            starts_at=at,
            timezone="America/New_York",
            venue="in_person",
            first_seen_at=now,
            last_seen_at=now,
        )
        session.add(meeting)
        session.flush()
        session.add(
            ChosenMeeting(participant_id=person.id, meeting_id=meeting.id, label="our circle", created_at=now)
        )
        plan_from(person, now)


def test_from_join_to_please_stop_texting_me(line: Line) -> None:
    [request] = line.text("JOIN")
    assert "YES" in request
    assert "Harbor House" in request
    assert "STOP" in request
    assert "rates may apply" in request
    assert line.work() == [], "nothing is sent before consent"

    [welcome] = line.text("yes")
    assert "HELP" in welcome
    assert _person(line).status is ParticipantStatus.ACTIVE

    tuesday = date(2026, 11, 24)
    _choose_meeting(line, tuesday, time(18, 30))
    monday_evening = datetime(2026, 11, 23, 17, 15, tzinfo=NEW_YORK)
    first = line.pass_time(monday_evening)
    question = first[-1][1]
    assert "0" in question
    assert "10" in question, "Monday at five the check-in asks"

    [feedback] = line.text("8")
    assert "?" in feedback, "the next question stands behind the feedback"
    for digit in ("2", "1"):
        assert len(line.text(digit)) == 1
    [closing] = line.text("3")
    assert closing
    with line.runtime.database.read() as session:
        assert [answer.value for answer in session.scalars(select(Answer).order_by(Answer.id))] == [
            "8",
            "2",
            "1",
            "3",
        ]

    second = line.pass_time(datetime(2026, 11, 25, 18, 0, tzinfo=NEW_YORK))
    reminders = [(at, body) for at, body in second if "our circle" in body]
    assert len(reminders) == 1, "the meeting is announced once"
    at, body = reminders[0]
    assert at.astimezone(NEW_YORK) == datetime(2026, 11, 24, 16, 30, tzinfo=NEW_YORK)
    assert "6:30" in body
    assert not {"meeting", "Evening Circle"} & set(body.split()), "the phone gives nothing away"

    [help_text] = line.text("HELP")
    assert "988" in help_text
    assert "911" in help_text

    [confirmation] = line.text("please stop texting me")
    assert "988" in confirmation
    assert line.pass_time(line.clock.at + timedelta(days=4), timedelta(hours=1)) == []
    assert line.text("STOP") == [], "one confirmation, then silence"
    assert _person(line).status is ParticipantStatus.OPTED_OUT

    everything = first + second
    hours = [at.astimezone(NEW_YORK) for at, _ in everything]
    assert all(9 <= at.hour < 20 for at in hours), "never at night"
    days = Counter(at.date() for at, body in everything if "our circle" not in body)
    assert max(days.values()) <= 2
    assert max(Counter(body for _, body in everything).values()) == 1, "no text twice"
    with line.runtime.database.read() as session:
        kinds = [str(event.kind) for event in session.scalars(select(ConsentEvent).order_by(ConsentEvent.id))]
        assert kinds[:2] == ["asked", "confirmed"]
        assert "opted_out" in kinds
        asked = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)).first()
        assert asked is not None
        assert asked.wording == request, "the exact words they saw"
        open_states = {MessageState.PLANNED, MessageState.HELD, MessageState.CLAIMED, MessageState.SENDING}
        assert not open_states & set(session.scalars(select(Message.state)))


def test_start_reopens_and_only_start(line: Line) -> None:
    line.text("JOIN")
    line.text("YES")
    line.text("STOP")

    for text in ("hello?", "YES", "JOIN", "who is this", "PAUSE 2"):
        assert line.text(text) == [], text
    assert line.pass_time(line.clock.at + timedelta(days=1), timedelta(hours=1)) == []
    assert line.text("START")
    assert line.pass_time(line.clock.at + timedelta(days=1), timedelta(hours=1)) != []


def test_a_repeated_delivery_gets_the_same_answer_and_changes_nothing(line: Line) -> None:
    first = line.text("JOIN", MessageSid="SM" + "a" * 32)
    again = line.text("JOIN", MessageSid="SM" + "a" * 32)

    assert first == again
    with line.runtime.database.read() as session:
        assert len(session.scalars(select(InboundMessage)).all()) == 1
        assert len(session.scalars(select(Message)).all()) == 1


def test_free_text_is_for_a_human_and_gets_one_receipt_in_twelve_hours(line: Line) -> None:
    [receipt] = line.text("my sister came by today, it was nice")
    assert "988" in receipt
    assert line.text("and tomorrow she comes again") == []
    line.clock.advance(timedelta(hours=13))
    assert len(line.text("she came")) == 1
    with line.runtime.database.read() as session:
        assert len(session.scalars(select(Task)).all()) == 3


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"Body": ""}, "empty"),
        ({"Body": "", "NumMedia": "1", "MediaUrl0": "https://media.invalid/1"}, "only a picture"),
        ({"Body": "x" * 1600}, "as long as it may be"),
        ({"Body": "\U0001f62d\U0001f48a"}, "emoji"),
        ({"Body": "مرحبا"}, "right to left"),
        ({"Body": "a\x00b"}, "a null byte"),
        ({"Body": "hi", "Surprise": "field"}, "a field we do not know"),
        ({"Body": "hi", "From": "12345"}, "a short code"),
        ({"Body": "hi", "From": "ALERTS"}, "no number at all"),
        ({"Body": "hi", "From": ""}, "no sender"),
    ],
)
def test_odd_texts_are_stored_and_answered_sensibly(line: Line, fields: dict[str, str], because: str) -> None:
    answer = line.standin.text_in(
        f"{line.url}/twilio/inbound", line.phone, "", None, is_answer_lost=False, **fields
    )

    assert answer.status == 200, because
    with line.runtime.database.read() as session:
        [stored] = session.scalars(select(InboundMessage)).all()
        assert stored.body == fields["Body"]
        assert not stored.is_faulty
        assert len(session.scalars(select(Task)).all()) == 1, "a human sees it"


def test_a_forged_text_is_refused_and_nothing_is_stored(line: Line) -> None:
    answer = line.standin.text_in(
        f"{line.url}/twilio/inbound",
        line.phone,
        "STOP",
        signed_url="https://elsewhere.invalid/twilio/inbound",
    )

    assert answer.status == 403
    with line.runtime.database.read() as session:
        assert session.scalars(select(InboundMessage)).all() == []


def test_a_stop_that_lands_after_planning_wins(line: Line) -> None:
    line.text("JOIN")
    line.text("YES")
    line.clock.at = datetime(2026, 11, 23, 12, 0, tzinfo=NEW_YORK).astimezone(UTC)
    line.work()
    line.clock.at = datetime(2026, 11, 23, 17, 5, tzinfo=NEW_YORK).astimezone(UTC)
    with line.runtime.database.read() as session:
        assert session.scalars(select(Message).where(Message.state == MessageState.PLANNED)).first()

    line.text("stop")

    assert line.work() == []
    with line.runtime.database.read() as session:
        reasons = session.scalars(select(Message.reason).where(Message.state == MessageState.CANCELED))
        assert set(reasons) == {"opted_out"}
