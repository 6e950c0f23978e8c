"""Bring in people from a file, with the evidence of what each agreed to.

Steps: read and check the whole file (nothing is written while a row is wrong, unless bad rows are to be
skipped); then, in one transaction per 50 rows, decide each row from how its number stands and apply it.
Importing the same file again changes nothing and plans no text a second time. So an import that died between
two transactions is repeated with the same file: rows that were committed are left as they are, the rest
follow. Only its line in the audit trail is missing; every consent event names the file and the row.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.domain.consent import ImportDecision
from service.store.participants import Participant
from service.store.service_state import list_missing_key_ids, list_programs
from service.store.staff import AuditEvent
from service.usecases.context import Context
from service.usecases.people.consent_changes import KeysMissingError
from service.usecases.people.imported_person import ImportRun, RowOutcome, apply_row, decide_row
from service.usecases.people.participant_cells import ImportRules, ParticipantRow, read_rows
from service.usecases.people.participant_file import RowError, parse_table

BATCH = 50
"""Rows a transaction: it holds their people, and on SQLite everybody who wants to write, for about 0.1 s."""

REST_SECONDS = 0.12
"""Between transactions on SQLite, whose waiting writers look for their turn every 0.1 s at the longest."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A file to bring in. `country` (ISO code) is for numbers without a country code; `by` asked for it."""

    content: bytes
    by: str
    country: str = "US"
    skip_bad_rows: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class ImportResult:
    """What an import did, or would do. Rows are numbered as in the file; no numbers of people.

    `source` is what the consent events of this file call it, followed by the row.
    """

    source: str
    rows: int
    errors: list[RowError]
    counts: Counter[RowOutcome] = field(default_factory=Counter)
    opted_out_rows: list[int] = field(default_factory=list)

    def record(self, row: ParticipantRow, outcome: RowOutcome) -> None:
        self.counts[outcome] += 1
        if outcome is RowOutcome.OPTED_OUT:
            self.opted_out_rows.append(row.number)


class ImportRefusedError(Exception):
    """Rows are wrong and nothing was imported; `errors` lists every one of them."""

    def __init__(self, errors: list[RowError]) -> None:
        super().__init__(f"{len(errors)} errors; nothing was imported")
        self.errors = errors


def import_participants(
    context: Context,
    request: ImportRequest,
    now: datetime,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ImportResult:
    """Import a file. Commits once per 50 rows; `on_progress` gets rows done and rows in all.

    Raises ParticipantFileError for a file that cannot be read, ImportRefusedError for wrong rows, and
    KeysMissingError while people may be known under a look-up key that is not configured.
    """
    with context.database.read() as session:
        if list_missing_key_ids(session, context.keyring.lookup_key_ids):
            raise KeysMissingError
        programs = list_programs(session)
    words = {name.casefold(): p.id for p in programs.values() for name in (p.word, p.id)}
    raw, shape_errors = parse_table(request.content)
    rules = ImportRules(request.country, context.settings.org_timezone, words, now)
    rows, cell_errors = read_rows(raw, rules)
    errors = sorted(shape_errors + cell_errors, key=lambda error: error.row)
    if errors and not request.skip_bad_rows:
        raise ImportRefusedError(errors)
    run = ImportRun(context, programs, name_content(request.content), request.by, now)
    result = ImportResult(run.source, len(rows) + len({error.row for error in errors}), errors)
    for start in range(0, len(rows), BATCH):
        if start and context.database.is_sqlite and not request.dry_run:
            time.sleep(REST_SECONDS)
        batch = rows[start : start + BATCH]
        if request.dry_run:
            _foretell(run, batch, result)
        else:
            _apply_batch(run, batch, result)
        on_progress(start + len(batch), len(rows))
    if not request.dry_run:
        _record_audit(run, result)
    return result


def name_content(content: bytes) -> str:
    """What records call a file: the beginning of its SHA-256, by which whoever has the file can prove it.

    Never the file's own name: these records stay readable for ever, and people name files after people.
    """
    return f"import:{sha256(content).hexdigest()[:12]}"


def _foretell(run: ImportRun, batch: Sequence[ParticipantRow], result: ImportResult) -> None:
    outcomes = {
        ImportDecision.LIST_ONLY: RowOutcome.LISTED,
        ImportDecision.ASK: RowOutcome.ASKED,
        ImportDecision.WELCOME: RowOutcome.WELCOMED,
        ImportDecision.KEEP: RowOutcome.UNCHANGED,
        ImportDecision.KEEP_OPTED_OUT: RowOutcome.OPTED_OUT,
    }
    with run.context.database.read() as session:
        for row in batch:
            result.record(row, outcomes[decide_row(run, session, row).decision])


def _apply_batch(run: ImportRun, batch: Sequence[ParticipantRow], result: ImportResult) -> None:
    outcomes = []
    with run.context.database.begin() as session:
        _lock_people(run, session, batch)
        for row in batch:
            outcomes.append((row, _apply_safely(run, session, row)))
    for row, outcome in outcomes:
        result.record(row, outcome)


def _lock_people(run: ImportRun, session: Session, batch: Sequence[ParticipantRow]) -> None:
    """Lock everybody in the order that sending locks people, so that the two never wait in a ring."""
    hashes = [value for row in batch for value in run.context.keyring.hash_all(row.phone.e164)]
    session.execute(
        select(Participant.id)
        .where(Participant.phone_hash.in_(hashes))
        .order_by(Participant.id)
        .with_for_update(key_share=True)
    )


def _apply_safely(run: ImportRun, session: Session, row: ParticipantRow) -> RowOutcome:
    """Apply in a savepoint; who joins by text at the same moment wins, and the row is decided again."""
    try:
        with session.begin_nested():
            return apply_row(run, session, row)
    except IntegrityError:
        with session.begin_nested():
            return apply_row(run, session, row)


def _record_audit(run: ImportRun, result: ImportResult) -> None:
    with run.context.database.begin() as session:
        session.add(
            AuditEvent(
                at=run.now,
                actor=run.by,
                action="participants_imported",
                subject=run.source,
                detail={str(outcome): count for outcome, count in sorted(result.counts.items())},
            )
        )
