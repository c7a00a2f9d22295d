"""What the journal has yet to be told of a window: kept with the window until it has taken it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "due",
        sa.Column("window_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.CheckConstraint("kind IN ('opened', 'ended')", name="a_window_is_opened_and_ended"),
    )


def downgrade() -> None:
    raise NotImplementedError("what has to be recorded is not forgotten: restore a backup instead")
