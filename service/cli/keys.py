"""Commands about the keys of what is stored."""

from __future__ import annotations

from typing import Any

import click

from service.cli.output import emit, find_operator, open_runtime, say
from service.store.keyring import Keyring
from service.usecases.operations.rotate_keys import rotate_keys


@click.group()
def keys() -> None:
    """Keys: encryption and look-up."""


@keys.command("rotate")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rotate(as_json: bool) -> None:
    """Move everything stored to the newest keys. Append a key, deploy, promote it to first, then run this.

    May be stopped and repeated. Says at the end which old keys may go and which must stay.
    """
    with open_runtime() as runtime:
        result = rotate_keys(
            runtime.context,
            find_operator(),
            runtime.clock(),
            lambda table, rows: say(f"{table}: {rows} rows"),
        )
        keyring = runtime.context.keyring
    data = {
        "encrypted": result.encrypted,
        "hashed": result.hashed,
        "old_lookup_keys_needed": result.old_keys_needed,
    }
    for key_id, rows in sorted(result.old_keys_needed.items()):
        say(_old_key_line(keyring, key_id, rows))
    emit(data, as_json, _lines)


def _old_key_line(keyring: Keyring, key_id: str, rows: int) -> str:
    if key_id not in keyring.lookup_key_ids:
        return (
            f"LOOKUP_KEYS lacks key {key_id}: {rows} rows (opt-outs) need it; put it back, behind the first"
        )
    place = keyring.lookup_key_ids.index(key_id) + 1
    return (
        f"LOOKUP_KEYS: key number {place} ({key_id}) must stay: {rows} rows (opt-outs) are known by it alone"
    )


def _lines(data: dict[str, Any]) -> str:
    done = f"{data['encrypted']} values and {data['hashed']} look-up hashes moved to the newest keys"
    return f"{done}; ENCRYPTION_KEYS behind the first may go"
