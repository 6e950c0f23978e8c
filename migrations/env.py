"""Runs migrations on the connection it is handed, or on the configured database from a bare `alembic`."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from service.config import load_settings
from service.store.schema import METADATA, migrating
from service.store.types import BigId, EncryptedJson, EncryptedText, UtcInstant, Word
from service.wiring import open_database


def render_item(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Migrations name plain types: a migration must not change when our own types do."""
    if kind != "type":
        return False
    if isinstance(item, EncryptedText | EncryptedJson):
        return "sa.Text()"
    if isinstance(item, UtcInstant):
        return "sa.DateTime(timezone=True)"
    if isinstance(item, Word):
        return f"sa.String(length={item.length})"
    if item is BigId:
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    return False


def run(connection: Connection) -> None:
    """Migrate on one connection, in its transaction."""
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_item=render_item,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with migrating(open_database(load_settings())) as opened:
        run(opened)
