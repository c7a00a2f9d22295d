"""Which signatures of functions and operators the values of a statement can reach.

Decides that a value has a type of its own only where something here has it: a column of a relation that is met, a
type that is written, the result of a function or operator that may be called. Where a constant without a type or a
parameter stands, any type may.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.sql.catalog import Catalog, Function, Operator

__all__ = ["Types"]

_SYSTEM = "information_schema."


class Types:
    """The types that are not built in and that values of the statement may have."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._present: set[str] = set()

    def add(self, types: Iterable[str]) -> bool:
        """True where there is a new one. Of a row type, the types of its columns come along."""
        left = [_plain(name) for name in types]
        some = False
        while left:
            name = left.pop()
            if name in self._present or _is_builtin(name):
                continue
            self._present.add(name)
            some = True
            schema, _, relation = name.partition(".")
            if (kind := self._catalog.types.get(schema, {}).get(relation)) and kind.base:
                left.append(_plain(kind.base))
            if found := self._catalog.relations.get(schema, {}).get(relation):
                left += [_plain(column.type) for column in found.columns]
                left += [_plain(str(parent)) for parent in found.parents]
        return some

    def reach_function(self, function: Function, loose: tuple[int, ...] | None) -> bool:
        if loose is None or function.variadic:
            return True
        return all(self._can_be(kind, index in loose) for index, kind in enumerate(function.arguments))

    def reach_operator(self, operator: Operator, sides: int, loose: tuple[int, ...] | None) -> bool:
        kinds = [kind for kind in (operator.left, operator.right) if kind is not None]
        if sides and sides != len(kinds):
            return False
        return loose is None or all(self._can_be(kind, index in loose) for index, kind in enumerate(kinds))

    def may_be(self, name: str) -> bool:
        """Whether some value may have that type."""
        kind = _plain(name)
        return _is_builtin(kind) or kind in self._catalog.open_types or kind in self._present

    def _can_be(self, kind: str, loose: bool) -> bool:
        return loose or self.may_be(kind)


def _plain(name: str) -> str:
    return name.removesuffix("[]").replace('"', "")


def _is_builtin(name: str) -> bool:
    """format_type writes no schema for these."""
    return "." not in name or name.startswith((_SYSTEM, "pg_catalog."))
