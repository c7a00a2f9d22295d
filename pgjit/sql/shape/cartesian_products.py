"""Items of one FROM that no condition joins: their product. Decides nothing.

Two items are joined when a condition speaks of both. Of a column without its item's name it cannot be told whose it
is: then it is taken for whichever joins most, once for each condition.
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
    """Items by what joins them."""

    def __init__(self, count: int) -> None:
        self._of = list(range(count))
        self.loose = 0  # conditions that join two groups, whichever these are

    def group(self, index: int) -> int:
        while self._of[index] != index:
            self._of[index] = self._of[self._of[index]]  # a shorter way for the next that asks
            index = self._of[index]
        return index

    def join(self, indexes: Iterable[int]) -> None:
        groups = sorted({self.group(index) for index in indexes})
        for each in groups[1:]:
            self._of[each] = groups[0]

    def left(self) -> list[int]:
        """The first item of each group."""
        return [index for index, above in enumerate(self._of) if index == above]


def cartesian_product(clause: list[Any], condition: Any, references: References) -> UnjoinedItem | None:
    """The first item that nothing joins with those before it."""
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
    left = groups.left()
    if len(left) - groups.loose < 2:
        return None
    for indexes in crossed:
        groups.join(indexes)
    return UnjoinedItem(items[left[1]], explicit=len(groups.left()) - groups.loose < 2)


def _joins(
    clause: list[Any], items: list[Item], groups: _Groups, places: dict[str, int], references: References
) -> list[list[int]]:
    """Take what JOIN says into account; the items that CROSS JOIN puts side by side are given back."""
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
                groups.loose += 1
        elif "quals" in join:
            for part in _conjuncts([join["quals"]]):
                _join(references.below(part), groups, places)
        elif not inside:  # what is inside a CROSS JOIN is given back with it
            crossed.append([index_of[id(item)] for _, item in items_of([join.get("larg"), join.get("rarg")])])
    return crossed


def _join(found: frozenset[ColumnReference], groups: _Groups, places: dict[str, int], own: int | None = None) -> None:
    known = {places[each.qualifier] for each in found if each.qualifier in places}
    if own is not None:
        known.add(own)
    bare = {each.column for each in found if each.qualifier is None and not each.inner}
    groups.join(known)
    if bare and (known or len(bare) > 1):
        groups.loose += 1


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
    """It gives one row: an aggregate, LIMIT 1, one row of VALUES, or a SELECT from nothing."""
    kind, node = item
    query: dict[str, Any] = next(iter(node.get("subquery", {}).values()), {}) if kind == "RangeSubselect" else {}
    if not is_select(query) or "larg" in query:
        return False
    if "valuesLists" in query:
        return len(query["valuesLists"]) == 1
    if "fromClause" not in query:
        return True
    return gives_one_row(query)
