"""Campaigns are planned beside everything else; edits and pauses take back what was planned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from service.catalog import CatalogError
from service.domain.day_plan import Candidate
from service.domain.delivery import MessageState
from service.domain.kinds import MessageKind
from service.store.bulk import add_planned, move_planning
from service.store.campaigns import StoredCampaign
from service.store.messages import Message, MessageEvent
from service.store.participants import Participant
from service.usecases.campaigns.preview_campaign import preview_campaign
from service.usecases.campaigns.save_campaign import SaveOutcome
from service.usecases.campaigns.switch_campaign import pause_campaign, resume_campaign
from service.usecases.context import Context, new_reference
from service.usecases.sending.candidates import list_candidates
from service.usecases.sending.due_people import claim_people
from service.usecases.sending.edits import apply_campaign
from service.usecases.sending.speakers import load_sources, load_speakers
from service.usecases.sending.void import list_current_versions
from tests.conftest import NOW
from tests.integration.planning import Plans, open_plans

K = MessageKind
TUESDAY = datetime(2026, 11, 24, 5, tzinfo=UTC)
"""Midnight in New York."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

NOTE = """
name: Note
kind: once
at: 2026-11-24 12:00
text: {en: "A note from {org}", es: "Una nota de {org}"}
"""
LATER = NOTE.replace("12:00", "15:00")
WEEKLY = """
name: Walk
kind: recurring
rule: FREQ=WEEKLY;BYDAY=TU
time: "12:00"
text: {en: "Walk today", es: "Hoy caminata"}
"""


@pytest.fixture
def plans(context: Context) -> Plans:
    return open_plans(context)


def test_everybody_of_the_audience_gets_it_once_at_their_own_noon(plans: Plans) -> None:
    new_york, california = plans.join(1), plans.join(2, "America/Los_Angeles", language="es")
    plans.plan()

    plans.save(NOTE)
    sent = plans.pass_time(TUESDAY + 2 * DAY)

    notes = {to: (at, body) for at, to, body in sent if "not" in body.lower()}
    assert notes[new_york.e164][0] == TUESDAY + 12 * HOUR
    assert notes[california.e164][0] == TUESDAY + 15 * HOUR
    assert notes[new_york.e164][1].startswith("A note from")
    assert notes[california.e164][1].startswith("Una nota de")
    assert plans.texts(K.CAMPAIGN) == [("accepted", None)] * 2


def test_whoever_joins_later_and_carries_the_label_is_reached_too(plans: Plans) -> None:
    plans.save(WEEKLY + "audience: {tags: [Evening group], phase: middle}\n")
    plans.join(1, tags=("evening  GROUP",))
    plans.join(2, tags=("morning group",))
    plans.join(3, tags=("evening group",), day=30)

    sent = plans.pass_time(TUESDAY + 9 * DAY, step=3 * HOUR)

    assert [to[-4:] for _, to, body in sent if body == "Walk today"] == ["0001", "0001"]


def test_an_edit_takes_back_what_waits_and_the_new_version_goes_once(plans: Plans) -> None:
    plans.join(1)
    plans.save(NOTE)
    plans.plan(TUESDAY + 8 * HOUR)
    assert plans.texts(K.CAMPAIGN) == [("planned", None)]

    edited = plans.save(LATER)

    assert (edited.outcome, edited.version, edited.taken_back) == (SaveOutcome.CHANGED, 2, 1)
    assert plans.texts(K.CAMPAIGN) == [("canceled", "edited")]
    with plans.context.database.read() as session:
        trail = session.scalars(select(MessageEvent.reason).where(MessageEvent.to_state == "canceled")).all()
    assert trail == ["edited"]
    sent = plans.pass_time(TUESDAY + DAY)
    assert [(at - TUESDAY, "note" in body) for at, _, body in sent] == [(15 * HOUR, True)]


def test_an_unchanged_file_changes_nothing(plans: Plans) -> None:
    plans.join(1)
    plans.save(WEEKLY)
    plans.plan(TUESDAY + 8 * HOUR)
    before = plans.texts()

    again = plans.save(WEEKLY + "# the same\n")

    assert (again.outcome, again.version) == (SaveOutcome.UNCHANGED, 1)
    plans.plan()
    assert plans.texts() == before


