"""What a directory has denied: a token from before that is not believed again, after a restart either."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "denials",
        sa.Column("tid", sa.Text, primary_key=True),
        sa.Column("oid", sa.Text, primary_key=True),
        sa.Column("is_user", sa.Boolean, primary_key=True),
        sa.Column("acting", sa.Boolean, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("what a directory has denied is not forgotten: restore a backup instead")
