"""WITH RECURSIVE: whether a value grows with each step of the recursion, and how many steps there can be.

A growing value holds a row of every step, even if the result has few rows. The number of steps is known if a counter
starts at a constant, is incremented by one, and is compared with a constant upper bound. Decides nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pgjit.sql.shape.references import items_of
from pgjit.sql.tree import strings_of

__all__ = ["Recursion", "recursion_of"]

Node = dict[str, Any]

_NO_LONGER = frozenset("+ - * / % = <> < > <= >= ~~ !~~ ~~* !~~* ~ !~ ~* !~* -> ->> #> #>> @> <@ ? && ^".split())
_ONE_VALUE = frozenset(
    "date_part date_trunc extract left mod nullif power right round substr substring to_char".split()
)
"""Functions of several arguments whose result is not longer than one of them."""
_BUILDS = frozenset({"A_ArrayExpr", "RowExpr", "SubLink", "JsonObjectConstructor", "JsonArrayConstructor", "XmlExpr"})


class Recursion(NamedTuple):
    key: int
    grows: bool
    steps: int | None


def recursion_of(common: Node) -> Recursion | None:
    """For a common table expression of WITH RECURSIVE. None if it does not read from itself."""
    name = str(common.get("ctename", ""))
    query: Node = next(iter(common.get("ctequery", {}).values()), {})
    first, step = query.get("larg", {}), query.get("rarg", {})
    if not step or not any(_is(name, node) for node in _below(step)):
        return None
    columns = strings_of(common.get("aliascolnames", []))
    return Recursion(id(query), _grows(step), _steps(name, columns, first, step))


def _is(name: str, node: Node) -> bool:
    return node.get("relname") == name and "schemaname" not in node


def _grows(step: Node) -> bool:
    """Whether an expression of the recursive term, conditions aside, may make a value longer."""
    for node in _below({key: value for key, value in step.items() if key != "whereClause"}):
        expression = node.get("A_Expr")
        if expression is not None and not _NO_LONGER.issuperset(strings_of(expression.get("name", []))[-1:]):
            return True
        call = node.get("FuncCall")
        if call is not None and len(call.get("args", [])) > 1 and strings_of(call["funcname"])[-1] not in _ONE_VALUE:
            return True
        if not _BUILDS.isdisjoint(node):
            return True
    return False


def _steps(name: str, columns: tuple[str, ...], first: Node, step: Node) -> int | None:
    """`n` starts at a constant, the step has `n + 1`, and its condition has `n < constant`."""
    own = {each.get("alias", {}).get("aliasname", name) for _, each in items_of(step.get("fromClause", []))
           if _is(name, each) and "colnames" not in each.get("alias", {})}  # fmt: skip
    if not own:
        return None
    bounds = _bounds(step.get("whereClause", {}))
    starts, nexts = _targets(first), _targets(step)
    for place, (start, following) in enumerate(zip(starts, nexts, strict=False)):
        called = columns[place] if place < len(columns) else start.get("name")
        counter, begin = _raised(following.get("val", {})), _whole(start.get("val", {}))
        if counter is None or begin is None or counter[-1] != called:
            continue
        most = bounds.get(counter)
        if most is not None and (len(counter) == 1 or counter[0] in own):
            return max(most - begin, 0) + 1
    return None


def _targets(select: Node) -> list[Node]:
    return [target.get("ResTarget", {}) for target in select.get("targetList", [])]


def _bounds(condition: Node) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    left = [condition]
    while left:
        node = left.pop()
        if node.get("BoolExpr", {}).get("boolop") == "AND_EXPR":
            left += node["BoolExpr"].get("args", [])
            continue
        expression = node.get("A_Expr", {})
        column, most = _column(expression.get("lexpr", {})), _whole(expression.get("rexpr", {}))
        operator = strings_of(expression.get("name", []))
        if expression.get("kind") == "AEXPR_OP" and column and most is not None and operator in (("<",), ("<=",)):
            found[column] = most
    return found


def _raised(value: Node) -> tuple[str, ...] | None:
    """`n` of `n + 1`."""
    expression = value.get("A_Expr", {})
    one = _whole(expression.get("rexpr", {})) == 1 and strings_of(expression.get("name", [])) == ("+",)
    return _column(expression.get("lexpr", {})) if one else None


def _column(node: Node) -> tuple[str, ...] | None:
    names = strings_of(node.get("ColumnRef", {}).get("fields", []))
    return names if 1 <= len(names) <= 2 and "" not in names else None


def _whole(node: Node) -> int | None:
    constant = node.get("A_Const", {})
    return int(constant["ival"].get("ival", 0)) if "ival" in constant else None


def _below(node: Node) -> list[Node]:
    found: list[Node] = []
    left: list[Any] = [node]
    while left:
        value = left.pop()
        if type(value) is list:
            left += value
        elif type(value) is dict:
            found.append(value)
            left += value.values()
    return found
