"""What a condition narrows: whether a column of the written relation decides which rows are meant.

A guard against the forgotten WHERE and its look-alikes (`true`, `1 = 1`, `id = id`, a condition on another table
alone), not against somebody who means to write to every row.
"""

from __future__ import annotations

from typing import Any, Literal

from pgjit.sql.references import Reference, References

__all__ = ["narrowed", "same"]

_OPPOSITES = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_PLACES = frozenset({"location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end", "arg_location"})


def narrowed(
    condition: Any, target: frozenset[str], references: References, *, alone: bool
) -> Literal["no", "constant", "yes"]:
    """`target`: the names by which the statement may call the written relation.

    `alone`: there is no other item in FROM or USING, so that a bare name is one of its columns.
    """
    if not condition:
        return "no"
    return "yes" if _narrows(condition, _Decider(target, references, alone)) else "constant"


class _Decider:
    def __init__(self, target: frozenset[str], references: References, alone: bool) -> None:
        self._target, self._references, self._alone = target, references, alone

    def _own(self, reference: Reference) -> bool:
        if reference.qualifier is None:
            return self._alone and not reference.inner
        return reference.qualifier in self._target

    def __call__(self, node: dict[str, Any]) -> bool:
        """Whether a condition without AND, OR and NOT at its top narrows."""
        kind, value = next(iter(node.items()))
        if kind == "CurrentOfExpr":
            return True
        if kind == "A_Expr" and _always(value):
            return False
        return any(self._own(reference) for reference in self._references.below(node))


def _narrows(condition: dict[str, Any], decide: _Decider) -> bool:
    """AND narrows where one part does, OR where all do and no two are opposites; below NOT the other way round.

    Without recursion: the parts are decided before the whole.
    """
    order: list[tuple[dict[str, Any], bool]] = []
    left = [(condition, False)]
    while left:
        node, negated = left.pop()
        order.append((node, negated))
        below = negated != (node.get("BoolExpr", {}).get("boolop") == "NOT_EXPR")
        left.extend((part, below) for part in _parts(node))
    found: dict[int, bool] = {}
    for node, negated in reversed(order):
        parts = _parts(node)
        operation = node["BoolExpr"].get("boolop") if parts else None
        if operation is None:
            found[id(node)] = decide(node)
        elif operation == "NOT_EXPR":
            found[id(node)] = found[id(parts[0])]
        elif (operation == "AND_EXPR") != negated:
            found[id(node)] = any(found[id(part)] for part in parts)
        else:
            found[id(node)] = all(found[id(part)] for part in parts) and not _opposites(parts)
    return found[id(condition)]


def _parts(node: dict[str, Any]) -> list[dict[str, Any]]:
    inner = node.get("BoolExpr")
    return [part for part in inner.get("args", []) if part] if isinstance(inner, dict) else []


def _always(expression: dict[str, Any]) -> bool:
    """Both sides are the same (`id = id`), or it is a pattern that everything matches."""
    left, right = expression.get("lexpr"), expression.get("rexpr")
    if expression.get("kind") in ("AEXPR_LIKE", "AEXPR_ILIKE"):
        pattern = right.get("A_Const", {}).get("sval", {}).get("sval") if isinstance(right, dict) else None
        return pattern is not None and pattern.strip("%") == ""
    if isinstance(right, dict) and "List" in right:  # `id IN (id)`
        return any(same(left, item) for item in right["List"].get("items", []))
    return left is not None and same(left, right)


def _opposites(parts: list[dict[str, Any]]) -> bool:
    return any(_opposite(one, other) for at, one in enumerate(parts[:20]) for other in parts[at + 1 : 20])


def _opposite(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """`id IS NULL OR id IS NOT NULL`, `id = 1 OR id <> 1`, `x OR NOT x`."""
    for first, second in ((one, other), (other, one)):
        negated = first.get("BoolExpr", {})
        if negated.get("boolop") == "NOT_EXPR" and same(negated.get("args", [None])[0], second):
            return True
    if "NullTest" in one and "NullTest" in other:
        tests = one["NullTest"], other["NullTest"]
        return tests[0].get("nulltesttype") != tests[1].get("nulltesttype") and same(tests[0]["arg"], tests[1]["arg"])
    if "A_Expr" in one and "A_Expr" in other:
        first, second = one["A_Expr"], other["A_Expr"]
        return (
            _OPPOSITES.get(_operator(first)) == _operator(second)
            and same(first.get("lexpr"), second.get("lexpr"))
            and same(first.get("rexpr"), second.get("rexpr"))
        )
    return False


def _operator(expression: dict[str, Any]) -> str:
    names = expression.get("name", [])
    return str(names[-1].get("String", {}).get("sval", "")) if names else ""


def same(one: Any, other: Any) -> bool:
    """Whether two parts of the tree are alike but for where they stand."""
    left = [(one, other)]
    while left:
        first, second = left.pop()
        if type(first) is not type(second):
            return False
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
