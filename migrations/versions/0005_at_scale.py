"""Many rows: the last day's texts are found by an index, and dead rows are swept up in small portions."""

from __future__ import annotations

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

# By default a table is swept when a fifth of it is dead: of a hundred million texts that is twenty million
# rows, and each text leaves five on its way (docs/scaling.md, "Sweeping").
_CHANGED = {
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_analyze_threshold": "1000",
}
_ADDED_TO = {"autovacuum_vacuum_insert_scale_factor": "0.05"}
_SWEPT = {"messages": _CHANGED, "attempts": _CHANGED, "participants": _CHANGED, "message_events": _ADDED_TO}


def upgrade() -> None:
    """Find the texts of the last day without reading all there ever were, and sweep often."""
    op.create_index(
        "ix_messages_due_at",
        "messages",
        ["due_at"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32},
        if_not_exists=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        for table, settings in _SWEPT.items():
            words = ", ".join(f"{name} = {value}" for name, value in settings.items())
            op.execute(f"ALTER TABLE {table} SET ({words})")


def downgrade() -> None:
    """Go back."""
    if op.get_bind().dialect.name == "postgresql":
        for table, settings in _SWEPT.items():
            op.execute(f"ALTER TABLE {table} RESET ({', '.join(settings)})")
    op.drop_index("ix_messages_due_at", table_name="messages")
