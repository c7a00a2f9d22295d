"""Searches in the audit that people saved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v3"
down_revision: str | None = "v2"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tid", "oid", "name", "body")),
        sa.Column("saved_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tid", "oid", "name", name="a_person_has_a_search_of_a_name_once"),
    )


def downgrade() -> None:
    raise NotImplementedError("a store does not forget what was granted: restore a backup instead")
