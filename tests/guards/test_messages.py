"""The phone gives nothing away: every unprompted text as it would stand on a lock screen."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from service.catalog import TextEntry, default_messages_path, load_catalog
from service.domain.kinds import MessageKind
from service.domain.program import steps_on
from service.domain.segments import count_segments
from service.domain.template import render

ASKED_FOR = {MessageKind.REPLY, MessageKind.CRISIS_REPLY, MessageKind.STAFF_ALERT}
CATALOG = load_catalog(default_messages_path())
UNPROMPTED = [entry for entry in CATALOG.entries.values() if entry.kind not in ASKED_FOR]
REVEALING = re.compile(
    r"\b(drugs?|recover\w*|relaps\w*|sober|sobriety|clean|clinics?|treatments?|rehab\w*|addict\w*|medic\w*"
    r"|doses?|meetings?|NA|naloxone|narcan|opioids?|heroin|fentanyl|overdos\w*|crav\w*|sponsors?"
    r"|counsel\w*|therap\w*|methadone|detox\w*"
    r"|drogas?|recuperac\w*|reca[ií]da\w*|sobri\w*|cl[ií]nica\w*|tratamiento\w*|adict\w*|medicina\w*"
    r"|dosis|reuni[oó]n\w*|naloxona|opioides?|sobredosis|antojo\w*|padrino|terap\w*)\b",
    re.IGNORECASE,
)
STIGMA = re.compile(r"\b(addicts?|junkies?|abusers?|adictos?|drogadict\w*|narconon)\b", re.IGNORECASE)
FIGURES = re.compile(r"\d+ ?(%|percent|por ciento)", re.IGNORECASE)


def _id(entry: TextEntry) -> str:
    return entry.id


@pytest.mark.parametrize("entry", UNPROMPTED, ids=_id)
def test_an_unprompted_text_says_nothing_that_gives_a_person_away(entry: TextEntry) -> None:
    for language in ("en", "es"):
        found = REVEALING.search(entry.wordings[language])
        assert found is None, f"{entry.id} ({language}) says {found}"


@pytest.mark.parametrize("entry", list(CATALOG.entries.values()), ids=_id)
def test_no_text_shames_promises_or_quotes_odds(entry: TextEntry) -> None:
    for name, wording in entry.wordings.items():
        assert not STIGMA.search(wording), name
        assert not FIGURES.search(wording), name


@pytest.mark.parametrize("entry", UNPROMPTED, ids=_id)
def test_an_unprompted_text_is_short_and_plain(entry: TextEntry) -> None:
    limit = 2 if entry.kind is MessageKind.ADMIN else 1
    for name, wording in entry.wordings.items():
        counted = count_segments(render(wording, entry.fields))
        assert counted.encoding == "GSM-7", (name, counted.costly)
        assert counted.segments <= limit, name
        longest = max(len(sentence.split()) for sentence in re.split(r"[.!?:]", wording))
        assert longest <= 22, name


@pytest.mark.parametrize("entry", list(CATALOG.entries.values()), ids=_id)
def test_every_text_says_where_it_comes_from_and_that_nobody_has_signed_it(entry: TextEntry) -> None:
    assert entry.source
    assert entry.review is None
    assert not entry.is_signed


def test_the_first_four_weeks_have_something_every_day_and_repeat_nothing() -> None:
    program = CATALOG.programs["first-year"]
    for weekday in range(7):
        anchor = date(2026, 11, 2) + timedelta(days=weekday)
        texts: list[str] = []
        for day in range(1, 29):
            due = steps_on(program, anchor, anchor + timedelta(days=day))
            assert due, f"day {day} is silent when day 0 is weekday {weekday}"
            texts += [step.text_id for step in due if step.text_id]
        assert len(texts) == len(set(texts))
