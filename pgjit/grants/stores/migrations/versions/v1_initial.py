"""The first schema: windows with their use, outbox and backends; used tokens, denials, journal marks, the clock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v1"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    _windows()
    _of_a_window()
    _of_a_principal()
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("tokens_from", sa.BigInteger),
        sa.CheckConstraint("id = 1", name="there_is_one_clock"),
    )
    op.create_table(
        "journal_marks",
        sa.Column("journal", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("a store does not forget what was granted: restore a backup instead")


def _windows() -> None:
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
        sa.Column("source", sa.Text),
        sa.CheckConstraint("ends_at > opened_at", name="a_window_ends_after_it_opened"),
        sa.CheckConstraint("retry_at >= ends_at", name="the_next_window_comes_after_this_one"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="an_end_has_a_reason"),
        sqlite_autoincrement=True,
    )
    op.create_index("windows_by_holder", "windows", ["tid", "oid", "policy", "seq"])
    op.create_index("windows_unended", "windows", ["seq"], sqlite_where=sa.text("ended_at IS NULL"))
    # INVARIANT: granted times never change and an end is set once. The database enforces it too: no SQL typed by hand
    # and no later code can give a window more time.
    op.execute(
        "CREATE TRIGGER a_granted_window_is_fixed BEFORE UPDATE ON windows "
        "WHEN NEW.id IS NOT OLD.id OR NEW.tid IS NOT OLD.tid OR NEW.oid IS NOT OLD.oid "
        "OR NEW.policy IS NOT OLD.policy OR NEW.connection IS NOT OLD.connection "
        "OR NEW.opened_at IS NOT OLD.opened_at OR NEW.ends_at IS NOT OLD.ends_at "
        "OR NEW.retry_at IS NOT OLD.retry_at OR NEW.source IS NOT OLD.source OR OLD.ended_at IS NOT NULL "
        "BEGIN SELECT RAISE(ABORT, 'a granted window does not change'); END"
    )


def _of_a_window() -> None:
    """What windows are used for, which of their records the journal lacks, and the backends of their sessions."""
    op.create_table(
        "usage",
        sa.Column("window_id", sa.Text, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("statements", sa.BigInteger, nullable=False),
    )
    # INVARIANT: usage is never given back.
    op.execute(
        "CREATE TRIGGER usage_only_grows BEFORE UPDATE ON usage "
        "WHEN NEW.window_id IS NOT OLD.window_id OR NEW.rows < OLD.rows OR NEW.bytes < OLD.bytes "
        "OR NEW.statements < OLD.statements "
        "BEGIN SELECT RAISE(ABORT, 'what was used of a window only grows'); END"
    )
    op.create_table(
        "outbox",
        sa.Column("window_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.CheckConstraint("kind IN ('opened', 'ended')", name="a_window_is_opened_and_ended"),
    )
    op.create_table(
        "backends",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("window_id", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )


def _of_a_principal() -> None:
    """Tokens that were used and may not be used again, and what a directory denied."""
    op.create_table(
        "used_tokens",
        sa.Column("tid", sa.Text, primary_key=True),
        sa.Column("token_id", sa.Text, primary_key=True),
        sa.Column("policy", sa.Text, primary_key=True),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),
    )
    op.create_index("used_tokens_by_age", "used_tokens", ["keep_until"])
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
