"""What looking texts up at the provider needs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

_SILENT = sa.text("state IN ('accepted', 'sent') AND final_at IS NULL")


def upgrade() -> None:
    """Count look-ups that found nothing, know texts that were found late, find texts without a last word."""
    with op.batch_alter_table("attempts") as table:
        table.add_column(sa.Column("absences", sa.SmallInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("inbound_messages") as table:
        table.add_column(sa.Column("found_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_messages_silent", "messages", ["due_at"], postgresql_where=_SILENT, sqlite_where=_SILENT
    )


def downgrade() -> None:
    """Forget all of it."""
    op.drop_index("ix_messages_silent", "messages")
    with op.batch_alter_table("inbound_messages") as table:
        table.drop_column("found_at")
    with op.batch_alter_table("attempts") as table:
        table.drop_column("absences")
