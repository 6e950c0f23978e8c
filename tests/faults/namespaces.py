"""Three workers on three machines, as far as the network can tell, and one of them cut off for a while.

Each worker runs in a network namespace of its own, joined by a virtual cable to a bridge on which the
database, the provider and the web server listen. Needs root and `ip`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from service.domain.delivery import MessageState
from service.store.messages import Message
from tests.databases import open_own_postgres
from tests.faults.judge import Verdict, judge
from tests.faults.people import Cast, Intended
from tests.faults.run import FaultRun, Options
from tests.standin import ReceiptChances, slow

MACHINES = 3
CUT_AFTER_SECONDS = 6.0
CUT_FOR_SECONDS = 130.0
"""Longer than a lease and the look for ended ones together, so that the others have taken over everything."""
FIRST_CALL_SECONDS = 15.0
REJOINED_SECONDS = 20.0
TEXTS = 400


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge and the namespaces behind it."""

    bridge: str
    host: str
    subnet: str
    names: tuple[str, ...]

    def cable(self, number: int) -> str:
        return f"{self.bridge}v{number}"

    def address(self, number: int) -> str:
        return f"{self.host.rpartition('.')[0]}.{11 + number}"

    def cut(self, number: int) -> None:
        _ip("link", "set", self.cable(number), "down")

    def join(self, number: int) -> None:
        _ip("link", "set", self.cable(number), "up")


def find_obstacle() -> str | None:
    """Why there can be no namespaces here, or None."""
    if os.geteuid() != 0:
        return "it needs root"
    if shutil.which("ip") is None:
        return "it needs `ip` (package iproute2)"
    name = f"acprobe{os.getpid() % 10_000}"
    probes = ("link", "add", name, "type", "bridge"), ("netns", "add", name)
    removals = ("link", "del", name), ("netns", "del", name)
    works = [_try_ip(*probe) for probe in probes]
    for removal, worked in zip(removals, works, strict=True):
        if worked:
            _try_ip(*removal)
    return None if all(works) else "this system permits no network namespaces"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _try_ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], check=False, capture_output=True).returncode == 0


