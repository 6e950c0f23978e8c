"""Taking over a listing: changes are counted, a broken feed changes nothing, moved reminders move along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.domain.meetings import MeetingListing, Venue
from service.store.meetings import Meeting, MeetingSource
from service.store.messages import Message
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.meetings.import_meetings import (
    ListingImport,
    MeetingChanges,
    MeetingImportError,
    import_meetings,
    list_meetings,
)
from service.usecases.people.choose_meeting import MeetingChoice, Operator, choose_meeting
from service.usecases.sending.plan import plan_due
from tests.conftest import NOW
from tests.integration.test_import_participants import PHONE, WRITTEN, run_import

LATER = NOW + timedelta(hours=1)


def make_meeting(external_id: str = "1", **changes: Any) -> MeetingListing:
    """A listed meeting: Tuesdays at half past six in Chicago, unless said otherwise."""
    listing = MeetingListing(
        external_id=external_id,
        name="Evening Circle",
        fellowship="NA",
        weekday=2,
        starts_at=time(18, 30),
        duration=timedelta(hours=1),
        timezone="America/Chicago",
        venue=Venue.IN_PERSON,
        place="Example Hall",
        city="Utica",
        formats=("O", "D"),
    )
    return replace(listing, **changes)


def make_listing(
    listings: Sequence[MeetingListing],
    *,
    unreadable_ids: Sequence[str] = (),
    accept_shrink: bool = False,
) -> ListingImport:
    return ListingImport("list", "bmlt", "America/Chicago", listings, unreadable_ids, accept_shrink)


def take_over(context: Context, listing: ListingImport) -> MeetingChanges:
    return import_meetings(context, listing, "cli:test", LATER)


def make_many(count: int) -> list[MeetingListing]:
    return [make_meeting(str(number), name=f"Circle {number}") for number in range(count)]


def counts(changes: MeetingChanges) -> tuple[int, int, int, int]:
    return changes.added, changes.changed, changes.vanished, changes.unchanged


def list_vanished(context: Context) -> list[str]:
    with context.database.read() as session:
        query = select(Meeting.external_id).where(Meeting.vanished_at.is_not(None))
        return sorted(session.scalars(query))


def choose(context: Context) -> None:
    """An active person who wants to be reminded of the one meeting, with their week planned."""
    run_import(context, WRITTEN)
    (meeting,) = list_meetings(context)
    choose_meeting(context, PHONE, MeetingChoice(meeting["id"]), Operator("cli:test", NOW))
    plan_due(context, NOW + timedelta(days=1))


def list_reminders(context: Context) -> list[tuple[str, str | None]]:
    with context.database.read() as session:
        query = select(Message.state, Message.reason).where(Message.source.like("m%")).order_by(Message.id)
        return [(str(state), reason) for state, reason in session.execute(query)]


def test_a_new_listing_is_taken_over_whole(context: Context) -> None:
    changes = take_over(context, make_listing(make_many(3)))

    assert counts(changes) == (3, 0, 0, 0)
    with context.database.read() as session:
        row = session.scalars(select(Meeting).order_by(Meeting.id).limit(1)).one()
        source = session.scalars(select(MeetingSource)).one()
    assert (row.external_id, row.name, row.weekday, row.starts_at) == ("0", "Circle 0", 2, time(18, 30))
    assert (row.duration_minutes, row.venue, row.formats, row.is_closed) == (60, "in_person", "O,D", False)
    assert source.last_result == {"added": 3, "changed": 0, "vanished": 0, "unchanged": 0}


def test_the_same_listing_again_changes_nothing(context: Context) -> None:
    take_over(context, make_listing(make_many(3)))

    assert counts(take_over(context, make_listing(make_many(3)))) == (0, 0, 0, 3)


def test_added_changed_and_vanished_meetings_are_counted(context: Context) -> None:
    take_over(context, make_listing(make_many(10)))
    after = [make_meeting("1", name="Other name"), *make_many(11)[2:]]

    assert counts(take_over(context, make_listing(after))) == (1, 1, 1, 8)
    assert list_vanished(context) == ["0"]


def test_a_meeting_that_comes_back_is_there_again(context: Context) -> None:
    take_over(context, make_listing(make_many(10)))
    take_over(context, make_listing(make_many(10)[1:]))

    assert counts(take_over(context, make_listing(make_many(10)))) == (0, 1, 0, 9)
    assert list_vanished(context) == []


@pytest.mark.parametrize(
    ("left", "is_refused"),
    [
        pytest.param(8, False, id="a fifth less is believed"),
        pytest.param(7, True, id="more than a fifth is not"),
        pytest.param(0, True, id="an empty answer is not"),
    ],
)
def test_a_listing_that_shrinks_too_much_changes_nothing(
    context: Context, left: int, is_refused: bool
) -> None:
    take_over(context, make_listing(make_many(10)))

    if is_refused:
        with pytest.raises(MeetingImportError, match="accept-shrink"):
            take_over(context, make_listing(make_many(left)))
        assert list_vanished(context) == []
    else:
        assert take_over(context, make_listing(make_many(left))).vanished == 10 - left


def test_a_shrunken_listing_is_believed_when_somebody_says_so(context: Context) -> None:
    take_over(context, make_listing(make_many(10)))

    assert take_over(context, make_listing([], accept_shrink=True)).vanished == 10


def test_a_row_that_cannot_be_read_this_time_has_not_vanished(context: Context) -> None:
    take_over(context, make_listing(make_many(2)))

    changes = take_over(context, make_listing(make_many(1), unreadable_ids=["1"]))

    assert counts(changes) == (0, 0, 0, 1)
    assert list_vanished(context) == []


def test_two_sources_may_use_the_same_ids(context: Context) -> None:
    take_over(context, make_listing(make_many(2)))

    other = ListingImport("other", "bmlt", "America/Denver", make_many(2))

    assert counts(take_over(context, other)) == (2, 0, 0, 0)
    assert len(list_meetings(context)) == 4


MOVES = [
    pytest.param({"starts_at": time(19, 0)}, id="another time"),
    pytest.param({"weekday": 3}, id="another day"),
    pytest.param({"timezone": "America/Denver"}, id="another zone"),
]


@pytest.mark.parametrize("change", MOVES)
def test_a_chosen_meeting_that_moved_takes_its_reminders_along(
    context: Context, change: dict[str, Any]
) -> None:
    take_over(context, make_listing([make_meeting()]))
    choose(context)
    assert list_reminders(context) == [(MessageState.PLANNED, None)]

    changes = take_over(context, make_listing([make_meeting(**change)]))

    assert changes.people_planned_again == 1
    assert list_reminders(context) == [(MessageState.CANCELED, "meeting_moved")]
    with context.database.read() as session:
        assert session.scalars(select(Participant.next_plan_at)).one() == LATER


CLOSINGS = [
    pytest.param([make_meeting(is_temporarily_closed=True)], id="closed for now"),
    pytest.param([make_meeting(is_published=False)], id="taken off the list"),
    pytest.param([], id="gone"),
]


@pytest.mark.parametrize("after", CLOSINGS)
def test_reminders_of_a_meeting_that_is_not_held_are_taken_back(
    context: Context, after: list[MeetingListing]
) -> None:
    take_over(context, make_listing([make_meeting()]))
    choose(context)

    take_over(context, make_listing(after, accept_shrink=True))

    assert list_reminders(context) == [(MessageState.CANCELED, "meeting_closed")]
    assert list_meetings(context) == []


def test_a_new_name_leaves_planned_reminders_alone(context: Context) -> None:
    take_over(context, make_listing([make_meeting()]))
    choose(context)

    changes = take_over(context, make_listing([make_meeting(name="Other name")]))

    assert (changes.changed, changes.people_planned_again) == (1, 0)
    assert list_reminders(context) == [(MessageState.PLANNED, None)]


def test_meetings_are_listed_by_city_in_any_case(context: Context) -> None:
    take_over(context, make_listing([make_meeting(), make_meeting("2", city="Rome")]))

    assert [row["city"] for row in list_meetings(context, " rome ")] == ["Rome"]
