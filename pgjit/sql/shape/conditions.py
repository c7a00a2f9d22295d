"""Whether the condition of an UPDATE, DELETE or MERGE narrows the rows, by a column of the target.

This protects from a forgotten WHERE and from conditions that look like one (`true`, `1 = 1`, `id = id`, a condition
on another table only). It does not stop a user who wants to write to every row. `id IS NOT NULL` narrows only if the
column may be NULL: the result says so, and the caller knows the columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgjit.sql.shape.narrowing import ALWAYS, Narrowing, Token
from pgjit.sql.shape.references import ColumnReference, References
from pgjit.sql.shape.tautologies import builtin_call, is_tautology, own_column, same_tree, uncast

__all__ = ["narrowing_of"]

Node = dict[str, Any]

_OPPOSITES = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_STRICT_OPERATORS = frozenset({"+", "-", "*", "/", "%", "^", "||"})
_STRICT_FUNCTIONS = frozenset(
    "abs btrim char_length length lower ltrim md5 octet_length round rtrim trim trunc upper".split()
)
_TRUTHS = {"IS_TRUE": False, "IS_NOT_FALSE": False, "IS_FALSE": True, "IS_NOT_TRUE": True}
"""Boolean tests, and whether each negates its operand."""


def narrowing_of(condition: Any, target: frozenset[str], references: References, *, alone: bool) -> Narrowing:
    """`target`: the names by which the statement may refer to the target relation.

    `alone`: there is no other item in FROM or USING, so an unqualified name is a column of the target.
    """
    if not condition:
        return Narrowing()
    return Narrowing(tuple(_tokens(condition, _Decider(target, references, alone))))


class _Decider:
    def __init__(self, target: frozenset[str], references: References, alone: bool) -> None:
        self._target, self._references, self._alone = target, references, alone

    def _own(self, reference: ColumnReference) -> bool:
        if reference.qualifier is None:
            return self._alone and not reference.inner
        return reference.qualifier in self._target

    def __call__(self, node: Node, *, negated: bool) -> Iterator[Token]:
        """The tokens of a condition that is not an AND, OR or NOT."""
        kind, value = next(iter(node.items()))
        if kind == "CurrentOfExpr":
            yield True
        elif kind == "A_Expr" and is_tautology(value, self._target, alone=self._alone):
            yield False
        elif (tested := _tested(kind, value, negated=negated)) is not None:
            yield from self._null_unless(tested, node)
        else:
            yield any(self._own(reference) for reference in self._references.below(node))

    def _null_unless(self, value: Node, node: Node) -> Iterator[Token]:
        """For a condition that is true unless the value is NULL: it narrows if one of its columns may be NULL."""
        found = list(_nulls(value, self._target, alone=self._alone))
        if None in found:  # it may be NULL for other reasons
            yield any(self._own(reference) for reference in self._references.below(node))
        else:
            yield from (token for token in found if token is not None)


def _tested(kind: str, value: Node, *, negated: bool) -> Node | None:
    """x, for `x IS NOT NULL` and conditions with the same meaning."""
    tests = {"NullTest": "nulltesttype", "BooleanTest": "booltesttype"}
    test = value.get(tests[kind]) if kind in tests else None
    if test in ("IS_NULL", "IS_UNKNOWN") if negated else test in ("IS_NOT_NULL", "IS_NOT_UNKNOWN"):
        tested: Node = value.get("arg", {})
        return tested
    if kind == "A_Expr" and value.get("kind") in ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
        sides: list[Node] = [value.get("lexpr", {}), value.get("rexpr", {})]
        others = [side for side in sides if not side.get("A_Const", {}).get("isnull")]
        if len(others) == 1 and (value["kind"] == "AEXPR_NOT_DISTINCT") == negated:
            return others[0]
    return None


def _nulls(value: Node, target: frozenset[str], *, alone: bool) -> Iterator[Token | None]:
    """Whether a value may be NULL, as tokens, the parts before the whole. None: not known."""
    left: list[tuple[Node, bool]] = [(value, False)]
    while left:
        node, done = left.pop()
        node = uncast(node)
        parts, operation = _parts_of_value(node)
        if done:
            yield operation, len(parts)
        elif parts:
            left.append((node, True))
            left += [(part, False) for part in parts]
        elif (column := own_column(node, target, alone=alone)) is not None:
            yield column
        elif "A_Const" in node:
            yield bool(node["A_Const"].get("isnull", False))
        else:
            yield None


def _parts_of_value(node: Node) -> tuple[list[Node], Any]:
    """`a + b` is NULL if any operand is, `coalesce(a, b)` if all are."""
    kind: str = next(iter(node), "")
    inner: Node = node.get(kind, {})
    if kind == "CoalesceExpr":
        return list(inner.get("args", [])), "all"
    if kind == "RowExpr":
        return list(inner.get("args", [])), "any"
    if kind == "A_Expr" and inner.get("kind") == "AEXPR_OP" and _operator(inner) in _STRICT_OPERATORS:
        return [inner[side] for side in ("lexpr", "rexpr") if side in inner], "any"
    if kind == "FuncCall" and builtin_call(inner) in _STRICT_FUNCTIONS:
        return list(inner.get("args", [])), "any"
    return [], "any"


def _tokens(condition: Node, decide: _Decider) -> Iterator[Token]:
    """AND narrows if one part does; OR if all do and no two are opposites; under NOT the reverse.

    Without recursion: the parts come before the whole.
    """
    order: list[tuple[Node, bool]] = []
    left = [(condition, False)]
    while left:
        node, negated = left.pop()
        order.append((node, negated))
        left.extend((part, negated != _turns(node)) for part in _parts(node))
    for node, negated in reversed(order):
        parts = _parts(node)
        operation = node.get("BoolExpr", {}).get("boolop")
        if not parts:
            yield from decide(node, negated=negated)
        elif operation in ("AND_EXPR", "OR_EXPR"):
            if (operation == "AND_EXPR") != negated:
                yield "any", len(parts)
            else:
                yield (ALWAYS if _opposites(parts) else "all"), len(parts)


def _turns(node: Node) -> bool:
    if "BooleanTest" in node:
        return _TRUTHS.get(node["BooleanTest"].get("booltesttype", ""), False)
    return bool(node.get("BoolExpr", {}).get("boolop") == "NOT_EXPR")


def _parts(node: Node) -> list[Node]:
    test = node.get("BooleanTest")
    if isinstance(test, dict):
        return [test["arg"]] if test.get("booltesttype") in _TRUTHS and "arg" in test else []
    inner = node.get("BoolExpr")
    return [part for part in inner.get("args", []) if part] if isinstance(inner, dict) else []


def _opposites(parts: list[Node]) -> bool:
    return any(_opposite(one, other) for at, one in enumerate(parts[:20]) for other in parts[at + 1 : 20])


def _opposite(one: Node, other: Node) -> bool:
    """`id IS NULL OR id IS NOT NULL`, `id = 1 OR id <> 1`, `x OR NOT x`."""
    for first, second in ((one, other), (other, one)):
        negated = first.get("BoolExpr", {})
        if negated.get("boolop") == "NOT_EXPR" and same_tree(negated.get("args", [None])[0], second):
            return True
    if "NullTest" in one and "NullTest" in other:
        tests = one["NullTest"], other["NullTest"]
        return tests[0].get("nulltesttype") != tests[1].get("nulltesttype") and same_tree(
            tests[0]["arg"], tests[1]["arg"]
        )
    if "A_Expr" in one and "A_Expr" in other:
        first, second = one["A_Expr"], other["A_Expr"]
        return (
            _OPPOSITES.get(_operator(first)) == _operator(second)
            and same_tree(first.get("lexpr"), second.get("lexpr"))
            and same_tree(first.get("rexpr"), second.get("rexpr"))
        )
    return False


def _operator(expression: Node) -> str:
    names = expression.get("name", [])
    return str(names[-1].get("String", {}).get("sval", "")) if names else ""
