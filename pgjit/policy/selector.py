"""One entry of `allow` or `deny`: which kinds of statements, and which objects. Values only.

Keys combine as AND, the lists inside them are OR. An entry names at most one sort of object.
"""

from __future__ import annotations

from dataclasses import dataclass

from pgjit.policy.pattern import Patterns

__all__ = ["Selector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    kinds: frozenset[str] | None = None  # of statements, as `Statement.kind` says them; None: any
    relations: Patterns | None = None
    columns: Patterns | None = None
    functions: Patterns | None = None
    types: Patterns | None = None
    schemas: Patterns | None = None
    settings: Patterns | None = None
    operators: frozenset[str] = frozenset()  # as statements write them: `<=>` or `public.<=>`
    extensions: frozenset[str] = frozenset()  # opened as a whole; of `allow` alone
    place: str = ""  # file:line:column of the entry

    @property
    def names_relations(self) -> bool:
        """Whether it speaks of relations: the whole of them, or their columns."""
        return any(each is not None for each in (self.relations, self.columns, self.schemas))

    @property
    def names_objects(self) -> bool:
        return (
            self.names_relations
            or bool(self.operators)
            or bool(self.extensions)
            or any(each is not None for each in (self.functions, self.types, self.settings))
        )
