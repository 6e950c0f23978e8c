"""LESS, MORE, TIME, KEEP, nudges, chosen texts and stepping up, in the database."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.domain.kinds import MessageKind
from service.domain.local_time import local_datetime
from service.domain.phone import PhoneNumber
from service.store.consent import ConsentEvent, ConsentKind
from service.store.inbound import Task
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus
from service.usecases.context import Context
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_missed_text
from tests.integration.planning import Plans, open_plans, store_programs

K = MessageKind
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")
PROGRAM: dict[str, Any] = {
    "id": "rows",
    "version": 1,
    "name": "Rows",
    "word": "ROWS",
    "days": 110,
    "kept_days": 200,
    "frequency": {"en": "a few a week", "es": "unos por semana"},
    "rows": [
        {"id": "daily", "first_day": 1, "last_day": 28, "phase": "early"},
        {"id": "few", "first_day": 29, "last_day": 100, "phase": "early"},
        {"id": "kept", "first_day": 101, "last_day": 200, "phase": "long", "only": "kept"},
    ],
    "choices": [{"question": "urge", "values": ["8"], "topics": ["breathe"]}],
    "step_up": {
        "red": [{"question": "urge", "values": ["10"]}],
        "amber": [{"question": "urge", "values": ["7"]}],
    },
    "steps": [
        {"id": "safety", "day": 40, "time": "16:00", "kind": "safety", "texts": ["safety/someone-near"]},
        {
            "id": "bye",
            "day": 110,
            "only": "not_kept",
            "time": "12:00",
            "kind": "admin",
            "texts": ["admin/goodbye"],
        },
    ],
    "weekly": [
        {
            "id": "tip",
            "weekdays": ["MO", "TU", "WE", "TH", "FR", "SA"],
            "rows": ["daily"],
            "time": "12:00",
            "kind": "tip",
            "topics": ["sleep", "food", "breathe"],
        },
        {
            "id": "ask",
            "weekdays": ["MO"],
            "rows": ["daily", "few"],
            "time": "15:00",
            "kind": "pulse",
            "check_ins": ["pulse"],
            "nudge": ["check_in"],
        },
        {
            "id": "on",
            "weekdays": ["TU"],
            "rows": ["kept"],
            "time": "12:00",
            "kind": "caring",
            "topics": ["hope"],
        },
    ],
}
ASKING: dict[str, Any] = PROGRAM | {
    "id": "asking",
    "word": "ASKING",
    "steps": [
        *PROGRAM["steps"],
        {
            "id": "keep-question",
            "day": 101,
            "only": "not_kept",
            "time": "12:00",
            "kind": "admin",
            "texts": ["admin/keep-question"],
        },
        {"id": "home", "day": 101, "time": "15:00", "kind": "checkup", "check_ins": ["checkup-3"]},
    ],
    "weekly": [
        {**step, "check_ins": ["weekly"]} if step["id"] == "ask" else step for step in PROGRAM["weekly"]
    ],
}
"""With the question whether texts should go on, and with questions that come after one another."""
PHONE = PhoneNumber("+12025550101")


@pytest.fixture
def plans(context: Context) -> Plans:
    store_programs(context, PROGRAM, ASKING)
    return open_plans(context)


def say(plans: Plans, body: str) -> None:
    """The first person texts."""
    plans.text_in(PHONE, body)


def say_late(plans: Plans, body: str, ago: timedelta) -> None:
    """A text of the first person is found that never reached us."""
    receive_missed_text(
        plans.context, IncomingText(plans.form_of(PHONE, body), plans.clock() - ago), plans.clock()
    )


def tasks(plans: Plans) -> list[tuple[str, str]]:
    with plans.context.database.read() as session:
        return [(str(task.kind), task.reason) for task in session.scalars(select(Task).order_by(Task.id))]


def kept_events(plans: Plans) -> list[ConsentEvent]:
    with plans.context.database.read() as session:
        return list(session.scalars(select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.KEPT)))


def replies(plans: Plans) -> list[str]:
    """Ids of the answers so far, the question behind them left out."""
    with plans.context.database.read() as session:
        rows = session.scalars(select(Message.text_id).where(Message.kind == K.REPLY).order_by(Message.id))
        return [text_id.split("+")[0] for text_id in rows]


def sent(plans: Plans, kind: MessageKind) -> list[tuple[date, str]]:
    with plans.context.database.read() as session:
        query = select(Message.local_on, Message.text_id).where(
            Message.kind == kind, Message.accepted_at.is_not(None)
        )
        return [(on, text_id) for on, text_id in session.execute(query.order_by(Message.id)) if on]


def enrollment(plans: Plans) -> Enrollment:
    with plans.context.database.read() as session:
        return session.scalars(select(Enrollment)).one()


def test_a_tip_is_never_said_again_within_sixty_days_and_topics_take_turns(plans: Plans) -> None:
    plans.join(101, program="rows", day=1)
    plans.pass_time(plans.clock() + 27 * DAY, 6 * HOUR)

    said = [text_id for _, text_id in sent(plans, K.TIP)]
    assert len(said) == len(set(said)) > 10
    topics = [plans.context.catalog.text(text_id).topic for text_id in said[:6]]
    assert all(first != second for first, second in pairwise(topics))


def test_when_every_text_was_said_lately_the_day_says_why_it_is_silent(plans: Plans) -> None:
    plans.join(101, program="rows", day=1)
    plans.pass_time(plans.clock() + 27 * DAY, 6 * HOUR)

    assert ("expired", "no_fresh_text") in plans.texts(K.TIP), "three topics do not last for four weeks"


def test_an_answer_decides_what_the_next_tip_is_about(plans: Plans) -> None:
    plans.join(101, program="rows", day=7)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "8")
    plans.pass_time(plans.clock() + 2 * DAY)

    about = [plans.context.catalog.text(text_id).topic for _, text_id in sent(plans, K.TIP)[1:]]
    assert about == ["breathe", "breathe"]


@pytest.mark.parametrize(
    ("after", "nudges", "reason"),
    [
        (None, [("accepted", None)], "no answer: one line, and never a second one"),
        (6 * HOUR, [], "an answer the same day: nothing is planned"),
        (20 * HOUR, [("canceled", "answered")], "an answer the next morning takes it back"),
    ],
)
def test_an_unanswered_question_gets_one_gentle_line_and_an_answered_one_none(
    plans: Plans, after: timedelta | None, nudges: list[tuple[str, str | None]], reason: str
) -> None:
    plans.join(101, program="rows", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    assert len(sent(plans, K.PULSE)) == 1
    if after is not None:
        plans.pass_time(plans.clock() + after - 6 * HOUR)
        say(plans, "2")
    plans.pass_time(plans.clock() + 3 * DAY)

    assert plans.texts(K.NUDGE) == nudges, reason


def test_less_and_more_move_by_rows_and_safety_texts_go_on(plans: Plans) -> None:
    plans.join(101, program="rows", day=8)
    say(plans, "LESS")
    plans.pass_time(plans.clock() + 5 * DAY, 6 * HOUR)
    assert [on for on, _ in sent(plans, K.TIP)][1:] == [], "what was planned for today may still go"
    say(plans, "Menos")
    say(plans, "more")
    plans.pass_time(plans.clock() + 3 * DAY, 6 * HOUR)
    assert len(sent(plans, K.TIP)) >= 2
    say(plans, "more")
    plans.pass_time(plans.clock() + 30 * DAY, 6 * HOUR)

    assert replies(plans) == ["reply/less", "reply/least", "reply/more", "reply/most"]
    assert len(sent(plans, K.SAFETY)) == 1


def test_time_moves_the_texts_of_a_program_into_the_chosen_part_of_the_day(plans: Plans) -> None:
    plans.join(101, program="rows", day=42)
    for body in ("TIME", "time morning please", "hora 5"):
        say(plans, body)
    plans.pass_time(plans.clock() + 8 * DAY)

    assert replies(plans) == ["reply/time", "reply/time-morning", "reply/time"]
    with plans.context.database.read() as session:
        last = session.scalars(
            select(Message.due_at).where(Message.kind == K.PULSE).order_by(Message.id)
        ).all()
    assert 8 <= local_datetime(last[-1], NEW_YORK).hour < 12


def test_keep_goes_on_after_the_end_and_is_kept_as_consent(plans: Plans) -> None:
    plans.join(101, program="rows", day=105)
    say(plans, "KEEP")
    plans.pass_time(plans.clock() + 20 * DAY, 6 * HOUR)

    assert replies(plans) == ["admin/kept"]
    assert sent(plans, K.ADMIN) == [], "no goodbye to who stays"
    assert len(sent(plans, K.CARING)) >= 2
    assert enrollment(plans).status is EnrollmentStatus.ACTIVE
    event = kept_events(plans)[0]
    assert (event.program_id, event.wording_id) == ("rows", None), "no question was sent"


@pytest.mark.parametrize(
    "body",
    ["yes", "Sí", "seguir", "RESUME", "continue", "keep please", "Keep going!", "Keep", "quiero seguir"],
)
def test_while_the_question_stands_what_says_yes_to_it_keeps(plans: Plans, body: str) -> None:
    plans.join(101, program="asking", day=101)
    asked = [text for _, _, text in plans.pass_time(plans.clock() + 3 * HOUR)]
    say(plans, body)

    [event] = kept_events(plans)
    assert (event.program_id, event.wording_id, event.wording) == ("asking", "admin/keep-question", asked[0])
    assert replies(plans) == ["admin/kept"]
    assert enrollment(plans).kept_on is not None


def test_saying_keep_twice_is_recorded_once(plans: Plans) -> None:
    plans.join(101, program="rows", day=105)
    say(plans, "KEEP")
    say(plans, "Continuar, por favor")

    assert replies(plans) == ["admin/kept", "admin/kept"]
    assert len(kept_events(plans)) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [("yes", "reply/nothing-to-confirm"), ("resume", "reply/not-paused"), ("keep going", "reply/receipt")],
)
def test_before_the_question_came_other_words_keep_nothing(plans: Plans, body: str, says: str) -> None:
    plans.join(101, program="asking", day=101)
    say(plans, body)

    assert replies(plans) == [says]
    assert kept_events(plans) == []


def test_yes_answers_what_was_asked_after_the_question_about_going_on(plans: Plans) -> None:
    plans.join(101, program="asking", day=101)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "3")
    say(plans, "yes")
    assert kept_events(plans) == []

    say(plans, "keep going")
    assert len(kept_events(plans)) == 1, "these words can mean nothing else"


def test_resume_ends_a_pause_and_keeps_nothing(plans: Plans) -> None:
    plans.join(101, program="asking", day=101)
    plans.pass_time(plans.clock() + 3 * HOUR)
    for body in ("pause 3", "resume"):
        say(plans, body)

    assert replies(plans) == ["reply/paused", "reply/resumed"]
    assert kept_events(plans) == []


def test_who_keeps_before_the_question_is_never_asked(plans: Plans) -> None:
    plans.join(101, program="asking", day=100)
    say(plans, "keep")
    plans.pass_time(plans.clock() + 14 * DAY, 6 * HOUR)

    assert sent(plans, K.ADMIN) == []


def test_keep_on_the_last_morning_takes_the_goodbye_back(plans: Plans) -> None:
    plans.join(101, program="rows", day=110)
    plans.plan()
    say(plans, "KEEP")
    plans.pass_time(plans.clock() + 14 * DAY, 6 * HOUR)

    assert plans.texts(K.ADMIN) == [("canceled", "kept")]
    assert enrollment(plans).status is EnrollmentStatus.ACTIVE
    assert len(sent(plans, K.CARING)) >= 1


@pytest.mark.parametrize(
    ("days", "says", "status"),
    [(14, "admin/kept", EnrollmentStatus.ACTIVE), (15, "reply/not-now", EnrollmentStatus.COMPLETED)],
)
def test_keep_brings_texts_back_until_two_weeks_after_the_goodbye(
    plans: Plans, days: int, says: str, status: EnrollmentStatus
) -> None:
    plans.join(101, program="rows", day=110)
    plans.pass_time(plans.clock() + days * DAY, 12 * HOUR)
    say(plans, "KEEP")
    plans.pass_time(plans.clock() + 8 * DAY, 6 * HOUR)

    assert replies(plans) == [says]
    assert enrollment(plans).status is status
    assert all(reason != "too_late" for _, reason in plans.texts(K.CARING)), "nothing was owed meanwhile"


def test_who_does_not_answer_hears_goodbye_and_then_nothing(plans: Plans) -> None:
    plans.join(101, program="rows", day=105)
    plans.pass_time(plans.clock() + 20 * DAY, 6 * HOUR)

    assert [text_id for _, text_id in sent(plans, K.ADMIN)] == ["admin/goodbye"]
    assert sent(plans, K.CARING) == []
    assert enrollment(plans).status is EnrollmentStatus.COMPLETED


def test_keep_in_the_middle_of_a_program_changes_nothing(plans: Plans) -> None:
    plans.join(101, program="rows", day=20)
    say(plans, "KEEP")

    assert replies(plans) == ["reply/not-now"]
    assert enrollment(plans).kept_on is None


def test_a_red_answer_brings_two_weeks_of_the_daily_row_and_a_task(plans: Plans) -> None:
    plans.join(101, program="rows", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "10")
    plans.pass_time(plans.clock() + 20 * DAY, 6 * HOUR)

    days = [on for on, _ in sent(plans, K.TIP)]
    assert (min(days) - enrollment_day(plans)).days == 43, "from the day after"
    assert (max(days) - enrollment_day(plans)).days <= 57
    with plans.context.database.read() as session:
        assert "stepped_up" in [str(kind) for kind in session.scalars(select(Task.kind))]


def test_one_amber_answer_brings_nothing_and_two_in_two_weeks_do(plans: Plans) -> None:
    plans.join(101, program="rows", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "7")
    plans.pass_time(plans.clock() + 6 * DAY, 6 * HOUR)
    assert sent(plans, K.TIP) == []
    plans.pass_time(plans.clock() + DAY)
    say(plans, "7")
    plans.pass_time(plans.clock() + 3 * DAY)

    assert len(sent(plans, K.TIP)) >= 2


def test_more_undoes_less_on_any_later_day(plans: Plans) -> None:
    plans.join(101, program="rows", day=27)
    for body in ("less", "less"):
        say(plans, body)
    plans.pass_time(plans.clock() + 7 * DAY, 6 * HOUR)
    say(plans, "more")
    plans.pass_time(plans.clock() + 3 * DAY, 6 * HOUR)

    assert replies(plans) == ["reply/less", "reply/least", "reply/more"]
    assert len([on for on, _ in sent(plans, K.TIP) if (on - enrollment_day(plans)).days > 34]) >= 2


def test_less_on_the_day_somebody_joins_counts_from_the_first_row(plans: Plans) -> None:
    plans.join(101, program="rows", day=0)
    say(plans, "fewer texts please")
    plans.pass_time(plans.clock() + 5 * DAY, 6 * HOUR)

    assert replies(plans) == ["reply/less"]
    assert sent(plans, K.TIP) == []


def test_after_the_last_row_less_and_more_say_so_and_change_nothing(plans: Plans) -> None:
    plans.join(101, program="rows", day=105)
    for body in ("LESS", "MORE"):
        say(plans, body)

    assert replies(plans) == ["reply/least", "reply/most"]
    assert enrollment(plans).cadence_shift == 0


def test_less_ends_a_step_up_that_runs(plans: Plans) -> None:
    plans.join(101, program="rows", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "10")
    plans.pass_time(plans.clock() + 2 * DAY, 6 * HOUR)
    before = len(sent(plans, K.TIP))
    say(plans, "LESS")
    plans.pass_time(plans.clock() + 4 * DAY, 6 * HOUR)

    assert replies(plans)[-1] == "reply/less"
    assert len(sent(plans, K.TIP)) == before > 0


def test_less_takes_back_a_step_up_to_come_and_only_later_answers_bring_another(plans: Plans) -> None:
    plans.join(101, program="asking", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "10")
    assert enrollment(plans).stepped_up_on is not None
    for body in ("LESS", "1"):
        say(plans, body)
        assert enrollment(plans).stepped_up_on is None, "the 10 was said before"
    assert "reply/least" in replies(plans)

    plans.pass_time(plans.clock() + 7 * DAY)
    say(plans, "10")
    assert enrollment(plans).stepped_up_on is not None


def test_a_red_answer_where_no_row_would_change_makes_no_task(plans: Plans) -> None:
    plans.join(101, program="rows", day=7)
    plans.pass_time(plans.clock() + 6 * HOUR)
    say(plans, "10")

    assert enrollment(plans).stepped_up_on is None
    assert ("stepped_up", "stepped_up") not in tasks(plans)


def test_the_same_answers_step_up_once_with_one_task(plans: Plans) -> None:
    plans.join(101, program="asking", day=42)
    plans.pass_time(plans.clock() + 6 * HOUR)
    for body in ("10", "1", "1"):
        say(plans, body)

    assert tasks(plans).count(("stepped_up", "stepped_up")) == 1


@pytest.mark.parametrize("body", ["LESS", "TIME evening"])
def test_a_word_about_the_rhythm_leaves_no_unplanned_day_out(plans: Plans, body: str) -> None:
    plans.join(101, program="rows", day=39)
    say(plans, "MORE")
    plans.plan()
    plans.clock.advance(2 * DAY)
    say(plans, body)
    plans.plan()

    assert len(plans.texts(K.SAFETY)) == 1, "the day before nobody was there to plan"


@pytest.mark.parametrize(
    ("newer", "older"),
    [("more", "less"), ("less", "more"), ("time evening", "time morning"), ("keep", "keep")],
)
def test_a_word_found_late_does_not_undo_a_newer_one(plans: Plans, newer: str, older: str) -> None:
    plans.join(101, program="rows", day=105 if newer == "keep" else 34)
    say(plans, newer)
    before = enrollment(plans).cadence_shift
    answered = len(replies(plans))
    say_late(plans, older, HOUR)

    assert ("needs_reply", "found_after_newer") in tasks(plans)
    assert (enrollment(plans).cadence_shift, len(replies(plans))) == (before, answered)


def enrollment_day(plans: Plans) -> date:
    anchor_on = enrollment(plans).anchor_on
    assert anchor_on is not None
    return anchor_on
