"""Windows, and the latest moment that was seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_table(
        "windows",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tid", sa.Text, nullable=False),
        sa.Column("oid", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("retry_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.Text),
        sa.CheckConstraint("ends_at > opened_at", name="a_window_ends_after_it_opened"),
        sa.CheckConstraint("retry_at >= ends_at", name="the_next_window_comes_after_this_one"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="an_end_has_a_reason"),
        sqlite_autoincrement=True,
    )
    op.create_index("windows_by_holder", "windows", ["tid", "oid", "policy", "seq"])
    op.create_index("windows_unended", "windows", ["seq"], sqlite_where=sa.text("ended_at IS NULL"))
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="there_is_one_clock"),
    )
    # INVARIANT: granted times never change and an end is set once. The database holds it too, so that no
    # hand and no future code can give a window more time.
    op.execute(
        "CREATE TRIGGER a_granted_window_is_fixed BEFORE UPDATE ON windows "
        "WHEN NEW.id IS NOT OLD.id OR NEW.tid IS NOT OLD.tid OR NEW.oid IS NOT OLD.oid "
        "OR NEW.policy IS NOT OLD.policy OR NEW.connection IS NOT OLD.connection "
        "OR NEW.opened_at IS NOT OLD.opened_at OR NEW.ends_at IS NOT OLD.ends_at "
        "OR NEW.retry_at IS NOT OLD.retry_at OR OLD.ended_at IS NOT NULL "
        "BEGIN SELECT RAISE(ABORT, 'a granted window does not change'); END"
    )


def downgrade() -> None:
    raise NotImplementedError("windows that were granted are not forgotten: restore a backup instead")
