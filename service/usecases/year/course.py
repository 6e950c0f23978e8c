"""The year as simulated people live it: the real planner, rules and delivery, and a clock that jumps.

The clock goes from one moment at which something happens to the next: a person texts, a text falls due, a day
is planned. Rounds (plan and deliver) stand on a grid of half hours: a text goes up to half an hour late. Days
are planned once every morning, and again when somebody's own text asks for it. Nothing is recovered or looked
up in between: no process dies here, and the carrier tells by itself what became of unclear texts.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import count
from random import Random
from zoneinfo import ZoneInfo

from service.domain.check_ins import Question
from service.domain.local_time import to_utc
from service.domain.program import Program
from service.domain.segments import count_segments
from service.domain.year.ledger import Asked, Diary, LedgerText, TextIn
from service.domain.year.people import (
    JOINING_DAYS,
    Act,
    Doing,
    Entry,
    Person,
    answers,
    choose_answer,
    minutes_to_answer,
)
from service.domain.year.rates import rate
from service.gateways.sms.simulator import SIMULATED_NUMBER, WebAnswer, parse_twiml
from service.store.participants import find_participant
from service.usecases.inbound.incoming_text import IncomingText
from service.usecases.inbound.receive_text import receive_text
from service.usecases.people.choose_meeting import MeetingChoice, Operator, choose_meeting
from service.usecases.people.import_participants import ImportRequest, import_participants
from service.usecases.people.move_zone import change_zone
from service.usecases.people.wording import OPT_IN_REQUEST
from service.usecases.sending.deliver import deliver_due
from service.usecases.sending.plan import plan_due
from service.usecases.sending.receipts import Receipt, record_receipt
from service.usecases.year.carrier import Handed, digest_of
from service.usecases.year.readings import (
    Labels,
    PartOfYear,
    find_next_due,
    find_open_question,
    read_labels,
    read_outcome,
)
from service.usecases.year.world import World, joins_at

GRID = timedelta(minutes=30)
LAST_MINUTES = 5
"""What falls due in the last minutes of an hour goes at once: hours of sending end with full hours."""
PLANNED_AT = time(11)
"""UTC: past midnight in every zone of the simulation (Hawaii last), before anybody's hours open."""
_BY = "simulation"
_KEEP_WORDS = ("KEEP", "CONTINUAR")


def ends_at(start_on: date, days: int) -> datetime:
    """When the last person to join has been there for `days` days (aware UTC)."""
    return datetime.combine(start_on + timedelta(days=JOINING_DAYS + days), time(0), tzinfo=UTC)


