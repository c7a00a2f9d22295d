"""What the policy's limits leave to one execution, and to the window that several sessions share. Pure.

Decides when a limit is exceeded, and the error for it. Rows and bytes are counted as the server sends them, headers
included; a notice counts with its bytes. Does not know how a result is cut: `server_side.py` does that.
"""

from __future__ import annotations

from datetime import timedelta

from pgjit.errors import BudgetSpent
from pgjit.grants.usage import LeasedUsage, Usage
from pgjit.policy.decision import Violation
from pgjit.policy.policy import Limits

__all__ = ["Budget"]

_NARROWER = "Ask for less: name the columns, narrow WHERE, add LIMIT, or let the database add it up."
_WINDOW = "No more is given in this window. Ask for less in the next one, or for a policy with a higher limit."


class Budget:
    """The budget of one session. `usage` belongs to the window, and other sessions count into it as well."""

    def __init__(self, limits: Limits, usage: Usage) -> None:
        self.limits = limits
        self.usage = usage
        self._limits_window = any(
            limit is not None for limit in (limits.window_statements, limits.window_rows, limits.window_bytes)
        )
        self.limits_results = any(
            limit is not None for limit in (limits.rows, limits.bytes, limits.window_rows, limits.window_bytes)
        )

    def refuses(self, statements: int = 1) -> Violation | None:
        """Why `statements` more may not begin. None if they may: then they are counted."""
        limits, usage = self.limits, self.usage
        if not self._limits_window:
            usage.statements += statements
            return None
        spent: tuple[str, int] | None = None
        if limits.window_statements is not None and usage.statements + statements > self._most("statements"):
            spent = "window_statements", limits.window_statements
        elif limits.window_rows is not None and usage.rows >= self._most("rows"):
            spent = "window_rows", limits.window_rows
        elif limits.window_bytes is not None and usage.bytes >= self._most("bytes"):
            spent = "window_bytes", limits.window_bytes
        if spent is None:
            usage.statements += statements
            return None
        name, most = spent
        return Violation(
            rule="limit-" + name.replace("_", "-"),
            message="budget of this window is spent",
            detail=f"The policy gives {name.removeprefix('window_')} up to {most} in a window (limits.{name})."
            + self._leased_elsewhere(name.removeprefix("window_")),
            hint=_WINDOW,
            sqlstate="54000",
        )

    def refused(self, statements: int) -> None:
        """Refused statements count as well: each costs a judgement and a record."""
        self.usage.statements += max(1, statements)

    def _most(self, resource: str) -> int:
        """How far this node may count: to the policy's limit, or to the end of its lease."""
        limit: int = getattr(self.limits, f"window_{resource}") or 0
        leased: int = getattr(self.usage.most, resource) if isinstance(self.usage, LeasedUsage) else limit
        return min(limit, leased)

    def _leased_elsewhere(self, resource: str) -> str:
        others: int = getattr(self.usage.others, resource) if isinstance(self.usage, LeasedUsage) else 0
        if others:
            return f" {others} of them are leased to other nodes of this proxy, which may give some back."
        if isinstance(self.usage, LeasedUsage) and self._most(resource) < getattr(self.limits, f"window_{resource}"):
            return " The window store was not reached, which counts them for all nodes of this proxy."
        return ""

    def room(self, rows: int, size: int) -> tuple[int, int] | None:
        """How many more rows and bytes an execution may return after `rows` and `size`. None: there is no limit."""
        if not self.limits_results:
            return None
        limits, usage = self.limits, self.usage
        return (
            _least(limits.rows, rows, None if limits.window_rows is None else self._most("rows"), usage.rows),
            _least(limits.bytes, size, None if limits.window_bytes is None else self._most("bytes"), usage.bytes),
        )

    def count(self, rows: int, size: int) -> None:
        self.usage.rows += rows
        self.usage.bytes += size

    def exceeded(self, rows: int, size: int, *, stopped: bool) -> BudgetSpent:
        """The error in place of the rest of a result, of which the client got `rows` and `size` bytes.

        `stopped`: the statement was cancelled at the server. Otherwise the server had already completed it.
        """
        limits, usage = self.limits, self.usage
        # A cut is between two rows: some bytes may be left, too few for the next row.
        left = [
            (usable - used, name, most)
            for name, most, usable, used in (
                ("rows", limits.rows, limits.rows or 0, rows),
                ("window_rows", limits.window_rows, self._most("rows"), usage.rows),
                ("bytes", limits.bytes, limits.bytes or 0, size),
                ("window_bytes", limits.window_bytes, self._most("bytes"), usage.bytes),
            )
            if most is not None and (used >= usable or name.endswith("bytes"))
        ]
        _, name, most = min(left, key=lambda each: (each[0] > 0, each[0]))
        hint = _WINDOW if name.startswith("window_") else _NARROWER
        what = "was cancelled" if stopped else "had been completed by the server"
        return BudgetSpent(
            f"result is over the policy's limit of {most} {name.removeprefix('window_')}",
            reference="limit-" + name.replace("_", "-"),
            detail=f"After {rows} rows and {size} bytes the rest was left out (limits.{name}); the statement {what}."
            + (self._leased_elsewhere(name.removeprefix("window_")) if name.startswith("window_") else ""),
            hint=hint,
        )

    def overran(self, started: int, now: int) -> BudgetSpent | None:
        """The error for a statement that the server cancelled, if it had used up the time that the policy gives.

        Both are nanoseconds.
        """
        most = self.limits.statement_time
        if most is None or timedelta(microseconds=(now - started) // 1000) < most:
            return None
        return BudgetSpent(
            f"statement ran longer than the policy's limit of {most.total_seconds():g} s",
            reference="limit-statement-time",
            detail="It was cancelled at the server (limits.statement_time).",
            hint="Look at its plan with EXPLAIN, and ask for less at a time.",
        )


def _least(most: int | None, used: int, window_most: int | None, window_used: int) -> int:
    left = [limit - taken for limit, taken in ((most, used), (window_most, window_used)) if limit is not None]
    return max(0, min(left)) if left else 1 << 62
