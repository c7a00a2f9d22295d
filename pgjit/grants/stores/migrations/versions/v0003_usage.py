"""What was used of a window: its limits hold over a restart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("window_id", sa.Text, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("statements", sa.BigInteger, nullable=False),
    )
    # INVARIANT: what was used is never given back.
    op.execute(
        "CREATE TRIGGER usage_only_grows BEFORE UPDATE ON usage "
        "WHEN NEW.window_id IS NOT OLD.window_id OR NEW.rows < OLD.rows OR NEW.bytes < OLD.bytes "
        "OR NEW.statements < OLD.statements "
        "BEGIN SELECT RAISE(ABORT, 'what was used of a window only grows'); END"
    )


def downgrade() -> None:
    raise NotImplementedError("what was used of a window is not forgotten: restore a backup instead")
