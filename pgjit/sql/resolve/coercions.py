"""Coercions: the cast functions and domain checks that PostgreSQL may call where a statement does not name them.

Decides where a value may be coerced to another type: in an explicit cast; where several values get a common type
(operators, calls, CASE, UNION); where a boolean or a number is required; in an assignment; and in functions that
make JSON. A value of a domain by itself counts as its base type. An array, a range or a row of the domain beside
other values coerces those to the domain. `casts.py` finds the function of each cast.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pgjit.sql.catalog import BUILTIN, Catalog, is_builtin_type, qname_of
from pgjit.sql.resolve.casts import (
    ANY,
    NULL,
    UNKNOWN_TYPES,
    UNTYPED,
    ApplicableCast,
    CastTable,
    cast_table_of,
    plain_name,
)
from pgjit.sql.resolve.overloads import POLYMORPHIC, casts_for_call
from pgjit.sql.resolve.type_inference import TypeInference, TypeSet
from pgjit.sql.scopes.expressions import Value, Values

__all__ = ["Coercions", "coercions_of"]

_FILL = frozenset({
    "json_populate_record", "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset",
    "jsonb_populate_record_valid", "populate_record",
})  # fmt: skip
_FROM_JSON = _FILL | {"json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset"}
_FILL_OPERATOR = "#="
_AS_TEXT = frozenset({"quote_literal", "quote_nullable"})
"""Functions written in SQL that cast a value of any type to text. `||` with a text does so, too."""


class Coercions(NamedTuple):
    casts: tuple[ApplicableCast, ...] = ()
    checked: tuple[str, ...] = ()  # types whose domain checks may run


def coercions_of(
    catalog: Catalog, path: tuple[str, ...], values: Values, inference: TypeInference, *, stored: bool
) -> Coercions:
    """`stored`: for the query of a view. The server has recorded its casts and checks, but for those in functions."""
    sites = _Sites(catalog, path, values, inference, stored=stored)
    for value in values.values:
        sites.at(value)
    if values.natural:
        sites.natural()
    return Coercions(tuple(dict.fromkeys(sites.casts)), tuple(dict.fromkeys(sites.checked)))


class _Sites:
    def __init__(
        self, catalog: Catalog, path: tuple[str, ...], values: Values, inference: TypeInference, *, stored: bool
    ) -> None:
        self._catalog = catalog
        self._path = path
        self._values = values.values
        self._inference = inference
        self._stored = stored
        self._cast_table: CastTable = cast_table_of(catalog)
        self.casts: list[ApplicableCast] = []
        self.checked: list[str] = []
        self._seen: set[tuple[object, ...]] = set()  # sites with the same names and types, done already

    def at(self, value: Value) -> None:
        """Add the coercions of a value's parts."""
        if value.kind == "json":
            self._json(value.parts, ("json", "jsonb"))
        elif value.kind == "call":
            self._call(value)
        elif value.kind == "operator":
            self._operator(value)
        elif value.kind in ("field", "column"):
            self._attribute(value)
        if self._stored:
            return
        match value.kind:
            case "cast":
                self._cast(self._inference.type_named(value.name, array=value.array), value.parts, "eai")
            case "store":
                self._cast(self._inference.type_named(value.name, array=value.array), value.parts, "ai")
            case "into":
                for kind in self._kinds(value.parts):
                    for target in value.name or (None,):
                        self.casts += self._cast_table.casts(kind, target, "ai")
            case "execute":
                self._execute(value)
            case "declared":
                target = self._inference.type_named(value.name, array=value.array)
                if not is_builtin_type(target):
                    self.casts += self._cast_table.casts(ANY, target, "ai")
            case "assign":
                self._assign(value)
            case "same":
                self._common_type([self._inference.types[part] for part in value.parts])
            case "union":
                self._union(value)

    def _is_done(self, *site: object) -> bool:
        if site in self._seen:
            return True
        self._seen.add(site)
        return False

    def _kinds(self, parts: Iterable[int]) -> TypeSet:
        return self._inference.union(parts)

    def _execute(self, value: Value) -> None:
        """The parameter types are not known here. A cast from a built-in type counts where PREPARE declares it."""
        for kind in self._kinds(value.parts):
            flat = self._cast_table.flat(kind)
            for target in self._cast_table.leads_to(flat):
                if not is_builtin_type(flat) or is_builtin_type(target):
                    self.casts += self._cast_table.casts(kind, target, "ai")

    def _cast(self, target: str, parts: tuple[int, ...], contexts: str) -> None:
        for kind in self._kinds(parts):
            self.casts += self._cast_table.casts(kind, target, contexts)
        self.casts += self._cast_table.casts(target, target, "eai")  # to its length
        for part in parts:
            self.casts += self._cast_table.into_row(self._inference.fields[part], target, contexts)

    def _json(self, parts: Iterable[int], targets: tuple[str, ...]) -> None:
        kinds = set(self._kinds(parts))
        for part in parts:
            kinds |= self._inference.fields[part]
        self.casts += self._cast_table.to_json(kinds, targets)

    # Values that get a common type.

    def _common_type(self, sides: list[TypeSet]) -> None:
        """The common type of several values is one of their types."""
        if self._is_done("common type", *dict.fromkeys(sides), len(sides) > 1):
            return
        every = {kind for kinds in sides for kind in kinds}
        self._inference.spend(4 * len(every) + len(sides))
        flat = {self._cast_table.flat(kind) for kind in every}
        for kind in every if len(every) > 1 else ():
            for target, found in self._cast_table.implicit(kind):
                if target in flat or (ANY in flat and is_builtin_type(target)):
                    self.casts.append(found)
        self._check_beside(sides, null=False)

    def _check_beside(self, sides: list[TypeSet], *, rows: bool = True, null: bool = True) -> None:
        """Values beside an array, a range or a row that holds a domain are coerced to that type, and checked.

        `rows`: whether row types count (not for operators, which take a row as it is). `null`: whether NULL is
        checked, as in calls.
        """
        if not self._catalog.checks:
            return
        same = frozenset[str]() if null else frozenset((NULL,))
        for index, kinds in enumerate(sides):
            self._inference.spend(len(kinds))
            for kind in kinds:
                flat = self._cast_table.flat(kind)
                if qname_of(flat) not in self._catalog.checks or (self._cast_table.is_row(flat) and not rows):
                    continue
                if any(others - same - {kind} for number, others in enumerate(sides) if number != index):
                    self.checked.append(flat)

    def _union(self, value: Value) -> None:
        left, right = (self._inference.columns[part] for part in value.parts)
        if left is not None and right is not None and len(left) == len(right):
            for pair in zip(left, right, strict=True):
                self._common_type(list(pair))
        else:  # which columns are paired is not known
            self._common_type([self._all_of(part) for part in value.parts])

    def _all_of(self, part: int) -> TypeSet:
        columns = self._inference.columns[part]
        found = frozenset[str]().union(*columns) if columns is not None else self._inference.fields[part]
        return found | ({ANY, UNTYPED} if columns is None else set())

    def natural(self) -> None:
        """NATURAL JOIN: every column may be compared with any other of its name."""
        if self._stored:
            return
        for kinds in self._inference.by_names():
            if any(not is_builtin_type(kind) for kind in kinds):
                self._compared(("=",), [kinds, kinds])
                self._common_type([kinds, kinds])

    def _operator(self, value: Value) -> None:
        name = value.name[-1] if value.name else ""
        sides = [self._inference.types[part] for part in value.parts]
        if self._is_done("operator", value.name, *sides, *(self._inference.fields[part] for part in value.parts)):
            return
        if name == _FILL_OPERATOR:
            self._fill([self._inference.types[value.parts[0]], self._inference.fields[value.parts[0]]])
        if name == "||":  # beside a text anything is cast to text
            for part in value.parts:
                for kind in self._inference.types[part]:
                    if not is_builtin_type(kind):
                        self.casts += self._cast_table.casts(kind, "text", "eai")
        if self._stored:
            return
        self._compared(value.name, sides)
        if name == "||":
            elements = [frozenset(kind.removesuffix("[]") for kind in kinds) for kinds in sides]
            self._common_type([kinds for kinds in elements if kinds - UNKNOWN_TYPES - {ANY}])
        for side, part in zip(sides, value.parts, strict=True):
            if self._inference.fields[part] and not side - {"record"}:
                self._rows(value.parts)
        self._check_beside(sides, rows=False)

    def _rows(self, parts: tuple[int, ...]) -> None:
        """Rows are compared column by column."""
        inside = [self._inference.fields[part] for part in parts]
        inside = [
            kinds
            | {inner for kind in self._inference.types[part] for inner in self._cast_table.columns(kind).values()}
            for kinds, part in zip(inside, parts, strict=True)
        ]
        self._compared(("=",), inside)

    def _compared(self, written: tuple[str, ...], sides: list[TypeSet]) -> None:
        if self._is_done("=", written, *sides):
            return
        candidates = []
        for schema in self._path if len(written) == 1 else written[-2:-1]:
            own = self._catalog.operators.get(schema, {}).get(written[-1], ())
            candidates += [[one.left or "", one.right] for one in own]
            if schema == BUILTIN:
                candidates += [list(pair) for pair in self._catalog.operands.get(written[-1], ())]
        shaped = [[plain_name(kind) for kind in pair if kind] for pair in candidates]
        fitting = [pair for pair in shaped if len(pair) == len(sides)]
        self._inference.spend(len(candidates))
        self.casts += casts_for_call(self._cast_table, fitting, sides, self._inference.spend)

    def _call(self, value: Value) -> None:
        types = [self._inference.types[part] for part in value.parts]
        fields = [self._inference.fields[part] for part in value.parts]
        self._called(value.name, value.number, types, fields)

    def _attribute(self, value: Value) -> None:
        """`(x).f` and `x.f` call `f` if x has no such column."""
        if value.kind == "field":
            sources, name = list(value.parts), value.name[-1] if value.name else ""
        elif len(value.name) > 1:
            sources, name = self._inference.sources(value.name[-2]), value.name[-1]
        else:
            return
        for part in sources:
            kinds = frozenset(
                kind
                for kind in self._inference.types[part]
                if name not in self._cast_table.columns(self._cast_table.flat(kind))
            )
            if kinds:
                self._called((name,), 1, [kinds], [self._inference.fields[part]])

    def _called(self, written: tuple[str, ...], count: int, types: list[TypeSet], fields: list[TypeSet]) -> None:
        name = written[-1] if written else ""
        if self._is_done(written, count, *types, *fields):
            return
        if name in _FILL:
            self._fill(types[:1] + fields[:1] if count >= 0 else types + fields)
        signatures = list(self._inference.signatures(written, count)) if written else []
        every = frozenset[str]().union(*types)
        if any(schema == BUILTIN for schema, _ in signatures):
            if "json" in name and name not in _FROM_JSON:
                self.casts += self._cast_table.to_json(every.union(*fields), ("json",))
            elif name in _AS_TEXT:
                for kind in every:
                    self.casts += self._cast_table.casts(kind, "text", "eai")
        if self._stored:
            return
        if count < 0:
            taken = {plain_name(kind) for _, one in signatures for kind in one.arguments}
            for kind in every:
                self.casts += (found for target, found in self._cast_table.implicit(kind) if target in taken)
            self._common_type_of_polymorphic([types])
            return
        candidates = [_expand_variadic(one.arguments, count, variadic=one.variadic) for _, one in signatures]
        self.casts += casts_for_call(self._cast_table, candidates, types, self._inference.spend)
        for taken_by in candidates:
            for inside, kind in zip(fields, taken_by, strict=False):
                self.casts += self._cast_table.into_row(inside, kind, "i")
        self._common_type_of_polymorphic(
            [[kinds for kinds, kind in zip(types, one, strict=False) if kind in POLYMORPHIC] for one in candidates]
        )

    def _common_type_of_polymorphic(self, groups: list[list[TypeSet]]) -> None:
        for group in groups:
            if len(group) > 1:
                self._check_beside(group)
                self._common_type([frozenset(kind.removesuffix("[]") for kind in kinds) for kinds in group])

    def _fill(self, rows: Iterable[TypeSet]) -> None:
        """A row that is filled from JSON or hstore: the checks of its columns run."""
        for kinds in rows:
            self.checked += sorted(kind for kind in kinds if qname_of(kind) in self._catalog.checks)

    # Assignments.

    def _assign(self, value: Value) -> None:
        name = self._inference.relation(value.name)
        columns = self._cast_table.columns(str(name)) if name is not None else {}
        named = [columns.get(column, ANY) for column in value.columns] or list(columns.values())
        (query,) = value.parts
        values = self._inference.columns[query]
        if value.number or values is None:
            inner = {one for kind in named for one in self._cast_table.inner(kind)}
            pairs = [(kind, target) for kind in self._all_of(query) for target in inner]
        else:
            pairs = [(kind, target) for kinds, target in zip(values, named, strict=False) for kind in kinds]
        for kind, target in pairs:
            self.casts += self._cast_table.casts(kind, target, "ai")
            self.casts += self._cast_table.casts(target, target, "ai")
        for part in (query, *self._values[query].parts):
            for target in named:
                if self._cast_table.is_row(self._cast_table.flat(target).removesuffix("[]")):
                    self.casts += self._cast_table.into_row(self._inference.fields[part], target, "ai")


def _expand_variadic(taken: tuple[str, ...], count: int, *, variadic: bool) -> list[str]:
    """The parameter types for `count` arguments: a VARIADIC parameter is repeated."""
    found = [plain_name(kind) for kind in taken]
    if variadic and found and (count >= len(found)):
        last = found.pop()
        element = "anyelement" if last == "anyarray" else last.removesuffix("[]")
        found += [element] * (count - len(found))
    return found[:count]
