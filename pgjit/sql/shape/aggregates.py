"""Which values of a query hold many rows: by an aggregate that collects, such as array_agg, or by ARRAY(SELECT ...).

One pass over the tree. An aggregate in a subquery may belong to an outer query level, so it counts for every level
whose values it is part of. Decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pgjit.sql.shape.references import is_select

__all__ = ["COLLECTS", "SUMS_UP", "AggregateReading", "AggregatedValues", "aggregate_name"]

SUMS_UP = frozenset(
    """
    count sum avg min max bool_and bool_or every stddev stddev_pop stddev_samp variance var_pop var_samp bit_and
    bit_or bit_xor corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope
    regr_sxx regr_sxy regr_syy percentile_cont percentile_disc mode any_value
""".split()
)
COLLECTS = frozenset(
    """
    array_agg string_agg xmlagg json_agg jsonb_agg json_object_agg jsonb_object_agg json_agg_strict jsonb_agg_strict
    json_object_agg_strict jsonb_object_agg_strict json_object_agg_unique jsonb_object_agg_unique
    json_object_agg_unique_strict jsonb_object_agg_unique_strict range_agg
""".split()
)
_PERCENTILES = frozenset({"percentile_cont", "percentile_disc"})
_FEW = 20  # fractions of a percentile
_COLLECT_NODES = frozenset({"JsonArrayAgg", "JsonObjectAgg"})
_FROM = frozenset({"RangeFunction", "RangeTableFunc", "JsonTable"})


@dataclass(slots=True)
class AggregatedValues:
    """The aggregates and subqueries in the target list of a query, or in the arguments of a function in FROM."""

    outer: AggregatedValues | None = None  # the values that these are part of
    collects: bool = False  # has an aggregate that collects many rows into one value
    calls: bool = False  # has a function that may be such an aggregate
    queries: list[tuple[dict[str, Any], bool]] = field(default_factory=list)
    """Subqueries that are values. True: ARRAY(SELECT ...), whose value holds all its rows."""


_NONE = AggregatedValues()


_Left = list[tuple[Any, AggregatedValues | None, bool]]


class AggregateReading:
    """The aggregates of a whole statement: `values` returns those of one query."""

    def __init__(self, query: dict[str, Any]) -> None:
        self.collects = False
        self.calls = False
        self._values: dict[int, AggregatedValues] = {}
        self._read(query)
        for values in reversed(self._values.values()):
            if values.outer is not None:
                values.outer.collects |= values.collects
                values.outer.calls |= values.calls

    def values(self, node: dict[str, Any]) -> AggregatedValues:
        return self._values.get(id(node), _NONE)

    def _read(self, query: dict[str, Any]) -> None:
        left: _Left = [({"SelectStmt": query}, None, False)]
        while left:
            node, values, direct = left.pop()
            if type(node) is list:
                left += [(each, values, direct) for each in node]
                continue
            for key, inner in node.items():
                kind = type(inner)
                if kind is list:
                    left.append((inner, values, direct))
                elif kind is dict:
                    if is_select(inner):
                        self._select(left, inner, values)
                    elif key in _FROM:
                        own = self._values[id(inner)] = AggregatedValues(values)
                        left.append((inner, own, True))
                    else:
                        left.append((inner, values, self._node(key, inner, values, direct=direct)))

    def _select(self, left: _Left, select: dict[str, Any], outer: AggregatedValues | None) -> None:
        own = self._values[id(select)] = AggregatedValues(outer)
        for key, inner in select.items():
            if key in ("targetList", "valuesLists"):
                left.append((inner, own, True))
            elif type(inner) is dict:
                left.append(({key: inner}, outer, False))
            elif type(inner) is list:
                left.append((inner, outer, False))

    def _node(self, key: str, node: dict[str, Any], values: AggregatedValues | None, *, direct: bool) -> bool:
        """Whether the nodes below are still values of the same query."""
        collects = calls = False
        if key == "FuncCall":
            name = aggregate_name(node)
            collects, calls = name in COLLECTS, name not in SUMS_UP
        elif key in _COLLECT_NODES:
            collects = True
        elif key in ("SubLink", "JsonArrayQueryConstructor"):
            array = node.get("subLinkType", "ARRAY_SUBLINK") == "ARRAY_SUBLINK"
            self.collects |= array
            if values is not None and direct and (array or node.get("subLinkType") == "EXPR_SUBLINK"):
                values.queries.append((_query(node.get("subselect") or node.get("query")), array))
            return False
        if values is not None:
            values.collects |= collects
            values.calls |= calls
        self.collects |= collects
        self.calls |= calls
        return direct


def aggregate_name(call: dict[str, Any]) -> str | None:
    """The name of a built-in function. `percentile_cont` of an array counts as array_agg: it returns an array."""
    name = _builtin_name(call)
    if name in _PERCENTILES and not _is_short(next(iter(call.get("args", [])), {})):
        return "array_agg"
    return name


def _is_short(argument: dict[str, Any]) -> bool:
    """One constant, or a short list of them."""
    while "TypeCast" in argument:
        argument = argument["TypeCast"].get("arg", {})
    if "A_ArrayExpr" in argument:
        elements = argument["A_ArrayExpr"].get("elements", [])
        return len(elements) <= _FEW and all("A_Const" in element for element in elements)
    constant = argument.get("A_Const")
    return constant is not None and constant.get("sval", {}).get("sval", "").count(",") < _FEW


def _builtin_name(call: dict[str, Any]) -> str | None:
    names = [part.get("String", {}).get("sval") for part in call.get("funcname", [])]
    return names[-1] if names[:-1] in ([], ["pg_catalog"]) else None


def _query(node: Any) -> dict[str, Any]:
    inner = next(iter(node.values()), None) if isinstance(node, dict) else None
    return inner if isinstance(inner, dict) else {}
