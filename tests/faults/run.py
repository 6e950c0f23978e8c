"""The fault run itself: a server, a provider, web processes and workers, and what is done to them.

What happens when is drawn from the seed beforehand; what it hits is decided by the machine that runs it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlalchemy import func, select, update

from service.config import Settings, load_settings
from service.domain.delivery import WAITING, MessageState
from service.store.database import DATABASE_AWAY, real_now
from service.store.inbound import Task
from service.store.messages import Attempt, Message
from service.store.participants import Participant
from service.store.schema import upgrade
from service.usecases.operations.live_mode import go_live
from service.usecases.operations.program_rows import sync_programs
from service.usecases.sending.work import work_once
from service.wiring import Runtime, build_runtime
from tests.databases import OwnServer
from tests.faults.clocks import true_clock, write_seconds
from tests.faults.judge import Evidence, IntendedText, Stop
from tests.faults.people import (
    Cast,
    Intended,
    choose_meetings,
    choose_people,
    import_cast,
    insert_texts,
)
from tests.standin import (
    Fault,
    On,
    ReceiptChances,
    StandinProcess,
    accept_then_timeout,
    garbage,
    reset_after_accept,
    reset_before,
    slow,
    status,
)
from tests.standin.account import ACCOUNT_SID, AUTH_TOKEN, SERVICE_SID

ROOT = Path(__file__).resolve().parents[2]
LONG_RUN_SECONDS = 100.0
SETTLE_SECONDS = 150.0
"""Longer than any lease: what a killed worker held has come back by then."""
STEPS = tuple(timedelta(minutes=m) for m in (16, 32, 48, 64, 80, 125, 250, 500, 770, 1000, 1460, 1530))
"""How far the true time is moved forward afterwards, until nothing waits for a retry or a look-up."""
STOP_WORDS = ("STOP", "stop", "Stop.", "UNSUBSCRIBE", "end", "please stop texting me", "ALTO")

PROVIDER_ODDS: dict[Fault, float] = {
    accept_then_timeout(6.0): 0.004,
    slow(6.0): 0.003,
    slow(1.0): 0.01,
    reset_before(): 0.01,
    reset_after_accept(): 0.01,
    status(429, 20429, burst=8): 0.004,
    status(503): 0.01,
    status(500, 20500, accepts=True): 0.01,
    garbage(): 0.005,
}
LOOKUP_ODDS: dict[Fault, float] = {status(500): 0.05, reset_before(): 0.05}
RECEIPT_ODDS = ReceiptChances(
    late=0.15,
    late_seconds=(0.3, 8.0),
    doubled=0.08,
    reordered=0.08,
    lost=0.06,
    failures=(
        ("undelivered", 30003, 0.01),
        ("undelivered", 30008, 0.01),
        ("undelivered", 30005, 0.003),
        ("failed", 30017, 0.005),
        ("failed", 21610, 0.002),
    ),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `is_hurried` moves leases in the database afterwards in place of waiting."""

    texts: int
    seed: int
    workers: int
    calm_seconds: float
    fault_seconds: float
    is_hurried: bool = False
    is_guarded: bool = True
    say: Callable[[str], None] = lambda _line: None
    when_faults_end: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Outcome:
    """What a run leaves for its report."""

    evidence: Evidence
    done: Counter[str]
    exit_codes: list[int | None]
    lost_receipts: int
    server_version: str
    groups: dict[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is: a folder for clocks and logs, and the environment of the service's processes."""

    folder: Path
    environment: dict[str, str]
    web_url: str
    settings: Settings

    @property
    def shift(self) -> Path:
        return self.folder / "shift"

    def error(self, number: int) -> Path:
        return self.folder / f"error-{number}"


@contextmanager
def running_process(
    *command: str, place: Place, log: str, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end if it still runs; what it prints is in a file of the folder."""
    process = start_process(*command, place=place, log=log, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def start_process(*command: str, place: Place, log: str, **options: Any) -> subprocess.Popen[bytes]:
    with (place.folder / f"{log}.log").open("ab") as output:
        return subprocess.Popen(
            [*command],
            env=place.environment,
            cwd=place.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **options,
        )


@dataclass(slots=True)
class Fleet:
    """The worker machines, by number. A prefix goes before a command, such as into a network of its own."""

    place: Place
    is_guarded: bool = True
    prefixes: tuple[tuple[str, ...], ...] = ()
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, number: int) -> None:
        prefix = self.prefixes[number] if self.prefixes else ()
        files = "--shift", str(self.place.shift), "--error", str(self.place.error(number))
        own = () if self.is_guarded else ("--own-clock",)
        command = *prefix, sys.executable, "-m", "tests.faults.worker", *files, *own
        self.processes[number] = start_process(*command, place=self.place, log=f"worker-{number}")

    def send(self, number: int, what: signal.Signals) -> None:
        process = self.processes[number]
        if process.poll() is None:
            os.killpg(process.pid, what)

    def kill(self, number: int) -> None:
        self.send(number, signal.SIGKILL)
        self.processes[number].wait()

    def stop_all(self, within: float = 40.0) -> list[int | None]:
        """Ask all to finish what is in flight; returns their exit codes, None for one that did not end."""
        for number in self.processes:
            self.send(number, signal.SIGCONT)
            self.send(number, signal.SIGTERM)
        until = time.monotonic() + within
        codes: list[int | None] = []
        for process in self.processes.values():
            try:
                codes.append(process.wait(max(0.1, until - time.monotonic())))
            except subprocess.TimeoutExpired:
                codes.append(None)
        self.kill_all()
        return codes

    def kill_all(self) -> None:
        for number, process in self.processes.items():
            if process.poll() is None:
                self.send(number, signal.SIGCONT)
                self.kill(number)


def make_place(folder: Path, database_url: str, standin_url: str, web_host: str = "127.0.0.1") -> Place:
    """Settings for every process of a run, and a free port for its web process."""
    with socket.socket() as probe:
        probe.bind((web_host, 0))
        port = probe.getsockname()[1]
    values = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": os.urandom(24).hex(),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "LOOKUP_KEYS": os.urandom(24).hex(),
        "ORG_NAME": "Fault Run",
        "TRANSPORT": "twilio",
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_MESSAGING_SERVICE_SID": SERVICE_SID,
        "TWILIO_API_URL": standin_url,
        "TWILIO_OPTOUT_MODE": "app",
        "SENDER_SEGMENTS_PER_SECOND": "400",
        "PUBLIC_URL": f"http://{web_host}:{port}",
        "LOG_LEVEL": "WARNING",
    }
    settings = load_settings(_env_file=None, **{name.lower(): value for name, value in values.items()})
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    place = Place(
        folder,
        kept | values | {"PYTHONPATH": str(ROOT), "FAULT_RUN_SHIFT": str(folder / "shift")},
        f"http://{web_host}:{port}",
        settings,
    )
    write_seconds(place.shift, 0)
    return place


def prepare_database(place: Place) -> Runtime:
    """Migrate, go live, and return a runtime on the true clock."""
    runtime = build_runtime(place.settings)
    upgrade(runtime.database)
    runtime = build_runtime(
        place.settings, system=true_clock(runtime.database, place.shift), database=runtime.database
    )
    with runtime.database.begin() as session:
        sync_programs(session, runtime.context.catalog, runtime.clock())
    go_live(runtime.context, "fault run", runtime.clock(), force=True)
    return runtime


@contextmanager
def running_web(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """The web process as the Procfile has it, on the run's clock."""
    address = place.web_url.removeprefix("http://")
    options = "--worker-class", "gthread", "--workers", "2", "--threads", "4", "--bind", address
    command = sys.executable, "-m", "gunicorn", "-c", "python:service.web.gunicorn_config"
    with running_process(*command, "tests.faults.web:app", *options, place=place, log="web") as process:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(requests.RequestException):
                if requests.get(f"{place.web_url}/readyz", timeout=2).status_code == 200:
                    break
            time.sleep(0.1)
        yield process


class FaultRun:
    """One run from the import to the evidence. `carry_out` does all of it."""

    def __init__(
        self,
        options: Options,
        server: OwnServer,
        folder: Path,
        host: str = "127.0.0.1",
        prefixes: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        self.options = options
        self._host = host
        self._prefixes = prefixes
        self.done: Counter[str] = Counter()
        self._server = server
        self._folder = folder
        self._random = Random(options.seed)
        self._stops: list[Stop] = []
        self._restarting = threading.Lock()

    def carry_out(self) -> Outcome:
        began = time.monotonic()
        with ExitStack() as stack:
            self._standin = stack.enter_context(StandinProcess(host=self._host))
            self._place = make_place(self._folder, self._database_url(), self._standin.url, self._host)
            self._runtime = prepare_database(self._place)
            stack.callback(self._runtime.close)
            self._web = stack.enter_context(running_web(self._place))
            self._fleet = Fleet(self._place, self.options.is_guarded, self._prefixes)
            stack.callback(self._fleet.kill_all)
            cast, intended = self._begin()
            self._do_harm(cast, intended)
            codes = self._settle()
            evidence = self._collect(cast, intended)
            return Outcome(
                evidence,
                self.done,
                codes,
                self._standin.counts()["lost_receipts"],
                self._server_version(),
                self._groups(cast),
                time.monotonic() - began,
            )

    def _database_url(self) -> str:
        name = "aftercare_faults"
        engine = sa.create_engine(self._server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self._server.url.set(database=name).render_as_string(hide_password=False)

    def _server_version(self) -> str:
        with self._runtime.database.read() as session:
            return str(session.execute(sa.text("SHOW server_version")).scalar_one()).split(" ")[0]

    @staticmethod
    def _groups(cast: Cast) -> dict[str, int]:
        return {
            "awake": len(cast.awake),
            "hours end during the run": len(cast.closing),
            "hours begin during the run": len(cast.opening),
            "night": len(cast.asleep),
            "zones": len({person.zone for person in cast.people}),
        }

    def _begin(self) -> tuple[Cast, list[Intended]]:
        """People and their welcomes without faults; then everything that is to become due."""
        options, context, now = self.options, self._runtime.context, self._runtime.clock()
        lasts = timedelta(seconds=options.calm_seconds + options.fault_seconds)
        number = max(24, options.texts // 8)
        cast = choose_people(number, options.seed, now, now + lasts + timedelta(seconds=60))
        options.say(f"{number} people agree; their welcomes go out")
        import_cast(context, cast, now, options.seed)
        for worker in range(options.workers):
            self._fleet.start(worker)
        self._wait_until_idle(120)
        self._begins = self._runtime.clock() + timedelta(seconds=3)
        self._faults_at = self._begins + timedelta(seconds=options.calm_seconds)
        self._ends = self._begins + lasts
        left = max(0, options.texts - number)
        times = self._begins, self._ends, options.seed
        intended = insert_texts(context, cast, left * 3 // 5, *times)
        intended += choose_meetings(context, cast, left - left * 3 // 5, *times)
        with self._runtime.database.begin() as session:
            session.execute(update(Participant).values(next_plan_at=self._runtime.clock()))
        return cast, intended

    def _wait_until_idle(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(*DATABASE_AWAY):
                if not self._count_open():
                    return True
            time.sleep(0.25)
        return False

    def _count_open(self) -> int:
        """Texts that are due, or in a worker's hands; answers ride in responses, in nobody's."""
        now = self._runtime.clock()
        with self._runtime.database.read() as session:
            return session.execute(
                select(func.count())
                .select_from(Message)
                .where(Message.inbound_id.is_(None))
                .where(
                    (Message.state.in_(WAITING) & (Message.due_at <= now))
                    | Message.state.in_((MessageState.CLAIMED, MessageState.SENDING))
                )
            ).scalar_one()

    # What is done to it.

    def _do_harm(self, cast: Cast, intended: list[Intended]) -> None:
        options = self.options
        self._sleep_until(self._faults_at)
        options.say("faults begin")
        self._standin.by_chance(PROVIDER_ODDS, seed=options.seed)
        self._standin.by_chance(LOOKUP_ODDS, seed=options.seed, on=On.LOOKUP)
        self._standin.receipts_by_chance(RECEIPT_ODDS, seed=options.seed)
        with ThreadPoolExecutor(24) as hands:
            plan = sorted([*self._plan_harm(), *self._plan_stops(cast, intended)], key=lambda step: step[0])
            said = time.monotonic()
            for at, action in plan:
                self._sleep_until(self._faults_at + timedelta(seconds=at))
                hands.submit(action)
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    counts = self._standin.counts()
                    options.say(
                        f"  {at:4.0f} s: {counts['taken']} texts taken, {self.done.total()} times harmed"
                    )
            self._sleep_until(self._ends)
        self._standin.by_chance({}, seed=0)
        self._standin.by_chance({}, seed=0, on=On.LOOKUP)
        self._standin.receipts_by_chance(ReceiptChances(), seed=0)
        self._faults_ended = self._true_now()
        for worker in range(options.workers):
            write_seconds(self._place.error(worker), 0)
            self._fleet.send(worker, signal.SIGCONT)
            if self._fleet.processes[worker].poll() is not None:
                self._fleet.start(worker)

    def _sleep_until(self, instant: datetime) -> None:
        seconds = (instant - datetime.now(UTC)).total_seconds()
        time.sleep(max(0.0, seconds))

    @staticmethod
    def _true_now() -> datetime:
        return datetime.now(UTC)

    def _plan_harm(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """(seconds after the faults began, what to do), all drawn from the seed."""
        lasts, random, workers = self.options.fault_seconds, self._random, self.options.workers
        # The last worker is left alone if it is to be stopped for longer than a lease.
        killable = workers - 1 if lasts > LONG_RUN_SECONDS and workers > 1 else workers
        every: tuple[tuple[float, Callable[[], Callable[[], None]]], ...] = (
            (5.0, lambda: self._kill(random.randrange(killable), random.uniform(0.2, 2.5))),
            (11.0, lambda: self._pause(random.randrange(killable), random.uniform(0.5, 7.0))),
            (7.0, lambda: self._set_clock(random.randrange(workers), _draw_error(random), 8.0)),
            (26.0, lambda: self._kill_web),
            (31.0, lambda: self._provider_down(random.uniform(1.0, 4.0))),
        )
        for gap, draw in every:
            at = gap * random.uniform(0.3, 1.0)
            while at < lasts - 1:
                yield at, draw()
                at += gap * random.uniform(0.6, 1.4)
        restarts = max(2, int(lasts // 35))
        for number in range(restarts):
            mode = ("immediate", "fast")[number % 2]
            yield lasts * (number + random.uniform(0.3, 0.7)) / restarts, self._restart_database(mode)
        if killable < workers:
            yield 6.0, self._pause(workers - 1, 80.0)

    def _kill(self, worker: int, away: float) -> Callable[[], None]:
        def act() -> None:
            self.done["workers killed (SIGKILL)"] += 1
            self._fleet.kill(worker)
            time.sleep(away)
            if self._fleet.processes[worker].poll() is not None:
                self._fleet.start(worker)

        return act

    def _pause(self, worker: int, seconds: float) -> Callable[[], None]:
        def act() -> None:
            name = (
                "workers stopped for longer than a lease" if seconds > 60 else "workers stopped for seconds"
            )
            self.done[f"{name} (SIGSTOP, SIGCONT)"] += 1
            self._fleet.send(worker, signal.SIGSTOP)
            time.sleep(seconds)
            self._fleet.send(worker, signal.SIGCONT)

        return act

    def _set_clock(self, worker: int, error: float, lasts: float) -> Callable[[], None]:
        def act() -> None:
            way = "forward" if error > 0 else "back"
            size = "hours" if abs(error) >= 3600 else "minutes" if abs(error) >= 60 else "seconds"
            self.done[f"a machine's clock set {way} by {size}"] += 1
            write_seconds(self._place.error(worker), error)
            time.sleep(lasts)
            write_seconds(self._place.error(worker), 0)

        return act

    def _kill_web(self) -> None:
        """Kill one of the web server's processes; it starts another. Needs Linux, which tells its id."""
        with suppress(OSError, IndexError):
            pid = self._web.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
            os.kill(int(children[0]), signal.SIGKILL)
            self.done["web processes killed (SIGKILL)"] += 1

    def _provider_down(self, seconds: float) -> Callable[[], None]:
        def act() -> None:
            self.done["the provider away altogether (503) for seconds"] += 1
            self._standin.by_chance({status(503): 1.0}, seed=0)
            time.sleep(seconds)
            self._standin.by_chance(PROVIDER_ODDS, seed=self.done.total())

        return act

    def _restart_database(self, mode: str) -> Callable[[], None]:
        def act() -> None:
            with self._restarting:
                self.done[f"the database restarted ({mode})"] += 1
                self._server.restart(mode)

        return act

    def _plan_stops(self, cast: Cast, intended: list[Intended]) -> Iterator[tuple[float, Callable[[], None]]]:
        """One in six of those who are awake says stop, around the time of a text of theirs."""
        awake = set(cast.awake)
        times: dict[int, list[datetime]] = {}
        for one in intended:
            if one.position in awake and self._faults_at < one.at < self._ends - timedelta(seconds=3):
                times.setdefault(one.position, []).append(one.at)
        people = sorted(times)
        for position in self._random.sample(people, min(len(people), max(3, len(cast.awake) // 6))):
            at = self._random.choice(times[position]) - self._faults_at
            seconds = max(0.0, at.total_seconds() + self._random.uniform(-0.4, 0.6))
            yield seconds, self._stop(cast.people[position].phone, self._random.choice(STOP_WORDS))

    def _stop(self, phone: str, word: str) -> Callable[[], None]:
        def act() -> None:
            self.done["people who said stop, with texts due about then"] += 1
            url = f"{self._place.web_url}/twilio/inbound"
            answer = self._standin.call("text_in", webhook_url=url, from_=phone, body=word, tries=15)
            self._stops.append(Stop(phone, answer["answered_at"]))

        return act

    # Afterwards.

    def _settle(self) -> list[int | None]:
        """Wait for leases, stop the workers, let hours pass until nothing waits for a retry or a look-up."""
        options = self.options
        options.say("faults end; what is left over comes back by its leases")
        options.when_faults_end()
        if not options.is_hurried:
            self._wait_until_idle(SETTLE_SECONDS)
        else:
            self._wait_until_idle(4)
        codes = self._fleet.stop_all()
        if options.is_hurried:
            self._end_leases()
        self._standin.call("flush", timeout=20)
        self._work()
        for step in STEPS:
            self._standin.call("shift", seconds=step.total_seconds())
            write_seconds(self._place.shift, step.total_seconds())
            time.sleep(1.1)  # until the web process has asked for the time anew
            self._work()
            waiting = self._count_unsettled()
            options.say(f"  {step} later: {waiting} texts still wait for a retry or a look-up")
            if not waiting:
                break
        return codes

    def _end_leases(self) -> None:
        """Every worker is gone, so every lease may end now."""
        with self._runtime.database.begin() as session:
            past = real_now(session) - timedelta(seconds=1)
            leased = update(Message).where(Message.lease_until.is_not(None))
            session.execute(leased.values(lease_until=past))

    def _work(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            runtime = self._runtime
            work_once(runtime.context, runtime.transport, runtime.clock, runtime.records)
            self._standin.call("flush", timeout=20)
            if not self._count_open():
                return

    def _count_unsettled(self) -> int:
        """Texts of unknown fate, and texts that were tried and are to be tried again."""
        with self._runtime.database.read() as session:
            return session.execute(
                select(func.count())
                .select_from(Message)
                .where(
                    (Message.state == MessageState.UNKNOWN)
                    | (Message.state.in_(WAITING) & (Message.tries > 0))
                )
            ).scalar_one()

    def _collect(self, cast: Cast, intended: list[Intended]) -> Evidence:
        with self._runtime.database.read() as session:
            texts = list_texts(session)
            tries = {
                row.reference: row.message_id
                for row in session.execute(select(Attempt.reference, Attempt.message_id))
            }
        return Evidence(
            people=cast.people,
            texts=texts,
            tries=tries,
            requests=self._standin.requests(),
            taken=self._standin.texts(),
            stops=self._stops,
            expected_keys=frozenset(one.key for one in intended),
            faults_began_at=self._faults_at.timestamp(),
            faults_ended_at=self._faults_ended.timestamp(),
            ended_at=self._runtime.clock().timestamp(),
        )


def _draw_error(random: Random) -> float:
    size = random.choice((random.uniform(2, 50), random.uniform(120, 3000), random.uniform(3600, 9 * 3600)))
    return random.choice((-1, 1)) * size


def list_texts(session: sa.orm.Session) -> list[IntendedText]:
    """Every intended text but answers, which ride in a response and are no request of ours."""
    with_task = set(session.scalars(select(Task.message_id).where(Task.message_id.is_not(None))))
    query = (
        select(Message, Participant.phone)
        .join(Participant, Participant.id == Message.participant_id)
        .where(Message.inbound_id.is_(None))
    )
    return [
        IntendedText(
            message.id,
            message.dedupe_key,
            phone or "",
            message.kind,
            message.state,
            message.reason,
            message.send_after.timestamp(),
            message.due_at.timestamp(),
            message.id in with_task,
        )
        for message, phone in session.execute(query)
    ]
