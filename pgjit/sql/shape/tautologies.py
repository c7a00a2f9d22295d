"""Tautologies: conditions that are true for every row by how they are written, such as `id = id` or `a LIKE '%'`.

Also compares parts of a tree for equality. Decides from the tree alone.
"""

from __future__ import annotations

import re
from typing import Any

from pgjit.sql.tree import strings_of

__all__ = ["builtin_call", "is_tautology", "own_column", "same_tree", "uncast"]

Node = dict[str, Any]

_PLACES = frozenset({"location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end", "arg_location"})
_BRANCHES = (dict, list)
_NEVER_NEGATIVE = frozenset({"abs", "cardinality", "char_length", "length", "octet_length"})
_ALL = re.compile(r"\^?(\.\*|\(\.\*\))?\$?\Z")  # a regular expression that matches everything


def same_tree(one: Any, other: Any) -> bool:
    """Whether two parts of a tree are equal, apart from their locations."""
    left = [(one, other)]
    while left:
        first, second = left.pop()
        if type(first) is not type(second) and (type(first) in _BRANCHES or type(second) in _BRANCHES):
            return False  # values are compared as they are: one that is withheld may be of any type
        if type(first) is dict:
            keys = first.keys() - _PLACES
            if keys != second.keys() - _PLACES:
                return False
            left.extend((first[key], second[key]) for key in keys)
        elif type(first) is list:
            if len(first) != len(second):
                return False
            left.extend(zip(first, second, strict=True))
        elif first != second:
            return False
    return True


def uncast(node: Node) -> Node:
    while isinstance(node.get("TypeCast"), dict) and "arg" in node["TypeCast"]:
        node = node["TypeCast"]["arg"]
    return node


def own_column(node: Node, target: frozenset[str], *, alone: bool) -> str | None:
    """The column of the target that a node names: `id`, or with the target's name or alias in front."""
    names = strings_of(node.get("ColumnRef", {}).get("fields", []))
    if "" in names or not names:
        return None
    if len(names) == 1:
        return names[0] if alone else None
    return names[-1] if names[-2] in target else None


def builtin_call(call: Node) -> str | None:
    names = strings_of(call.get("funcname", []))
    return names[-1] if names and names[:-1] in ((), ("pg_catalog",)) else None


def is_tautology(expression: Node, target: frozenset[str], *, alone: bool) -> bool:
    """Whether both sides are the same (`id = id`), a pattern matches everything, or a length is at least 0."""
    left, right = expression.get("lexpr"), expression.get("rexpr")
    if not isinstance(left, dict):
        return False
    if expression.get("kind") in ("AEXPR_LIKE", "AEXPR_ILIKE"):
        pattern = _text(right)
        return pattern is not None and pattern.strip("%") == ""
    operator = strings_of(expression.get("name", []))[-1:]
    if operator in (("~",), ("~*",)) and (pattern := _text(right)) is not None:
        return _ALL.match(pattern) is not None
    if _from_zero(left, operator, right):
        return True

    def is_left(other: Any) -> bool:
        if not isinstance(other, dict):
            return False
        one, two = uncast(left), uncast(other)
        column = own_column(one, target, alone=alone)
        return same_tree(one, two) or (column is not None and column == own_column(two, target, alone=alone))

    if isinstance(right, dict) and "List" in right:  # `id IN (id)`, `id BETWEEN id AND id`
        return any(is_left(item) for item in right["List"].get("items", []))
    if isinstance(right, dict) and "A_ArrayExpr" in right:  # `id = ANY (ARRAY[id])`
        return any(is_left(item) for item in right["A_ArrayExpr"].get("elements", []))
    return is_left(right)


def _text(node: Any) -> str | None:
    constant = uncast(node).get("A_Const", {}) if isinstance(node, dict) else {}
    return constant["sval"].get("sval", "") if "sval" in constant else None


def _from_zero(left: Node, operator: tuple[str, ...], right: Any) -> bool:
    """`length(note) >= 0`."""
    called = builtin_call(left.get("FuncCall", {})) in _NEVER_NEGATIVE
    constant = right.get("A_Const", {}) if isinstance(right, dict) else {}
    return called and operator == (">=",) and "ival" in constant and constant["ival"].get("ival", 0) == 0
