"""How far the store has seen each journal, and from when on single-use tokens can be trusted to be unused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "journal_marks",
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.add_column("clock", sa.Column("tokens_from", sa.BigInteger))


def downgrade() -> None:
    raise NotImplementedError("what was seen of a journal is not forgotten: restore a backup instead")
