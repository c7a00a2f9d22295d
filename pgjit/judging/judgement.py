"""What is known about a message when it was judged: its statements, and why it may not run. Values."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgjit.policy.decision import Violation
from pgjit.sql.scopes.scopes import Scopes
from pgjit.sql.shape.shape import SHAPELESS
from pgjit.sql.statement import Statement

__all__ = ["Judgement", "without_facts"]

_UNKNOWN_NAME = frozenset({"3F000", "42P01", "42703", "42704", "42883"})
"""SQLSTATEs of `unresolved-name` for a name that the catalog does not have."""


@dataclass(slots=True)  # not frozen, as a frozen one takes three times as long to make; it is not changed
class Judgement:
    text: str
    statements: tuple[Statement, ...]
    violations: tuple[Violation, ...]  # empty: it may run
    pgjit_setting: str | None = None  # `window` for `SHOW pgjit.window`, which pgjit itself answers
    observed: tuple[Violation, ...] = ()  # `mode: observe`: violations that would refuse it under `mode: enforce`
    parameter_types: frozenset[int] = frozenset()  # OIDs that a Parse may name besides the built-in ones
    unread: bool = False  # it may run without having been parsed: under `access: full` only
    judge_number: int = 0  # `number` of the judge
    constants_read: tuple[int, ...] | None = field(default=None, compare=False)
    """The constants that the decision depends on, by their index in the `TextShape`. None: it may be any of them."""

    @property
    def allowed(self) -> bool:
        return not self.violations

    @property
    def has_unknown_name(self) -> bool:
        """Refused for a name that the catalog does not have; a refreshed catalog may have it."""
        return any(each.rule == "unresolved-name" and each.sqlstate in _UNKNOWN_NAME for each in self.violations)


_NO_SCOPES = Scopes()
_NO_COLUMNS: frozenset[str] = frozenset()


def without_facts(judgement: Judgement) -> Judgement:
    """Drop the facts that only judging needs: the judgement is smaller to cache, and to send between processes."""
    for one in judgement.statements:
        one.scopes, one.shape, one.columns, one.attributes = _NO_SCOPES, SHAPELESS, _NO_COLUMNS, ()
    return judgement
