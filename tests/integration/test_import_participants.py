"""What an import does to people, by how their number stands: consent decides, evidence stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import func, select

from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.phone import PhoneNumber
from service.store.base import Base
from service.store.consent import (
    ConsentChannel,
    ConsentEvent,
    ConsentKind,
    find_suppression,
    is_suppressed,
)
from service.store.messages import Message
from service.store.participants import (
    Enrollment,
    EnrollmentStatus,
    Participant,
    ParticipantStatus,
    find_participant,
    list_tags,
)
from service.usecases.context import Context
from service.usecases.people.consent_changes import Evidence, confirm_consent, opt_out
from service.usecases.people.import_participants import (
    ImportRefusedError,
    ImportRequest,
    ImportResult,
    import_participants,
)
from service.usecases.people.imported_person import FIRST_TEXT_USEFUL_FOR, RowOutcome
from service.usecases.sending.plan import plan_due
from tests.conftest import NOW

PHONE = PhoneNumber("+12025550111")
HEADER = "phone,name,timezone,language,program,discharge_date,consent,consent_at,consent_by,tags"
LISTED = f"{PHONE.e164},Ana Example,America/Chicago,en,,2026-11-20,,,,alumni;north"
VERBAL = f"{PHONE.e164},Ana Example,America/Chicago,en,,2026-11-20,verbal,2026-11-20T15:00,intake desk,"
WRITTEN = f"{PHONE.e164},Ana Example,America/Chicago,en,,2026-11-20,written,2026-11-20T15:00,intake desk,"


def run_import(context: Context, *rows: str, header: str = HEADER, now: datetime = NOW) -> ImportResult:
    content = "\n".join((header, *rows)).encode()
    return import_participants(context, ImportRequest(content, "cli:test"), now)


def outcomes(result: ImportResult) -> dict[RowOutcome, int]:
    return {outcome: count for outcome, count in result.counts.items() if count}


def get_person(context: Context) -> Participant:
    with context.database.read() as session:
        participant = find_participant(session, PHONE, context.keyring)
        assert participant is not None
        return participant


def list_messages(context: Context) -> Sequence[Message]:
    with context.database.read() as session:
        return session.scalars(select(Message).order_by(Message.id)).all()


def list_kinds(context: Context) -> list[str]:
    with context.database.read() as session:
        return [str(kind) for kind in session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id))]


def list_enrollments(context: Context) -> Sequence[Enrollment]:
    with context.database.read() as session:
        return session.scalars(select(Enrollment).order_by(Enrollment.id)).all()


def count_rows(context: Context) -> dict[str, int]:
    """How many rows every table holds, but for the record of what staff did."""
    with context.database.read() as session:
        return {
            table.name: session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Base.metadata.sorted_tables
            if table.name != "audit_events"
        }


def stop(context: Context, at: datetime) -> None:
    with context.database.begin() as session:
        participant = find_participant(session, PHONE, context.keyring, lock=True)
        evidence = Evidence(ConsentChannel.SMS, "participant", "SM1", at)
        opt_out(session, context.keyring, PHONE, participant, evidence, at)


def say_yes(context: Context, at: datetime = NOW) -> None:
    with context.database.begin() as session:
        participant = find_participant(session, PHONE, context.keyring, lock=True)
        assert participant is not None
        evidence = Evidence(ConsentChannel.SMS, "participant", "SM2", at)
        confirm_consent(session, participant, ConsentKind.CONFIRMED, evidence, at)


def is_stopped(context: Context) -> bool:
    with context.database.read() as session:
        return is_suppressed(find_suppression(session, PHONE, context.keyring))


def test_without_consent_a_person_is_listed_and_never_texted(context: Context) -> None:
    result = run_import(context, LISTED)

    assert outcomes(result) == {RowOutcome.LISTED: 1}
    person = get_person(context)
    assert person.status == ParticipantStatus.LISTED
    assert (person.name, person.timezone, person.zone_is_confirmed) == (
        "Ana Example",
        "America/Chicago",
        True,
    )
    assert [row.status for row in list_enrollments(context)] == [EnrollmentStatus.WAITING]
    assert list_kinds(context) == ["listed"]
    plan_due(context, NOW + timedelta(days=3))
    assert list_messages(context) == []
    with context.database.read() as session:
        assert list_tags(session, person.id) == ["alumni", "north"]


def test_verbal_consent_plans_one_request_and_nothing_else(context: Context) -> None:
    result = run_import(context, VERBAL)

    assert outcomes(result) == {RowOutcome.ASKED: 1}
    assert get_person(context).status == ParticipantStatus.ASKED
    assert [row.status for row in list_enrollments(context)] == [EnrollmentStatus.WAITING]
    plan_due(context, NOW + timedelta(days=1))
    (message,) = list_messages(context)
    assert (message.text_id, message.kind, message.state) == (
        "admin/opt-in-request",
        MessageKind.ADMIN,
        MessageState.PLANNED,
    )
    assert (message.due_at, message.send_before) == (NOW, NOW + FIRST_TEXT_USEFUL_FOR)
    assert message.lane == KIND_RULES[MessageKind.ADMIN].lane


def test_written_consent_plans_the_disclosure_and_then_the_program(context: Context) -> None:
    result = run_import(context, WRITTEN)

    assert outcomes(result) == {RowOutcome.WELCOMED: 1}
    person = get_person(context)
    assert person.status == ParticipantStatus.ACTIVE
    assert person.next_plan_at == NOW
    (enrollment,) = list_enrollments(context)
    assert (enrollment.status, enrollment.anchor_on) == (EnrollmentStatus.ACTIVE, date(2026, 11, 20))
    assert [message.text_id for message in list_messages(context)] == ["admin/welcome-written"]
    plan_due(context, NOW)
    assert len(list_messages(context)) > 1


@pytest.mark.parametrize(
    ("row", "kind", "text_id"),
    [
        pytest.param(VERBAL, ConsentKind.ASKED, "admin/opt-in-request", id="asked"),
        pytest.param(WRITTEN, ConsentKind.DOCUMENTED, "admin/welcome-written", id="documented"),
    ],
)
def test_the_evidence_says_who_when_where_and_the_exact_words(
    context: Context, row: str, kind: ConsentKind, text_id: str
) -> None:
    run_import(context, row)

    with context.database.read() as session:
        event = session.scalars(select(ConsentEvent).where(ConsentEvent.kind == kind)).one()
    assert (event.channel, event.actor, event.source_id) == (
        ConsentChannel.IMPORT,
        "intake desk",
        f"import:{sha256(f'{HEADER}{chr(10)}{row}'.encode()).hexdigest()[:12]}:2",
    )
    assert event.expressed_at == datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    assert event.recorded_at == NOW
    assert (event.program_id, event.wording_id) == ("first-year", text_id)
    assert event.wording
    assert context.settings.org_name in event.wording


@pytest.mark.parametrize("row", [LISTED, VERBAL, WRITTEN], ids=["listed", "verbal", "written"])
def test_the_same_file_twice_changes_nothing_and_plans_nothing_twice(context: Context, row: str) -> None:
    run_import(context, row)
    before = count_rows(context)

    result = run_import(context, row, now=NOW + timedelta(hours=1))

    assert outcomes(result) == {RowOutcome.UNCHANGED: 1}
    assert count_rows(context) == before


def test_a_listed_person_takes_over_what_a_later_file_says(context: Context) -> None:
    run_import(context, LISTED)
    later = LISTED.replace("2026-11-20", "2026-11-22").replace("America/Chicago", "America/Denver")

    result = run_import(context, later, now=NOW + timedelta(hours=1))

    assert outcomes(result) == {RowOutcome.UPDATED: 1}
    assert get_person(context).timezone == "America/Denver"
    assert [row.discharge_on for row in list_enrollments(context)] == [date(2026, 11, 22)]


def test_a_file_of_several_batches_may_be_imported_again(context: Context) -> None:
    rows = [f"+1999{number:07d}" for number in range(220)]
    progress: list[tuple[int, int]] = []
    request = ImportRequest("\n".join(["phone", *rows]).encode(), "cli:test")

    first = import_participants(context, request, NOW, lambda done, total: progress.append((done, total)))
    again = import_participants(context, request, NOW)

    assert outcomes(first) == {RowOutcome.LISTED: 220}
    assert outcomes(again) == {RowOutcome.UNCHANGED: 220}
    assert progress == [(50, 220), (100, 220), (150, 220), (200, 220), (220, 220)]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(LISTED, id="no consent"),
        pytest.param(VERBAL, id="verbal, older than the opt-out"),
        pytest.param(WRITTEN, id="written, older than the opt-out"),
    ],
)
def test_somebody_who_opted_out_stays_so_without_a_newer_consent(context: Context, row: str) -> None:
    run_import(context, WRITTEN)
    stop(context, NOW)
    before = count_rows(context)

    result = run_import(context, row, now=NOW + timedelta(hours=1))

    assert outcomes(result) == {RowOutcome.OPTED_OUT: 1}
    assert result.opted_out_rows == [2]
    assert count_rows(context) == before
    assert is_stopped(context)


def test_a_number_that_opted_out_without_a_profile_gets_none(context: Context) -> None:
    stop(context, NOW - timedelta(hours=1))

    result = run_import(context, WRITTEN)

    assert outcomes(result) == {RowOutcome.OPTED_OUT: 1}
    assert count_rows(context)["participants"] == 0
    assert list_messages(context) == []


def test_a_consent_of_the_day_of_the_opt_out_is_not_surely_newer(context: Context) -> None:
    run_import(context, WRITTEN)
    stop(context, NOW)

    result = run_import(
        context, WRITTEN.replace("2026-11-20T15:00", "2026-11-23"), now=NOW + timedelta(hours=5)
    )

    assert outcomes(result) == {RowOutcome.OPTED_OUT: 1}
    assert is_stopped(context)


def test_a_newer_written_consent_reopens_with_its_proof(context: Context) -> None:
    run_import(context, WRITTEN)
    stop(context, NOW)
    later = NOW + timedelta(days=2)

    result = run_import(context, WRITTEN.replace("2026-11-20T15:00", "2026-11-25T08:00"), now=later)

    assert outcomes(result) == {RowOutcome.WELCOMED: 1}
    assert not is_stopped(context)
    assert get_person(context).status == ParticipantStatus.ACTIVE
    assert list_kinds(context)[-2:] == ["reopened", "documented"]
    waiting = [m.text_id for m in list_messages(context) if m.state == MessageState.PLANNED]
    assert waiting == ["admin/welcome-written"]


def test_a_newer_verbal_consent_reopens_only_to_ask(context: Context) -> None:
    run_import(context, WRITTEN)
    stop(context, NOW)

    result = run_import(
        context, VERBAL.replace("2026-11-20T15:00", "2026-11-25T08:00"), now=NOW + timedelta(days=2)
    )

    assert outcomes(result) == {RowOutcome.ASKED: 1}
    assert get_person(context).status == ParticipantStatus.ASKED
    assert not is_stopped(context)
    plan_due(context, NOW + timedelta(days=2))
    waiting = [m.text_id for m in list_messages(context) if m.state == MessageState.PLANNED]
    assert waiting == ["admin/opt-in-request"]


def test_a_later_discharge_begins_the_program_anew(context: Context) -> None:
    run_import(context, WRITTEN)
    stop(context, NOW)
    again = WRITTEN.replace("2026-11-20T15:00", "2027-03-10T08:00").replace("2026-11-20", "2027-03-08")

    run_import(context, again, now=NOW + timedelta(days=110))

    assert [(row.status, row.anchor_on) for row in list_enrollments(context)] == [
        (EnrollmentStatus.ENDED, date(2026, 11, 20)),
        (EnrollmentStatus.ACTIVE, date(2027, 3, 8)),
    ]


def test_written_consent_takes_back_a_request_that_still_waits(context: Context) -> None:
    run_import(context, VERBAL)

    run_import(context, WRITTEN)

    assert [(m.text_id, m.state) for m in list_messages(context)] == [
        ("admin/opt-in-request", MessageState.CANCELED),
        ("admin/welcome-written", MessageState.PLANNED),
    ]


def test_the_same_consent_does_not_start_a_program_that_has_ended(context: Context) -> None:
    run_import(context, WRITTEN)
    with context.database.begin() as session:
        session.scalars(select(Enrollment)).one().status = EnrollmentStatus.COMPLETED
    before = count_rows(context)

    result = run_import(context, WRITTEN, now=NOW + timedelta(days=380))

    assert outcomes(result) == {RowOutcome.UNCHANGED: 1}
    assert count_rows(context) == before


def test_a_row_without_consent_takes_nothing_from_somebody_who_joined(context: Context) -> None:
    run_import(context, VERBAL)
    say_yes(context)

    result = run_import(context, LISTED.replace(",first-year,", ",ninety-days,"))

    assert outcomes(result) == {RowOutcome.UPDATED: 1}
    assert get_person(context).status == ParticipantStatus.ACTIVE
    assert len(list_enrollments(context)) == 1


def test_the_file_does_not_overwrite_what_an_active_person_chose(context: Context) -> None:
    run_import(context, WRITTEN)
    with context.database.begin() as session:
        person = session.scalars(select(Participant)).one()
        person.language, person.timezone = "es", "America/Denver"

    run_import(context, WRITTEN.replace("Ana Example", "Other Name"))

    person = get_person(context)
    assert (person.name, person.language, person.timezone) == ("Ana Example", "es", "America/Denver")


def test_without_a_zone_the_organizations_applies_and_is_not_confirmed(context: Context) -> None:
    run_import(context, "+16025550112", header="phone")

    with context.database.read() as session:
        person = session.scalars(select(Participant)).one()
    assert (person.timezone, person.zone_is_confirmed) == ("America/New_York", False)
    assert person.area_timezones == "America/Phoenix"


def test_a_program_is_found_by_its_own_word_in_any_case(context: Context) -> None:
    run_import(context, f"{PHONE.e164},bridge", header="phone,program")

    assert [row.program_id for row in list_enrollments(context)] == ["ninety-days"]


@pytest.mark.parametrize(
    ("consent_at", "expected"),
    [
        pytest.param("2026-11-20", datetime(2026, 11, 20, 6, 0, tzinfo=UTC), id="a day, from its beginning"),
        pytest.param("2026-11-20T15:00", datetime(2026, 11, 20, 21, 0, tzinfo=UTC), id="the person's clock"),
        pytest.param("2026-11-20 15:00", datetime(2026, 11, 20, 21, 0, tzinfo=UTC), id="with a space"),
        pytest.param("2026-11-20T15:00Z", datetime(2026, 11, 20, 15, 0, tzinfo=UTC), id="UTC"),
        pytest.param("2026-11-20T15:00-05:00", datetime(2026, 11, 20, 20, 0, tzinfo=UTC), id="an offset"),
        pytest.param("2026-11-01T01:30", datetime(2026, 11, 1, 6, 30, tzinfo=UTC), id="doubled: the first"),
        pytest.param("2026-03-08T02:30", datetime(2026, 3, 8, 8, 30, tzinfo=UTC), id="skipped: moved on"),
    ],
)
def test_when_consent_was_given_is_read_in_the_persons_zone(
    context: Context, consent_at: str, expected: datetime
) -> None:
    run_import(context, VERBAL.replace("2026-11-20T15:00", consent_at))

    with context.database.read() as session:
        assert session.scalars(select(ConsentEvent.expressed_at)).one() == expected


def test_one_wrong_row_stops_the_whole_file(context: Context) -> None:
    before = count_rows(context)

    with pytest.raises(ImportRefusedError) as refused:
        run_import(context, VERBAL, "+12025550112,,,fr,,,,,,")

    assert [(error.row, error.column) for error in refused.value.errors] == [(3, "language")]
    assert count_rows(context) == before
