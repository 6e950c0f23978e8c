"""A reminder always has a fate: planned for a moment that may be, or recorded with the reason why not."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.store.messages import Message
from service.usecases.context import Context
from service.usecases.meetings.import_meetings import import_meetings, list_meetings
from service.usecases.people.choose_meeting import MeetingChoice, Operator, choose_meeting
from service.usecases.sending.plan import plan_due
from tests.conftest import NOW
from tests.integration.test_import_meetings import make_listing, make_meeting
from tests.integration.test_import_participants import PHONE, WRITTEN, run_import

CHICAGO = ZoneInfo("America/Chicago")
MONDAY, SUNDAY = 1, 7


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(UTC)


@pytest.mark.parametrize(
    ("weekday", "starts_at", "chosen_at", "state", "due_at", "reason"),
    [
        (SUNDAY, "13:00", "2026-11-29T08:00", "planned", "2026-11-29T12:00", None),
        (SUNDAY, "13:00", "2026-11-27T08:00", "planned", "2026-11-28T19:59", None),
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
