"""A reminder always has a fate: planned for a moment that may be, or recorded with the reason why not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.domain.segments import count_segments
from service.gateways.meetings.bmlt import read_bmlt
from service.store.messages import Message
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.meetings.import_meetings import import_meetings, list_meetings
from service.usecases.people.choose_meeting import MeetingChoice, Operator, choose_meeting
from service.usecases.sending.plan import plan_due
from service.usecases.sending.rendering import RenderedText, render_message
from tests.conftest import NOW
from tests.integration.test_import_meetings import make_listing, make_meeting
from tests.integration.test_import_participants import PHONE, WRITTEN, run_import
from tests.unit.domain.test_meeting_words import ODD, TAPPABLE

LONG_NAME = st.lists(st.sampled_from(["Group", "of", "Saint", "Candlelight"]), min_size=8).map(" ".join)
ANY_NAME = st.one_of(ODD, st.text(max_size=300), LONG_NAME)
CHICAGO = ZoneInfo("America/Chicago")
MONDAY, SUNDAY = 1, 7


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(UTC)


@pytest.mark.parametrize(
    ("weekday", "starts_at", "chosen_at", "state", "due_at", "reason"),
    [
        (SUNDAY, "13:00", "2026-11-29T08:00", "planned", "2026-11-29T12:00", None),
        (SUNDAY, "13:00", "2026-11-27T08:00", "planned", "2026-11-28T19:55", None),
        (MONDAY, "08:30", "2026-11-30T07:00", "expired", None, "quiet_hours"),
        (MONDAY, "19:00", "2026-11-30T18:00", "planned", "2026-11-30T17:00", None),
    ],
    ids=[
        "chosen on a Sunday morning: the first permitted moment",
        "chosen in time: the evening before",
        "chosen after the last permitted moment: said so",
        "chosen within the two hours: at once",
    ],
)
def test_a_chosen_meeting_is_reminded_of_or_the_reason_is_kept(
    context: Context,
    weekday: int,
    starts_at: str,
    chosen_at: str,
    state: str,
    due_at: str | None,
    reason: str | None,
) -> None:
    run_import(context, WRITTEN)
    plan_due(context, NOW)
    meeting = make_meeting(weekday=weekday, starts_at=time.fromisoformat(starts_at))
    import_meetings(context, make_listing([meeting]), "cli:test", NOW)
    meeting_id = list_meetings(context)[0]["id"]
    at = local(chosen_at)
    plan_due(context, at)

    choose_meeting(context, PHONE, MeetingChoice(meeting_id), Operator("cli:test", at))
    for moment in (at, local("2026-11-28T00:01"), local("2026-11-29T00:01"), local("2026-11-30T00:01")):
        plan_due(context, max(at, moment))

    with context.database.read() as session:
        query = select(Message).where(Message.kind == MessageKind.MEETING_REMINDER).order_by(Message.id)
        reminder = session.scalars(query).first()
    assert reminder is not None
    assert (reminder.state, reminder.reason) == (MessageState(state), reason)
    if due_at is not None:
        assert reminder.due_at == local(due_at)


@dataclass
class Reminded:
    """A person who reads plain wording and is to be reminded of one meeting, half an hour from now."""

    context: Context
    zone: str

    def list_as(self, name: str, place: str) -> None:
        """The server's next listing calls the same meeting by this name."""
        row = {
            "id_bigint": "1",
            "weekday_tinyint": "3",
            "start_time": "18:30",
            "meeting_name": name,
            "location_text": place,
        }
        feed = read_bmlt(json.dumps([row]).encode(), self.zone)
        import_meetings(self.context, make_listing(feed.listings), "cli:test", NOW)

    def choose(self, language: str) -> None:
        run_import(self.context, WRITTEN)
        with self.context.database.begin() as session:
            person = session.scalars(select(Participant)).one()
            person.wants_plain, person.language = True, language
        meeting_id = list_meetings(self.context)[0]["id"]
        choose_meeting(self.context, PHONE, MeetingChoice(meeting_id), Operator("cli:test", NOW))
        plan_due(self.context, NOW + timedelta(days=1))

    def read(self) -> str:
        with self.context.database.read() as session:
            query = select(Message).where(Message.kind == MessageKind.MEETING_REMINDER)
            message = session.scalars(query).one()
            person = session.scalars(select(Participant)).one()
            at = message.send_before - timedelta(minutes=30)
            rendered = render_message(self.context, session, message, person, {}, at)
        assert isinstance(rendered, RenderedText)
        return rendered.body


