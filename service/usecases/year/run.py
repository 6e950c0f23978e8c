"""Run a simulated year in two processes and put the two halves together.

People are dealt out by zone, each half has a service and a database of its own, and what comes back is
sorted: the same seed gives the same year, whichever process is faster.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from service.catalog import Catalog, load_catalog
from service.domain.kinds import MessageKind
from service.domain.program import OnlyIf, Program
from service.domain.year.people import ZONES_FROM_EAST, Person, make_person
from service.domain.year.promises import Course, Phase, SafetyDay
from service.logs import configure_logs
from service.usecases.year.course import PersonalYears, ends_at
from service.usecases.year.readings import PartOfYear
from service.usecases.year.world import open_world

PARTS = 2
"""Always two, whatever the machine has: who shares a database with whom must not depend on it."""

DEFAULT_PHASES = (
    Phase("days 1-28", 1, 28),
    Phase("days 29-90", 29, 90),
    Phase("days 91-180", 91, 180),
    Phase("days 181-365", 181, 365),
)
"""For a program without rows of its own (program design, C1)."""


@dataclass(frozen=True, slots=True)
class YearOptions:
    """What is simulated: how many people, each for how many days, in which program, from which day on."""

    people: int
    days: int
    program_id: str
    seed: int
    start_on: date
    messages: Path


class NoSuchProgramError(Exception):
    """There is no program of that id; the message says which there are."""


class SimulationError(Exception):
    """A process of the simulation ended before its people's year; the message says how."""


def find_program(catalog: Catalog, program_id: str) -> Program:
    """The program to simulate. Raises NoSuchProgramError."""
    program = catalog.programs.get(program_id)
    if program is None:
        known = ", ".join(sorted(catalog.programs))
        raise NoSuchProgramError(f"there is no program {program_id[:40]}; expected one of {known}")
    return program


def read_course(program: Program, options: YearOptions) -> Course:
    """What the promises are checked against: the program's safety days, its phases, and what it chooses."""
    safety = [
        step for step in program.steps if step.kind is MessageKind.SAFETY and step.only is not OnlyIf.KEPT
    ]
    rows = [row for row in program.rows if row.only is None]
    return Course(
        safety_days=tuple(SafetyDay(step.day, frozenset(step.text_ids)) for step in safety),
        phases=tuple(Phase(row.id, row.first_day, row.last_day) for row in rows) or DEFAULT_PHASES,
        chosen_kinds=frozenset(str(step.kind) for step in program.weekly if step.topics)
        | frozenset(str(MessageKind.NUDGE) for step in program.weekly if step.nudge_topics),
        ends_at=ends_at(options.start_on, options.days),
    )


def run_year(options: YearOptions, on_day: Callable[[int], None], *, in_processes: bool = True) -> PartOfYear:
    """Live through the year; `on_day` gets the number of days that everybody has behind them.

    Raises CatalogError, NoSuchProgramError, SimulationError.
    """
    find_program(load_catalog(options.messages), options.program_id)
    if not in_processes:
        return merge([live_part(options, part, on_day) for part in range(PARTS)])
    return merge(_run_processes(options, on_day))


def live_part(options: YearOptions, part: int, on_day: Callable[[int], None]) -> PartOfYear:
    """The year of one half of the people."""
    people = _deal(options)[part]
    with open_world(options.seed, people, options.start_on, options.messages) as world:
        program = find_program(world.context.catalog, options.program_id)
        return PersonalYears(world, people, program, options.start_on, options.seed, options.days).live(
            on_day
        )


def _deal(options: YearOptions) -> list[list[Person]]:
    """People by where they live: whose day goes alike are worked for together, which is cheaper."""
    people = [make_person(options.seed, number) for number in range(1, options.people + 1)]
    people.sort(key=lambda person: (ZONES_FROM_EAST.index(person.zone), person.number))
    size = -(-len(people) // PARTS)
    return [people[part * size : (part + 1) * size] for part in range(PARTS)]


def merge(parts: Sequence[PartOfYear]) -> PartOfYear:
    """The whole year, in an order that no process decides."""
    year = PartOfYear()
    for part in parts:
        year.texts += part.texts
        year.diaries += part.diaries
        year.texts_in += part.texts_in
        year.kept_back += part.kept_back
        year.tasks += part.tasks
        year.meanings += part.meanings
        year.rounds += part.rounds
    year.texts.sort(key=lambda text: (text.at, text.person, text.is_reply, text.text_id, text.digest))
    year.diaries.sort(key=lambda diary: diary.number)
    year.texts_in.sort(key=lambda text: (text.at, text.person))
    year.tasks.sort(key=lambda task: (task.on, task.person, task.kind, task.reason))
    return year


def _run_processes(options: YearOptions, on_day: Callable[[int], None]) -> list[PartOfYear]:
    spawning = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = []
    connections: list[Connection] = []
    try:
        for part in range(PARTS):
            ours, theirs = spawning.Pipe(duplex=False)
            process: BaseProcess = spawning.Process(
                target=_live_apart, args=(theirs, options, part), daemon=True
            )
            process.start()
            theirs.close()
            processes.append(process)
            connections.append(ours)
        return _gather(connections, on_day)
    finally:
        for process in processes:
            process.join(timeout=5)
            process.kill()


def _live_apart(connection: Connection, options: YearOptions, part: int) -> None:
    """What a process does: tell each day that passes, then the whole half."""
    configure_logs("CRITICAL", "console")
    logging.getLogger("alembic").setLevel(logging.CRITICAL)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        connection.send(live_part(options, part, connection.send))
    except Exception as fault:
        connection.send(SimulationError(f"the simulation ended early: {type(fault).__name__}"))
    finally:
        connection.close()


def _gather(connections: Sequence[Connection], on_day: Callable[[int], None]) -> list[PartOfYear]:
    halves: dict[int, PartOfYear] = {}
    days = dict.fromkeys(range(len(connections)), 0)
    while len(halves) < len(connections):
        open_ones = [one for number, one in enumerate(connections) if number not in halves]
        for ready in wait(open_ones):
            number = connections.index(ready)
            told = _receive(connections[number])
            if isinstance(told, PartOfYear):
                halves[number] = told
            else:
                days[number] = told
                on_day(min(days.values()))
    return [halves[number] for number in sorted(halves)]


def _receive(connection: Connection) -> PartOfYear | int:
    try:
        told: PartOfYear | int | SimulationError = connection.recv()
    except EOFError:
        raise SimulationError("a process of the simulation died") from None
    if isinstance(told, SimulationError):
        raise told
    return told
