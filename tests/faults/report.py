"""docs/reliability.md out of what a fault run left."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tests.faults.judge import GRACE_SECONDS, Verdict, percentile
from tests.faults.run import LOOKUP_ODDS, PROVIDER_ODDS, RECEIPT_ODDS, Options, Outcome
from tests.standin.ledger import CreateRequest

SHOWN_CASES = 10


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run took place, in general words."""

    cores: int
    system: str
    python: str
    postgres: str
    revision: str

    @classmethod
    def here(cls, postgres: str, revision: str) -> Machine:
        return cls(os.cpu_count() or 1, platform.system(), platform.python_version(), postgres, revision)


def write_report(
    options: Options,
    outcome: Outcome,
    verdict: Verdict,
    machine: Machine,
    command: str,
    cut_off: str,
    on: date,
) -> str:
    """The whole page. `cut_off` is the section of the run in network namespaces."""
    parts = (
        _head(options, outcome, verdict, machine, command, on),
        _figures(verdict),
        _distances(verdict),
        _latencies(verdict),
        _ends(verdict),
        _harm(outcome),
        _clocks(),
        cut_off,
        _limits(),
    )
    return "\n\n".join(parts) + "\n"


def _head(
    options: Options, outcome: Outcome, verdict: Verdict, machine: Machine, command: str, on: date
) -> str:
    word = "All figures that must be 0 are 0." if verdict.is_good else "**A figure that must be 0 is not.**"
    groups = ", ".join(f"{name} {number}" for name, number in outcome.groups.items())
    return f"""# Reliability

Written by `make faults`; do not edit. Run of {on.isoformat()}, revision {machine.revision}. {word}

{options.workers} worker processes and a web server on one PostgreSQL server, against a stand-in for the
provider's API over real HTTP. Texts for generated people become due while workers are killed, the database is
restarted, the provider errs, clocks jump and people say STOP. Then the stand-in's ledger (what it truly took,
and when) is compared with the database. Nothing but the network and the clock is made up.

People: {groups}.

To repeat it: `{command}`. The seed fixes what is done when; what it hits depends on the machine.
Here: {machine.cores} cores, {machine.system}, Python {machine.python}, PostgreSQL {machine.postgres};
{outcome.seconds / 60:.1f} minutes, of which {options.calm_seconds:.0f} s calm and
{options.fault_seconds:.0f} s under faults."""


def _figures(verdict: Verdict) -> str:
    rows = [("texts due", verdict.due), ("sent once", verdict.sent_once)]
    rows.append(("sent again after the provider said the first surely did not arrive", verdict.sent_again))
    rows += [(f"**{name}** (must be 0)", number) for name, number in verdict.must_be_0.items()]
    rows.append(("never taken by the provider, each with its reason (below)", verdict.never_taken.total()))
    rows.append(("of unknown fate at the end, each with its reason (below)", verdict.unresolved.total()))
    cases = [*verdict.twice, *verdict.lost, *verdict.after_stop, *verdict.outside_hours]
    cases += [*verdict.stray, *verdict.misrecorded]
    listed = "".join(f"\n- {case}" for case in cases[:SHOWN_CASES])
    return "## Figures\n\n" + _table(("", "texts"), rows) + (f"\n\nCases:\n{listed}" if cases else "")


def _distances(verdict: Verdict) -> str:
    before, after = verdict.nearest_before_stop, verdict.latest_after_stop
    rows = [
        ("STOPs answered", str(verdict.stops_answered)),
        ("STOPs that no try of the provider brought to us", str(verdict.stops_unanswered)),
        ("nearest request before the end of our answer", _seconds(None if before is None else -before)),
        ("latest request after the end of our answer", _seconds(after)),
        ("farthest request outside a person's hours", _seconds(verdict.farthest_outside)),
    ]
    return f"""## How near it was

A text is sent after STOP if its request reached the provider more than {GRACE_SECONDS:.0f} second
after our whole answer to the STOP had; outside the hours if it reached the provider more than
{GRACE_SECONDS:.0f} second outside the person's window, by their own zone and the true clock. That second is
what may lie between consent and call.

{_table(("", ""), rows)}"""


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} s"


