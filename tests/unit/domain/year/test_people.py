"""Simulated people are drawn from the seed and their number, and from nothing else."""

from __future__ import annotations

from random import Random

from service.domain.phone import is_fictional
from service.domain.year.people import Act, Entry, answers, choose_answer, make_person
from service.domain.year.rates import RATES, rate

PEOPLE = [make_person(1, number) for number in range(1, 1001)]


def test_the_same_seed_and_number_make_the_same_person() -> None:
    assert make_person(1, 42) == PEOPLE[41]
    assert make_person(2, 42) != PEOPLE[41]


def test_numbers_are_fictional_and_belong_to_one_person_each() -> None:
    assert all(is_fictional(person.phone) for person in PEOPLE)
    assert len({person.phone.e164 for person in PEOPLE}) == len(PEOPLE)


def test_every_way_of_living_is_there() -> None:
    assert {person.entry for person in PEOPLE} == set(Entry)
    assert {person.language for person in PEOPLE} == {"en", "es"}
    assert {doing.act for person in PEOPLE for doing in person.doings} == set(Act)
    assert "America/Phoenix" in {person.zone for person in PEOPLE}


def test_people_stop_about_as_often_as_the_evidence_says() -> None:
    stops = sum(any(doing.act is Act.STOP for doing in person.doings) for person in PEOPLE)

    assert 0.07 < stops / len(PEOPLE) < 0.14


def test_fewer_questions_are_answered_after_the_first_weeks() -> None:
    draw = Random(1)
    awake = [person for person in PEOPLE if person.silent_until == 0]

    early = sum(answers(person, 0, draw) for person in awake) / len(awake)
    later = sum(answers(person, 100, draw) for person in awake) / len(awake)

    assert 0.36 < early < 0.48
    assert 0.25 < later < 0.36


def test_hard_answers_are_rare_and_possible() -> None:
    draw = Random(1)
    hard = frozenset({"7", "8", "9", "10"})
    said = [choose_answer("urge", [str(n) for n in range(11)], hard, draw) for _ in range(2000)]

    share = sum(words in hard for words in said) / len(said)
    assert 0.07 < share < 0.13
    assert any(not words.isdecimal() for words in said)


def test_every_rate_names_where_it_comes_from() -> None:
    assert len({one.id for one in RATES}) == len(RATES)
    assert all(one.evidence and one.unit for one in RATES)
    assert rate("stops") == 0.094
