"""A finding of the doctor: a right or a setting, how severe it is, and the SQL that resolves it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    DANGER = "danger"  # one statement that gets past the rules could do harm
    WARNING = "warning"  # a right that reading does not need, or that makes the end of a session less certain
    NOTE = "note"  # for information


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`fix` is SQL for a superuser in the connection's database. `advice` is for what no SQL can resolve."""

    severity: Severity
    reference: str  # kebab-case
    message: str  # lower case, without a final period
    why: str  # what an agent could do with it
    objects: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    advice: str | None = None
