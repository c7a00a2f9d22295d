"""The settings whose values a statement reads: by SHOW, and by `current_setting`.

The name is known if it is a constant, or the column `name` of `pg_settings`: psql lists settings in that way. One
pass over the tree, without recursion. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgjit.sql.statement import ShownSetting
from pgjit.sql.tree import strings_of

__all__ = ["shown_settings"]

Node = dict[str, Any]
_TEXTS = {("text",), ("varchar",)}


def shown_settings(node_type: str, node: Node, where: Callable[[int], int]) -> tuple[ShownSetting, ...]:
    if node_type == "VariableShowStmt":
        name = str(node.get("name", "")).lower()
        return (ShownSetting("", None, everything=True) if name == "all" else ShownSetting(name, None),)
    found: list[ShownSetting] = []
    left: list[tuple[Any, Node]] = [(node, {})]
    while left:
        value, select = left.pop()
        if type(value) is list:
            left += [(each, select) for each in value]
        elif type(value) is dict:
            if "limitOption" in value:
                select = value
            if strings_of(value.get("funcname", []))[-1:] == ("current_setting",):
                offset = value.get("location", -1)
                found.append(_called(value, select, where(offset) + 1 if offset >= 0 else None))
            left += [(inner, select) for inner in value.values()]
    return tuple(sorted(found, key=lambda each: each.position or 0))


def _called(call: Node, select: Node, position: int | None) -> ShownSetting:
    first: Node = next(iter(call.get("args", [])), {})
    if (parameter := _parameter(first)) is not None:
        return ShownSetting(None, position, parameter=parameter)
    while "TypeCast" in first:
        first = first["TypeCast"].get("arg", {})
    constant = first.get("A_Const", {}).get("sval", {}).get("sval") if "A_Const" in first else None
    if constant is not None:
        return ShownSetting(str(constant).lower(), position)
    return ShownSetting(None, position, of_view=_names_row(first, select))


def _parameter(argument: Node) -> int | None:
    """The number of `$1` or `$1::text`. Any other cast may change the name."""
    while "TypeCast" in argument:
        kind = argument["TypeCast"].get("typeName", {})
        if strings_of(kind.get("names", []))[-1:] not in _TEXTS or "typmods" in kind or "arrayBounds" in kind:
            return None
        argument = argument["TypeCast"].get("arg", {})
    number = argument.get("ParamRef", {}).get("number")
    return None if number is None else int(number)


def _names_row(argument: Node, select: Node) -> bool:
    """Whether it is `s.name` FROM pg_settings AS s, or `name` with pg_settings as the only FROM item."""
    names = strings_of(argument.get("ColumnRef", {}).get("fields", []))
    items = _items(select)
    if names == ("name",):
        return len(items) == 1 and _is_view(items[0])
    called = [each for each in items if _called_by(each) == names[0]] if len(names) == 2 else []
    return names[1:] == ("name",) and len(called) == 1 and _is_view(called[0])


def _items(select: Node) -> list[Node]:
    """The items of FROM, without those inside a join that has an alias."""
    found: list[Node] = []
    left = list(select.get("fromClause", []))
    while left:
        item = left.pop()
        join = item.get("JoinExpr", {})
        if join and "alias" not in join:
            left += [join[side] for side in ("larg", "rarg") if side in join]
        else:
            found.append(item)
    return found


def _called_by(item: Node) -> str | None:
    inner: Node = next(iter(item.values()), {})
    name = inner.get("alias", {}).get("aliasname") or inner.get("relname")
    return None if name is None else str(name)


def _is_view(item: Node) -> bool:
    relation = item.get("RangeVar", {})
    return (
        relation.get("relname") == "pg_settings"
        and relation.get("schemaname", "pg_catalog") == "pg_catalog"
        and "colnames" not in relation.get("alias", {})
    )
