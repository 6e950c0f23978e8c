"""The rules of wording: what each finds, what it leaves alone, and whom it is for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.kinds import MessageKind
from service.domain.style_words import style_from_data
from service.domain.wording_faults import Wording
from service.domain.wording_rules import ALL, EVERY_RULE, PUSHES, UNASKED, Severity, find_problems
from tests.unit.domain.test_keywords import TABLE
from tests.unit.domain.test_style_words import DATA

STYLE = style_from_data(DATA)
TIP, REPLY, CARING, ADMIN = MessageKind.TIP, MessageKind.REPLY, MessageKind.CARING, MessageKind.ADMIN
PULSE, NUDGE, REMINDER = MessageKind.PULSE, MessageKind.NUDGE, MessageKind.MEETING_REMINDER
LONG = "one two three four five six seven eight nine ten up to go now here."
HARD = "Organizational accountability conversations facilitate individual psychological consistency. " * 2


def wording(body: str, kind: MessageKind = TIP, name: str = "en", text_id: str = "tip/x") -> Wording:
    return Wording(
        text_id=text_id,
        kind=kind,
        topic="",
        name=name,
        body=body,
        fields={"org": "Harbor Point", "place": "12 Elm St", "city": "Zürich–Nord"},
        others={"en": "", "es": "", "en_plain": "", "es_plain": ""},
        answers=frozenset(),
        is_question=False,
        style=STYLE,
        keywords=TABLE,
    )


def rules_of(*wordings: Wording) -> list[tuple[str, Severity]]:
    return [(rule.name, rule.severity) for _, rule, _ in find_problems(wordings)]


def names(*wordings: Wording) -> list[str]:
    return [name for name, _ in rules_of(*wordings)]


@pytest.mark.parametrize(
    ("reason", "body", "kind", "language", "found"),
    [
        ("in order", "Slow breaths help. Try six.", TIP, "en", []),
        ("in order in Spanish", "Respirar ayuda. Pruebe seis.", TIP, "es", []),
        # alphabet
        ("a letter outside GSM-7", "Canción de hoy.", TIP, "es", ["alphabet"]),
        ("a letter inside it", "Mañana también.", TIP, "es", []),
        ("a value that is filled in", "In {city} today.", TIP, "en", ["alphabet"]),
        # reading
        ("long words in long sentences", HARD, TIP, "en", ["grade"]),
        ("too short to grade", "Organizational accountability.", TIP, "en", []),
        ("fifteen words", LONG, TIP, "en", ["sentence-length"]),
        ("fourteen words and a field", LONG.replace("now", "{org}"), TIP, "en", []),
        ("fourteen words and a figure", LONG.replace("now", "12"), TIP, "en", []),
        ("a label does not count", "Safety note: " + LONG.replace(" now", ""), TIP, "en", []),
        # words
        ("denied", "A promotion for you.", TIP, "en", ["denied"]),
        ("denied in answers too", "A promotion for you.", REPLY, "en", ["denied"]),
        ("a share", "Nine, or 90 %, agree.", REPLY, "en", ["figures"]),
        ("a share in words", "El 90 por ciento.", REPLY, "es", ["figures"]),
        ("a dose", "Take 5mg.", REPLY, "en", ["figures"]),
        ("figures of time", "10 minutes, 24/7.", REPLY, "en", []),
        ("a noun for a person", "For every addict.", REPLY, "en", ["person-first"]),
        ("each language has its own", "Un addict.", REPLY, "es", []),
        ("a word that gives away", "The meeting is on.", TIP, "en", ["revealing"]),
        ("with an accent", "La reunión es hoy.", TIP, "es", ["revealing", "alphabet"]),
        ("in an answer it is welcome", "The meeting is on.", REPLY, "en", []),
        ("in what carriers require it is not", "The meeting is on.", ADMIN, "en", ["revealing"]),
        ("a placeholder that gives away", "Today: {place}", REMINDER, "en", ["revealing"]),
        ("a placeholder's name is no word", "Today: {org}", REMINDER, "en", []),
        ("a hard word", "Utilize it.", REPLY, "en", ["hard-word"]),
        # asks
        ("two requests", "Try a nap. Then try tea.", TIP, "en", ["one-ask"]),
        ("a request and a question", "Tired? Try a nap.", TIP, "en", ["one-ask"]),
        ("a noun is no request", "It helps to try again. Try a nap.", TIP, "en", []),
        ("an answer may ask more", "Tired? Try a nap.", REPLY, "en", []),
        ("a note that asks", "Are you well?", CARING, "en", ["caring"]),
        ("a note that tells", "Hello. Call us.", CARING, "en", ["caring"]),
        ("a note that tells in Spanish", "Hola. Por favor, venga.", CARING, "es", ["caring"]),
        ("a note that says so", "No need to call.", CARING, "en", []),
        ("two shouts", "Great! Well done!", REPLY, "en", ["shouting"]),
        # words to send
        ("a word that stops", "Reply END when done.", TIP, "en", ["keyword"]),
        ("a word that starts", "Reply YES if so.", TIP, "en", ["keyword"]),
        ("in one letter", "Reply Y or N.", TIP, "en", ["keyword"]),
        ("in Spanish", "Responda SI para oir.", TIP, "es", ["keyword"]),
        ("in small letters", "Reply yes or no.", TIP, "en", ["keyword"]),
        ("in quotes", 'Reply "cancel" to skip.', TIP, "en", ["keyword"]),
        ("small, before more words", "Reply end when done.", TIP, "en", ["keyword"]),
        ("words like any other", "Reply when you can, with one word.", TIP, "en", []),
        ("without being asked for", "Texting CANCEL ends it.", REPLY, "en", ["keyword"]),
        ("si that means if", "Responda si puede.", TIP, "es", []),
        ("a word that is none", "Reply GIGGLE for one.", TIP, "en", ["keyword"]),
        ("a word that is one", "Reply HELP for people.", TIP, "en", []),
        ("with its number", "Reply PAUSE 3 to rest.", TIP, "en", []),
        ("a language", "Responda ENGLISH.", TIP, "es", []),
        ("capitals that ask for nothing", "OK is a fine place. Turn the TV off.", TIP, "en", []),
        ("to another number", "Text START to 88788.", REPLY, "en", []),
        ("stop where a text is not about it", "STOP to end.", TIP, "en", ["keyword"]),
        ("stop in what carriers require", "STOP to end.", ADMIN, "en", []),
        ("even there only that word", "END to end.", ADMIN, "en", ["keyword"]),
    ],
)
def test_a_rule_finds_what_it_is_for_and_nothing_else(
    reason: str, body: str, kind: MessageKind, language: str, found: list[str]
) -> None:
    assert sorted(names(wording(body, kind, language))) == sorted(found), reason


@pytest.mark.parametrize(
    ("body", "kind", "severity"),
    [
        ("Canción.", TIP, Severity.ERROR),
        ("Canción.", REPLY, Severity.WARNING),
        (LONG, TIP, Severity.ERROR),
        (LONG, REPLY, Severity.WARNING),
        (HARD, TIP, Severity.WARNING),
    ],
)
def test_what_arrives_unasked_is_judged_harder(body: str, kind: MessageKind, severity: Severity) -> None:
    assert {found for _, found in rules_of(wording(body, kind))} == {severity}


def test_plain_wordings_may_say_it_and_nothing_else_is_forgiven() -> None:
    assert names(wording("The meeting is on.", TIP, "en_plain")) == []
    assert names(wording("For every addict.", TIP, "en_plain")) == ["person-first"]


def test_a_plain_wording_in_one_language_only_is_missed_in_the_other() -> None:
    alone = replace(wording("Hello.", TIP, "en_plain"), others={"en": "", "es": "", "en_plain": ""})

    assert names(alone) == ["language-pair"]


def test_a_question_of_a_check_in_is_discreet_although_it_is_an_answer() -> None:
    question = replace(wording("Was the meeting good? Was it long?", REPLY), is_question=True)

    assert names(question) == ["revealing", "one-ask"]


def test_a_long_question_is_told_once_and_as_an_error() -> None:
    question = replace(wording(LONG, REPLY), is_question=True)

    assert rules_of(question) == [("sentence-length", Severity.ERROR)]


def test_a_question_may_ask_for_the_words_that_answer_it() -> None:
    question = wording("Send one number, or reply SKIP.", PULSE)

    assert names(question) == ["keyword"]
    assert names(replace(question, answers=frozenset({"skip"}))) == []


def test_a_text_about_leaving_may_tell_of_stop() -> None:
    told = wording("Reply STOP to end.", REPLY)

    assert names(told) == ["keyword"]
    assert names(replace(told, topic="consent")) == []


def test_consent_wording_may_be_long() -> None:
    assert names(replace(wording(LONG, ADMIN), topic="consent")) == []


def test_a_kind_is_graded_by_all_its_texts_together() -> None:
    texts = [wording(f"Tip {number}. " + HARD, text_id=f"tip/{number}") for number in range(10)]
    few = [replace(each, kind=NUDGE) for each in texts[:2]]

    assert "grade-of-kind" in names(*texts)
    assert "grade-of-kind" not in names(*few), "fewer than a hundred words are a guess"


def test_the_hardest_text_is_named_for_its_kind() -> None:
    easy = [wording(f"Tip {number}. We see you here.", text_id=f"tip/{number}") for number in range(5)]
    hard = wording(HARD * 10, text_id="tip/hard")

    told = [each.text_id for each, rule, _ in find_problems([*easy, hard]) if rule.name == "grade-of-kind"]

    assert told == ["tip/hard"]


@pytest.mark.parametrize(
    ("reason", "first", "second", "found"),
    [
        ("the same", wording("We see you."), wording("We see you."), ["repeat"]),
        ("but for marks and capitals", wording("We see you."), wording("WE, see you!"), ["repeat"]),
        ("of another kind", wording("We see you."), wording("We see you.", CARING), ["repeat"]),
        ("in another language", wording("No."), wording("No.", TIP, "es"), []),
        ("as an answer", wording("Saved.", REPLY), wording("Saved.", REPLY), ["repeat"]),
        ("other fields", wording("For {org}.", REPLY), wording("For {place}.", REPLY), []),
        ("nearly the same", wording("We see you here."), wording("We see you right here."), ["near-repeat"]),
        ("half the same", wording("We see you here."), wording("We hear them here."), []),
        (
            "nearly, of another kind",
            wording("We see you here."),
            wording("We see you right here.", CARING),
            [],
        ),
        (
            "reminders are alike",
            wording("Today at 5 here.", REMINDER),
            wording("Today at 5 or here.", REMINDER),
            [],
        ),
    ],
)
def test_repeats_are_found(reason: str, first: Wording, second: Wording, found: list[str]) -> None:
    assert names(first, replace(second, text_id="tip/y")) == found, reason


def test_the_wordings_of_one_text_may_agree() -> None:
    assert names(wording("We see you."), wording("We see you.", TIP, "en_plain")) == []


def test_nobody_is_told_twice_of_one_word() -> None:
    assert names(wording("Reply GIGGLE. Yes, reply GIGGLE.")) == ["keyword"]


def test_every_rule_says_why_and_is_for_something() -> None:
    for rule in EVERY_RULE:
        assert rule.why.endswith("."), rule.name
        assert rule.kinds, rule.name
    assert PUSHES < UNASKED < ALL


@given(st.text(max_size=80).filter(lambda text: not set("{}") & set(text)), st.sampled_from(sorted(ALL)))
def test_no_text_is_too_odd_and_every_fault_is_one_line(body: str, kind: MessageKind) -> None:
    for _, _, problem in find_problems([wording(body, kind)]):
        assert len(problem.splitlines()) == 1