def test_a_text_that_went_out_does_not_go_again_when_its_campaign_moves_to_another_day(plans: Plans) -> None:
    plans.join(1)
    plans.save(NOTE)
    plans.pass_time(TUESDAY + 13 * HOUR)
    plans.join(2)

    plans.save(NOTE.replace("11-24", "11-25"))
    sent = plans.pass_time(TUESDAY + 2 * DAY)

    assert [to[-4:] for _, to, body in sent if "note" in body] == ["0002"]
    assert plans.texts(K.CAMPAIGN, 1) == [("accepted", None), ("expired", "already_sent")]


def test_a_pause_takes_back_what_waits_and_what_passed_meanwhile_is_not_sent(plans: Plans) -> None:
    plans.join(1)
    plans.save(WEEKLY)
    plans.plan(TUESDAY + 8 * HOUR)

    paused = pause_campaign(plans.context, "Walk", "cli:test", plans.clock())
    again = pause_campaign(plans.context, "Walk", "cli:test", plans.clock())

    assert (paused.taken_back, again.outcome) == (1, SaveOutcome.UNCHANGED)
    assert plans.texts(K.CAMPAIGN) == [("canceled", "paused_campaign")]
    assert plans.pass_time(TUESDAY + 13 * HOUR) == []
    resume_campaign(plans.context, "Walk", "cli:test", plans.clock())
    plans.plan()
    assert plans.texts(K.CAMPAIGN)[1:] == [("expired", "paused_campaign")], "noon has passed"
    assert "2026-11-24T12:00" in preview_campaign(plans.context, "Walk", plans.clock())["passed"]
    sent = plans.pass_time(TUESDAY + 8 * DAY, step=3 * HOUR)
    assert [at - TUESDAY for at, _, body in sent if "Walk" in body] == [7 * DAY + 13 * HOUR], (
        "in three-hour steps"
    )


def test_what_is_still_ahead_goes_when_a_campaign_is_resumed_in_time(plans: Plans) -> None:
    plans.join(1)
    plans.save(WEEKLY)
    plans.plan(TUESDAY + 8 * HOUR)
    pause_campaign(plans.context, "Walk", "cli:test", plans.clock())

    resume_campaign(plans.context, "Walk", "cli:test", TUESDAY + 9 * HOUR)
    plans.plan(TUESDAY + 9 * HOUR)

    assert plans.texts(K.CAMPAIGN) == [("canceled", "paused_campaign"), ("planned", None)]


def test_a_draft_says_nothing_until_it_is_scheduled(plans: Plans) -> None:
    plans.join(1)
    plans.save(NOTE, is_draft=True)
    plans.plan(TUESDAY + 8 * HOUR)
    assert plans.texts(K.CAMPAIGN) == []

    assert plans.save(NOTE).outcome is SaveOutcome.CHANGED
    plans.plan()

    assert plans.texts(K.CAMPAIGN) == [("planned", None)]


def test_a_text_of_an_older_version_cannot_leave_even_before_anybody_took_it_back(plans: Plans) -> None:
    plans.join(1)
    plans.save(NOTE)
    plans.plan(TUESDAY + 12 * HOUR)
    with plans.context.database.begin() as session:
        session.execute(update(StoredCampaign).values(version=2))

    assert plans.send() == []

    assert plans.texts(K.CAMPAIGN) == [("canceled", "edited")]


def test_planning_finishes_an_edit_that_nobody_applied(plans: Plans) -> None:
    """A crash between saving and applying: the row is there, and nobody was made due."""
    plans.join(1)
    plans.save(NOTE)
    plans.plan(TUESDAY + 8 * HOUR)
    with plans.context.database.begin() as session:
        row = session.scalars(select(StoredCampaign)).one()
        row.version, row.revision = 2, new_reference()
        row.definition = {**row.definition, "at": "2026-11-24T15:00"}

    plans.plan(TUESDAY + 9 * HOUR)

    assert plans.texts(K.CAMPAIGN) == [("canceled", "edited"), ("planned", None)]
    with plans.context.database.read() as session:
        due = session.scalars(select(Message.due_at).where(Message.state == MessageState.PLANNED)).all()
    assert TUESDAY + 15 * HOUR in due


