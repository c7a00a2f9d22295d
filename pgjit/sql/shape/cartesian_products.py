"""Finds cartesian products: items of one FROM clause that no condition joins. Decides nothing.

Two items are joined if a condition names columns of both. The item of an unqualified column is not known: it is then
taken to join whichever groups are left, once for each condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pgjit.sql.shape.references import ColumnReference, References, is_select, items_of, name_of
from pgjit.sql.shape.row_limits import gives_one_row

__all__ = ["UnjoinedItem", "cartesian_product"]

Item = tuple[str, dict[str, Any]]


class UnjoinedItem(NamedTuple):
    item: Item
    explicit: bool


class _Groups:
    """The items of a FROM clause in groups: those that conditions join are in one (union-find)."""

    def __init__(self, count: int) -> None:
        self._of = list(range(count))
        self.unassigned = 0  # conditions that join two groups which are not known

    def group(self, index: int) -> int:
        while self._of[index] != index:
            self._of[index] = self._of[self._of[index]]  # path halving
            index = self._of[index]
        return index

    def join(self, indexes: Iterable[int]) -> None:
        groups = sorted({self.group(index) for index in indexes})
        for each in groups[1:]:
            self._of[each] = groups[0]

    def representatives(self) -> list[int]:
        """The first item of each group."""
        return [index for index, above in enumerate(self._of) if index == above]


def cartesian_product(clause: list[Any], condition: Any, references: References) -> UnjoinedItem | None:
    """The first item that no condition joins with the items before it."""
    items = items_of(clause)
    if len(items) < 2:
        return None
    groups = _Groups(len(items))
    places = {name: index for index, item in enumerate(items) if (name := name_of(item)) is not None}
    single = [index for index, item in enumerate(items) if _single(item)]
    groups.join(single + [index for index in range(len(items)) if index not in single][:1])
    crossed = _joins(clause, items, groups, places, references)
    for part in _conjuncts([condition]):
        _join(references.below(part), groups, places)
    for index, item in enumerate(items):
        if item[0] == "RangeFunction" or item[1].get("lateral"):
            _join(references.below(item[1]), groups, places, index)
    left = groups.representatives()
    if len(left) - groups.unassigned < 2:
        return None
    for indexes in crossed:
        groups.join(indexes)
    return UnjoinedItem(items[left[1]], explicit=len(groups.representatives()) - groups.unassigned < 2)


def _joins(
    clause: list[Any], items: list[Item], groups: _Groups, places: dict[str, int], references: References
) -> list[list[int]]:
    """Join the groups by the JOINs of the clause. Returns the items of each CROSS JOIN."""
    index_of = {id(node): index for index, (_, node) in enumerate(items)}
    crossed: list[list[int]] = []
    left = [(node, False) for node in clause]
    while left:
        node, inside = left.pop()
        join = node.get("JoinExpr") if isinstance(node, dict) else None
        if join is None:
            continue
        cross = not ("usingClause" in join or join.get("isNatural") or "quals" in join)
        left += [(join.get(side), inside or cross) for side in ("larg", "rarg")]
        if "usingClause" in join or join.get("isNatural"):
            sides = [join.get(side) for side in ("larg", "rarg")]
            if all(side and "JoinExpr" not in side for side in sides):
                groups.join(index_of[id(item)] for _, item in items_of(sides))
            else:
                groups.unassigned += 1
        elif "quals" in join:
            for part in _conjuncts([join["quals"]]):
                _join(references.below(part), groups, places)
        elif not inside:  # the items inside a CROSS JOIN are returned with it
            crossed.append([index_of[id(item)] for _, item in items_of([join.get("larg"), join.get("rarg")])])
    return crossed


def _join(found: frozenset[ColumnReference], groups: _Groups, places: dict[str, int], own: int | None = None) -> None:
    known = {places[each.qualifier] for each in found if each.qualifier in places}
    if own is not None:
        known.add(own)
    bare = {each.column for each in found if each.qualifier is None and not each.inner}
    groups.join(known)
    if bare and (known or len(bare) > 1):
        groups.unassigned += 1


def _conjuncts(conditions: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    left = list(conditions)
    while left:
        node = left.pop()
        if not isinstance(node, dict) or not node:
            continue
        inner = node.get("BoolExpr", {})
        if inner.get("boolop") == "AND_EXPR":
            left.extend(inner.get("args", []))
        else:
            found.append(node)
    return found


def _single(item: Item) -> bool:
    """Whether an item has one row: an aggregate, LIMIT 1, one row of VALUES, or a SELECT without FROM."""
    kind, node = item
    query: dict[str, Any] = next(iter(node.get("subquery", {}).values()), {}) if kind == "RangeSubselect" else {}
    if not is_select(query) or "larg" in query:
        return False
    if "valuesLists" in query:
        return len(query["valuesLists"]) == 1
    if "fromClause" not in query:
        return True
    return gives_one_row(query)
