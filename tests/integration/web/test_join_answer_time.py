"""How long the sign-up page takes to answer tells nothing about a number."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from service.domain.phone import PhoneNumber
from service.store.participants import Participant
from service.web.answer_floor import AnswerFloor
from service.web.app import create_app
from service.wiring import Runtime
from tests.integration.web.conftest import text_from
from tests.integration.web.test_join_page import KNOWN_NUMBERS, submit


@dataclass
class Stopwatch:
    """Every look at it is so much later than the last; a sleep passes at once and is noted."""

    step: float
    at: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def elapsed(self) -> float:
        self.at += self.step
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


SPENT = [
    (0.009, 0.241, "an opted-out number"),
    (0.013, 0.237, "a new number"),
    (0.25, 0.0, "just at the floor"),
    (0.251, 0.249, "past the floor: the next multiple, or the difference would show"),
    (0.9, 0.1, "a very slow moment"),
    (0.0, 0.25, "no time at all"),
]


@pytest.mark.parametrize(("spent", "held", "reason"), SPENT)
def test_an_answer_is_held_to_a_multiple_of_the_floor(spent: float, held: float, reason: str) -> None:
    watch = Stopwatch(step=spent)
    floor = AnswerFloor(0.25, watch.elapsed, watch.sleep)

    floor.hold_since(1000.0)

    assert watch.slept == [pytest.approx(held, abs=1e-9)], reason


def test_the_floor_is_kept_in_real_time_too() -> None:
    floor = AnswerFloor(0.02)
    began = floor.elapsed()

    floor.hold_since(began)

    assert floor.elapsed() - began >= 0.02


@pytest.mark.parametrize(("standing", "texts"), KNOWN_NUMBERS.items())
def test_every_taken_form_is_answered_at_the_floor_with_nothing_left_open(
    runtime: Runtime, standing: str, texts: tuple[str, ...]
) -> None:
    watch = Stopwatch(step=0.1)

    def look_from_elsewhere(seconds: float) -> None:
        # Would wait for ever on SQLite, and see too little on PostgreSQL, were a transaction still open.
        with runtime.database.begin() as session:
            known.append(len(session.scalars(select(Participant.id)).all()))
        watch.sleep(seconds)

    known: list[int] = []
    text_from(runtime, PhoneNumber("+12025550123"), *texts)
    client = create_app(runtime, floor=AnswerFloor(0.25, watch.elapsed, look_from_elsewhere)).test_client()

    assert submit(client).status_code == 303

    assert watch.slept == [pytest.approx(0.15)], standing
    assert known == [0 if standing == "opted out, never known" else 1]


REFUSED = [
    ({"consent": ""}, 422, "no agreement"),
    ({"phone": "12"}, 422, "no number"),
    ({"csrf_token": "forged"}, 400, "not our form"),
]


@pytest.mark.parametrize(("changed", "status", "reason"), REFUSED)
def test_refusals_that_know_nothing_of_a_number_hold_no_thread(
    runtime: Runtime, changed: dict[str, str], status: int, reason: str
) -> None:
    watch = Stopwatch(step=0.1)
    client = create_app(runtime, floor=AnswerFloor(0.25, watch.elapsed, watch.sleep)).test_client()

    assert submit(client, **changed).status_code == status

    assert watch.slept == [], reason


def test_a_flood_from_one_address_holds_no_thread(runtime: Runtime) -> None:
    watch = Stopwatch(step=0.1)
    client = create_app(runtime, floor=AnswerFloor(0.25, watch.elapsed, watch.sleep)).test_client()

    answers = [submit(client).status_code for _ in range(12)]

    assert answers == [303] * 10 + [429] * 2
    assert len(watch.slept) == 10
