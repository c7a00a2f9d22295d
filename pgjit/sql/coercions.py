"""Where a value becomes one of a domain without the domain's being written: its checks call functions then.

Decides, without knowing the types of expressions, that this may be wherever PostgreSQL's rules let a value take the
type of another: rows that are filled from JSON; arrays, ranges and rows that stand beside others (UNION, CASE,
operators); a domain's value in an array or a function of many types. A domain's value alone is its base type's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgjit.sql.catalog import BUILTIN, Catalog, Function, QName, qname_of
from pgjit.sql.collect import Collector
from pgjit.sql.scopes import Call, Operation
from pgjit.sql.statement import Statement

__all__ = ["coerced"]

_FILL = frozenset({
    "json_populate_record", "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset",
    "jsonb_populate_record_valid", "populate_record",
})  # fmt: skip
_MATCHED = frozenset({"larg", "valuesLists", "CaseExpr", "CoalesceExpr", "MinMaxExpr"})
"""Where values get one type; `larg` is that of UNION and its kind, and of joins."""

_FILL_OPERATOR = "#="
_POLYMORPHIC = frozenset({
    "anyelement", "anyarray", "anynonarray", "anyenum", "anyrange", "anymultirange", "anycompatible",
    "anycompatiblearray", "anycompatiblenonarray", "anycompatiblerange", "anycompatiblemultirange",
})  # fmt: skip


def coerced(
    catalog: Catalog, statement: Statement, found: Collector, calls: Iterable[Call], operations: Iterable[Operation]
) -> Iterator[str]:
    """Types whose checks values of the statement may be put to; also those that reach no check."""
    if not catalog.checks:
        return
    called = {call.parts[-1] for call in calls if call.parts}
    made = [
        kind
        for name in found.met_functions()
        for one in catalog.functions.get(name.schema, {}).get(name.name, ())
        for kind in (one.returns, *one.outputs)
    ]
    if called & _FILL or any(operation.parts[-1:] == (_FILL_OPERATOR,) for operation in operations):
        yield from sorted(found.met_types())
        yield from made
    together = _together(catalog, statement, called)
    for kind in [*_columns(catalog, found), *made]:
        if together or not _is_domain(catalog, kind):
            yield kind
    if together or not _MATCHED.isdisjoint(statement.nodes | statement.fields):
        yield from map(str, found.row_values)


def _columns(catalog: Catalog, found: Collector) -> Iterator[str]:
    """The types of columns that are touched, as they are written in the catalog."""
    touched: dict[QName, set[str | None]] = {}
    for column in found.touched_columns():
        if column.reach == "named" and column.schema is not None:
            touched.setdefault(QName(column.schema, column.relation), set()).add(column.column)
    for name, columns in touched.items():
        relation = catalog.relation(name)
        if relation is not None and name in catalog.checks:
            yield from (one.type for one in relation.columns if None in columns or one.name in columns)


def _is_domain(catalog: Catalog, kind: str) -> bool:
    """Of a plain value, however many domains are over it: beside others it is its base type's, and not checked."""
    while (name := qname_of(kind)) in catalog.checks:
        found = catalog.types.get(name.schema, {}).get(name.name)
        if kind.endswith("[]") or found is None or found.kind != "d":
            return False
        kind = found.base
    return True


def _together(catalog: Catalog, statement: Statement, called: set[str]) -> bool:
    """Whether values are made into arrays, or given to a function that makes its arguments alike."""
    if "A_ArrayExpr" in statement.nodes or statement.scopes.arrays:
        return True
    functions = catalog.functions.get(BUILTIN, {})
    return any(
        name.startswith("array_") or any(_alike(one) for one in functions.get(name, ()) if one.builtin)
        for name in called
    )


def _alike(function: Function) -> bool:
    return sum(kind.strip('"') in _POLYMORPHIC for kind in function.arguments) > 1
