"""Which values of a query are made of many rows: by an aggregate that collects, or by ARRAY(SELECT ...).

One pass over the tree, each node looked at once. An aggregate inside a subquery may be one of the level outside: it
counts for all levels whose values it stands in. Decides nothing.
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
    """What the values of a query, or the arguments of a function in FROM, hold."""

    outer: AggregatedValues | None = None  # that they are part of
    collects: bool = False  # an aggregate that makes one value of many rows
    calls: bool = False  # a function that may be one
    queries: list[tuple[dict[str, Any], bool]] = field(default_factory=list)
    """Subqueries that are values. True: ARRAY(SELECT ...), all of whose rows are."""


_NONE = AggregatedValues()


_Left = list[tuple[Any, AggregatedValues | None, bool]]


class AggregateReading:
    """Of a query as a whole."""

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
        """Whether what is below it is still a value of the same query."""
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
    """The name of what is built in. `percentile_cont` of an array gives as many values as the array has."""
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