def test_planning_takes_back_stale_texts_of_whom_it_plans(plans: Plans) -> None:
    """As after a planner that read the old version and wrote its rows while the edit was applied."""
    plans.join(1)
    plans.save(NOTE)
    plans.plan(TUESDAY + 8 * HOUR)
    with plans.context.database.begin() as session:
        session.execute(update(StoredCampaign).values(version=2, applied_version=2, revision=new_reference()))
        session.execute(update(Participant).values(next_plan_at=plans.clock()))

    plans.plan()

    assert plans.texts(K.CAMPAIGN) == [("canceled", "edited"), ("planned", None)]


def test_a_campaign_takes_the_place_of_a_tip_that_waits_and_not_of_a_check_in(plans: Plans) -> None:
    plans.join(1, day=20)  # tomorrow: a safety text and a tip
    plans.plan(TUESDAY + 8 * HOUR)
    assert plans.texts(K.TIP) == [("planned", None)]

    plans.save(NOTE)
    plans.plan(TUESDAY + 9 * HOUR)

    assert plans.texts(K.CAMPAIGN) == [("planned", None)]
    assert plans.texts(K.TIP) == [("expired", "cap_day")]
    assert plans.texts(K.SAFETY) == [("planned", None)]


def test_of_three_campaigns_on_a_day_two_go_and_the_third_leaves_its_reason(plans: Plans) -> None:
    plans.join(1)
    for number in range(3):
        plans.save(NOTE.replace("Note", f"Note {number}").replace("12:00", f"1{number}:00"))

    plans.pass_time(TUESDAY + DAY)

    states = plans.texts(K.CAMPAIGN)
    assert states == [("accepted", None), ("accepted", None), ("expired", "cap_day")]


def test_a_campaign_whose_time_has_passed_is_told_and_leaves_no_text(plans: Plans) -> None:
    plans.join(1)
    plans.plan()

    plans.save(NOTE.replace("11-24", "11-22"))

    preview = preview_campaign(plans.context, "Note", plans.clock())
    assert (preview["people"], preview["left_out"]) == (0, {"past": 1})
    assert preview["passed"] == ["2026-11-22T12:00"]
    plans.pass_time(TUESDAY + DAY, step=6 * HOUR)
    assert plans.texts(K.CAMPAIGN) == []


def test_a_campaign_of_this_morning_still_goes_and_one_of_long_ago_leaves_its_reason(plans: Plans) -> None:
    plans.join(1)
    plans.plan(TUESDAY + 14 * HOUR)

    plans.save(NOTE)

    assert [at for at, _, body in plans.pass_time(TUESDAY + 15 * HOUR) if "note" in body]
    plans.join(2)
    plans.clock.at = TUESDAY + 23 * HOUR
    plans.save(NOTE.replace("name: Note", "name: Other").replace("12:00", "09:00"))
    plans.plan()
    assert plans.texts(K.CAMPAIGN, 1)[1:] == [("expired", "too_late")]


def test_who_joins_after_its_time_does_not_get_the_campaign_of_that_day(plans: Plans) -> None:
    plans.save(NOTE)
    plans.clock.at = TUESDAY + 14 * HOUR
    plans.join(1, day=0)

    plans.plan()

    assert plans.texts(K.CAMPAIGN) == [("expired", "before_enrollment")]


def test_a_preview_says_who_gets_it_and_why_others_do_not_and_changes_nothing(plans: Plans) -> None:
    for number in range(1, 6):
        plans.join(number)
    with plans.context.database.begin() as session:
        for number, status in ((2, "opted_out"), (3, "listed"), (4, "asked")):
            session.execute(update(Participant).where(Participant.id == number).values(status=status))
        paused = update(Participant).where(Participant.id == 5)
        session.execute(paused.values(paused_until=TUESDAY + 9 * DAY))
    plans.save(NOTE)
    with plans.context.database.read() as session:
        before = session.execute(text("SELECT id, next_plan_at, planned_through FROM participants")).all()

    preview = preview_campaign(plans.context, "Note", plans.clock())

    assert preview["people"] == 1
    assert preview["left_out"] == {"listed_only": 1, "not_confirmed": 1, "opted_out": 1, "paused": 1}
    [following] = preview["next"]
    assert (following["local"], following["first_at"]) == ("2026-11-24T12:00", TUESDAY + 12 * HOUR)
    with plans.context.database.read() as session:
        after = session.execute(text("SELECT id, next_plan_at, planned_through FROM participants")).all()
    assert (before, plans.texts()) == (after, [])


