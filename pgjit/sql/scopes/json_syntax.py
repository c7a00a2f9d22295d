"""SQL/JSON syntax as function calls: `JSON_ARRAY(x)` works like the function `json_build_array`.

A server without that syntax reads it as a call of a function `json_array`, which anybody may have defined: that call
is noted as well, with the version up to which it counts. Knows no catalog.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pgjit.sql.scopes.scopes import Call

__all__ = ["SYNTAX", "calls_of"]


class Form(NamedTuple):
    """A node type of SQL/JSON."""

    since: int  # the first server version with this syntax
    calls: str | None = None  # the built-in function that treats its values in the same way
    name: str | None = None  # the function that an older server calls; None: it is a syntax error there


SYNTAX: dict[str, Form] = {
    "JsonArrayAgg": Form(160000, "json_agg", "json_arrayagg"),
    "JsonArrayConstructor": Form(160000, "json_build_array", "json_array"),
    "JsonArrayQueryConstructor": Form(160000, "json_agg"),
    "JsonFuncExpr": Form(170000, "to_jsonb"),
    "JsonIsPredicate": Form(160000),
    "JsonObjectAgg": Form(160000, "json_object_agg"),
    "JsonObjectConstructor": Form(160000, "json_build_object", "json_object"),
    "JsonParseExpr": Form(170000, None, "json"),
    "JsonScalarExpr": Form(170000, "to_json", "json_scalar"),
    "JsonSerializeExpr": Form(170000, "to_json", "json_serialize"),
    "JsonTable": Form(170000, "to_jsonb"),
    "MergeSupportFunc": Form(170000, None, "merge_action"),
}

_FUNCTIONS = {"JSON_EXISTS_OP": "json_exists", "JSON_QUERY_OP": "json_query", "JSON_VALUE_OP": "json_value"}


def calls_of(node_type: str, node: dict[str, Any]) -> tuple[Call, ...]:
    """The functions that a node of that type calls, on servers with this syntax and on older ones."""
    form = SYNTAX[node_type]
    found = []
    if form.calls is not None:
        found.append(Call(("pg_catalog", form.calls), None))
    if name := _FUNCTIONS.get(node.get("op", "")) if node_type == "JsonFuncExpr" else form.name:
        found.append(Call((name,), _arguments(node_type, node), before=form.since))
    return tuple(found)


def _arguments(node_type: str, node: dict[str, Any]) -> int:
    match node_type:
        case "JsonArrayConstructor" | "JsonObjectConstructor":
            return len(node.get("exprs", []))
        case "MergeSupportFunc":
            return 0
        case "JsonFuncExpr":
            return 2
        case _:
            return 1