def _latencies(verdict: Verdict) -> str:
    rows = []
    spans = (
        ("calm", verdict.calm),
        ("under faults, taken at the first request", verdict.under_faults_at_once),
        ("under faults, all", verdict.under_faults),
    )
    for name, values in spans:
        shares = [_seconds(percentile(values, share)) for share in (0.5, 0.95, 0.99)]
        rows.append((name, str(len(values)), *shares))
    return """## From due to taken by the provider

Texts whose time lay in the person's hours. Under faults this holds every retry, back-off and look-up.

""" + _table(("", "texts", "p50", "p95", "p99"), rows)


def _ends(verdict: Verdict) -> str:
    return "\n\n".join(
        (
            "## What became of the others",
            "Never taken by the provider:",
            _counter(verdict.never_taken, ("state and reason", "texts")),
            "Of unknown fate:",
            _counter(verdict.unresolved, ("state and reason", "texts")),
            "Still waiting for their time when the run ended:",
            _counter(verdict.waiting, ("state and reason", "texts")),
        )
    )


def _counter(counts: Mapping[str, int], head: Sequence[str]) -> str:
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return _table(head, rows) if rows else "None."


def _harm(outcome: Outcome) -> str:
    met = _count_faults(outcome.evidence.requests)
    codes = Counter("ended by themselves" if code == 0 else f"exit {code}" for code in outcome.exit_codes)
    odds = [
        ("receipts late by up to 8 s", RECEIPT_ODDS.late),
        ("receipts doubled", RECEIPT_ODDS.doubled),
        ("receipts in the wrong order", RECEIPT_ODDS.reordered),
        ("each receipt lost", RECEIPT_ODDS.lost),
        *((f"{status} with code {code}", chance) for status, code, chance in RECEIPT_ODDS.failures),
        *((f"look-ups: {fault.name}", chance) for fault, chance in LOOKUP_ODDS.items()),
    ]
    told = ", ".join(f"{number} {words}" for words, number in codes.items())
    return "\n\n".join(
        (
            "## What was done to it",
            _counter(outcome.done, ("", "times")),
            "Requests to send that met a fault of the provider "
            f"({len(PROVIDER_ODDS)} kinds, drawn for every request):",
            _counter(met, ("fault", "requests")),
            "Also drawn by chance, for every text or look-up:",
            _table(("", "probability"), [(name, f"{chance:g}") for name, chance in odds]),
            f"Receipts that found no web server or no database, never repeated: {outcome.lost_receipts}.",
            f"At the end all workers got SIGTERM, with work in hand or not: {told}.",
        )
    )


def _count_faults(requests: Sequence[CreateRequest]) -> Counter[str]:
    return Counter(request.fault for request in requests if request.fault != "none")


def _clocks() -> str:
    return """## Clocks

A machine's clock is set wrong for all of its process, scheduler and libraries included. Texts are judged by
the true clock, which is the database server's. Workers decide by that clock too, asked once a second and
counted on by the machine's uptime in between ([decision 14](decisions/0014-one-clock.md)), so a wrong clock
moves nothing; `python -m tests.faults --own-clocks` lets machines believe their own. Calls to the provider
are given up after 2 and 4 seconds in place of 5 and 15. Once the faults are over, the true time is moved
forward for everybody, so that look-ups and retries that wait for minutes or hours come to their end."""


def _limits() -> str:
    return """## What this does not show

- The provider is a stand-in that behaves as the provider's documents say, and it lists every text at once.
  The real one may list late, which is why a text is only taken for absent when two look-ups, 15 minutes
  apart, find nothing.
- Nothing is sent by the real carriers: what they delay, drop or double is outside.
- One database server that keeps what it committed. A failover to a replica that lags loses commits, and with
  them the knowledge of what was sent: replicate synchronously.
- The operating system did not crash, no disk failed, and all ran on one machine.
- The database server's clock was right."""


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
