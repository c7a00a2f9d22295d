"""Which constant LIMITs bound the rows of a result, for each relation that the query reads from.

Not a bound: a LIMIT that is not a constant, NULL, ALL or WITH TIES, and one over a value that is aggregated from many
rows. A subquery that runs for each row of another query, or for each step of a recursive one, multiplies its rows.
Decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from pgjit.sql.shape.aggregates import COLLECTS, SUMS_UP, AggregateReading, aggregate_name
from pgjit.sql.shape.recursion import Recursion, recursion_of
from pgjit.sql.shape.references import is_select, items_of

__all__ = ["LimitedRelation", "Limits", "gives_one_row", "row_sources"]

Node = dict[str, Any]
Limits = tuple[tuple[int, int], ...]
"""LIMITs from the outermost inwards, each smaller than the one before: its number, and the rows that it lets through
in all the times that it is applied."""

_WHOLE = re.compile(r"[0-9]{1,18}\Z")
_DEEPEST = 16  # LIMITs that are kept for one relation; more could only lower the bound


class LimitedRelation(NamedTuple):
    relation: Node  # a RangeVar
    limits: Limits
    strict: Limits  # if every unknown function is taken for an aggregate that collects rows

    @property
    def most(self) -> int | None:
        return self.limits[-1][1] if self.limits else None


class _LimitContext(NamedTuple):
    """The LIMITs over a query, and how often it runs."""

    limits: Limits = ()
    times: int | None = 1  # the most times that it runs; None: unbounded

    def under(self, select: Node, most: int | None) -> _LimitContext:
        """`most`: the rows of one run."""
        if most is None or self.times is None or len(self.limits) >= _DEEPEST:
            return self
        total = most * self.times
        if self.limits and total >= self.limits[-1][1]:
            return self
        return _LimitContext((*self.limits, (id(select), total)), self.times)

    def by_row(self, select: Node, most: int | None) -> _LimitContext:
        """For a subquery in the target list: it runs for each of the `most` rows of the query."""
        if "fromClause" not in select:
            return self.under(select, 1)
        known = [most * self.times] if most is not None and self.times is not None else []
        known += [self.limits[-1][1]] if self.limits else []
        return _LimitContext(self.limits, min(known) if known else None)

    def apart(self) -> _LimitContext:
        """The LIMITs around do not bound it."""
        return _LimitContext((), self.times)

    def often(self) -> _LimitContext:
        return _LimitContext(self.limits, None)

    def stepping(self, recursion: Recursion) -> _LimitContext:
        steps = None if recursion.steps is None or self.times is None else recursion.steps * self.times
        if not recursion.grows:
            return _LimitContext(self.limits, steps)
        return _LimitContext() if steps is None else _LimitContext(((recursion.key, steps),), steps)


class _Level(NamedTuple):
    select: Node
    ways: tuple[_LimitContext, _LimitContext]  # as written; if unknown functions are taken for aggregates
    hidden: frozenset[str]  # names of common table expressions that are visible here
    recursion: Recursion | None = None  # of the common table expression, if this is its whole query


def row_sources(query: Node) -> list[LimitedRelation]:
    """The relations whose rows a SELECT returns. One that only a condition reads returns none.

    A LIMIT bounds all below it, unless an aggregate between collects rows: one array may hold any number of them.
    """
    found: list[LimitedRelation] = []
    left = [_Level(query, (_LimitContext(), _LimitContext()), frozenset())]
    reading = AggregateReading(query)
    while left:
        level = left.pop()
        if is_select(level.select):
            _read(level, reading, left, found)
    numbers: dict[int, int] = {}
    return [
        each._replace(limits=_numbered(each.limits, numbers), strict=_numbered(each.strict, numbers))
        for each in found
    ]


def _numbered(limits: Limits, numbers: dict[int, int]) -> Limits:
    """With numbers that are the same each time that a text is parsed."""
    return tuple((numbers.setdefault(key, len(numbers)), most) for key, most in limits)


def _read(level: _Level, reading: AggregateReading, left: list[_Level], found: list[LimitedRelation]) -> None:
    select = level.select
    values = reading.values(select)
    own = _limit(select)
    known, strict = (way.under(select, own) for way in level.ways)
    ways = (
        level.ways[0].apart() if values.collects else known,
        level.ways[1].apart() if values.collects or values.calls else strict,
    )
    hidden = _with(level, reading, ways, left)
    if "larg" in select:
        left.append(_Level(select["larg"], ways, hidden))
    if "rarg" in select:
        left.append(_Level(select["rarg"], _stepping(ways, level.recursion), hidden))
    rows = 1 if _one_row(select, SUMS_UP | COLLECTS) else own
    for inner, array in values.queries:
        by_row = _each(ways, lambda way: way.by_row(select, rows))
        left.append(_Level(inner, _each(by_row, _LimitContext.apart) if array else by_row, hidden))
    items = list(items_of(select.get("fromClause", [])))
    beside = len(select.get("fromClause", [])) > 1 or any(kind == "JoinExpr" for kind in _kinds(select))
    for kind, item in items:
        if kind == "RangeSubselect":
            each = _each(ways, _LimitContext.often) if item.get("lateral") else ways
            left.append(_Level(_query(item.get("subquery")), each, hidden))
            continue
        relation = item.get("relation", {}).get("RangeVar", {}) if kind == "RangeTableSample" else item
        if "relname" in relation:
            if "schemaname" in relation or relation["relname"] not in hidden:
                found.append(LimitedRelation(relation, ways[0].limits, ways[1].limits))
            continue
        for inner, array in reading.values(item).queries:  # a function such as unnest returns the rows of an array
            each = _each(ways, _LimitContext.often) if beside else ways
            left.append(_Level(inner, _each(each, _LimitContext.apart) if array else each, hidden))


def _with(
    level: _Level, reading: AggregateReading, ways: tuple[_LimitContext, _LimitContext], left: list[_Level]
) -> frozenset[str]:
    """Add the common table expressions, which may be read from anywhere. Returns the names that they hide."""
    hidden = level.hidden
    clause = level.select.get("withClause", {})
    queries = [each.get("CommonTableExpr", {}) for each in clause.get("ctes", [])]
    names = [(str(common.get("ctename", "")), common) for common in queries]
    if clause.get("recursive"):
        hidden |= {name for name, _ in names}
    for name, common in names:
        inner = _query(common.get("ctequery"))
        each = (
            ways[0].apart() if reading.collects else ways[0],
            ways[1].apart() if reading.collects or reading.calls else ways[1],
        )
        recursion = recursion_of(common) if clause.get("recursive") else None
        left.append(_Level(inner, each, hidden, recursion))
        hidden |= {name}
    return hidden


def _stepping(
    ways: tuple[_LimitContext, _LimitContext], recursion: Recursion | None
) -> tuple[_LimitContext, _LimitContext]:
    return ways if recursion is None else (ways[0].stepping(recursion), ways[1].stepping(recursion))


def _each(
    ways: tuple[_LimitContext, _LimitContext], change: Callable[[_LimitContext], _LimitContext]
) -> tuple[_LimitContext, _LimitContext]:
    return change(ways[0]), change(ways[1])


def _kinds(select: Node) -> list[str]:
    return [next(iter(item), "") for item in select.get("fromClause", [])]


def gives_one_row(query: Node) -> bool:
    """Whether a query has one row: by an aggregate, by LIMIT 1, or as all its relations have."""
    if _one_row(query, SUMS_UP | COLLECTS) or _limit(query) == 1:
        return True
    found = row_sources(query)
    return bool(found) and all(each.most == 1 for each in found)


def _query(node: Any) -> Node:
    inner = next(iter(node.values()), None) if isinstance(node, dict) else None
    return inner if isinstance(inner, dict) else {}


def _limit(select: Node) -> int | None:
    if _one_row(select):
        return 1
    if select.get("limitOption") == "LIMIT_OPTION_WITH_TIES":
        return None
    count = select.get("limitCount")
    while isinstance(count, dict) and "TypeCast" in count:
        count = count["TypeCast"].get("arg")
    constant = count.get("A_Const") if isinstance(count, dict) else None
    if not isinstance(constant, dict):
        return None
    if "ival" in constant:
        return int(constant["ival"].get("ival", 0))
    text = constant.get("sval", {}).get("sval", "") or constant.get("fval", {}).get("fval", "")
    return int(text) if _WHOLE.match(text) else None


def _one_row(select: Node, aggregates: frozenset[str] = SUMS_UP) -> bool:
    """Whether its target list has one of these aggregates, without GROUP BY."""
    if "groupClause" in select or "larg" in select:
        return False
    for target in select.get("targetList", []):
        call = target.get("ResTarget", {}).get("val", {}).get("FuncCall")
        if call is not None and "over" not in call and aggregate_name(call) in aggregates:
            return True
    return False
