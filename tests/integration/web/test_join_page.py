"""The sign-up page: what it says, what it refuses, and that it tells nobody anything about a number."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from service.domain.delivery import MessageState
from service.domain.kinds import KIND_RULES, MessageKind
from service.domain.phone import PhoneNumber
from service.store.consent import ConsentChannel, ConsentEvent, ConsentKind
from service.store.messages import Message
from service.store.participants import Enrollment, EnrollmentStatus, Participant, ParticipantStatus
from service.store.service_state import Throttle
from service.usecases.people.confirmation_request import LINE_REQUESTS
from service.usecases.sending.work import work_once
from service.wiring import Runtime
from tests.conftest import NOW, FakeClock
from tests.integration.web.conftest import list_messages, text_from

PATH = "/join/first-year"
TYPED = "(202) 555-0123"
PHONE = PhoneNumber("+12025550123")

CALLS_TO_ACTION = [
    ("en", "River House", "who"),
    ("en", "202-555-0100", "customer care contact"),
    ("en", "wellness check-ins", "what"),
    ("en", "1 or 2 texts a day at first, then fewer", "how often"),
    ("en", "Message and data rates may apply", "the exact sentence carriers look for"),
    ("en", "Reply STOP", "how to end"),
    ("en", "Reply HELP", "how to get help"),
    ("en", f"{PATH}/privacy", "privacy page"),
    ("en", f"{PATH}/terms", "terms page"),
    ("en", "not a condition of any treatment", "consent is not forced"),
    ("en", "Turn off message previews", "shared phone"),
    ("en", "911", "not an emergency line"),
    ("es", "Pueden aplicarse tarifas de mensajes y datos", "cost, in Spanish"),
    ("es", "Responda STOP", "how to end, in Spanish"),
    ("es", "no es condición para recibir", "consent is not forced, in Spanish"),
    ("es", "Oculte las vistas previas", "shared phone, in Spanish"),
]

BAD_NUMBERS = [
    ("", "nothing typed"),
    ("12", "too short"),
    ("555-0123", "no area code"),
    ("202-555-01234567", "too long"),
    ("call me", "no number"),
    ("202-555-0123 ext 4", "an extension gets no texts"),
    ("+33 6 12 34 56 78", "a country that is not served"),
    ("<script>alert(1)</script>", "markup"),
]

REVEALING = ("recovery", "opioid", "drug", "clinic", "rehab", "addict", "sober", "relapse")


def open_form(client: FlaskClient, path: str = PATH) -> dict[str, str]:
    """The hidden fields of a freshly opened form."""
    page = client.get(path).get_data(as_text=True)
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)">', page))


def submit(
    client: FlaskClient, path: str = PATH, address: str = "198.51.100.7", **changed: str
) -> TestResponse:
    fields = open_form(client, path) | {"phone": TYPED, "consent": "yes"} | changed
    return client.post(path, data=fields, environ_base={"REMOTE_ADDR": address})


def find_person(runtime: Runtime) -> Participant | None:
    with runtime.database.read() as session:
        return session.scalars(select(Participant)).one_or_none()


def count_rows(runtime: Runtime) -> dict[str, int]:
    """How much is known and planned: what a refusal must not change."""
    with runtime.database.read() as session:
        return {
            table.__tablename__: session.scalars(select(func.count()).select_from(table)).one()
            for table in (Participant, Enrollment, ConsentEvent, Message, Throttle)
        }


@pytest.mark.parametrize(("language", "words", "reason"), CALLS_TO_ACTION)
def test_the_form_says_what_carriers_ask_for(
    client: FlaskClient, language: str, words: str, reason: str
) -> None:
    assert words in client.get(f"{PATH}?lang={language}").get_data(as_text=True), reason


@pytest.mark.parametrize("path", [PATH, f"{PATH}/privacy", f"{PATH}/terms", f"{PATH}/done", "/join/nothing"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_page_is_discreet_plain_and_free_of_inline_code(
    client: FlaskClient, path: str, language: str
) -> None:
    answer = client.get(f"{path}?lang={language}")
    page = answer.get_data(as_text=True)

    title = re.search(r"<title>(.*?)</title>", page)
    assert title is not None
    assert not any(word in title[1].lower() for word in REVEALING)
    assert f'<html lang="{language}">' in page
    assert "{" not in page, "every placeholder has its value"
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")


def test_the_checkbox_is_not_ticked_beforehand(client: FlaskClient) -> None:
    assert "checked" not in client.get(PATH).get_data(as_text=True)


@pytest.mark.parametrize(
    ("accepts", "language"), [("es-MX,es;q=0.9,en;q=0.5", "es"), ("fr", "en"), ("", "en")]
)
def test_the_language_follows_the_browser_until_somebody_chooses(
    client: FlaskClient, accepts: str, language: str
) -> None:
    page = client.get(PATH, headers={"Accept-Language": accepts}).get_data(as_text=True)

    assert f'<html lang="{language}">' in page


@pytest.mark.parametrize("path", ["/join/nothing", "/join/nothing/privacy", "/join/nothing/done"])
def test_an_unknown_program_has_no_page(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_an_unknown_program_takes_no_submission(client: FlaskClient, runtime: Runtime) -> None:
    before = count_rows(runtime)

    answer = client.post("/join/nothing", data=open_form(client) | {"phone": TYPED, "consent": "yes"})

    assert answer.status_code == 404
    assert count_rows(runtime) == before


@pytest.mark.parametrize(("typed", "reason"), BAD_NUMBERS)
def test_a_bad_number_gets_one_clear_line_and_plans_nothing(
    client: FlaskClient, runtime: Runtime, typed: str, reason: str
) -> None:
    before = count_rows(runtime)

    answer = submit(client, phone=typed)

    page = answer.get_data(as_text=True)
    assert answer.status_code == 422, reason
    assert page.count("Please check the number") == 1
    assert "<script>alert" not in page
    if typed.isprintable() and "<" not in typed:
        assert f'value="{typed}"' in page, "what was typed is kept"
    assert "checked" in page, "the tick is kept too"
    assert count_rows(runtime) == before


NOBODYS_NUMBERS = [
    ("202-555-0100", "the line's own number"),
    ("+1 (202) 555-0100", "the line's own number, written otherwise"),
    ("900-555-0147", "premium: who owns it is paid for what it gets"),
    ("800-555-0147", "toll-free"),
    ("833-555-0147", "toll-free, a newer code"),
]


@pytest.mark.parametrize(("typed", "reason"), NOBODYS_NUMBERS)
@pytest.mark.parametrize(
    ("language", "line"), [("en", "cannot get these texts"), ("es", "no le llegan estos mensajes")]
)
def test_a_number_that_is_nobodys_mobile_gets_one_clear_line_and_nothing_is_stored(
    client: FlaskClient, runtime: Runtime, typed: str, reason: str, language: str, line: str
) -> None:
    before = count_rows(runtime)

    answer = submit(client, f"{PATH}?lang={language}", phone=typed)

    page = answer.get_data(as_text=True)
    assert answer.status_code == 422, reason
    assert page.count(line) == 1
    assert f'value="{typed}"' in page
    assert count_rows(runtime) == before


REFUSED_FORMS = [
    ({"consent": ""}, 422, "Please tick the box", "no agreement"),
    ({"consent": "no"}, 422, "Please tick the box", "something else than agreement"),
    ({"csrf_token": "forged"}, 400, "open for a long time", "not our form"),
    ({"seen": "0" * 16}, 400, "open for a long time", "other words than today's were agreed to"),
]


@pytest.mark.parametrize(("changed", "status", "line", "reason"), REFUSED_FORMS)
def test_a_refused_form_keeps_the_number_and_plans_nothing(
    client: FlaskClient, runtime: Runtime, changed: dict[str, str], status: int, line: str, reason: str
) -> None:
    before = count_rows(runtime)

    answer = submit(client, **changed)

    page = answer.get_data(as_text=True)
    assert answer.status_code == status, reason
    assert line in page
    assert f'value="{TYPED}"' in page
    assert "checked" not in page
    assert count_rows(runtime) == before


def test_a_new_number_is_asked_once_with_the_evidence_kept(client: FlaskClient, runtime: Runtime) -> None:
    sentence = re.search(r"<span>(I agree.*?)</span>", client.get(PATH).get_data(as_text=True))
    assert sentence is not None

    answer = submit(client)

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{PATH}/done?lang=en"
    person = find_person(runtime)
    assert person is not None
    assert person.status == ParticipantStatus.ASKED
    assert person.opt_in_asked_at == NOW
    with runtime.database.read() as session:
        enrollment = session.scalars(select(Enrollment)).one()
        event, request = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id))
    assert (enrollment.program_id, enrollment.status) == ("first-year", EnrollmentStatus.WAITING)
    assert (event.kind, event.channel, event.program_id) == (
        ConsentKind.ASKED,
        ConsentChannel.WEB,
        "first-year",
    )
    assert (event.wording_id, event.wording_version) == ("page/join-consent", 1)
    assert event.wording == sentence[1]
    assert re.fullmatch(r"[0-9a-f]{32}", event.source_id)
    assert (request.channel, request.wording_id) == (ConsentChannel.SMS, "admin/opt-in-request")


def test_a_yes_by_text_is_kept_with_the_words_of_the_text_it_answers(
    client: FlaskClient, runtime: Runtime
) -> None:
    submit(client)
    work_once(runtime.context, runtime.transport, runtime.clock)
    text_from(runtime, PHONE, "YES")

    [request, _welcome] = list_messages(runtime)
    with runtime.database.read() as session:
        confirmed = select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.CONFIRMED)
        assert session.scalars(confirmed).one().wording == request.body


def test_the_one_planned_text_is_the_request_to_confirm(client: FlaskClient, runtime: Runtime) -> None:
    submit(client)

    person = find_person(runtime)
    [message] = list_messages(runtime)
    assert person is not None
    assert message.dedupe_key == f"j{person.id}:2026-11-23:opt-in"
    assert (message.kind, message.text_id) == (MessageKind.ADMIN, "admin/opt-in-request")
    assert message.lane == KIND_RULES[MessageKind.ADMIN].lane
    assert message.state == MessageState.PLANNED
    assert (message.send_after, message.due_at) == (NOW, NOW)
    assert message.send_before == NOW + timedelta(hours=48)


def test_the_request_goes_out_and_yes_begins_the_program(client: FlaskClient, runtime: Runtime) -> None:
    submit(client)

    work_once(runtime.context, runtime.transport, runtime.clock)
    answers = text_from(runtime, PHONE, "YES")

    [request, welcome] = list_messages(runtime)
    assert "Reply YES to confirm" in (request.body or "")
    assert "1 or 2 texts a day at first, then fewer" in (request.body or "")
    assert answers == [welcome.body]
    person = find_person(runtime)
    assert person is not None
    assert person.status == ParticipantStatus.ACTIVE


def test_at_night_the_request_waits_until_morning(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    clock.at = NOW.replace(hour=4)

    submit(client)
    work_once(runtime.context, runtime.transport, runtime.clock)

    [message] = list_messages(runtime)
    assert (message.state, message.reason) == (MessageState.HELD, "quiet_hours")
    assert message.due_at == NOW.replace(hour=14)


def test_the_spanish_page_asks_in_spanish(client: FlaskClient, runtime: Runtime) -> None:
    answer = submit(client, f"{PATH}?lang=es")

    work_once(runtime.context, runtime.transport, runtime.clock)

    assert answer.headers["Location"] == f"{PATH}/done?lang=es"
    [message] = list_messages(runtime)
    assert "Responda SI para confirmar" in (message.body or "")


KNOWN_NUMBERS = {
    "new": (),
    "asked": ("JOIN",),
    "taking part": ("JOIN", "YES"),
    "opted out": ("JOIN", "YES", "STOP"),
    "opted out, never known": ("STOP",),
}


def test_the_page_is_the_same_to_the_byte_whoever_the_number_belongs_to(
    client: FlaskClient, runtime: Runtime
) -> None:
    seen = {}
    for offset, (standing, texts) in enumerate(KNOWN_NUMBERS.items()):
        phone = PhoneNumber(f"+1202555013{offset}")
        text_from(runtime, phone, *texts)
        answer = submit(client, phone=phone.e164)
        page = client.get(answer.headers["Location"])
        headers = {name: value for name, value in answer.headers if name not in ("Set-Cookie", "Date")}
        seen[standing] = (answer.status_code, answer.data, headers, page.status_code, page.data)

    assert len(set(map(repr, seen.values()))) == 1
    assert b"555" not in seen["new"][4].replace(b"202-555-0100", b"")


SILENT_NUMBERS = [
    (("JOIN", "YES"), ParticipantStatus.ACTIVE, "takes part already"),
    (("JOIN", "YES", "STOP"), ParticipantStatus.OPTED_OUT, "opted out"),
    (("STOP",), None, "opted out before we ever knew them"),
]


@pytest.mark.parametrize(("texts", "status", "reason"), SILENT_NUMBERS)
def test_nothing_is_sent_to_who_takes_part_or_opted_out(
    client: FlaskClient, runtime: Runtime, texts: tuple[str, ...], status: str | None, reason: str
) -> None:
    text_from(runtime, PHONE, *texts)
    before = count_rows(runtime)

    answer = submit(client)

    assert answer.status_code == 303
    after = count_rows(runtime)
    assert after.pop("throttles") == before.pop("throttles") + 1
    assert after == before, reason
    person = find_person(runtime)
    assert (person.status if person else None) == status


def test_a_person_in_one_program_may_sign_up_for_another(client: FlaskClient, runtime: Runtime) -> None:
    text_from(runtime, PHONE, "JOIN", "YES")

    submit(client, "/join/ninety-days")

    person = find_person(runtime)
    assert person is not None
    assert person.status == ParticipantStatus.ACTIVE
    assert [message.text_id for message in list_messages(runtime)][-1] == "admin/opt-in-request"


def test_the_eleventh_submission_of_an_hour_is_refused(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    for last in range(10):
        assert submit(client, phone=f"202-555-011{last}").status_code == 303
    before = count_rows(runtime)

    refused = submit(client, phone="202-555-0120")

    assert refused.status_code == 429
    assert "Please try again later" in refused.get_data(as_text=True)
    assert count_rows(runtime) == before
    assert submit(client, address="198.51.100.8", phone="202-555-0121").status_code == 303
    clock.advance(timedelta(minutes=61))
    assert submit(client, phone="202-555-0120").status_code == 303


def test_the_address_is_kept_as_a_keyed_hash_only(client: FlaskClient, runtime: Runtime) -> None:
    submit(client)

    with runtime.database.read() as session:
        subjects = set(session.scalars(select(Throttle.subject_hash)))
    [stored] = subjects - {LINE_REQUESTS}
    assert re.fullmatch(r"[0-9a-f]{64}", stored)


def test_a_yes_before_the_request_has_gone_is_no_consent(
    client: FlaskClient, runtime: Runtime, clock: FakeClock
) -> None:
    clock.at = clock.at.replace(hour=4)  # 23:00 in New York: the request waits for the morning
    submit(client, PATH)

    text_from(runtime, PHONE, "YES")

    person = find_person(runtime)
    assert person is not None
    assert person.status == ParticipantStatus.ASKED
    text_from(runtime, PHONE, "START")
    person = find_person(runtime)
    assert person is not None
    assert person.status == ParticipantStatus.ASKED

    clock.at = clock.at.replace(hour=16)
    work_once(runtime.context, runtime.transport, clock)
    text_from(runtime, PHONE, "YES")
    person = find_person(runtime)
    assert person is not None
    assert person.status == ParticipantStatus.ACTIVE
