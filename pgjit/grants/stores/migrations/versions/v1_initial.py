"""The first schema: windows and what belongs to them, requests, locks, tokens, denials, nodes, marks, the clock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v1"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up INTEGER alone


def upgrade() -> None:
    _windows()
    _of_a_window()
    _of_a_principal()
    _of_a_review()
    _orders()
    _notifications()
    _of_a_fleet()
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
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


def _refuse_update(table: str, name: str, message: str, condition: str) -> None:
    """The database itself refuses an UPDATE under a condition on OLD and NEW."""
    if op.get_bind().dialect.name == "postgresql":
        condition = condition.replace("IS NOT OLD.", "IS DISTINCT FROM OLD.")
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} "
            f"FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name}()"
        )
    else:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} WHEN {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def _windows() -> None:
    op.create_table(
        "windows",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tid", sa.Text, nullable=False),
        sa.Column("oid", sa.Text, nullable=False),
        sa.Column("acting", sa.Text, nullable=False, server_default=""),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("retry_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.Text),
        sa.Column("ending_at", sa.BigInteger),
        sa.Column("ending_reason", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("display", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("break_glass", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("current", sa.Integer),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("revoked_by", sa.Text),
        sa.Column("revoke_reason", sa.Text),
        sa.Column("signed_off", sa.Text),
        sa.Column("holder", sa.Text),
        sa.Column("own", sa.Text, nullable=False, server_default="[]"),
        sa.CheckConstraint("ends_at > opened_at", name="a_window_ends_after_it_opened"),
        sa.CheckConstraint("retry_at >= ends_at", name="the_next_window_comes_after_this_one"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="an_end_has_a_reason"),
        sa.CheckConstraint("current IS NULL OR current = 1", name="a_window_is_current_or_not"),
        sqlite_autoincrement=True,
    )
    op.create_index("windows_by_holder", "windows", ["tid", "oid", "policy", "seq"])
    current = sa.text("current IS NOT NULL")
    op.create_index(
        "one_current_window",
        "windows",
        ["tid", "oid", "acting", "policy"],
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )
    unended = sa.text("ended_at IS NULL")
    op.create_index("windows_unended", "windows", ["seq"], sqlite_where=unended, postgresql_where=unended)
    # INVARIANT: granted times never change and an end is set once. The database enforces it too: no SQL typed by hand
    # and no later code can give a window more time.
    _refuse_update(
        "windows",
        "a_granted_window_is_fixed",
        "a granted window does not change",
        "NEW.id IS NOT OLD.id OR NEW.tid IS NOT OLD.tid OR NEW.oid IS NOT OLD.oid OR NEW.acting IS NOT OLD.acting "
        "OR NEW.policy IS NOT OLD.policy OR NEW.connection IS NOT OLD.connection "
        "OR NEW.opened_at IS NOT OLD.opened_at OR NEW.ends_at IS NOT OLD.ends_at "
        "OR NEW.retry_at IS NOT OLD.retry_at OR NEW.source IS NOT OLD.source "
        "OR NEW.request_id IS NOT OLD.request_id OR NEW.break_glass IS NOT OLD.break_glass "
        "OR NEW.holder IS NOT OLD.holder OR NEW.own IS NOT OLD.own "
        "OR (OLD.ended_at IS NOT NULL "
        "AND (NEW.ended_at IS NOT OLD.ended_at OR NEW.end_reason IS NOT OLD.end_reason "
        "OR NEW.revoked_at IS NOT OLD.revoked_at)) "
        "OR (OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NOT OLD.revoked_at "
        "OR NEW.revoked_by IS NOT OLD.revoked_by OR NEW.revoke_reason IS NOT OLD.revoke_reason)) "
        "OR (OLD.current IS NULL AND NEW.current IS NOT NULL) "
        "OR (OLD.ending_at IS NOT NULL AND (NEW.ending_at IS NOT OLD.ending_at "
        "OR NEW.ending_reason IS NOT OLD.ending_reason)) "
        "OR (OLD.signed_off IS NOT NULL AND NEW.signed_off IS NOT OLD.signed_off)",
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
    _refuse_update(
        "usage",
        "usage_only_grows",
        "what was used of a window only grows",
        "NEW.window_id IS NOT OLD.window_id OR NEW.rows < OLD.rows OR NEW.bytes < OLD.bytes "
        "OR NEW.statements < OLD.statements",
    )
    op.create_table(
        "outbox",
        sa.Column("window_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.CheckConstraint("kind IN ('opened', 'ended')", name="a_window_is_opened_and_ended"),
    )
    op.create_table(
        "backends",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("window_id", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
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


def _of_a_review() -> None:
    """Requests, and the verdict of each person about one."""
    live = sa.text("state IN ('pending', 'approved')")
    op.create_table(
        "requests",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tid", "oid")),
        sa.Column("acting", sa.Text, nullable=False, server_default=""),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("policy", "connection", "digest", "state")),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'refused', 'lapsed', 'withdrawn', 'used')", name="a_request_has_a_state"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("requests_by_holder", "requests", ["tid", "oid", "policy", "seq"])
    op.create_index("requests_due", "requests", ["due_at"], sqlite_where=live, postgresql_where=live)
    op.create_index(
        "one_live_request",
        "requests",
        ["tid", "oid", "acting", "policy"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    # INVARIANT: a request that was refused, lapsed, withdrawn or used does not change, and none changes what it asks.
    _refuse_update(
        "requests",
        "a_decided_request_is_fixed",
        "a decided request does not change",
        "NEW.id IS NOT OLD.id OR NEW.tid IS NOT OLD.tid OR NEW.oid IS NOT OLD.oid OR NEW.acting IS NOT OLD.acting "
        "OR NEW.policy IS NOT OLD.policy OR NEW.connection IS NOT OLD.connection OR NEW.digest IS NOT OLD.digest "
        "OR OLD.state NOT IN ('pending', 'approved') OR NEW.version <= OLD.version",
    )
    op.create_table(
        "verdicts",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("tid", sa.Text, primary_key=True),
        sa.Column("oid", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )


def _orders() -> None:
    """What every node enforces, and the records that the journal has still to take."""
    op.create_table(
        "locks",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("until", sa.BigInteger),
        sa.Column("lifted_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "session_kills",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "journal_outbox",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("node", "kind", "subject", "note")),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_outbox_of_node", "journal_outbox", ["node", "id"])


def _notifications() -> None:
    """Changes that people may want to hear of, and the messages about them for each channel."""
    op.create_table(
        "notices",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.BigInteger),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "subject", "note")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "notifications",
        sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("key", "channel", "event", "subject", "body")),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_try", sa.BigInteger, nullable=False),
        sa.Column("leased_until", sa.BigInteger),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("missing", sa.Text),
        sa.Column("place", sa.Text),
        sa.UniqueConstraint("channel", "key", name="one_notification_of_a_notice"),
        sqlite_autoincrement=True,
    )
    waiting = sa.text("done_at IS NULL")
    op.create_index(
        "notifications_waiting",
        "notifications",
        ["channel", "seq"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("notifications_by_subject", "notifications", ["channel", "subject", "seq"])


def _of_a_fleet() -> None:
    """The nodes and their keys, which of them has a window open, and which part of a budget each has leased."""
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger, nullable=False),
        sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("policies", sa.Text, nullable=False),
    )
    op.create_table(
        "fleet_keys",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "window_nodes",
        sa.Column("window_id", sa.Text, primary_key=True),
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("sessions", sa.Integer, nullable=False),
    )
    amounts = ("rows", "bytes", "statements", "spent_rows", "spent_bytes", "spent_statements")
    op.create_table(
        "leases",
        sa.Column("window_id", sa.Text, primary_key=True),
        sa.Column("node", sa.Text, primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in amounts),
        sa.CheckConstraint(
            "spent_rows <= rows AND spent_bytes <= bytes AND spent_statements <= statements",
            name="nothing_is_spent_that_is_not_leased",
        ),
    )