@contextmanager
def running_network() -> Iterator[Network]:
    """The bridge and its namespaces; gone afterwards."""
    mark = os.getpid() % 10_000
    host = f"10.213.{mark % 256}.1"
    names = tuple(f"ac{mark}n{number}" for number in range(MACHINES))
    network = Network(f"ac{mark}b", host, f"{host.rpartition('.')[0]}.0/24", names)
    try:
        _ip("link", "add", network.bridge, "type", "bridge")
        _ip("addr", "add", f"{host}/24", "dev", network.bridge)
        _ip("link", "set", network.bridge, "up")
        for number, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", network.cable(number), "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", network.cable(number), "master", network.bridge, "up")
            _ip("-n", name, "addr", "add", f"{network.address(number)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield network
    finally:
        for name in names:
            _try_ip("netns", "del", name)
        _try_ip("link", "del", network.bridge)


@dataclass(slots=True)
class CutOffResult:
    """What was seen. Requests are counted by the machine that they came from; number 0 was cut off."""

    verdict: Verdict
    before: Counter[int]
    meanwhile: Counter[int]
    afterwards: Counter[int]
    in_hand: int
    taken_over_seconds: float | None
    exit_codes: list[int | None]

    @property
    def is_good(self) -> bool:
        others_went_on = self.meanwhile[0] == 0 and self.meanwhile.total() > 0
        return self.verdict.is_good and others_went_on and self.afterwards[0] > 0


class _CutOffRun(FaultRun):
    """A run whose only harm is that the first machine's cable is pulled and put back."""

    network: Network
    in_hand = 0
    taken_over_seconds: float | None = None
    cut_at = rejoined_at = 0.0

    def _do_harm(self, cast: Cast, intended: list[Intended]) -> None:
        self._standin.by_chance({slow(1.0): 1.0}, seed=1)  # so that texts are in flight at any moment
        self._sleep_until(self._faults_at)
        # Nor does a receipt tell what became of these, so that it takes the lease and a look-up to find out.
        self._standin.receipts_by_chance(ReceiptChances(lost=1.0), seed=0)
        self._tell_others(signal.SIGSTOP)
        self._wait_until_first_calls()
        self.network.cut(0)
        self.cut_at = time.time()
        leased = self._list_leased()
        self._tell_others(signal.SIGCONT)
        self._standin.by_chance({}, seed=0)
        time.sleep(5)  # what the others had in hand then is over; what is still leased is the first one's
        leased &= self._list_leased()
        self.in_hand = len(leased)
        self._standin.receipts_by_chance(ReceiptChances(), seed=0)
        until = time.monotonic() + CUT_FOR_SECONDS - 5
        while time.monotonic() < until:
            if leased and self.taken_over_seconds is None and not leased & self._list_leased():
                self.taken_over_seconds = time.time() - self.cut_at
            time.sleep(0.5)
        self.network.join(0)
        self.rejoined_at = time.time()
        time.sleep(REJOINED_SECONDS / 2)
        self._tell_others(signal.SIGSTOP)  # so that only the one that was cut off can send
        time.sleep(REJOINED_SECONDS / 2)
        self._tell_others(signal.SIGCONT)
        self._faults_ended = self._true_now()

    def _wait_until_first_calls(self) -> None:
        until = time.monotonic() + FIRST_CALL_SECONDS
        while time.monotonic() < until:
            last = [request for request in self._standin.requests() if request.at > time.time() - 0.5]
            if any(request.peer == self.network.address(0) for request in last):
                return
            time.sleep(0.05)

    def _tell_others(self, what: signal.Signals) -> None:
        for number in range(1, MACHINES):
            self._fleet.send(number, what)

    def _list_leased(self) -> set[tuple[int, str | None]]:
        """Texts in a worker's hands, with the claim by which it has them."""
        leased = MessageState.CLAIMED, MessageState.SENDING
        with self._runtime.database.read() as session:
            rows = session.execute(select(Message.id, Message.claim_token).where(Message.state.in_(leased)))
            return {(row.id, row.claim_token) for row in rows}


@dataclass(frozen=True, slots=True)
class CutOffRun:
    """The run and what it shows."""

    seed: int
    say: Callable[[str], None]
    folder: Path

    def carry_out(self) -> CutOffResult:
        """Raises NoPostgresError."""
        self.folder.mkdir(exist_ok=True)
        lasts = CUT_AFTER_SECONDS + CUT_FOR_SECONDS + REJOINED_SECONDS
        options = Options(
            texts=TEXTS,
            seed=self.seed,
            workers=MACHINES,
            calm_seconds=CUT_AFTER_SECONDS,
            fault_seconds=lasts - CUT_AFTER_SECONDS,
            say=lambda line: self.say(f"(cut off) {line}"),
        )
        with running_network() as network, open_own_postgres(network.host, network.subnet) as server:
            prefixes = tuple(("ip", "netns", "exec", name) for name in network.names)
            run = _CutOffRun(options, server, self.folder, network.host, prefixes)
            run.network = network
            outcome = run.carry_out()
        machines = {network.address(number): number for number in range(MACHINES)}
        spans: list[Counter[int]] = [Counter(), Counter(), Counter()]
        for request in outcome.evidence.requests:
            span = (request.at > run.cut_at + 1) + (request.at > run.rejoined_at)
            if request.peer in machines:
                spans[span][machines[request.peer]] += 1
        before, meanwhile, afterwards = spans
        return CutOffResult(
            verdict=judge(outcome.evidence),
            before=before,
            meanwhile=meanwhile,
            afterwards=afterwards,
            in_hand=run.in_hand,
            taken_over_seconds=run.taken_over_seconds,
            exit_codes=outcome.exit_codes,
        )


def describe(result: CutOffResult | None, obstacle: str | None) -> str:
    """The section of the report."""
    title = "## Three machines, one of them cut off\n\n"
    if result is None:
        return f"{title}Not part of this run: {obstacle}."
    verdict = result.verdict
    rows = [("before", result.before), ("while the first was cut off", result.meanwhile)]
    rows.append(("after it was joined again", result.afterwards))
    table = ["| requests that reached the provider from | first | second | third |", "|---|---|---|---|"]
    table += [f"| {name} | " + " | ".join(str(c[n]) for n in range(MACHINES)) + " |" for name, c in rows]
    over = result.taken_over_seconds
    taken_over = "there were none" if over is None else f"after {over:.0f} s, by their leases"
    zeros = ", ".join(f"{name}: {number}" for name, number in verdict.must_be_0.items())
    ended = sum(code == 0 for code in result.exit_codes)
    return f"""{title}Three workers in three network namespaces, joined by a bridge to the database and the
provider. The first one's cable was pulled for {CUT_FOR_SECONDS:.0f} s while it was calling, then put back;
{REJOINED_SECONDS / 2:.0f} s later the other two were stopped for as long, so that only the first could send.

{chr(10).join(table)}

Texts in the first one's hands when it was cut off: {result.in_hand}.
The others had taken them over: {taken_over}.
Of {verdict.due} texts due, {verdict.sent_once} were sent once. What must be 0: {zeros}.
Workers that ended by themselves when asked to: {ended} of {MACHINES}."""
