"""Backends that sessions have on servers: what a process leaves behind is ended by the one that comes after."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "backends",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("window_id", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("backends that have to be ended are not forgotten: restore a backup instead")
