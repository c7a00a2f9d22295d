"""Passages: the objects that rules let pass because of an entry, collected while a statement is judged.

Decides nothing. The rules report here what they decide anyway. Explanations and the coverage of tests are made of
these reports and of the violations. A live judgement has no collector, and pays only for a comparison with None.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.policy.decision import JudgedObject, ObjectSort
from pgjit.sql.referenced import ReferencedObjects
from pgjit.sql.statement import Statement

__all__ = ["Passage", "Passages"]


@dataclass(frozen=True, slots=True)
class Passage:
    object: JudgedObject
    place: str  # file:line:column of the entry, or of the preset


class Passages:
    """The reports of the rules on one message."""

    def __init__(self) -> None:
        self._referenced: dict[int, ReferencedObjects | None] = {}
        self._passages: dict[int, list[Passage]] = {}

    def begin(self, statement: Statement, referenced: ReferencedObjects | None) -> None:
        """The rules begin to judge this statement. `referenced` is what they get."""
        self._referenced[statement.index] = referenced
        self._passages[statement.index] = []

    def add(
        self, statement: Statement, place: str, sort: ObjectSort, name: tuple[str | None, ...],
        position: int | None = None, through: tuple[str, ...] | None = None, action: str | None = None,
    ) -> None:  # fmt: skip
        """A rule lets the object pass because of the entry at `place`."""
        passage = Passage(JudgedObject(sort, name, position, through, action), place)
        self._passages.setdefault(statement.index, []).append(passage)

    def of(self, statement: Statement) -> tuple[Passage, ...]:
        return tuple(self._passages.get(statement.index, ()))

    def referenced(self, statement: Statement) -> ReferencedObjects | None:
        """The objects that the rules got; None where no names were resolved."""
        return self._referenced.get(statement.index)

    @property
    def places(self) -> frozenset[str]:
        return frozenset(each.place for some in self._passages.values() for each in some if each.place)
