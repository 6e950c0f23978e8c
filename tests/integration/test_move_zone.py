"""Moving to another time zone: nothing twice, nothing at night, and nothing just gone."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from service.domain.kinds import MessageKind
from service.domain.local_time import UnknownZoneError
from service.store.messages import Message
from service.store.participants import Enrollment, Participant
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.meetings.import_meetings import import_meetings, list_meetings
from service.usecases.people.choose_meeting import MeetingChoice, Operator, choose_meeting
from service.usecases.people.move_zone import MoveOutcome, change_zone
from service.usecases.people.show_participant import NobodyError
from tests.conftest import NOW
from tests.integration.planning import Plans, open_plans
from tests.integration.test_import_meetings import make_listing, make_meeting
from tests.integration.test_import_participants import PHONE, WRITTEN, run_import

K = MessageKind
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_YORK, LOS_ANGELES, HONOLULU = "America/New_York", "America/Los_Angeles", "Pacific/Honolulu"
KIRITIMATI, APIA, PAGO_PAGO = "Pacific/Kiritimati", "Pacific/Apia", "Pacific/Pago_Pago"


@pytest.fixture
def plans(context: Context) -> Plans:
    return open_plans(context)


def keys(plans: Plans, *states: str) -> list[str]:
    """What each text of these states is for: date and slot. Of the person who joined last.

    Nudges are left out: they follow silence, not a day.
    """
    newest = select(func.max(Participant.id)).scalar_subquery()
    query = select(Message.dedupe_key).where(
        Message.state.in_(states), Message.participant_id == newest, Message.kind != K.NUDGE
    )
    with plans.context.database.read() as session:
        return [":".join(key.split(":")[2:]) for key in session.scalars(query.order_by(Message.id))]


def local_times(plans: Plans, zone: str) -> list[str]:
    """When what waits is due, on the clock of a zone."""
    query = select(Message.due_at).where(Message.state == "planned").order_by(Message.due_at)
    with plans.context.database.read() as session:
        return [at.astimezone(ZoneInfo(zone)).strftime("%a %H:%M") for at in session.scalars(query)]


MOVES = [
    (NEW_YORK, LOS_ANGELES, "the same day, three hours more of it"),
    (LOS_ANGELES, NEW_YORK, "the same day, three hours less of it"),
    (HONOLULU, KIRITIMATI, "a day ahead on the same clock: Monday is gone, and Tuesday is here"),
    (KIRITIMATI, HONOLULU, "a day back on the same clock"),
    (APIA, PAGO_PAGO, "over the date line, a short flight"),
    (PAGO_PAGO, APIA, "and back"),
]


@pytest.mark.parametrize(("home", "away", "because"), MOVES)
def test_a_move_says_nothing_twice_and_loses_nothing_without_a_word(
    plans: Plans, home: str, away: str, because: str
) -> None:
    plans.clock.at = NOW - DAY
    phone = plans.join(1, home, day=14)
    plans.pass_time(NOW + 9 * HOUR)

    assert change_zone(plans.context, phone, away, "cli:test", plans.clock()) is MoveOutcome.MOVED
    sent = plans.pass_time(NOW + 6 * DAY)

    for at, _, _ in sent:
        local = at.astimezone(ZoneInfo(away))
        assert 9 <= local.hour < 20, because
        assert local.weekday() < 6 or local.hour >= 12, because
    said = keys(plans, "accepted", "expired")
    assert len(said) == len(set(said)), because
    canceled = set(keys(plans, "canceled"))
    assert canceled <= set(said) | set(keys(plans, "planned", "held")), "what was taken back has its fate"
    with plans.context.database.read() as session:
        days = {key[:10] for key in said}
        anchor = session.scalars(select(Enrollment.anchor_on)).one()
    assert anchor is not None
    # Days 14 to 20 of the program speak daily: each date has a text, sent or expired, whatever the way.
    dates = {(anchor + timedelta(days=14 + number)).isoformat() for number in range(6)}
    assert dates <= days, because


def test_what_waits_for_this_evening_waits_for_this_evening_there(plans: Plans) -> None:
    phone = plans.join(1, NEW_YORK)
    plans.plan()
    assert local_times(plans, NEW_YORK) == ["Mon 17:00"]

    change_zone(plans.context, phone, LOS_ANGELES, "cli:test", plans.clock())
    plans.plan()

    assert local_times(plans, LOS_ANGELES) == ["Mon 17:00"]
    assert plans.texts() == [("canceled", "moved"), ("planned", None)]


def test_a_text_of_today_does_not_come_again_when_today_comes_again(plans: Plans) -> None:
    """From Kiritimati to Honolulu the same date begins anew."""
    plans.clock.at = datetime(2026, 11, 23, 4, tzinfo=UTC)  # Monday 18:00 in Kiritimati, Sunday in Honolulu
    phone = plans.join(1, KIRITIMATI)
    plans.clock.advance(-HOUR)
    plans.pass_time(plans.clock() + HOUR)
    assert keys(plans, "accepted") == ["2026-11-23:monday-check-in"]

    change_zone(plans.context, phone, HONOLULU, "cli:test", plans.clock())
    plans.pass_time(plans.clock() + 2 * DAY)

    assert keys(plans, "accepted") == ["2026-11-23:monday-check-in"]


def test_a_reminder_stays_at_the_time_of_its_meeting(plans: Plans) -> None:
    run_import(plans.context, WRITTEN)
    import_meetings(plans.context, make_listing([make_meeting(weekday=2)]), "cli:test", NOW)
    meeting_id = list_meetings(plans.context)[0]["id"]
    choose_meeting(plans.context, PHONE, MeetingChoice(meeting_id), Operator("cli:test", NOW))
    tuesday = datetime(2026, 11, 24, 14, tzinfo=UTC)
    plans.plan(tuesday)

    change_zone(plans.context, PHONE, NEW_YORK, "cli:test", tuesday)
    plans.plan(tuesday)

    assert plans.texts(K.MEETING_REMINDER) == [("canceled", "moved"), ("planned", None)]
    with plans.context.database.read() as session:
        query = select(Message.due_at).where(Message.kind == K.MEETING_REMINDER).order_by(Message.id.desc())
        due_at = session.scalars(query).first()
    assert due_at == datetime(2026, 11, 24, 22, 30, tzinfo=UTC), "two hours before half past six in Chicago"


def test_texts_about_consent_do_not_belong_to_a_day_and_stay(plans: Plans) -> None:
    run_import(plans.context, WRITTEN)

    change_zone(plans.context, PHONE, LOS_ANGELES, "cli:test", NOW)

    assert plans.texts(K.ADMIN) == [("planned", None)]


def test_the_same_zone_again_changes_nothing_and_a_wrong_one_is_refused(plans: Plans) -> None:
    phone = plans.join(1, NEW_YORK)
    plans.plan()
    before = plans.texts()

    assert change_zone(plans.context, phone, NEW_YORK, "cli:test", NOW) is MoveOutcome.UNCHANGED
    with pytest.raises(UnknownZoneError):
        change_zone(plans.context, phone, "EST", "cli:test", NOW)
    with pytest.raises(NobodyError):
        change_zone(plans.context, PHONE, LOS_ANGELES, "cli:test", NOW)

    assert plans.texts() == before
    with plans.context.database.read() as session:
        assert session.scalars(select(AuditEvent).where(AuditEvent.action == "participant_moved")).all() == []


def test_an_import_that_confirms_another_zone_moves_the_person(plans: Plans) -> None:
    unknown = WRITTEN.replace("America/Chicago", "")
    run_import(plans.context, unknown)
    plans.plan()
    waiting = [text for text in plans.texts() if text[0] == "planned"]

    run_import(plans.context, WRITTEN.replace("America/Chicago", HONOLULU))
    plans.plan()

    moved = plans.texts().count(("canceled", "moved"))
    assert moved == len(waiting) - 1, "all but the welcome"
    with plans.context.database.read() as session:
        assert session.scalars(select(Participant.timezone)).one() == HONOLULU


ZONES = st.sampled_from([NEW_YORK, LOS_ANGELES, HONOLULU, KIRITIMATI, APIA, PAGO_PAGO, "Asia/Kolkata"])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_however_often_somebody_moves_no_day_speaks_twice(plans: Plans) -> None:
    numbers = itertools.count(100)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(ZONES, st.lists(st.tuples(ZONES, st.integers(3, 40)), min_size=1, max_size=4))
    def check(home: str, moves: list[tuple[str, int]]) -> None:
        with plans.context.database.begin() as session:
            session.execute(update(Participant).values(status="listed", next_plan_at=None))
            session.execute(update(Message).values(state="canceled"))
        plans.clock.at = NOW
        phone = plans.join(next(numbers), home, day=14)
        zone = home
        for away, hours in moves:
            for at, _, _ in plans.pass_time(plans.clock() + hours * HOUR, 3 * HOUR):
                assert 9 <= at.astimezone(ZoneInfo(zone)).hour < 20
            change_zone(plans.context, phone, away, "cli:test", plans.clock())
            zone = away
        plans.pass_time(plans.clock() + DAY, 3 * HOUR)
        said = keys(plans, "accepted", "expired", "planned", "held")
        assert len(said) == len(set(said))
        assert set(keys(plans, "canceled")) <= set(said)

    check()
