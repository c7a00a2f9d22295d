"""Reads a FROM clause: its relations, subqueries, functions and joins become the FROM items of a query level.

Decides what hides what: a common table expression hides a table of its name, the alias of a join hides the items that
it joins. Iterative.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pgjit.sql.scopes.scopes import FromItem, OperatorUse, QueryLevel, Reference
from pgjit.sql.tree import alias_of, one_of, relation_of, strings_of

__all__ = ["CteScope", "ExpressionPlace", "FromClause", "Node", "keep_first"]

Node = dict[str, Any]
T = TypeVar("T")


class CteScope(NamedTuple):
    """The common table expressions that are visible, with those of the WITH clauses around."""

    queries: dict[
        str, tuple[int, int, tuple[str, ...], tuple[str, ...]]
    ]  # order, level, column aliases, added columns
    visible: int  # those with a lower order are visible
    outer: CteScope | None


class ExpressionPlace(NamedTuple):
    """The query level of an expression, and what is visible there."""

    level: int = -1
    ctes: CteScope | None = None
    early: bool = False
    output: bool = False


def keep_first(found: dict[T, int | None], key: T, place: int | None) -> None:
    before = found.setdefault(key, place)
    if before is None or (place is not None and place < before):
        found[key] = place


class FromClause(ABC):
    """The part of reading a statement that turns FROM into items. The subclass reads everything else."""

    def __init__(self, where: Callable[[int], int]) -> None:
        self._where = where
        self.levels: list[QueryLevel] = []
        self.operations: dict[OperatorUse, int | None] = {}

    def at(self, node: Node) -> int | None:
        offset = node.get("location", 0)
        return self._where(offset) + 1 if offset >= 0 else None

    def open(self, parent: int, *, partial: bool = False) -> int:
        self.levels.append(QueryLevel(parent, partial and parent >= 0))
        return len(self.levels) - 1

    def refer(self, reference: Reference, node: Node, place: ExpressionPlace) -> None:
        if place.level >= 0:
            keep_first(self.levels[place.level].references, reference, self.at(node))

    @abstractmethod
    def expression(self, value: Any, place: ExpressionPlace) -> None:
        """Note the references in an expression."""

    @abstractmethod
    def begin(self, node_type: str, node: Node, level: int, ctes: CteScope | None) -> None:
        """Put a query on the list of work."""

    def sources(self, items: list[Node], place: ExpressionPlace) -> None:
        here = self.levels[place.level]
        early = place._replace(early=True)
        left: list[tuple[Node, int]] = [(item, -1) for item in reversed(items)]
        while left:
            item, owner = left.pop()
            if not item:
                continue
            node_type, node = one_of(item)
            if node_type == "JoinExpr":
                inside = self.join(node, here, place, owner)
                left += [(node.get("rarg", {}), inside), (node.get("larg", {}), inside)]
            elif node_type == "RangeTableSample":
                self.expression([node.get("args"), node.get("repeatable")], early)
                left.append((node.get("relation", {}), owner))
            elif node_type == "RangeVar":
                here.sources.append(self.relation(node, place, owner))
            elif node_type == "RangeSubselect":
                here.sources.append(self.subquery(node, here, place, owner))
            else:
                here.sources.append(self.other(node_type, node, owner))
                self.expression({node_type: node}, early)

    def join(self, node: Node, here: QueryLevel, place: ExpressionPlace, owner: int) -> int:
        self.expression(node.get("quals"), place._replace(early=True))
        using = strings_of(node.get("usingClause", []))
        for name in using:
            self.refer(Reference((name,)), {"location": -1}, place)
        if using or node.get("isNatural"):
            here.natural = here.natural or bool(node.get("isNatural"))
            self.operations.setdefault(OperatorUse(("=",), 2, ()), None)
        if merged := node.get("join_using_alias"):
            here.sources.append(FromItem("other", alias=merged.get("aliasname"), columns=using, owner=owner))
        if "alias" not in node:
            return owner
        alias, columns = alias_of(node)
        here.sources.append(FromItem("join", alias=alias, columns=columns, owner=owner))
        return len(here.sources) - 1

    def relation(self, node: Node, place: ExpressionPlace, owner: int) -> FromItem:
        name = relation_of(node)
        alias, columns = alias_of(node)
        if len(name) == 1 and (found := _find(place.ctes, name[0])):
            _, level, renamed, added = found
            return _of_query(alias or name[0], columns, renamed, added, level, owner)
        only = not node.get("inh")
        return FromItem("relation", name, alias, columns, owner=owner, only=only, position=self.at(node))

    def subquery(self, node: Node, here: QueryLevel, place: ExpressionPlace, owner: int) -> FromItem:
        lateral = bool(node.get("lateral"))
        level = self.open(place.level if lateral else here.parent, partial=lateral or here.partial)
        node_type, query = one_of(node["subquery"])
        self.begin(node_type, query, level, place.ctes)
        alias, columns = alias_of(node)
        return _of_query(alias, columns, (), (), level, owner)

    def other(self, node_type: str, node: Node, owner: int) -> FromItem:
        """A function, XMLTABLE or JSON_TABLE: not all of its columns are known."""
        alias, columns = alias_of(node)
        if alias is None and node_type == "RangeFunction":
            first = node.get("functions", [{}])[0].get("List", {}).get("items", [{}])[0]
            alias = (strings_of(first.get("FuncCall", {}).get("funcname", [])) or (None,))[-1]
        alias = alias or _DEFAULT_ALIASES.get(node_type)
        return FromItem("other", alias=alias, columns=columns, owner=owner, opaque=True)


_DEFAULT_ALIASES = {"JsonTable": "json_table", "RangeTableFunc": "xmltable"}
"""Names of FROM items without an alias."""


def _of_query(
    alias: str | None,
    columns: tuple[str, ...],
    renamed: tuple[str, ...],
    added: tuple[str, ...],
    level: int,
    owner: int,
) -> FromItem:
    """With column aliases, the query's own names are uncertain: the aliases may not cover all columns."""
    new = columns or renamed
    return FromItem(
        "query", alias=alias, columns=new + added, level=-1 if new else level, owner=owner, opaque=bool(new)
    )


def _find(ctes: CteScope | None, name: str) -> tuple[int, int, tuple[str, ...], tuple[str, ...]] | None:
    while ctes is not None:
        found = ctes.queries.get(name)
        if found and found[0] < ctes.visible:
            return found
        ctes = ctes.outer
    return None
