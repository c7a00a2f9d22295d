"""Which signatures of functions and operators the values of a statement can reach.

Decides that a value has a type of its own only where something here has it: a column of a relation that is met, a
type that is written, the result of a function or operator that may be called. Where a constant without a type or a
parameter stands, any type may.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.sql.catalog import Catalog, Function, Operator, QName, is_builtin_type, plain_type

__all__ = ["ReachableTypes", "takes_numbers"]

_NO_NUMBERS = frozenset(
    {"text", "character varying", "character", "name", "bytea", "boolean", "json", "jsonb", "xml"}
)
"""Types that PostgreSQL makes of no number unasked."""


class ReachableTypes:
    """The types that are not built in and that values of the statement may have."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._present: set[str] = set()

    def add(self, types: Iterable[str]) -> bool:
        """True where there is a new one. Of a row type, the types of its columns come along."""
        left = [plain_type(name) for name in types]
        some = False
        while left:
            name = left.pop()
            if name in self._present or is_builtin_type(name):
                continue
            self._present.add(name)
            some = True
            schema, _, relation = name.partition(".")
            if (kind := self._catalog.types.get(schema, {}).get(relation)) and kind.base:
                left.append(plain_type(kind.base))
            if found := self._catalog.relations.get(schema, {}).get(relation):
                left += self._catalog.own_types.get(QName(schema, relation), ())
                left += [plain_type(str(parent)) for parent in found.parents]
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
        kind = plain_type(name)
        if is_builtin_type(kind) or kind in self._catalog.open_types or kind in self._present:
            return True
        return not self._present.isdisjoint(self._catalog.made_from.get(kind, ()))

    def has(self, name: str) -> bool:
        """Whether a value may have that type, which is not built in."""
        return name in self._present

    def _can_be(self, kind: str, loose: bool) -> bool:
        return loose or self.may_be(kind)


def takes_numbers(function: Function, numbers: tuple[int, ...]) -> bool:
    """Whether arguments that are numbers may be meant for a function of its own: `f(x, 1)` is no `f(x, text)`."""
    if function.builtin or function.variadic:
        return True
    return not any(index < len(function.arguments) and function.arguments[index] in _NO_NUMBERS for index in numbers)
