"""Generated people in many zones, and what is meant for them: by the real import and planner, and in bulk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, update

from service.domain.kinds import KIND_RULES, MessageKind
from service.store.meetings import ChosenMeeting, Meeting, MeetingSource
from service.store.messages import Message
from service.store.participants import Participant
from service.usecases.context import Context
from service.usecases.people.import_participants import ImportRequest, import_participants
from tests.faults.judge import Person

_ZONES = (
    *("Pacific/Auckland", "Australia/Sydney", "Asia/Tokyo", "Asia/Manila", "Asia/Bangkok", "Asia/Dhaka"),
    *("Asia/Kolkata", "Asia/Kathmandu", "Asia/Karachi", "Asia/Dubai", "Europe/Moscow", "Europe/Athens"),
    *("Europe/Berlin", "Europe/London", "Atlantic/Azores", "America/Sao_Paulo", "America/Halifax"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Anchorage"),
    *("Pacific/Honolulu", "Pacific/Pago_Pago"),
)
_HEADER = "phone,name,timezone,language,program,discharge_date,consent,consent_at,consent_by,tags"
_MEETING_LEAD = timedelta(minutes=60)
_TEXT_OF = {
    MessageKind.APPOINTMENT_REMINDER: "tip/keep-appointments",
    MessageKind.MEDICINE_REMINDER: "tip/three-fixed-points",
    MessageKind.SAFETY: "safety/daily-step",
}
DIRECT_KINDS = (
    *(MessageKind.APPOINTMENT_REMINDER, MessageKind.APPOINTMENT_REMINDER),
    *(MessageKind.MEDICINE_REMINDER, MessageKind.MEDICINE_REMINDER),
)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who there is, by what the run is to show with them. Positions are into `people`."""

    people: list[Person]
    awake: list[int]
    closing: list[int]
    opening: list[int]
    asleep: list[int]


def choose_people(number: int, seed: int, now: datetime, through: datetime) -> Cast:
    """Most are awake from `now` to `through`; some sleep; for some the hours end or begin in between."""
    random = Random(seed)
    day, night = _zones_by_day(now, through)
    cast = Cast([], [], [], [], [])
    for position in range(number):
        phone = f"+1999{position + 1:07d}"
        draw = random.random()
        edge = now + (through - now) * random.uniform(0.2, 0.8)
        zone = random.choice(night if draw < 0.12 else day)
        at = edge.astimezone(ZoneInfo(zone)).time().replace(microsecond=0)
        if draw < 0.12:
            group, person = cast.asleep, Person(phone, zone)
        elif draw < 0.2 and at > time(9, 30):
            group, person = cast.closing, Person(phone, zone, closes=at)
        elif draw < 0.24 and at < time(19):
            group, person = cast.opening, Person(phone, zone, opens=at)
        else:
            group, person = cast.awake, Person(phone, zone)
        group.append(position)
        cast.people.append(person)
    return cast


def _zones_by_day(now: datetime, through: datetime) -> tuple[list[str], list[str]]:
    """Zones in which people may be texted all the while and two hours more, and those in which never."""
    day, night = [], []
    for zone in _ZONES:
        person = Person("", zone)
        instants = [now.timestamp(), through.timestamp(), (through + timedelta(hours=2)).timestamp()]
        outside = [person.seconds_outside(at) for at in instants]
        if not any(outside):
            day.append(zone)
        elif all(seconds > 1800 for seconds in outside[:2]):
            night.append(zone)
    return day, night


