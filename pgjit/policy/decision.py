"""What judging a message gives: Allow, or Deny with every violation. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pgjit.errors import StatementRefused

__all__ = ["STATEMENT", "Allow", "Decision", "Deny", "JudgedObject", "ObjectSort", "Violation"]

ObjectSort = Literal["kind", "relation", "column", "function", "type", "operator", "setting"]


@dataclass(frozen=True, slots=True)
class JudgedObject:
    """What a rule decided on: a kind of statement, or an object in a statement.

    A part of the name that is missing on the left, or None, stands for any. A position or a way that is None stands
    for every place in the statement where the name is written, and for every way to the object.
    """

    sort: ObjectSort
    name: tuple[str | None, ...]
    position: int | None = None  # characters of the message from 1
    through: tuple[str, ...] | None = None  # the views and the like that lead to it; empty: it is written itself
    action: str | None = None  # of relations and columns; "write": all but "read"

    @property
    def text(self) -> str | None:
        """The known parts of the name; None where it stands for any."""
        return ".".join(part for part in self.name if part) or None

    def means(self, other: JudgedObject) -> bool:
        """Whether both may be the same object."""
        return (
            self.sort == other.sort
            and (None in (self.position, other.position) or self.position == other.position)
            and (None in (self.through, other.through) or self.through == other.through)
            and self.action in (None, other.action, "write" if other.action != "read" else None)
            and all(
                mine is None or its is None or mine == its
                for mine, its in zip(reversed(self.name), reversed(other.name), strict=False)
            )
        )


STATEMENT = (JudgedObject("kind", (None,)),)
"""The objects of a violation that is about the statement as a whole: every kind in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Why one rule refuses a statement. Wording as in errors.py."""

    rule: str  # kebab-case: the rule's name, and the reference of the error
    message: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None  # characters of the whole message's text, from 1
    sqlstate: str = "42501"
    statement: int | None = None  # index of the statement in its message; None: the message as a whole
    # For explanations. Two violations that read alike are one, whatever they were found on.
    objects: tuple[JudgedObject, ...] = field(default=(), compare=False)  # that are refused
    entry: str | None = field(default=None, compare=False)  # file:line:column of the entry of `deny` that refuses
    sibling: tuple[int, str] | None = field(default=None, compare=False)  # another statement and rule that refuse it

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
    violations: tuple[Violation, ...]  # never empty; the client receives the first one


Decision = Allow | Deny
