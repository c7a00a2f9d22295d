"""Builds a Catalog from the rows that a server returned, and finds the relations that each view reads.

The server's pg_depend does not list rows that a view uses as a whole. So the query of each view is resolved as well;
a relation or column counts if either source has it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pgjit.errors import PgjitError
from pgjit.sql.catalog import (
    BUILTIN,
    Cast,
    Catalog,
    Column,
    Dependency,
    Function,
    Operator,
    QName,
    Relation,
    Type,
    qname_of,
)
from pgjit.sql.parse import read_message
from pgjit.sql.referenced import CopiedColumn, ReferencedObjects
from pgjit.sql.resolve.casts import plain_name
from pgjit.sql.resolve.resolve import resolve

__all__ = ["build_catalog"]

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]

_EVENTS = {"2": "update", "3": "insert", "4": "delete"}


def build_catalog(
    rows: Rows, *, server_version: int, search_path: tuple[str, ...], database: str, role: str, encoding: str,
    superuser: bool = True, pinned_path: str | None = None,
) -> Catalog:  # fmt: skip
    """`rows` by the names of the queries in `pgjit.server.catalog_queries`."""
    names = {row["oid"]: QName(row["nspname"], row["relname"]) for row in rows["relations"]}
    catalog = Catalog(
        server_version,
        search_path,
        database,
        role,
        _relations(rows, names),
        _functions(rows["functions"]),
        _operators(rows["operators"]),
        _types(rows),
        tuple(
            Cast(
                QName(row["target_schema"], row["target"]),
                QName(row["source_schema"], row["source"]),
                QName(row["function_schema"], row["proname"]) if row["proname"] else None,
                row["context"],
            )
            for row in rows["casts"]
        ),
        encoding,
        superuser,
        pinned_path,
        _secrets(rows["secrets"]),
        _quotes(rows, names),
        operands=_operands(rows),
        extensions={row["extname"]: row["extversion"] for row in rows["extensions"]},
    )
    made = _grouped(rows["view_types"], "ev_class", lambda row: row["type"])
    views = {
        names[row["oid"]]: (row["query"], tuple(made.get(row["oid"], ())))
        for row in rows["relations"]
        if row["query"]
    }
    return _with_views(catalog, views)


def _relations(rows: Rows, names: Mapping[int, QName]) -> dict[str, dict[str, Relation]]:
    columns = _columns(rows)
    numbers = {row["attrelid"]: tuple(row["numbers"]) for row in rows["columns"]}
    reads: dict[int, dict[QName, list[str]]] = {}
    for row in rows["reads"]:
        if read := names.get(row["refobjid"]):
            of_view = reads.setdefault(row["ev_class"], {}).setdefault(read, [])
            if row["attname"] is not None:
                of_view.append(row["attname"])
    calls = _grouped(rows["calls"], "ev_class", lambda row: QName(row["nspname"], row["proname"]))
    rules = _grouped(rows["rules"], "ev_class", lambda row: _EVENTS[row["event"]])
    parents = _grouped(rows["parents"], "inhrelid", lambda row: names.get(row["inhparent"]))
    found: dict[str, dict[str, Relation]] = {}
    for row in rows["relations"]:
        oid = row["oid"]
        found.setdefault(row["nspname"], {})[row["relname"]] = Relation(
            row["kind"],
            columns.get(oid, ()),
            "" if row["builtin"] else row["owner"],
            tuple(Dependency(read, tuple(used)) for read, used in reads.get(oid, {}).items()),
            tuple(calls.get(oid, ())),
            tuple(rules.get(oid, ())) if not row["builtin"] else (),
            tuple(parent for parent in parents.get(oid, ()) if parent),
            int(oid),
            numbers.get(oid, ()),
        )
    return found


def _secrets(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["place"], set()).update([row["setting"]] if row["setting"] else [])
    return {place: tuple(sorted(found[place])) for place in sorted(found)}


def _quotes(rows: Rows, names: Mapping[int, QName]) -> tuple[CopiedColumn, ...]:
    """A partition's values belong to its ancestors as well."""
    parents = _grouped(rows["parents"], "inhrelid", lambda row: row["inhparent"])
    found: set[CopiedColumn] = set()
    for row in rows["quotes"]:
        left = [row["oid"]]
        while left:
            oid = left.pop()
            if oid in names:
                found.add(CopiedColumn(row["place"], names[oid], row["attname"]))
            left += parents.get(oid, ())
    return tuple(sorted(found))


def _columns(rows: Rows) -> dict[int, tuple[Column, ...]]:
    """Equal columns share one value: a large server has few different ones."""
    made = {(row["attrelid"], row["attname"]): tuple(row["sources"]) for row in rows["generated"]}
    builtin = {row["oid"] for row in rows["relations"] if row["builtin"]}
    known: dict[tuple[str, str, bool, tuple[str, ...]], Column] = {}
    found: dict[int, tuple[Column, ...]] = {}
    for row in rows["columns"]:
        oid = row["attrelid"]
        own = oid not in builtin
        equal_columns = (
            (name, kind, filled and own, made.get((oid, name), ()))
            for name, kind, filled in zip(row["names"], row["types"], row["filled"], strict=True)
        )
        found[oid] = tuple(known.setdefault(each, Column(*each)) for each in equal_columns)
    return found


