"""What is known about a message when it was judged: its statements, and why it may not run. Values."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgjit.policy.decision import Violation
from pgjit.sql.scopes.scopes import Scopes
from pgjit.sql.shape.shape import SHAPELESS
from pgjit.sql.statement import Statement

__all__ = ["Judgement", "is_plain", "without_facts"]

_LONGEST_PLAIN = 4096
"""Characters of a text: the records of a longer one are counted."""
_NOT_PLAIN = frozenset({"copy-in", "copy-out", "discard"})

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

    plain: Statement | None = field(init=False, compare=False, repr=False)
    """Its one statement, if it may run as it is and nothing follows from it but its result, see `is_plain`."""

    def __post_init__(self) -> None:
        self.plain = None
        if len(self.statements) == 1 and not self.violations and self.pgjit_setting is None:
            statement = self.statements[0]
            if is_plain(statement) and len(self.text) <= _LONGEST_PLAIN:
                self.plain = statement

    @property
    def allowed(self) -> bool:
        return not self.violations

    @property
    def has_unknown_name(self) -> bool:
        """Refused for a name that the catalog does not have; a refreshed catalog may have it."""
        return any(each.rule == "unresolved-name" and each.sqlstate in _UNKNOWN_NAME for each in self.violations)


def is_plain(statement: Statement) -> bool:
    """It changes no name and no setting, shows no setting, and copies nothing."""
    return (
        statement.effect is None
        and not statement.settings
        and not statement.shown_settings
        and statement.kind not in _NOT_PLAIN
    )


_NO_SCOPES = Scopes()
_NO_COLUMNS: frozenset[str] = frozenset()


def without_facts(judgement: Judgement) -> Judgement:
    """Drop the facts that only judging needs: the judgement is smaller to cache, and to send between processes."""
    for one in judgement.statements:
        one.scopes, one.shape, one.columns, one.attributes = _NO_SCOPES, SHAPELESS, _NO_COLUMNS, ()
    return judgement