SAME, LONGEST = "America/Chicago", "America/Indiana/Indianapolis"
LONG = "The Thursday Night Candlelight Topic and Literature Discussion Group of Utica"
NAMES = [
    pytest.param(
        SAME, "en", "Circle", "Hall", "Meeting today at 6:30 PM: Circle. Hall", id="an ordinary name"
    ),
    pytest.param(SAME, "en", "Circle", "", "Meeting today at 6:30 PM: Circle.", id="no place"),
    pytest.param(
        SAME,
        "en",
        LONG,
        LONG,
        "Meeting today at 6:30 PM: The Thursday Night Candlelight Topic and. "
        "The Thursday Night Candlelight Topic and",
        id="both cut between words",
    ),
    pytest.param(
        SAME,
        "en",
        "Circle http://evil.example",
        "call 202-555-0123",
        "Meeting today at 6:30 PM: Circle. call",
        id="nothing to tap",
    ),
    pytest.param(
        SAME, "en", "202555", "0123 Hall", "Meeting today at 6:30 PM: 202555.", id="half a number in each"
    ),
    pytest.param(
        SAME, "en", "2025550123", "Hall", "Meeting today at 6:30 PM: NA Meeting. Hall", id="a number as name"
    ),
    pytest.param(
        SAME, "en", "Группа", "Hall", "Reminder for today at 6:30 PM: your plan.", id="dear letters: no name"
    ),
    pytest.param(
        SAME, "en", "Circle", "Дом", "Meeting today at 6:30 PM: Circle.", id="dear letters: no place"
    ),
    pytest.param(
        SAME,
        "es",
        "Círculo",
        "Salón",
        "Reunion hoy a las 6:30 p.m.: Circulo. Salon",
        id="accents are dropped",
    ),
    pytest.param(
        LONGEST,
        "es",
        LONG,
        LONG,
        "Reunion hoy a las 6:30 p.m. (hora de verano de Estados Unidos (Indiana/Indianapolis)):"
        " The Thursday Night Candlelight Topic and.",
        id="a long zone leaves room for the name only",
    ),
]


@pytest.mark.parametrize(("zone", "language", "name", "place", "expected"), NAMES)
def test_a_reminder_names_the_meeting_as_far_as_one_segment_allows(
    context: Context, zone: str, language: str, name: str, place: str, expected: str
) -> None:
    reminded = Reminded(context, zone)
    reminded.list_as(name, place)
    reminded.choose(language)

    assert reminded.read() == expected


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("zone", "language"), [(SAME, "en"), (SAME, "es"), (LONGEST, "en"), (LONGEST, "es")])
def test_whatever_a_listing_says_its_reminder_is_one_cheap_segment_with_nothing_to_tap(
    context: Context, zone: str, language: str
) -> None:
    reminded = Reminded(context, zone)
    reminded.list_as("Circle", "Hall")
    reminded.choose(language)

    @settings(max_examples=60, deadline=None)
    @given(name=ANY_NAME, place=ANY_NAME)
    def check(name: str, place: str) -> None:
        reminded.list_as(name, place)

        body = reminded.read()

        count = count_segments(body)
        assert (count.encoding, count.segments) == ("GSM-7", 1)
        assert TAPPABLE.search(body) is None

    check()
