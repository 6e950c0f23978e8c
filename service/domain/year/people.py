"""Simulated people: who they are, what they say of their own accord, and how they answer. Pure.

Everything is drawn from the seed and the person's number, so that a person lives the same year whoever else
is simulated, in whatever process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from service.domain.phone import PhoneNumber
from service.domain.year.rates import rate

WEEK = 7
YEAR = 365
JOINING_DAYS = 7
"""Everybody joins within the first week: a program's weeks begin on each person's own weekday."""

ORG_ZONE = "America/New_York"
_ZONES = (
    ("America/New_York", 0.4),
    ("America/Chicago", 0.25),
    ("America/Denver", 0.1),
    ("America/Los_Angeles", 0.15),
    ("America/Phoenix", 0.1),  # no daylight saving time
)
_AREAS = (
    ("808", "Pacific/Honolulu"),
    ("312", "America/Chicago"),
    ("602", "America/Phoenix"),
    ("213", "America/Los_Angeles"),
    ("415", "America/Los_Angeles"),
    ("303", "America/Denver"),
)
"""Who joins by text has a number of fiction (555-01xx) in an area code that may be far from our zone."""
_LINES = 100
ZONES_FROM_EAST = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "Pacific/Honolulu",
)
"""Every zone of the simulation."""


class Entry(StrEnum):
    """How somebody comes into the program."""

    WRITTEN = "written"
    VERBAL = "verbal"
    JOIN = "join"


class Act(StrEnum):
    """What somebody does of their own accord."""

    STOP = "stop"
    START = "start"
    PAUSE = "pause"
    LESS = "less"
    MORE = "more"
    TIME = "time"
    WORDS = "words"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Doing:
    """Something done on a day after joining, at a minute of the local day; `words` are what is texted.

    For a move, `words` is the zone; for a pause, `days` is its length.
    """

    day: int
    minute: int
    act: Act
    words: str
    days: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated person. Days count from the day on which they join.

    `eagerness` multiplies the share of questions answered. From `silent_from` to before `silent_until`
    nothing is answered. After `lost_on` nothing arrives, after `refused_on` the carrier refuses.
    """

    number: int
    phone: PhoneNumber
    zone: str
    language: str
    wants_plain: bool
    entry: Entry
    joins_on: int
    join_minute: int
    discharged_days_ago: int
    has_meeting: bool
    eagerness: float
    silent_from: int
    silent_until: int
    lost_on: int | None
    refused_on: int | None
    confirms: bool
    keeps: bool
    doings: tuple[Doing, ...]


def make_person(seed: int, number: int) -> Person:
    """Person `number` (from 1) of a seed."""
    draw = Random(f"{seed}|person|{number}")  # noqa: S311 - a simulation
    entry = _entry(draw)
    language = "es" if draw.random() < rate("spanish") else "en"
    phone, zone = _number_and_zone(draw, number, entry)
    silent_from, silent_for = (
        (draw.randint(10, 200), draw.randint(14, 56)) if _does(draw, "falls_silent") else (0, 0)
    )
    return Person(
        number=number,
        phone=phone,
        zone=zone,
        language="en" if entry is Entry.JOIN else language,
        wants_plain=_does(draw, "plain"),
        entry=entry,
        joins_on=draw.randrange(JOINING_DAYS),
        join_minute=draw.randint(10 * 60, 14 * 60),
        discharged_days_ago=draw.randint(1, 5) if draw.random() < 0.3 else 0,
        has_meeting=_does(draw, "meeting"),
        eagerness=draw.uniform(0.2, 1.8),
        silent_from=silent_from,
        silent_until=silent_from + silent_for,
        lost_on=draw.randrange(20, YEAR) if _does(draw, "loses_number") else None,
        refused_on=draw.randrange(20, YEAR) if _does(draw, "stopped_at_carrier") else None,
        confirms=_does(draw, "confirm"),
        keeps=_does(draw, "keeps"),
        doings=_draw_doings(draw, zone, language, is_joining=entry is Entry.JOIN),
    )


def _does(draw: Random, rate_id: str) -> bool:
    return draw.random() < rate(rate_id)


def _entry(draw: Random) -> Entry:
    if _does(draw, "join_by_text"):
        return Entry.JOIN
    return Entry.VERBAL if _does(draw, "verbal_consent") else Entry.WRITTEN


def _number_and_zone(draw: Random, number: int, entry: Entry) -> tuple[PhoneNumber, str]:
    zone = draw.choices([name for name, _ in _ZONES], [share for _, share in _ZONES])[0]
    place, line = divmod(number - 1, _LINES)
    if entry is Entry.JOIN and place < len(_AREAS):
        area, zone = _AREAS[(place + number) % len(_AREAS)]
        # Six area codes and a hundred lines: number and place together never meet twice.
        return PhoneNumber(f"+1{area}55501{line:02}"), zone
    return PhoneNumber(f"+1999{number:07}"), zone


