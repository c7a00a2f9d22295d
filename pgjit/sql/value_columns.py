"""Which constants and parameters of a statement certainly belong to a column of a table: the one that they are
compared with, assigned to or inserted into. Pure.

Works on the tree of libpg_query, without recursion. A value belongs to no column for certain if the statement has
anything that gives columns other names (a subquery in FROM, a WITH query, a function in FROM, a list of column
aliases). INVARIANT: the result may be too short, never too long: what is not in it is redacted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CertainValues", "certain_values"]

_RENAMES = frozenset({
    "RangeSubselect", "RangeFunction", "RangeTableFunc", "JsonTable", "CommonTableExpr", "withClause", "colnames",
})  # fmt: skip
_COMPARES = frozenset({
    "AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT", "AEXPR_IN", "AEXPR_LIKE",
    "AEXPR_ILIKE", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN",
})  # fmt: skip
_OPERATORS = frozenset({"=", "<>", "!=", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "BETWEEN", "NOT BETWEEN"})
_NO_COLUMN = ""  # of LIMIT and OFFSET


@dataclass(frozen=True, slots=True)
class CertainValues:
    constants: frozenset[int] = frozenset()  # byte offsets
    parameters: frozenset[int] = frozenset()  # numbers, from 1


@dataclass(slots=True)
class _Found:
    constants: list[tuple[str, int]] = field(default_factory=list)  # each with its column
    parameters: list[tuple[str, int]] = field(default_factory=list)
    uses: Counter[int] = field(default_factory=Counter)  # how often each parameter is written
    rows: set[str] = field(default_factory=set)  # names that may stand for a whole row
    copied: list[tuple[str, str]] = field(default_factory=list)  # a column, and that to which ON CONFLICT copies it

    def add(self, column: str, value: Any) -> None:
        for kind, node in _values(value):
            if kind == "ParamRef":
                self.parameters.append((column, node.get("number", 0)))
            elif "location" in node:
                self.constants.append((column, node["location"]))


def certain_values(tree: Any, columns: frozenset[str]) -> CertainValues:
    """`columns`: the names of columns whose values are certainly not redacted."""
    found = _Found()
    left: list[Any] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left += node
        elif isinstance(node, dict):
            if not _RENAMES.isdisjoint(node):
                return CertainValues()
            found.rows |= {node[name] for name in ("relname", "aliasname") if isinstance(node.get(name), str)}
            for name, inner in node.items():
                if isinstance(inner, dict):
                    _note(found, name, inner)
                left.append(inner)
    copied = {column for column, target in found.copied if target not in columns}
    known = columns - found.rows - copied | {_NO_COLUMN}
    given = Counter(number for column, number in found.parameters if column in known)
    return CertainValues(
        frozenset(at for column, at in found.constants if column in known),
        frozenset(number for number, count in given.items() if count == found.uses[number]),
    )


def _note(found: _Found, name: str, node: dict[str, Any]) -> None:
    match name:
        case "A_Expr":
            _comparison(found, node)
        case "ParamRef":
            found.uses[node.get("number", 0)] += 1
        case "SelectStmt" | "selectStmt":
            for key in ("limitCount", "limitOffset"):
                found.add(_NO_COLUMN, node.get(key))
        case "UpdateStmt" | "onConflictClause":
            for target in node.get("targetList", ()):
                _assignment(found, target.get("ResTarget", {}))
                if name == "onConflictClause":
                    _copy(found, target.get("ResTarget", {}))
        case "InsertStmt":
            _insertion(found, node)


def _comparison(found: _Found, node: dict[str, Any]) -> None:
    operator = [part.get("String", {}).get("sval") for part in node.get("name", ())]
    if node.get("kind") not in _COMPARES or len(operator) != 1 or operator[0] not in _OPERATORS:
        return
    left, right = node.get("lexpr"), node.get("rexpr")
    if (column := _column(left)) is not None:
        found.add(column, right)
    elif (column := _column(right)) is not None:
        found.add(column, left)


def _assignment(found: _Found, target: dict[str, Any]) -> None:
    if "name" in target and "indirection" not in target:
        found.add(target["name"], target.get("val"))


def _copy(found: _Found, target: dict[str, Any]) -> None:
    """`SET email = excluded.name`: the value that was inserted into `name`."""
    left: list[Any] = [target.get("val")]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left += node
        elif isinstance(node, dict):
            if (column := _column(node)) is not None:
                found.copied.append((column, target.get("name", "")))
            left += node.values()


def _insertion(found: _Found, node: dict[str, Any]) -> None:
    columns = [each.get("ResTarget", {}) for each in node.get("cols", ())]
    rows = node.get("selectStmt", {}).get("SelectStmt", {}).get("valuesLists", ())
    for row in rows:
        for target, value in zip(columns, row.get("List", {}).get("items", ()), strict=False):
            if "name" in target and "indirection" not in target:
                found.add(target["name"], value)


def _column(node: Any) -> str | None:
    fields = node.get("ColumnRef", {}).get("fields", ()) if isinstance(node, dict) else ()
    names = [each.get("String", {}).get("sval") for each in fields]
    return names[-1] if names and all(isinstance(name, str) for name in names) else None


def _values(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The constants and parameters that `node` is made of. None at all if it has anything else."""
    found: list[tuple[str, dict[str, Any]]] = []
    left = [node]
    while left:
        each = left.pop()
        if not isinstance(each, dict) or len(each) != 1:
            return
        kind, inner = next(iter(each.items()))
        match kind:
            case "A_Const" | "ParamRef":
                found.append((kind, inner))
            case "TypeCast":
                left.append(inner.get("arg"))
            case "List":
                left += inner.get("items", ())
            case "A_ArrayExpr":
                left += inner.get("elements", ())
            case _:
                return
    yield from found
