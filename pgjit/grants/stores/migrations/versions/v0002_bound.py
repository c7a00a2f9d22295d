"""What a window and its tokens are bound to: the address that opened it, and the tokens that were used up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    # Of windows from before nobody knows it: they are joined under no policy that binds to it.
    op.add_column("windows", sa.Column("source", sa.Text))
    op.execute("DROP TRIGGER a_granted_window_is_fixed")
    op.execute(
        "CREATE TRIGGER a_granted_window_is_fixed BEFORE UPDATE ON windows "
        "WHEN NEW.id IS NOT OLD.id OR NEW.tid IS NOT OLD.tid OR NEW.oid IS NOT OLD.oid "
        "OR NEW.policy IS NOT OLD.policy OR NEW.connection IS NOT OLD.connection "
        "OR NEW.opened_at IS NOT OLD.opened_at OR NEW.ends_at IS NOT OLD.ends_at "
        "OR NEW.retry_at IS NOT OLD.retry_at OR NEW.source IS NOT OLD.source OR OLD.ended_at IS NOT NULL "
        "BEGIN SELECT RAISE(ABORT, 'a granted window does not change'); END"
    )
    op.create_table(
        "used_tokens",
        sa.Column("tid", sa.Text, primary_key=True),
        sa.Column("token_id", sa.Text, primary_key=True),
        sa.Column("policy", sa.Text, primary_key=True),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
    )
    op.create_index("used_tokens_by_age", "used_tokens", ["keep_until"])


def downgrade() -> None:
    raise NotImplementedError("tokens that were used up are not forgotten: restore a backup instead")
