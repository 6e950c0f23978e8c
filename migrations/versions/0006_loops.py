"""The latest texts of a sender, for the loop guard."""

from __future__ import annotations

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Find a sender's texts of the last day without reading all they ever sent."""
    with op.batch_alter_table("inbound_messages", schema=None) as batch_op:
        batch_op.create_index("ix_inbound_messages_sender_time", ["sender_hash", "received_at"])
        batch_op.drop_index(batch_op.f("ix_inbound_messages_sender_hash"))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("inbound_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_inbound_messages_sender_hash"), ["sender_hash"], unique=False)
        batch_op.drop_index("ix_inbound_messages_sender_time")