class PersonalYears:
    """Lives through the year of some people in a world."""

    def __init__(
        self, world: World, people: Sequence[Person], program: Program, start_on: date, seed: int, days: int
    ) -> None:
        self._world = world
        self._program = program
        self._start_on = start_on
        self._ends_at = ends_at(start_on, days)
        self._people = {person.number: person for person in people}
        self._diaries = {
            person.number: Diary(person.number, person.language, person.wants_plain) for person in people
        }
        self._draws = {number: Random(f"{seed}|answers|{number}") for number in self._people}  # noqa: S311
        self._ids: dict[int, int] = {}
        self._part = PartOfYear(diaries=list(self._diaries.values()))
        self._events: list[tuple[datetime, int, int, Callable[[], None]]] = []
        self._order = count()
        self._last_attempt = 0
        self._round_at: datetime | None = None
        self._is_to_plan = False
        self._hard = _list_hard(program)

    def live(self, on_day: Callable[[int], None]) -> PartOfYear:
        """Go through the year; `on_day` is told how many days have passed."""
        for person in self._people.values():
            self._at(joins_at(person, self._start_on), person, partial(self._join, person))
        planned = datetime.combine(self._start_on, PLANNED_AT, tzinfo=UTC)
        while (at := min(planned, self._round_at or planned)) < self._ends_at:
            if self._events and self._events[0][0] < at:
                self._world.clock.at, _, _, happen = heapq.heappop(self._events)
                happen()
                continue
            self._world.clock.at = at
            self._is_to_plan |= at == planned
            self._round()
            if at == planned:
                planned += timedelta(days=1)
                on_day((planned.date() - self._start_on).days)
            self._round_at = self._find_due()
        people = {row_id: self._diaries[number] for number, row_id in self._ids.items()}
        read_outcome(self._world.context, self._part, people)
        return self._part

    def _want_round(self) -> None:
        """Plan and deliver soon: what somebody just said has changed their days."""
        self._is_to_plan = True
        soon = _on_grid(self._world.clock())
        self._round_at = soon if self._round_at is None else min(soon, self._round_at)

    # Rounds

    def _round(self) -> None:
        world = self._world
        self._part.rounds += 1
        if self._is_to_plan:
            plan_due(world.context, world.clock())
            self._is_to_plan = False
        deliver_due(world.context, world.carrier, world.clock)
        fresh = world.carrier.take_fresh()
        if not fresh:
            return
        labels, self._last_attempt = read_labels(world.context, self._last_attempt)
        for handed in fresh:
            if handed.receipt is not None:
                record_receipt(world.context, handed.receipt, world.clock())
            self._write_down(handed, labels[handed.reference])

    def _find_due(self) -> datetime | None:
        """The next moment of the grid at which something that waits falls due; later than now."""
        due_at = find_next_due(self._world.context)
        if due_at is None:
            return None
        return _on_grid(max(due_at, self._world.clock() + timedelta(seconds=1)))

    def _write_down(self, handed: Handed, labels: Labels) -> None:
        text = LedgerText(
            person=handed.person,
            at=handed.at,
            digest=digest_of(handed.body),
            segments=handed.segments,
            is_reply=False,
            has_arrived=handed.has_arrived,
            kind=labels.kind,
            text_id=labels.text_id,
            source=labels.source,
            key=labels.key,
        )
        self._part.texts.append(text)
        person, diary = self._people[handed.person], self._diaries[handed.person]
        if handed.was_refused and diary.refused_at is None:
            diary.refused_at = handed.at
        if handed.has_arrived:
            self._read_text(person, diary, handed, labels)

    # What people do when a text arrives

    def _read_text(self, person: Person, diary: Diary, handed: Handed, labels: Labels) -> None:
        draw = self._draws[person.number]
        if labels.text_id == OPT_IN_REQUEST and person.confirms:
            self._later(person, minutes_to_answer(draw), partial(self._confirm, person))
        if labels.asks:
            asked = Asked(handed.at)
            diary.asked.append(asked)
            if answers(person, self._day_of(person), draw):
                self._later(person, minutes_to_answer(draw), partial(self._answer, person, asked))
        if person.keeps and not diary.has_kept:
            for word in _KEEP_WORDS:
                if word in handed.body:
                    self._later(person, minutes_to_answer(draw), partial(self._keep, person, word))

    def _answer(self, person: Person, asked: Asked) -> None:
        """Answer the open question, and mostly the one that follows."""
        if not self._may_text(person):
            return
        found = self._find_question(person)
        if found is None:
            return
        conversation_id, question = found
        draw = self._draws[person.number]
        values = sorted(question.values, key=lambda value: (len(value), value))
        hard = self._hard.get(question.id, frozenset())
        words = choose_answer(question.id, values, hard, draw)
        if words in hard:
            diary = self._diaries[person.number]
            diary.hard_on.append(diary.date_at(self._world.clock()))
        self._text(person, words)
        asked.is_answered = True
        following = self._find_question(person)
        if following is not None and following[0] == conversation_id and draw.random() < rate("next_answer"):
            self._later(person, draw.randint(1, 5), partial(self._answer, person, asked))

    def _find_question(self, person: Person) -> tuple[int, Question] | None:
        return find_open_question(self._world.context, self._ids.get(person.number), self._world.clock())

    def _keep(self, person: Person, word: str) -> None:
        diary = self._diaries[person.number]
        if self._may_text(person) and not diary.has_kept:
            diary.has_kept = True
            self._text(person, word)
            self._want_round()

    # How people come in

    def _join(self, person: Person) -> None:
        now = self._world.clock()
        diary = self._diaries[person.number]
        diary.listed_at = now
        if person.entry is Entry.JOIN:
            area = () if person.phone.e164.startswith("+1999") else (person.zone,)
            diary.zones.append((now, tuple(dict.fromkeys((self._org_zone, *area)))))
            self._text(person, f"JOIN {self._program.id}")
            self._read_profile(person)
            if person.confirms:
                self._later(person, 3, partial(self._confirm, person))
        else:
            diary.zones.append((now, (person.zone,)))
            self._import(person, now)
            self._read_profile(person)
            if person.entry is Entry.WRITTEN:
                self._begin(person)
        for doing in person.doings:
            self._plan_doing(person, doing)
        self._want_round()

    @property
    def _org_zone(self) -> str:
        return self._world.context.settings.org_timezone

    def _import(self, person: Person, now: datetime) -> None:
        today = now.astimezone(ZoneInfo(person.zone)).date()
        left_on = today - timedelta(days=person.discharged_days_ago)
        cells = {
            "phone": person.phone.e164,
            "name": f"Person {person.number}",
            "timezone": person.zone,
            "language": person.language,
            "program": self._program.id,
            "discharge_date": left_on.isoformat() if person.discharged_days_ago else "",
            "consent": str(person.entry),
            "consent_at": now.isoformat(),
            "consent_by": "intake desk",
        }
        content = f"{','.join(cells)}\n{','.join(cells.values())}\n".encode()
        import_participants(self._world.context, ImportRequest(content, _BY), now)

    def _read_profile(self, person: Person) -> None:
        """Remember the person's row; set what a clinic sets by hand: plain wording, a meeting."""
        world = self._world
        with world.context.database.begin() as session:
            row = find_participant(session, person.phone, world.context.keyring)
            assert row is not None, "who was imported or joined is known"
            row.wants_plain = person.wants_plain
            self._ids[person.number] = row.id
        if person.has_meeting:
            choice = MeetingChoice(world.meetings[person.zone], "our circle")
            choose_meeting(world.context, person.phone, choice, Operator(_BY, world.clock()))

    def _confirm(self, person: Person) -> None:
        diary = self._diaries[person.number]
        if diary.joined_at is None and self._may_text(person):
            self._text(person, "SI" if person.language == "es" else "YES")
            self._begin(person)
            self._want_round()

    def _begin(self, person: Person) -> None:
        """The person is in the program now. Day 0 is the day of discharge, if it was told, or today."""
        diary, now = self._diaries[person.number], self._world.clock()
        diary.joined_at = now
        left = person.discharged_days_ago if person.entry is not Entry.JOIN else 0
        listed_on = diary.date_at(diary.listed_at or now)
        diary.anchor_on = listed_on - timedelta(days=left) if left else diary.date_at(now)

    # What people do of their own accord

    def _plan_doing(self, person: Person, doing: Doing) -> None:
        day = self._start_on + timedelta(days=person.joins_on + doing.day)
        at = to_utc(day, time(doing.minute // 60, doing.minute % 60, 30), ZoneInfo(person.zone))
        if at > self._world.clock() + timedelta(minutes=10):
            self._at(at, person, partial(self._do, person, doing))

    def _do(self, person: Person, doing: Doing) -> None:
        diary, now = self._diaries[person.number], self._world.clock()
        is_out = diary.is_stopped_at(now)
        if not self._may_text(person) or is_out is not (doing.act is Act.START):
            return
        if doing.act is Act.STOP:
            diary.stopped.append((now, None))
        elif doing.act is Act.START:
            diary.stopped[-1] = (diary.stopped[-1][0], now)
            if diary.joined_at is None:  # asked, stopped, and now START: that is a yes
                self._begin(person)
        elif doing.act is Act.PAUSE:
            diary.paused.append((now, now + timedelta(days=doing.days)))
        elif doing.act is Act.MORE:
            diary.wants_more = True
        if doing.act is Act.MOVE:
            change_zone(self._world.context, person.phone, doing.words, _BY, now)
            diary.zones.append((now, (doing.words,)))
        else:
            self._text(person, doing.words)
        self._want_round()

    # Texts of people

    def _may_text(self, person: Person) -> bool:
        """Whether the person still has this number and is not blocked at the carrier."""
        is_lost = person.lost_on is not None and self._day_of(person) >= person.lost_on
        return not is_lost and self._diaries[person.number].refused_at is None

    def _text(self, person: Person, words: str) -> None:
        """Text the service, and write its answers down: a text in ten of them is reported as delivered."""
        now, number = self._world.clock(), len(self._part.texts_in)
        self._part.texts_in.append(TextIn(person.number, now, count_segments(words).segments))
        form = {
            "MessageSid": f"SM{number:032x}",
            "From": person.phone.e164,
            "To": SIMULATED_NUMBER,
            "Body": words,
            "NumMedia": "0",
        }
        answer = receive_text(self._world.context, IncomingText(form), now)
        for text in parse_twiml(WebAnswer(200, "text/xml", answer.encode())):
            self._part.texts.append(
                LedgerText(
                    person=person.number,
                    at=now,
                    digest=digest_of(text.body),
                    segments=count_segments(text.body).segments,
                    is_reply=True,
                    has_arrived=True,
                )
            )
            if text.status_callback and self._draws[person.number].random() < rate("reported_delivered"):
                reference = text.status_callback.partition("ref=")[2]
                record_receipt(self._world.context, Receipt(reference, None, "delivered", None), now)

    # Time

    def _day_of(self, person: Person) -> int:
        return (self._world.clock() - joins_at(person, self._start_on)).days

    def _later(self, person: Person, minutes: int, happen: Callable[[], None]) -> None:
        at = self._world.clock().replace(second=30, microsecond=0) + timedelta(minutes=minutes)
        self._at(at, person, happen)

    def _at(self, at: datetime, person: Person, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, person.number, next(self._order), happen))


def _list_hard(program: Program) -> dict[str, frozenset[str]]:
    """Answers that may bring back the densest rhythm, by question."""
    rule = program.step_up
    hard: dict[str, frozenset[str]] = {}
    for flag in (*rule.red, *rule.amber) if rule else ():
        hard[flag.question_id] = hard.get(flag.question_id, frozenset()) | flag.values
    return hard


def _on_grid(at: datetime) -> datetime:
    """The first moment of the grid at or after `at`."""
    over = (at - datetime.min.replace(tzinfo=UTC)) % GRID
    is_last = at.minute >= 60 - LAST_MINUTES
    return at if is_last or not over else at + (GRID - over)
