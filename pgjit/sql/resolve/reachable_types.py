"""The types that the values of a statement may have, and so the overloads that they may select.

Decides that a value has a type that is not built in only if something in the statement has it: a column of one of
its relations, a type that is named, the result of a function or operator that may be called. An untyped literal or a
parameter may have any type.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.sql.catalog import Catalog, Function, Operator, QName, is_builtin_type, plain_type

__all__ = ["ReachableTypes", "takes_numbers"]

_NO_NUMBERS = frozenset(
    {"text", "character varying", "character", "name", "bytea", "boolean", "json", "jsonb", "xml"}
)
"""Types that no number is implicitly cast to."""


class ReachableTypes:
    """The types of values in the statement that are not built in."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._present: set[str] = set()

    def add(self, types: Iterable[str]) -> bool:
        """Add types, and for a row type those of its columns. True if any is new."""
        left = [plain_type(name) for name in types]
        any_new = False
        while left:
            name = left.pop()
            if name in self._present or is_builtin_type(name):
                continue
            self._present.add(name)
            any_new = True
            schema, _, relation = name.partition(".")
            if (kind := self._catalog.types.get(schema, {}).get(relation)) and kind.base:
                left.append(plain_type(kind.base))
            if found := self._catalog.relations.get(schema, {}).get(relation):
                left += self._catalog.own_types.get(QName(schema, relation), ())
                left += [plain_type(str(parent)) for parent in found.parents]
        return any_new

    def may_call(self, function: Function, untyped: tuple[int, ...] | None) -> bool:
        if untyped is None or function.variadic:
            return True
        return all(self._can_be(kind, index in untyped) for index, kind in enumerate(function.arguments))

    def may_use(self, operator: Operator, sides: int, untyped: tuple[int, ...] | None) -> bool:
        kinds = [kind for kind in (operator.left, operator.right) if kind is not None]
        if sides and sides != len(kinds):
            return False
        return untyped is None or all(self._can_be(kind, index in untyped) for index, kind in enumerate(kinds))

    def may_be(self, name: str) -> bool:
        """Whether a value may have that type."""
        kind = plain_type(name)
        if is_builtin_type(kind) or kind in self._catalog.open_types or kind in self._present:
            return True
        return not self._present.isdisjoint(self._catalog.made_from.get(kind, ()))

    def has(self, name: str) -> bool:
        """Whether a value may have that type, which must not be a built-in one."""
        return name in self._present

    def _can_be(self, kind: str, untyped: bool) -> bool:
        return untyped or self.may_be(kind)


def takes_numbers(function: Function, numbers: tuple[int, ...]) -> bool:
    """Whether the function can take numbers at these arguments: `f(x, 1)` never calls `f(x, text)`."""
    if function.builtin or function.variadic:
        return True
    return not any(index < len(function.arguments) and function.arguments[index] in _NO_NUMBERS for index in numbers)