_Sayings = dict[str, tuple[str, ...]]

_STOPS: _Sayings = {
    "en": ("STOP", "stop", "Please stop texting me"),
    "es": ("ALTO", "stop", "Ya no me manden mensajes"),
}
_SAYINGS: dict[str, _Sayings] = {
    "help": {"en": ("HELP",), "es": ("AYUDA",)},
    "craving": {"en": ("CRAVING", "really bad craving tonight"), "es": ("ANTOJO", "tengo muchas ganas")},
    "free": {
        "en": ("can someone call me about my ride", "thanks, that helped", "is the office open on Friday"),
        "es": ("me pueden llamar", "gracias por el mensaje", "a que hora abren"),
    },
    "wrong": {"en": ("wrong number",), "es": ("numero equivocado",)},
}
_WORDS = {
    Act.START: {"en": "START", "es": "EMPEZAR"},
    Act.LESS: {"en": "LESS", "es": "MENOS"},
    Act.MORE: {"en": "MORE", "es": "MAS"},
    Act.TIME: {"en": "TIME", "es": "HORA"},
    Act.PAUSE: {"en": "PAUSE", "es": "PAUSA"},
}


def _draw_doings(draw: Random, zone: str, language: str, *, is_joining: bool) -> tuple[Doing, ...]:
    found: list[Doing] = []

    def add(day: int, act: Act, words: str, days: int = 0) -> None:
        found.append(Doing(day, draw.randint(9 * 60, 23 * 60), act, words, days))

    if is_joining and language == "es":
        add(0, Act.WORDS, "ESPANOL")
    if _does(draw, "chooses_time"):
        add(draw.randint(0, 30), Act.TIME, f"{_WORDS[Act.TIME][language]} {draw.randint(1, 3)}")
    for rate_id, act in (("less", Act.LESS), ("more", Act.MORE)):
        if _does(draw, rate_id):
            add(draw.randint(8, 330), act, _WORDS[act][language])
    if _does(draw, "pauses"):
        days = draw.randint(2, 14)
        add(draw.randint(5, 340), Act.PAUSE, f"{_WORDS[Act.PAUSE][language]} {days}", days)
    for rate_id, saying in (("asks_for_help", "help"), ("craving", "craving"), ("free_text", "free")):
        if _does(draw, rate_id):
            add(draw.randint(1, YEAR), Act.WORDS, draw.choice(_SAYINGS[saying][language]))
    if _does(draw, "moves"):
        others = [name for name, _ in _ZONES if name != zone]
        add(draw.randint(10, 340), Act.MOVE, draw.choice([*others, "Pacific/Honolulu"]))
    found += _draw_stop(draw, language)
    return tuple(sorted(found, key=lambda doing: (doing.day, doing.minute, doing.act)))


def _draw_stop(draw: Random, language: str) -> list[Doing]:
    """More of them leave early: the day is drawn by the square."""
    is_wrong = _does(draw, "wrong_number")
    if not is_wrong and not _does(draw, "stops"):
        return []
    day, minute = int(YEAR * draw.random() ** 2), draw.randint(9 * 60, 22 * 60)
    words = draw.choice(_SAYINGS["wrong"][language] if is_wrong else _STOPS[language])
    found = [Doing(day, minute, Act.STOP, words)]
    if not is_wrong and _does(draw, "starts_again"):
        found.append(Doing(day + draw.randint(30, 90), minute, Act.START, _WORDS[Act.START][language]))
    return found


def answers(person: Person, day: int, draw: Random) -> bool:
    """Whether a question that came `day` days after joining is answered."""
    if person.silent_from <= day < person.silent_until:
        return False
    first, later, weeks = rate("answer_at_first"), rate("answer_later"), rate("weeks_of_decay")
    share = max(later, first - (first - later) * day / (weeks * WEEK))
    return draw.random() < min(0.97, share * person.eagerness)


def minutes_to_answer(draw: Random) -> int:
    """How long somebody takes to look at a question: mostly half an hour, sometimes most of a day."""
    return max(1, min(int(draw.lognormvariate(3.4, 1.2)), 23 * 60))


def choose_answer(question_id: str, values: Sequence[str], hard: frozenset[str], draw: Random) -> str:
    """What is answered to a question with these values, of which some are hard to hear.

    Now and then it is none of them.
    """
    if _does(draw, "unclear_answer"):
        return draw.choice(("idk", "what", "it was ok I guess but tired"))
    worse = [value for value in values if value in hard]
    better = [value for value in values if value not in hard]
    if not worse or not better:
        return draw.choice(values)
    if not _does(draw, _HARD_RATES.get(question_id, "hard_other")):
        return draw.choice(better)
    return draw.choices(worse, [3] + [1] * (len(worse) - 1))[0]


_HARD_RATES = {"urge": "hard_urge", "plan": "hard_plan"}
