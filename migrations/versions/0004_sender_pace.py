"""What keeps a sender off a provider that says to wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add how often in a row we were told to wait, and until when nothing unprompted leaves."""
    with op.batch_alter_table("senders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("backoff_step", sa.SmallInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("blocked_reason", sa.String(length=40), nullable=True))


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("senders", schema=None) as batch_op:
        batch_op.drop_column("blocked_reason")
        batch_op.drop_column("blocked_until")
        batch_op.drop_column("backoff_step")
