"""Turn a message row into the words that leave, at the moment they leave: never stale, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_time
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.check_ins import CheckIn
from service.domain.kinds import ANSWER_KINDS, MessageKind
from service.domain.meeting_words import fold_to_gsm, name_and_place
from service.domain.meetings import day_word, next_occurrence
from service.domain.phone import PhoneNumber, find_e164
from service.domain.program import NUDGE_SUFFIX, Program
from service.domain.segments import count_segments
from service.domain.template import TemplateError, render
from service.store.campaigns import CampaignStatus, StoredCampaign, read_campaign
from service.store.meetings import ChosenMeeting, Meeting
from service.store.messages import Message
from service.store.participants import Participant, list_open_enrollments
from service.usecases.context import Context
from service.usecases.people.wording import frequency_of
from service.usecases.sending.candidates import CAMPAIGN_TEXT, key_of
from service.usecases.sending.unanswered import find_reason_against


@dataclass(frozen=True, slots=True)
class RenderedText:
    """The words, to whom, and the question they open."""

    recipient: PhoneNumber
    body: str
    text_id: str
    text_version: int
    opens_check_in: CheckIn | None = None


@dataclass(frozen=True, slots=True)
class RenderFault:
    """Nothing can be said. `is_final` when what it was about is gone, else the text itself is at fault."""

    reason: str
    is_final: bool


Fields = dict[str, str]
NO_LABEL = "meeting/no-label"
Details = tuple[str, Fields] | RenderFault


def render_message(
    context: Context,
    session: Session,
    message: Message,
    person: Participant | None,
    programs: dict[str, Program],
    now: datetime,
) -> RenderedText | RenderFault:
    """Render one text with what is true now. Raises nothing: a text that cannot be rendered is a fault."""
    recipient = find_e164((person.phone if person else message.recipient) or "")
    if recipient is None:
        return RenderFault("erased", is_final=True)
    check_in = _find_check_in(context, message)
    details = _details(session, message, person, programs, check_in, now)
    if isinstance(details, RenderFault):
        return details
    text_id, extra = details
    language = person.language if person else "en"
    if extra.get("label") == "":
        extra["label"] = context.catalog.get(NO_LABEL, language).body
    country = person.country if person else context.settings.org_country
    fields = context.common_fields(country, language) | (message.fields or {}) | extra
    if message.kind == MessageKind.CAMPAIGN:
        campaign = _find_campaign(session, message)
        if isinstance(campaign, RenderFault):
            return campaign
        if text_id.startswith(CAMPAIGN_TEXT):
            return _render_campaign(campaign, message, recipient, language, fields)
    try:
        for is_plain, tried in _tries(bool(person and person.wants_plain), message, fields):
            text = context.catalog.get(text_id, language, plain=is_plain)
            body = render(text.body, tried).rstrip()
            if _fits_one_segment(body):
                break
    except (TemplateError, KeyError, LookupError):
        return RenderFault("render_fault", is_final=False)
    return RenderedText(recipient, body, text_id, text.version, check_in)


def _find_campaign(session: Session, message: Message) -> StoredCampaign | RenderFault:
    """The campaign of a text, if it still stands as it did when the text was planned."""
    campaign = session.get(StoredCampaign, int(message.source.removeprefix("c")))
    if campaign is None or campaign.status is CampaignStatus.DRAFT:
        return RenderFault("edited", is_final=True)
    if campaign.status is CampaignStatus.PAUSED:
        return RenderFault("paused_campaign", is_final=True)
    if campaign.version != message.source_version:
        return RenderFault("edited", is_final=True)
    return campaign


def _render_campaign(
    campaign: StoredCampaign, message: Message, recipient: PhoneNumber, language: str, fields: Fields
) -> RenderedText | RenderFault:
    """The campaign's own words, in the person's language or not at all."""
    text = read_campaign(campaign).find_text(message.text_id.removeprefix(CAMPAIGN_TEXT))
    if text is None:
        return RenderFault("edited", is_final=True)
    if language not in text.wordings:
        return RenderFault("not_in_language", is_final=True)
    try:
        body = render(text.wordings[language], fields).rstrip()
    except TemplateError:
        return RenderFault("render_fault", is_final=False)
    return RenderedText(recipient, body, message.text_id, campaign.version)


def _tries(is_plain: bool, message: Message, fields: Fields) -> Iterator[tuple[bool, Fields]]:
    """Which wording with which fields, in turn until one fits a segment; the last one is taken as it is.

    Only a listing's words are of any length and alphabet: a reminder gives up the place, then the name.
    """
    if is_plain and message.kind == MessageKind.MEETING_REMINDER:
        if fields.get("name"):
            yield True, fields
            yield True, fields | {"place": ""}
        yield False, fields
    else:
        yield is_plain, fields


def _fits_one_segment(body: str) -> bool:
    count = count_segments(body)
    return count.encoding == "GSM-7" and count.segments == 1


def _find_check_in(context: Context, message: Message) -> CheckIn | None:
    if message.check_in_id is None:
        return None
    return context.catalog.check_in(message.check_in_id)


def _details(
    session: Session,
    message: Message,
    person: Participant | None,
    programs: dict[str, Program],
    check_in: CheckIn | None,
    now: datetime,
) -> Details:
    if check_in is not None:
        return check_in.questions[0].ask, {}
    if person is not None and message.kind not in ANSWER_KINDS:
        build = _BUILDERS.get(MessageKind(message.kind))
        if build is not None:
            return build(session, message, person, programs, now)
    return message.text_id, {}


def _admin_fields(
    session: Session,
    message: Message,
    person: Participant,
    programs: dict[str, Program],
    _now: datetime,
) -> Details:
    """Opt-in request and welcome say how often their program texts, as its newest version has it."""
    named = (message.fields or {}).get("program")
    wanted = [named] if named else []
    wanted += [enrollment.program_id for enrollment in reversed(list_open_enrollments(session, person.id))]
    program = next((programs[program_id] for program_id in wanted if program_id in programs), None)
    return message.text_id, {"frequency": frequency_of(program, person.language)}


def _meeting_fields(
    session: Session,
    message: Message,
    person: Participant,
    _programs: dict[str, Program],
    now: datetime,
) -> Details:
    """A reminder checks its meeting again: still chosen, still listed, still open, still at that time."""
    row = session.execute(
        select(ChosenMeeting, Meeting)
        .join(Meeting, Meeting.id == ChosenMeeting.meeting_id)
        .where(ChosenMeeting.id == int(message.source.removeprefix("m")))
    ).first()
    if row is None:
        return RenderFault("meeting_gone", is_final=True)
    chosen, meeting = row
    if chosen.ended_at is not None:
        return RenderFault("meeting_dropped", is_final=True)
    if meeting.vanished_at is not None or meeting.is_closed or not meeting.is_published:
        return RenderFault("meeting_closed", is_final=True)
    zone = ZoneInfo(meeting.timezone)
    starts_at = next_occurrence(meeting.weekday, meeting.starts_at, zone, now)
    if starts_at != message.send_before:
        return RenderFault("meeting_moved", is_final=True)
    return _meeting_text(chosen, meeting, person, starts_at, now)


def _meeting_text(
    chosen: ChosenMeeting, meeting: Meeting, person: Participant, starts_at: datetime, now: datetime
) -> Details:
    meeting_zone, own_zone = ZoneInfo(meeting.timezone), ZoneInfo(person.timezone)
    is_same_clock = (
        starts_at.astimezone(meeting_zone).utcoffset() == starts_at.astimezone(own_zone).utcoffset()
    )
    # The day and the hour must be of one clock, or midnight in New York is a day off in Los Angeles.
    day = day_word(now, starts_at, own_zone if is_same_clock else meeting_zone)
    if day is None:
        return RenderFault("meeting_not_near", is_final=True)
    text_id = f"meeting/{day}" if is_same_clock else f"meeting/{day}-other-zone"
    local = starts_at.astimezone(meeting_zone)
    name, place = name_and_place(meeting.name, meeting.place or meeting.address)
    zone_words = format_datetime(local, "v", tzinfo=meeting_zone, locale=_locale(person))
    fields = {
        "time": format_time(local, "short", locale=_locale(person)).replace("\u202f", " "),
        "label": chosen.label or "",
        "name": name,
        "place": place,
        "zone": fold_to_gsm(zone_words) or zone_words,
    }
    return text_id, fields


def _nudge_fields(
    session: Session,
    message: Message,
    _person: Participant,
    _programs: dict[str, Program],
    _now: datetime,
) -> Details:
    """A nudge follows a question that went out the day before, after which the person wrote nothing."""
    source, owner, on, step_id = message.dedupe_key.split(":")
    asked_on = date.fromisoformat(on) - timedelta(days=1)
    question = key_of(source, int(owner), asked_on, step_id.removesuffix(NUDGE_SUFFIX))
    reason = find_reason_against(session, question)
    return (message.text_id, {}) if reason is None else RenderFault(reason, is_final=True)


def _locale(person: Participant) -> str:
    return "es_US" if person.language == "es" else "en_US"


_BUILDERS: dict[
    MessageKind, Callable[[Session, Message, Participant, dict[str, Program], datetime], Details]
] = {
    MessageKind.ADMIN: _admin_fields,
    MessageKind.MEETING_REMINDER: _meeting_fields,
    MessageKind.NUDGE: _nudge_fields,
}