def _grouped(rows: Iterable[Row], key: str, value: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(value(row))
    return found


def _functions(rows: Iterable[Row]) -> dict[str, dict[str, tuple[Function, ...]]]:
    found: dict[str, dict[str, tuple[Function, ...]]] = {}
    for row in rows:
        own = not row["builtin"]
        function = Function(
            builtin=row["builtin"],
            arguments=tuple(row["arguments"]),
            variadic=row["variadic"],
            defaults=row["pronargdefaults"],
            returns=row["returns"] if own else "",
            outputs=tuple(row["outputs"]) if own else (),
            volatility=row["volatility"],
            kind=row["kind"],
            security_definer=row["prosecdef"],
            language=row["lanname"] if own else "",
            extension=row["extname"] if own else None,
            computes=bool(own and row["extname"] and _computes(row)),
        )
        names = found.setdefault(row["nspname"], {})
        names[row["proname"]] = (*names.get(row["proname"], ()), function)
    return found


_LANGUAGES = frozenset({"c", "internal", "sql"})
_NO_RESULTS = frozenset({"void", "trigger", "event_trigger", "internal", "language_handler", "fdw_handler"})
_NO_ARGUMENTS = frozenset({"internal", "cstring", "regclass", "regproc", "regprocedure"})


def _computes(row: Row) -> bool:
    """Whether an extension's function only computes or reads, by its catalog entry. Its C code is not examined."""
    return (
        row["volatility"] in ("i", "s")
        and not row["prosecdef"]
        and row["open"]
        and row["lanname"] in _LANGUAGES
        and row["returns"] not in _NO_RESULTS
        and _NO_ARGUMENTS.isdisjoint(row["arguments"])
    )


def _operators(rows: Iterable[Row]) -> dict[str, dict[str, tuple[Operator, ...]]]:
    """All operators; of the built-in ones the names alone."""
    found: dict[str, dict[str, tuple[Operator, ...]]] = {}
    for row in rows:
        names = found.setdefault(row["nspname"], {})
        before = names.setdefault(row["oprname"], ())
        if not row["builtin"]:
            function = QName(row["function_schema"] or "", row["proname"] or "")
            names[row["oprname"]] = (
                *before,
                Operator(row["left"], row["right"], function, row["returns"], row["extname"]),
            )
    return found


def _operands(rows: Rows) -> dict[str, tuple[tuple[str, str], ...]]:
    casts = [row for row in rows["casts"] if row["context"] == "i" and row["proname"]]
    cast = {
        QName(row[f"{end}_schema"], row[end].removeprefix("_"))
        for row in casts
        for end in ("source", "target")
        if row[f"{end}_schema"] == BUILTIN
    }
    if not cast:
        return {}
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in rows["operators"]:
        sides = (row["left"] or "", row["right"])
        if row["builtin"] and any(QName(BUILTIN, plain_name(side).removesuffix("[]")) in cast for side in sides):
            found[row["oprname"]] = (*found.get(row["oprname"], ()), sides)
    return found


def _types(rows: Rows) -> dict[str, dict[str, Type]]:
    checks = _grouped(rows["checks"], "contypid", lambda row: QName(row["nspname"], row["proname"]))
    uses = _grouped(rows["check_types"], "contypid", lambda row: row["type"])
    found: dict[str, dict[str, Type]] = {}
    for row in rows["types"]:
        calls = (name for name in checks.get(row["oid"], ()) if name.schema != "information_schema")
        numbered = row["kind"] == "e" or row["extname"]
        oids = (int(row["oid"]), int(row["typarray"])) if numbered else ()
        kind = Type(
            row["kind"], tuple(calls), row["base"] or "", tuple(uses.get(row["oid"], ())), oids, row["extname"]
        )
        found.setdefault(row["nspname"], {})[row["typname"]] = kind
    return found


def _with_views(catalog: Catalog, queries: Mapping[QName, tuple[str, tuple[str, ...]]]) -> Catalog:
    """`queries`: the text of each view, and the types that its query makes values of."""
    # The text of a view was written for a search path of pg_catalog alone.
    bare = replace(catalog, search_path=(BUILTIN,), encoding="UTF8")
    relations = {schema: dict(names) for schema, names in catalog.relations.items()}
    for name, (query, made) in queries.items():
        checks = {function for kind in made for function in catalog.checks.get(qname_of(kind), ())}
        relations[name.schema][name.name] = _view(catalog.relations[name.schema][name.name], query, checks, bare)
    return replace(catalog, relations=relations)


def _view(relation: Relation, query: str, checks: set[QName], catalog: Catalog) -> Relation:
    referenced = _resolved(query, catalog)
    used = {dependency.relation: set(dependency.columns) for dependency in relation.reads}
    if referenced is None:  # a query that is not understood may use all of them
        reads = tuple(Dependency(name, (), whole=True) for name in used)
        return replace(relation, reads=reads, calls=tuple(sorted({*relation.calls, *checks})))
    for read in referenced.relations:
        if read.via == "named" and read.schema is not None:
            used.setdefault(QName(read.schema, read.name), set())
    for column in referenced.columns:
        if column.via == "named" and column.schema is not None and column.column is not None:
            used.setdefault(QName(column.schema, column.relation), set()).add(column.column)
    views = {str(name) for name in used if (found := catalog.relation(name)) is not None and found.kind in "vm"}
    calls = {
        *relation.calls,
        *checks,
        *(
            QName(one.schema, one.name)
            for one in referenced.functions
            if one.schema and (not one.through or one.through[0] not in views)
        ),
    }
    reads = tuple(Dependency(name, tuple(sorted(used[name]))) for name in sorted(used))
    return replace(relation, reads=reads, calls=tuple(sorted(calls)))


def _resolved(query: str, catalog: Catalog) -> ReferencedObjects | None:
    try:
        (statement,) = read_message(query).statements
    except (PgjitError, ValueError):
        return None
    referenced = resolve(statement, catalog, stored=True)
    return None if referenced.faults else referenced
