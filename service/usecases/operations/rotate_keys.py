"""Move what is stored to the newest keys, so that old ones can be retired.

Every encrypted column of every table is written again under the newest encryption key, and every keyed
hash whose word is known under the newest look-up key. A suppression knows no number: it can move only
while somebody with that number is still known, else its old key must stay, or the opt-out is forgotten.
Batches are committed one by one; what is new already is left alone, so it may be stopped and repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, Text, delete, func, select, tuple_, type_coerce, update
from sqlalchemy.orm import Session

from service.store.consent import Suppression
from service.store.inbound import InboundMessage
from service.store.keyring import DecryptionError, Keyring
from service.store.participants import Participant, ParticipantTag
from service.store.schema import METADATA
from service.store.service_state import LookupKeyUse, record_key_use
from service.store.staff import AuditEvent, Staff
from service.store.types import EncryptedJson, EncryptedText
from service.usecases.context import Context
from service.usecases.people.tags import hashed_word

BATCH = 200
Progress = Callable[[str, int], None]
_Rows = Sequence[Row[Any]]


@dataclass(frozen=True, slots=True)
class HashedColumn:
    """A keyed hash: the table, the column with its word, the hash, the id of the key, and what is hashed."""

    table: Table
    word: str
    hash: str
    key_id: str
    hashed: Callable[[str], str] = str


def _table(model: type[Any]) -> Table:
    table: Table = model.__table__
    return table


HASHED_COLUMNS = (
    HashedColumn(_table(Participant), "phone", "phone_hash", "phone_key_id"),
    HashedColumn(_table(Staff), "phone", "phone_hash", "phone_key_id"),
    HashedColumn(_table(InboundMessage), "sender", "sender_hash", "sender_key_id"),
    HashedColumn(_table(ParticipantTag), "tag", "tag_hash", "tag_key_id", hashed_word),
)
KEY_IDS = (
    *((one.table.c[one.key_id]) for one in HASHED_COLUMNS),
    _table(Suppression).c.phone_key_id,
)


@dataclass(slots=True)
class RotationResult:
    """Values written again, hashes made again, and how many rows still need which old look-up key."""

    encrypted: int = 0
    hashed: int = 0
    old_keys_needed: dict[str, int] = field(default_factory=dict)


def encrypted_columns() -> dict[Table, list[str]]:
    """Every encrypted column of every table, by table."""
    found = {
        table: [c.name for c in table.columns if isinstance(c.type, EncryptedText | EncryptedJson)]
        for table in METADATA.sorted_tables
    }
    return {table: names for table, names in found.items() if names}


def rotate_keys(
    context: Context,
    by: str,
    now: datetime,
    on_progress: Progress = lambda _table, _rows: None,
) -> RotationResult:
    """Rotate everything. Commits once a batch; `on_progress` gets the table and the rows looked at so far.

    Raises DecryptionError when a value opens with none of the configured keys: what was done stays done.
    """
    result = RotationResult()
    newest = _newest_only(context)
    for table, names in encrypted_columns().items():

        def encrypt(session: Session, rows: _Rows, table: Table = table, names: list[str] = names) -> None:
            result.encrypted += _encrypt_again(session, context.keyring, newest, table, names, rows)

        tokens = [type_coerce(table.c[name], Text).label(name) for name in names]
        _walk(context, table, tokens, encrypt, on_progress)
    for column in HASHED_COLUMNS:

        def hash_rows(session: Session, rows: _Rows, column: HashedColumn = column) -> None:
            result.hashed += _hash_again(session, context.keyring, column, rows, now)

        _walk(context, column.table, [column.table.c[column.word]], hash_rows, on_progress)
    _finish(context, result, by, now)
    return result


def _newest_only(context: Context) -> Keyring:
    keys = context.settings
    return Keyring([keys.encryption_keys[0].get_secret_value()], [keys.lookup_keys[0].get_secret_value()])


def _walk(
    context: Context,
    table: Table,
    columns: Sequence[ColumnElement[Any]],
    act: Callable[[Session, _Rows], None],
    on_progress: Progress,
) -> None:
    """Hand every row of a table to `act`, by primary key, locked, each batch in its own transaction."""
    keys = list(table.primary_key.columns)
    query = select(*keys, *columns).order_by(*keys).limit(BATCH).with_for_update()
    seen, last = 0, None
    while True:
        page = query if last is None else query.where(tuple_(*keys) > tuple_(*last))
        with context.database.begin() as session:
            rows = session.execute(page).all()
            act(session, rows)
        seen += len(rows)
        if len(rows) < BATCH:
            break
        last = tuple(rows[-1][: len(keys)])
        on_progress(table.name, seen)
    on_progress(table.name, seen)


def _encrypt_again(
    session: Session,
    keyring: Keyring,
    newest: Keyring,
    table: Table,
    names: Sequence[str],
    rows: _Rows,
) -> int:
    changed = 0
    for row in rows:
        values = {
            name: type_coerce(keyring.encrypt(keyring.decrypt(token)), Text)
            for name in names
            if (token := getattr(row, name)) is not None and not _opens(newest, token)
        }
        if values:
            session.execute(update(table).where(*_is_row(table, row)).values(values))
            changed += len(values)
    return changed


def _opens(keyring: Keyring, token: str) -> bool:
    try:
        keyring.decrypt(token)
    except DecryptionError:
        return False
    return True


def _is_row(table: Table, row: Row[Any]) -> list[ColumnElement[bool]]:
    return [key == value for key, value in zip(table.primary_key.columns, row, strict=False)]


def _hash_again(session: Session, keyring: Keyring, column: HashedColumn, rows: _Rows, now: datetime) -> int:
    changed = 0
    newest_id = keyring.lookup_key_ids[0]
    for row in rows:
        word = getattr(row, column.word)
        if word is None:
            continue
        lookup = keyring.hash_newest(column.hashed(word))
        done = session.execute(
            update(column.table)
            .where(*_is_row(column.table, row), column.table.c[column.key_id] != newest_id)
            .values({column.hash: lookup.value, column.key_id: lookup.key_id})
        )
        moved: int = done.rowcount  # type: ignore[attr-defined]
        if column.hashed is str:
            moved += _move_suppression(session, keyring, word)
        if moved:
            record_key_use(session, lookup.key_id, now)
        changed += moved
    return changed


def _move_suppression(session: Session, keyring: Keyring, e164: str) -> int:
    lookup = keyring.hash_newest(e164)
    done = session.execute(
        update(Suppression)
        .where(Suppression.phone_hash.in_(keyring.hash_all(e164)), Suppression.phone_key_id != lookup.key_id)
        .values(phone_hash=lookup.value, phone_key_id=lookup.key_id)
    )
    moved: int = done.rowcount  # type: ignore[attr-defined]
    return moved


def _finish(context: Context, result: RotationResult, by: str, now: datetime) -> None:
    """Forget the use of look-up keys that no row names any more, and record what was done."""
    newest_id = context.keyring.lookup_key_ids[0]
    with context.database.begin() as session:
        # Held first: whoever is writing under an old key, in a process that was not restarted, is waited for,
        # and what they wrote is counted.
        session.execute(select(LookupKeyUse.key_id).with_for_update()).all()
        for column in KEY_IDS:
            counts = select(column, func.count()).where(column.is_not(None), column != newest_id)
            for key_id, count in session.execute(counts.group_by(column)):
                result.old_keys_needed[key_id] = result.old_keys_needed.get(key_id, 0) + count
        still_used = {newest_id, *result.old_keys_needed}
        session.execute(delete(LookupKeyUse).where(LookupKeyUse.key_id.not_in(still_used)))
        detail = {"encrypted": result.encrypted, "hashed": result.hashed}
        session.add(AuditEvent(at=now, actor=by, action="keys_rotated", detail=detail))
