"""Sign-ins of people to the console."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v2"
down_revision: str | None = "v1"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tid", "oid")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("opened_at", "seen_at", "ends_at")),
        sa.Column("renewing_until", sa.BigInteger),
        sa.Column("sealed", sa.Text, nullable=False),
    )
    op.create_index("sign_ins_by_identity", "sign_ins", ["tid", "oid", "opened_at"])
    op.create_index("sign_ins_by_end", "sign_ins", ["ends_at"])


def downgrade() -> None:
    raise NotImplementedError("a store does not forget what was granted: restore a backup instead")