def import_cast(context: Context, cast: Cast, now: datetime, seed: int) -> None:
    """Everybody agreed on paper: the real import, which plans a welcome and a program for each."""
    random = Random(seed + 1)
    agreed = (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    rows = []
    for position, person in enumerate(cast.people):
        discharged = (now - timedelta(days=random.randint(2, 300))).date().isoformat()
        name = f"Person {position + 1}"
        language = random.choice(("en", "en", "en", "es"))
        rows.append(f"{person.phone},{name},{person.zone},{language},,{discharged},written,{agreed},desk,")
    content = "\n".join((_HEADER, *rows)).encode()
    import_participants(context, ImportRequest(content, "fault run"), now)
    with context.database.begin() as session:
        ids = list_ids(context, cast)
        for position in (*cast.closing, *cast.opening):
            person = cast.people[position]
            session.execute(
                update(Participant)
                .where(Participant.id == ids[position])
                .values(window_opens=person.opens, window_closes=person.closes)
            )


def list_ids(context: Context, cast: Cast) -> list[int]:
    """The participants' ids, in the order of the cast."""
    with context.database.read() as session:
        found = {row.phone: row.id for row in session.execute(select(Participant.phone, Participant.id))}
    return [found[person.phone] for person in cast.people]


@dataclass(frozen=True, slots=True)
class Intended:
    """A text that is meant to be: the key its row must have, whose it is, and when it is due."""

    key: str
    position: int
    at: datetime


def choose_meetings(
    context: Context, cast: Cast, number: int, begins: datetime, ends: datetime, seed: int
) -> list[Intended]:
    """`number` chosen meetings whose reminders fall between the two instants; the planner makes the texts.

    Only for people who are awake, so that each must become a row with this key.
    """
    random = Random(seed + 2)
    ids = list_ids(context, cast)
    intended = []
    with context.database.begin() as session:
        source = MeetingSource(name="fault run", format="csv", timezone="UTC")
        session.add(source)
        session.flush()
        for count in range(number):
            position = random.choice(cast.awake)
            zone = ZoneInfo(cast.people[position].zone)
            at = begins + (ends - begins) * random.random()
            starts = (at + _MEETING_LEAD).astimezone(zone).replace(microsecond=0)
            meeting = Meeting(
                source_id=source.id,
                external_id=str(count),
                fingerprint="0" * 64,
                name="Evening group",
                weekday=starts.isoweekday(),
                starts_at=starts.time(),
                timezone=cast.people[position].zone,
                venue="in_person",
                place="Hall",
                first_seen_at=begins,
                last_seen_at=begins,
            )
            session.add(meeting)
            session.flush()
            chosen = ChosenMeeting(
                participant_id=ids[position],
                meeting_id=meeting.id,
                minutes_before=int(_MEETING_LEAD.total_seconds() // 60),
                created_at=begins - timedelta(hours=1),
            )
            session.add(chosen)
            session.flush()
            key = f"m{chosen.id}:{ids[position]}:{starts.date().isoformat()}:reminder"
            intended.append(Intended(key, position, starts.astimezone(UTC) - _MEETING_LEAD))
    return intended


def insert_texts(
    context: Context, cast: Cast, number: int, begins: datetime, ends: datetime, seed: int
) -> list[Intended]:
    """`number` planned rows for anybody, due between the two instants; some are questions, few are capped."""
    random = Random(seed + 3)
    ids = list_ids(context, cast)
    rows, intended = [], []
    for count in range(number):
        position = random.randrange(len(cast.people))
        kind = random.choice(DIRECT_KINDS)
        check_in = None
        if random.random() < 0.12:
            kind = random.choice((MessageKind.PULSE, MessageKind.SAFETY))
            check_in = "pulse" if kind is MessageKind.PULSE else None
        at = (begins + (ends - begins) * random.random()).replace(microsecond=0)
        key = f"f{count}:{ids[position]}:{_local_on(cast, position, at).isoformat()}:run"
        rule = KIND_RULES[kind]
        rows.append(
            {
                "participant_id": ids[position],
                "dedupe_key": key,
                "source": f"f{count}",
                "source_version": 1,
                "kind": kind,
                "lane": rule.lane,
                "text_id": "" if check_in else _TEXT_OF[kind],
                "check_in_id": check_in,
                "late": "send",
                "local_on": _local_on(cast, position, at),
                "send_after": at,
                "send_before": at + rule.useful_for,
                "due_at": at,
                "state": "planned",
                "tries": 0,
                "created_at": begins,
            }
        )
        intended.append(Intended(key, position, at))
    with context.database.begin() as session:
        session.execute(insert(Message), rows)
    return intended


def _local_on(cast: Cast, position: int, at: datetime) -> date:
    return at.astimezone(ZoneInfo(cast.people[position].zone)).date()
