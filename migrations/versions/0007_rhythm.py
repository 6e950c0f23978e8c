"""What is a person's own about the rhythm of their texts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what LESS, MORE, KEEP and TIME change, and for how long the densest rhythm is back.

    Whether a question was answered is asked by its text, for each nudge: hence the index.
    """
    with op.batch_alter_table("enrollments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cadence_shift", sa.SmallInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("stepped_up_on", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("stepped_up_until", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("less_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("kept_on", sa.Date(), nullable=True))
    with op.batch_alter_table("participants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("time_of_day", sa.String(length=8), nullable=True))
    op.create_index("ix_conversations_message_id", "conversations", ["message_id"])


def downgrade() -> None:
    """Forget it: everybody has the rhythm of the program again."""
    op.drop_index("ix_conversations_message_id", table_name="conversations")
    with op.batch_alter_table("participants", schema=None) as batch_op:
        batch_op.drop_column("time_of_day")
    with op.batch_alter_table("enrollments", schema=None) as batch_op:
        batch_op.drop_column("kept_on")
        batch_op.drop_column("less_at")
        batch_op.drop_column("stepped_up_until")
        batch_op.drop_column("stepped_up_on")
        batch_op.drop_column("cadence_shift")
