"""Indexes for many rows."""

from __future__ import annotations

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Find the texts of the last day without reading all there ever were."""
    op.create_index(
        "ix_messages_due_at",
        "messages",
        ["due_at"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32},
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_messages_due_at", table_name="messages")
