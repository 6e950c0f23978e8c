"""Sign-up on the website: records what was agreed to and plans the one text that asks to confirm.

Whatever is known about the number, the caller learns nothing: new, joined and opted-out numbers all give the
same outcome, so that nobody can find out with somebody else's number who gets these texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.config import TransportName
from service.domain.confirmation_requests import RequestVerdict, decide_request
from service.domain.consent import JoinDecision, decide_join
from service.domain.phone import InvalidPhoneError, PhoneNumber, country_of, is_company_number, parse_phone
from service.gateways.sms.simulator import SIMULATED_NUMBER
from service.store.consent import ConsentChannel, ConsentKind, find_suppression
from service.store.inbound import find_last_recipient
from service.store.participants import (
    EnrollmentStatus,
    Participant,
    find_participant,
    list_open_enrollments,
)
from service.store.service_state import count_recent, list_programs, record_use
from service.store.turns import take_turn
from service.usecases.context import Context, new_reference
from service.usecases.people.confirmation_request import (
    plan_request,
    read_request_facts,
    tell_line_is_full,
)
from service.usecases.people.consent_changes import (
    Evidence,
    NewParticipant,
    Wording,
    add_enrollment,
    add_participant,
    ask_for_consent,
    read_standing,
    record_consent_event,
)
from service.usecases.people.wording import render_opt_in_request

SUBMISSIONS_PER_HOUR = 10
_NEIGHBORS = frozenset({"US", "CA", "PR", "VI", "GU", "AS", "MP"})
REACHABLE_COUNTRIES = {"US": _NEIGHBORS, "CA": _NEIGHBORS, "GB": frozenset({"GB", "GG", "JE", "IM"})}
"""Countries whose numbers the form takes, by the organization's country. An open form that texts any number
of the world invites paid abuse with costly foreign numbers."""


class JoinOutcome(StrEnum):
    """All that a visitor may learn."""

    RECEIVED = "received"
    THROTTLED = "throttled"


class UntextableNumberError(InvalidPhoneError):
    """The number exists, and texts to it reach nobody: our own, a toll-free or a premium one."""


class UnknownProgramError(LookupError):
    """There is no program of that name."""


@dataclass(frozen=True, slots=True)
class WebSignUp:
    """One submission: `wording` is the ticked sentence, `source_ip_hash` a keyed hash of the address."""

    phone: PhoneNumber
    program_id: str
    language: str
    wording: Wording
    source_ip_hash: str


def parse_joining_phone(context: Context, typed: str) -> PhoneNumber:
    """Read the number a visitor typed. Stores nothing.

    Raises InvalidPhoneError for what is no telephone number, and for one in a country that is not served;
    UntextableNumberError for a number that no person reads texts on.
    """
    country = context.settings.org_country
    phone = parse_phone(typed, country)
    if country_of(phone) not in REACHABLE_COUNTRIES[country]:
        raise InvalidPhoneError("the telephone number belongs to a country that is not served")
    if is_company_number(phone):
        raise UntextableNumberError("the telephone number is toll-free or premium")
    if phone.e164 == _find_own_number(context):
        raise UntextableNumberError("the telephone number is the line's own")
    return phone


def _find_own_number(context: Context) -> str | None:
    settings = context.settings
    if settings.transport is TransportName.SIMULATOR:
        return SIMULATED_NUMBER
    if settings.twilio_from:
        return settings.twilio_from
    # A messaging service is an account's id: the number behind it is where the last text came in.
    with context.database.read() as session:
        return find_last_recipient(session)


def join_by_web(context: Context, sign_up: WebSignUp, now: datetime) -> JoinOutcome:
    """Take one submission; commits once. Raises UnknownProgramError.

    An opted-out number stays opted out and hears nothing; a person who already takes part in this program
    hears nothing; anybody else is asked by one text, unless `decide_request` says that they were asked
    enough or that the line's hour is full. Who gets no text has nothing stored about them: consent begins
    with an answer to it.
    """
    try:
        return _take(context, sign_up, now)
    except IntegrityError:
        # The number's first text or an import made the person at the same moment, and has just committed.
        return _take(context, sign_up, now)


def _take(context: Context, sign_up: WebSignUp, now: datetime) -> JoinOutcome:
    with context.database.begin() as session:
        if sign_up.program_id not in list_programs(session):
            raise UnknownProgramError(sign_up.program_id)
        # Looked at before waiting, so that a flood from one address holds up nobody; and again in turn,
        # because those who waited together had all seen the same count.
        if _is_used_up(session, sign_up, now):
            return JoinOutcome.THROTTLED
        take_turn(session, "join_page", now)
        if _is_used_up(session, sign_up, now):
            return JoinOutcome.THROTTLED
        record_use(session, sign_up.source_ip_hash, now)
        participant = find_participant(session, sign_up.phone, context.keyring, lock=True)
        if _decide(context, session, sign_up, participant) is JoinDecision.ASK:
            _ask(context, session, sign_up, participant, now)
    return JoinOutcome.RECEIVED


def _is_used_up(session: Session, sign_up: WebSignUp, now: datetime) -> bool:
    return count_recent(session, sign_up.source_ip_hash, now - timedelta(hours=1)) >= SUBMISSIONS_PER_HOUR


def _decide(
    context: Context, session: Session, sign_up: WebSignUp, participant: Participant | None
) -> JoinDecision:
    suppression = find_suppression(session, sign_up.phone, context.keyring)
    is_enrolled = participant is not None and any(
        row.program_id == sign_up.program_id and row.status is EnrollmentStatus.ACTIVE
        for row in list_open_enrollments(session, participant.id)
    )
    return decide_join(read_standing(participant, suppression, is_enrolled=is_enrolled))


def _ask(
    context: Context, session: Session, sign_up: WebSignUp, participant: Participant | None, now: datetime
) -> None:
    verdict = decide_request(read_request_facts(session, participant, now), now)
    if verdict is RequestVerdict.LINE_FULL:
        tell_line_is_full(session, now)
    if verdict is not RequestVerdict.PLAN:
        return
    participant = participant or _add_person(context, session, sign_up, now)
    if not plan_request(session, participant, sign_up.program_id, now):
        return
    add_enrollment(session, participant, sign_up.program_id, now)
    evidence = Evidence(ConsentChannel.WEB, "participant", new_reference(), now)
    ask_for_consent(session, participant, sign_up.program_id, evidence, sign_up.wording, now)
    # What a YES by text agrees to is what the text said, not the page.
    record_consent_event(
        session,
        ConsentKind.ASKED,
        Evidence(ConsentChannel.SMS, "service", evidence.source_id, now),
        now,
        participant=participant,
        program_id=sign_up.program_id,
        wording=render_opt_in_request(context, participant, list_programs(session)[sign_up.program_id]),
    )


def _add_person(context: Context, session: Session, sign_up: WebSignUp, now: datetime) -> Participant:
    new = NewParticipant(
        sign_up.phone, context.settings.org_timezone, is_zone_confirmed=False, language=sign_up.language
    )
    return add_participant(session, context.keyring, new, now)
