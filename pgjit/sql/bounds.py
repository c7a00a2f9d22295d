"""What bounds the rows that a query gives: the constant LIMITs that hold over each relation it reads from.

A LIMIT that is not a constant, that is NULL or ALL, or that lets ties through is none; nor is one of a value that
is made of many rows. Decides nothing.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pgjit.sql.collecting import COLLECTS, SUMS_UP, Reading, builtin_name
from pgjit.sql.references import is_select, items_of

__all__ = ["Bounded", "gives_one_row", "sources"]

_RELATION = ("catalogname", "schemaname", "relname")
_WHOLE = re.compile(r"[0-9]{1,18}\Z")


class Bounded(NamedTuple):
    relation: dict[str, Any]  # a RangeVar
    most: int | None
    strict: int | None  # where any function that is not known may collect rows into its value


class _Level(NamedTuple):
    select: dict[str, Any]
    most: int | None
    strict: int | None
    hidden: frozenset[str]  # names that stand for a query of a WITH here


def sources(query: dict[str, Any]) -> list[Bounded]:
    """Of a SELECT. Relations that only conditions read from give no rows.

    A bound holds over what is below it unless something between collects: a LIMIT of one array is none of its rows.
    """
    found: list[Bounded] = []
    left = [_Level(query, None, None, frozenset())]
    reading = Reading(query)
    while left:
        level = left.pop()
        if not is_select(level.select):
            continue
        values = reading.values(level.select)
        own = _limit(level.select)
        most = None if values.collects else _least(level.most, own)
        strict = None if values.collects or values.calls else _least(level.strict, own)
        hidden = level.hidden
        clause = level.select.get("withClause", {})
        names = [_common(each) for each in clause.get("ctes", [])]
        if clause.get("recursive"):
            hidden |= {name for name, _ in names}
        for name, inner in names:  # it may be read from anywhere
            bounds = None if reading.collects else most, None if reading.collects or reading.calls else strict
            left.append(_Level(inner, *bounds, hidden))
            hidden |= {name}
        left += [_Level(level.select[arm], most, strict, hidden) for arm in ("larg", "rarg") if arm in level.select]
        rows = (most, strict) if "fromClause" in level.select else (1, 1)
        left += [_Level(inner, *((None, None) if array else rows), hidden) for inner, array in values.queries]
        for kind, item in items_of(level.select.get("fromClause", [])):
            if kind == "RangeSubselect":
                left.append(_Level(_query(item.get("subquery")), most, strict, hidden))
                continue
            relation = item.get("relation", {}).get("RangeVar", {}) if kind == "RangeTableSample" else item
            if "relname" in relation:
                if "schemaname" in relation or relation["relname"] not in hidden:
                    found.append(Bounded(relation, most, strict))
                continue
            for inner, array in reading.values(item).queries:  # a function takes the rows of an array apart
                left.append(_Level(inner, *((None, None) if array else (most, strict)), hidden))
    return found


def gives_one_row(query: dict[str, Any]) -> bool:
    """By an aggregate, or by LIMIT 1; or all that it reads from does."""
    if _one_row(query, SUMS_UP | COLLECTS) or _limit(query) == 1:
        return True
    found = sources(query)
    return bool(found) and all(each.most == 1 for each in found)


def _query(node: Any) -> dict[str, Any]:
    inner = next(iter(node.values()), None) if isinstance(node, dict) else None
    return inner if isinstance(inner, dict) else {}


def _common(node: Any) -> tuple[str, dict[str, Any]]:
    common = node.get("CommonTableExpr", {})
    return str(common.get("ctename", "")), _query(common.get("ctequery"))


def _least(one: int | None, other: int | None) -> int | None:
    known = [each for each in (one, other) if each is not None]
    return min(known) if known else None


def _limit(select: dict[str, Any]) -> int | None:
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


def _one_row(select: dict[str, Any], aggregates: frozenset[str] = SUMS_UP) -> bool:
    """One of these aggregates in the list of values, without GROUP BY."""
    if "groupClause" in select or "larg" in select:
        return False
    for target in select.get("targetList", []):
        call = target.get("ResTarget", {}).get("val", {}).get("FuncCall")
        if call is not None and "over" not in call and builtin_name(call) in aggregates:
            return True
    return False
