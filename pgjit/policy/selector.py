"""One entry of `allow` or `deny`: which kinds of statements, and which objects. Values only.

Keys are combined with AND, the names in a list with OR. An entry names at most one sort of object.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.policy.pattern import Patterns

__all__ = ["Selector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    kinds: frozenset[str] | None = None  # as in `Statement.kind`; None: any
    relations: Patterns | None = None
    columns: Patterns | None = None
    functions: Patterns | None = None
    types: Patterns | None = None
    schemas: Patterns | None = None
    settings: Patterns | None = None
    operators: frozenset[str] = frozenset()  # as statements write them: `<=>` or `public.<=>`
    extensions: frozenset[str] = frozenset()  # opened as a whole; only in `allow`
    place: str = ""  # file:line:column of the entry

    @property
    def names_relations(self) -> bool:
        """Whether it names relations, or their columns or schemas."""
        return any(each is not None for each in (self.relations, self.columns, self.schemas))

    @property
    def names_objects(self) -> bool:
        return (
            self.names_relations
            or bool(self.operators)
            or bool(self.extensions)
            or any(each is not None for each in (self.functions, self.types, self.settings))
        )
