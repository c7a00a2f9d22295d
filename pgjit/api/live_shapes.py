"""What the API sends of what runs now, and of what is left of a window's budget. Values only."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from pgjit.grants.usage import Usage
from pgjit.policy.policy import NO_LIMITS, Limits
from pgjit.proxy.registry import SessionView

__all__ = ["BudgetJson", "RunningJson", "SpentJson"]


class SpentJson(BaseModel):
    """`most`: null where the policy sets no limit."""

    used: int
    most: int | None


class BudgetJson(BaseModel):
    """What all sessions of a window have used of its budget. What is leased to other nodes counts as used."""

    statements: SpentJson
    rows: SpentJson
    bytes: SpentJson

    @classmethod
    def of(cls, used: Usage, limits: Limits | None) -> BudgetJson:
        """`limits`: None if the policy is not in force any more."""
        most = NO_LIMITS if limits is None else limits
        return cls(
            statements=SpentJson(used=used.statements, most=most.window_statements),
            rows=SpentJson(used=used.rows, most=most.window_rows),
            bytes=SpentJson(used=used.bytes, most=most.window_bytes),
        )


class RunningJson(BaseModel):
    """The execution that the server is dealing with. `statement` is as the journal has it; `more`: it is longer.

    `rows` and `bytes`: what it has returned so far; `most_rows`, `most_bytes`, `most_seconds`: the policy's limits.
    """

    execution: str
    started_at: datetime
    statement: str
    more: bool
    rows: int
    bytes: int
    most_rows: int | None
    most_bytes: int | None
    most_seconds: float | None

    @classmethod
    def of(cls, view: SessionView) -> RunningJson | None:
        running, limits = view.running, view.limits
        if running is None:
            return None
        return cls(
            execution=f"{view.id}/{running.number}",
            started_at=running.started_at,
            statement=running.statement,
            more=running.more,
            rows=running.rows,
            bytes=running.bytes,
            most_rows=limits.rows,
            most_bytes=limits.bytes,
            most_seconds=None if limits.statement_time is None else limits.statement_time.total_seconds(),
        )
