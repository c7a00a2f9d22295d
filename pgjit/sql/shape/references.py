"""Collects the column references below a node of the syntax tree. Decides nothing.

SELECTs are read from the innermost outwards and their references are kept, so that each node is visited once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["ColumnReference", "References", "is_select", "items_of", "name_of"]


class ColumnReference(NamedTuple):
    """`qualifier` is the relation's name or alias as written; None if there is none."""

    qualifier: str | None
    column: str | None  # None: all columns
    inner: bool = False  # inside a subquery: without a qualifier it may be a column of that


def is_select(node: dict[str, Any]) -> bool:
    """Whether a node is a SELECT, also without a type key (`larg`, `rarg`)."""
    return "limitOption" in node


class References:
    def __init__(self) -> None:
        self._selects: dict[int, frozenset[ColumnReference]] = {}

    def keep(self, select: dict[str, Any]) -> None:
        """Read a SELECT. All SELECTs inside it must have been kept before."""
        own = {name for item in items_of(select.get("fromClause", [])) if (name := name_of(item)) is not None}
        found = self.below(list(select.values()))
        self._selects[id(select)] = frozenset(
            each if each.inner else ColumnReference(each.qualifier, each.column, inner=True)
            for each in found
            if each.qualifier is None or each.qualifier not in own
        )

    def below(self, node: Any) -> frozenset[ColumnReference]:
        found: set[ColumnReference] = set()
        left = [node]
        while left:
            value = left.pop()
            if type(value) is list:
                left.extend(value)
            elif type(value) is dict:
                if is_select(value) and id(value) in self._selects:
                    found |= self._selects[id(value)]
                    continue
                fields = value.get("ColumnRef")
                if type(fields) is dict:
                    found.add(_reference(fields.get("fields", [])))
                left.extend(value.values())
        return frozenset(found)


def items_of(clause: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    """The items of a FROM clause, also those inside joins, as (node type, node) in their order."""
    found: list[tuple[str, dict[str, Any]]] = []
    left = list(reversed(clause))
    while left:
        node = left.pop()
        if not isinstance(node, dict) or not node:
            continue
        kind, value = next(iter(node.items()))
        if kind == "JoinExpr":
            left += [value.get("rarg"), value.get("larg")]
        else:
            found.append((kind, value))
    return found


def name_of(item: tuple[str, dict[str, Any]]) -> str | None:
    """The qualifier of the item's columns: its alias, or else its relation's name."""
    kind, node = item
    if kind == "RangeTableSample":
        node = node.get("relation", {}).get("RangeVar", {})
    name = node.get("alias", {}).get("aliasname") or node.get("relname")
    return str(name) if name else None


def _reference(fields: list[Any]) -> ColumnReference:
    names = [part.get("String", {}).get("sval") for part in fields]
    qualifier = names[-2] if len(names) > 1 else None
    return ColumnReference(qualifier, names[-1] if names else None)
