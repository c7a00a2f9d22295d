"""Reads the shape of a statement from what the walk over its tree has found.

Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from pgjit.sql.shape.cartesian_products import cartesian_product
from pgjit.sql.shape.conditions import narrowing_of
from pgjit.sql.shape.narrowing import Narrowing
from pgjit.sql.shape.references import References
from pgjit.sql.shape.row_limits import row_sources
from pgjit.sql.shape.shape import Product, RowSource, Shape, WriteShape

__all__ = ["measure"]

Node = dict[str, Any]
_OFF = frozenset({"off", "false", "0"})
_RELATION = ("catalogname", "schemaname", "relname")
_HOLDS = {"ExplainStmt": "query", "DeclareCursorStmt": "query", "PrepareStmt": "query", "CopyStmt": "query"}


def measure(
    node_type: str,
    node: Node,
    where: Callable[[int], int],
    depth: int,
    selects: list[Node],
    writes: list[tuple[str, Node]],
) -> Shape:
    """`where` turns a byte offset into an offset in characters of the message, both from 0.

    `depth`, `selects` and `writes`: those of the whole tree, as the walk over it found them, the outermost first.
    """
    places = _Places(where)
    analyze = node_type == "ExplainStmt" and _analyzes(node)
    returns = (selects or node_type == "CopyStmt") and (analyze or node_type != "ExplainStmt")
    sources = partial(_row_sources, node_type, node, places) if returns else tuple
    joined = [select for select in selects if _several(select.get("fromClause"))]
    if not (writes or joined):
        return Shape(analyze, depth, read_sources=sources)
    references = cache(lambda: _references(selects))
    return Shape(
        analyze,
        depth,
        tuple([_write(kind, write, references(), places) for kind, write in writes]),
        sources,
        lambda: tuple(_products(joined, writes, references(), places)),
    )


def _references(selects: list[Node]) -> References:
    references = References()
    for select in reversed(selects):  # the innermost first
        references.keep(select)
    return references


def _several(clause: list[Any] | None) -> bool:
    return clause is not None and (len(clause) > 1 or "JoinExpr" in clause[0])


class _Places:
    def __init__(self, where: Callable[[int], int]) -> None:
        self._where = where

    def __call__(self, node: Node) -> int | None:
        offset = node.get("location", -1)
        return self._where(offset) + 1 if offset >= 0 else None


def _analyzes(node: Node) -> bool:
    """The last mention counts, and what is not plainly off is on."""
    on = False
    for option in node.get("options", []):
        element = option.get("DefElem", {})
        if element.get("defname") == "analyze":
            value = element.get("arg")
            if value is None:
                on = True
            elif "Integer" in value:
                on = value["Integer"].get("ival", 0) != 0
            else:
                on = str(value.get("String", {}).get("sval", "")).lower() not in _OFF
    return on


def _write(kind: str, node: Node, references: References, places: _Places) -> WriteShape:
    relation = node.get("relation", {})
    condition = node.get("joinCondition") if kind == "merge" else node.get("whereClause")
    beside = node.get("fromClause") or node.get("usingClause") or node.get("sourceRelation")
    name = relation.get("alias", {}).get("aliasname") or relation.get("relname", "")
    found = narrowing_of(condition, frozenset({str(name)}), references, alone=not beside)
    if kind == "merge" and any(_sweeps(each.get("MergeWhenClause", {})) for each in node.get("mergeWhenClauses", [])):
        found = Narrowing()
    return WriteShape(kind, places(relation), found, _parts(relation))


def _sweeps(clause: Node) -> bool:
    """WHEN NOT MATCHED BY SOURCE without a condition: it writes every row that the join does not match."""
    return (
        clause.get("matchKind") == "MERGE_WHEN_NOT_MATCHED_BY_SOURCE"
        and clause.get("commandType") in ("CMD_UPDATE", "CMD_DELETE")
        and not clause.get("condition")
    )


def _row_sources(node_type: str, node: Node, places: _Places) -> tuple[RowSource, ...]:
    while node_type in _HOLDS:
        if node_type == "CopyStmt" and "relation" in node and not node.get("is_from"):
            return (RowSource(_parts(node["relation"]), places(node["relation"])),)
        inner = node.get(_HOLDS[node_type])
        if not isinstance(inner, dict) or not inner:
            return ()
        node_type, node = next(iter(inner.items()))
    return tuple(
        RowSource(_parts(each.relation), places(each.relation), each.limits, each.strict)
        for each in row_sources(node)
    )


def _parts(relation: Node) -> tuple[str, ...]:
    return tuple(relation[key] for key in _RELATION if relation.get(key))


def _products(
    selects: list[Node], writes: list[tuple[str, Node]], references: References, places: _Places
) -> list[Product]:
    found: list[Product] = []
    for select in selects:
        product = cartesian_product(select.get("fromClause", []), select.get("whereClause"), references)
        if product is not None:
            found.append(Product(places(product.item[1]), product.explicit))
    for kind, write in writes:
        beside = write.get("fromClause") or write.get("usingClause")
        if beside and kind != "merge":
            clause = [{"RangeVar": write.get("relation", {})}, *beside]
            product = cartesian_product(clause, write.get("whereClause"), references)
            if product is not None:
                found.append(Product(places(product.item[1]), product.explicit))
    return found
