"""What bounds the rows that a query gives: the constant LIMITs that hold over each relation it reads from.

A LIMIT that is not a constant, that is NULL or ALL, or that lets ties through is none. Decides nothing.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pgjit.sql.references import is_select, items_of

__all__ = ["Bounded", "sources"]

_RELATION = ("catalogname", "schemaname", "relname")
_ONE_ROW = frozenset(
    """
    count sum avg min max bool_and bool_or every string_agg array_agg json_agg jsonb_agg json_object_agg
    jsonb_object_agg xmlagg stddev stddev_pop stddev_samp variance var_pop var_samp bit_and bit_or bit_xor corr
    covar_pop covar_samp regr_count percentile_cont percentile_disc mode any_value
""".split()
)
_WHOLE = re.compile(r"[0-9]{1,18}\Z")


class Bounded(NamedTuple):
    relation: dict[str, Any]  # a RangeVar
    most: int | None


class _Level(NamedTuple):
    select: dict[str, Any]
    most: int | None
    hidden: frozenset[str]  # names that stand for a query of a WITH here


def sources(query: dict[str, Any]) -> list[Bounded]:
    """Of a SELECT. Relations that only conditions and values read from give no rows."""
    found: list[Bounded] = []
    left = [_Level(query, None, frozenset())]
    while left:
        level = left.pop()
        if not is_select(level.select):
            continue
        most = _least(level.most, _limit(level.select))
        hidden = level.hidden
        clause = level.select.get("withClause", {})
        names = [_common(each) for each in clause.get("ctes", [])]
        if clause.get("recursive"):
            hidden |= {name for name, _ in names}
        for name, inner in names:
            left.append(_Level(inner, most, hidden))
            hidden |= {name}
        left += [_Level(level.select[arm], most, hidden) for arm in ("larg", "rarg") if arm in level.select]
        for kind, item in items_of(level.select.get("fromClause", [])):
            if kind == "RangeSubselect":
                left.append(_Level(_query(item.get("subquery")), most, hidden))
                continue
            relation = item.get("relation", {}).get("RangeVar", {}) if kind == "RangeTableSample" else item
            if "relname" in relation and not ("schemaname" not in relation and relation["relname"] in hidden):
                found.append(Bounded(relation, most))
    return found


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


def _one_row(select: dict[str, Any]) -> bool:
    """An aggregate in the list of values, without GROUP BY."""
    if "groupClause" in select or "larg" in select:
        return False
    for target in select.get("targetList", []):
        call = target.get("ResTarget", {}).get("val", {}).get("FuncCall")
        if call is None or "over" in call:
            continue
        names = [part.get("String", {}).get("sval") for part in call.get("funcname", [])]
        if names[-1] in _ONE_ROW and names[:-1] in ([], ["pg_catalog"]):
            return True
    return False