FAULTS = [
    (NOTE.replace("{org}", "{first_name}"), 5, "first_name"),
    (NOTE + "audience: {program: second-year}\n", 6, "second-year"),
    (
        NOTE.replace('text: {en: "A note from {org}", es: "Una nota de {org}"}', "template: tip/none"),
        5,
        "tip/none",
    ),
    (
        NOTE.replace('text: {en: "A note from {org}", es: "Una nota de {org}"}', "template: reply/stop"),
        5,
        "reply",
    ),
    (NOTE.replace("A note", "A note " + "x" * 700), 5, "segments"),
    (NOTE.replace("{org}", "{org"), 5, "expected"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("content", "line", "says"), FAULTS)
def test_what_cannot_be_sent_is_refused_with_its_line_and_nothing_is_stored(
    plans: Plans, content: str, line: int, says: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        plans.save(content)

    assert str(caught.value).startswith(f"campaign.yaml:{line}:")
    assert says in str(caught.value)
    with plans.context.database.read() as session:
        assert session.scalars(select(StoredCampaign)).all() == []


def test_texts_of_campaigns_are_unreadable_in_the_database(plans: Plans) -> None:
    plans.save(NOTE + "audience: {tags: [lantern]}\n")

    with plans.context.database.read() as session:
        stored = str(session.execute(text("SELECT definition FROM campaigns")).scalar_one())

    assert "note" not in stored
    assert "lantern" not in stored


def test_the_versions_that_count_are_told_for_every_source_that_has_one(plans: Plans) -> None:
    plans.join(1)
    saved = plans.save(NOTE)
    apply_campaign(plans.context, saved.campaign_id, NOW)

    with plans.context.database.read() as session:
        versions = list_current_versions(session, ["c1", "c99", "e1", "e99", "p1", "i7", "m5"])

    assert versions == {"c1": 1, "c99": 0, "e1": 1, "e99": 0, "m5": 0}


def test_a_text_that_was_put_off_counts_for_the_day_to_which_it_was(plans: Plans) -> None:
    plans.join(1)
    plans.plan(TUESDAY - 10 * HOUR)
    for number in range(2):
        plans.save(NOTE.replace("Note", f"Note {number}"))
    plans.plan(TUESDAY + HOUR)
    wednesday = TUESDAY + DAY + 15 * HOUR
    with plans.context.database.begin() as session:
        held = update(Message).where(Message.kind == K.CAMPAIGN)
        session.execute(
            held.values(state="held", reason="paused", due_at=wednesday, send_before=wednesday + DAY)
        )

    plans.save(NOTE.replace("11-24", "11-25"))
    plans.plan(TUESDAY + DAY + HOUR)

    assert plans.texts(K.CAMPAIGN)[2:] == [("expired", "cap_day")], "Wednesday has its two already"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_edit_waits_for_who_is_planning_by_the_old_version_and_then_the_new_one_counts(
    plans: Plans,
) -> None:
    """Another worker has read the old version and holds the person when the edit is saved."""
    plans.join(1)
    plans.save(NOTE)
    at = plans.clock.at = TUESDAY + 8 * HOUR
    context = plans.context
    with ThreadPoolExecutor(1) as editor:
        with context.database.begin() as session:
            people = claim_people(session, at, 10)
            sources = load_sources(session, context)
            edit = editor.submit(plans.save, LATER)
            with pytest.raises(TimeoutError):
                edit.result(timeout=0.3)
            load_speakers(session, people, sources)
            [person] = people.values()
            [text] = list_candidates(person, sources, at.date())
            add_planned(session, [planned_row(text)], at)
            move_planning(session, [(person.id, at.date(), at + 6 * DAY)])
        edit.result(timeout=10)

    plans.plan()

    assert plans.texts(K.CAMPAIGN) == [("canceled", "edited"), ("planned", None)]


def planned_row(text: Candidate) -> dict[str, object]:
    """A text as the planner writes it."""
    return {
        "participant_id": 1,
        "dedupe_key": text.key,
        "source": text.source,
        "source_version": text.source_version,
        "kind": text.kind,
        "lane": 2,
        "text_id": text.text_id,
        "check_in_id": None,
        "late": text.late,
        "local_on": TUESDAY.date(),
        "send_after": text.at,
        "send_before": text.at + 12 * HOUR,
        "due_at": text.at,
        "state": MessageState.PLANNED,
        "reason": None,
        "final_at": None,
    }
