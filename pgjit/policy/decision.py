"""What judging a message gives: Allow, or Deny with every violation. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.errors import StatementRefused

__all__ = ["Allow", "Decision", "Deny", "Violation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What one rule found. Wording as in errors.py."""

    rule: str  # kebab-case: the rule's name, and the reference of the error
    message: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None  # characters of the whole message's text, from 1
    sqlstate: str = "42501"
    statement: int | None = None  # index of the statement in its message; None: the message as a whole

    def error(self) -> StatementRefused:
        """The error that a client reads."""
        return StatementRefused(
            self.message,
            reference=self.rule,
            sqlstate=self.sqlstate,
            detail=self.detail,
            hint=self.hint,
            position=self.position,
        )


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Deny:
    violations: tuple[Violation, ...]  # never empty; the first is the one the client is told


Decision = Allow | Deny
