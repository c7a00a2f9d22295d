"""Calls that nobody wrote: the functions of casts, and the checks of domains, that a statement's values may need.

Decides where PostgreSQL may turn a value into one of another type: in a cast that is written, where values meet that
are given one type (operators, calls, CASE, UNION), where a truth value or a number is wanted, where a value is
assigned, and in functions that make JSON. A domain's value alone is its base type's; an array, a range or a row of it
that meets others makes values into the domain's.
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
"""Functions in SQL that cast a value of any type to text. So does `||` beside a text."""


class Coercions(NamedTuple):
    casts: tuple[ApplicableCast, ...] = ()
    checked: tuple[str, ...] = ()  # types whose checks values may be put to


def coercions_of(
    catalog: Catalog, path: tuple[str, ...], values: Values, inference: TypeInference, *, stored: bool
) -> Coercions:
    """`stored`: the text of a view. Of that the server knows the casts and checks that are in its query."""
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
        self._conversions: CastTable = cast_table_of(catalog)
        self.casts: list[ApplicableCast] = []
        self.checked: list[str] = []
        self._seen: set[tuple[object, ...]] = set()  # sites of the same names and types

    def at(self, value: Value) -> None:
        """What the value's parts may be made into there."""
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
                        self.casts += self._conversions.casts(kind, target, "ai")
            case "execute":
                self._execute(value)
            case "declared":
                target = self._inference.type_named(value.name, array=value.array)
                if not is_builtin_type(target):
                    self.casts += self._conversions.casts(ANY, target, "ai")
            case "assign":
                self._assign(value)
            case "same":
                self._alike([self._inference.types[part] for part in value.parts])
            case "union":
                self._union(value)

    def _again(self, *site: object) -> bool:
        if site in self._seen:
            return True
        self._seen.add(site)
        return False

    def _kinds(self, parts: Iterable[int]) -> TypeSet:
        return self._inference.union(parts)

    def _execute(self, value: Value) -> None:
        """Into which types is not known here: from a built-in one to one's own counts where that is declared."""
        for kind in self._kinds(value.parts):
            flat = self._conversions.flat(kind)
            for target in self._conversions.leads_to(flat):
                if not is_builtin_type(flat) or is_builtin_type(target):
                    self.casts += self._conversions.casts(kind, target, "ai")

    def _cast(self, target: str, parts: tuple[int, ...], contexts: str) -> None:
        for kind in self._kinds(parts):
            self.casts += self._conversions.casts(kind, target, contexts)
        self.casts += self._conversions.casts(target, target, "eai")  # to its length
        for part in parts:
            self.casts += self._conversions.into_row(self._inference.fields[part], target, contexts)

    def _json(self, parts: Iterable[int], targets: tuple[str, ...]) -> None:
        kinds = set(self._kinds(parts))
        for part in parts:
            kinds |= self._inference.fields[part]
        self.casts += self._conversions.to_json(kinds, targets)

    # Where values meet that are given one type.

    def _alike(self, sides: list[TypeSet]) -> None:
        """The common type of several is one of theirs."""
        if self._again("alike", *dict.fromkeys(sides), len(sides) > 1):
            return
        every = {kind for kinds in sides for kind in kinds}
        self._inference.spend(4 * len(every) + len(sides))
        flat = {self._conversions.flat(kind) for kind in every}
        for kind in every if len(every) > 1 else ():
            for target, found in self._conversions.implicit(kind):
                if target in flat or (ANY in flat and is_builtin_type(target)):
                    self.casts.append(found)
        self._beside(sides, null=False)

    def _beside(self, sides: list[TypeSet], *, rows: bool = True, null: bool = True) -> None:
        """An array, a range or a row that holds a domain: what stands beside it becomes one, unless it is one.

        `rows`: whether a row counts, which operators take as it is; `null`: whether NULL is checked, as in calls.
        """
        if not self._catalog.checks:
            return
        same = frozenset[str]() if null else frozenset((NULL,))
        for index, kinds in enumerate(sides):
            self._inference.spend(len(kinds))
            for kind in kinds:
                flat = self._conversions.flat(kind)
                if qname_of(flat) not in self._catalog.checks or (self._conversions.is_row(flat) and not rows):
                    continue
                if any(others - same - {kind} for number, others in enumerate(sides) if number != index):
                    self.checked.append(flat)

    def _union(self, value: Value) -> None:
        left, right = (self._inference.columns[part] for part in value.parts)
        if left is not None and right is not None and len(left) == len(right):
            for pair in zip(left, right, strict=True):
                self._alike(list(pair))
        else:  # which meets which is not known
            self._alike([self._all_of(part) for part in value.parts])

    def _all_of(self, part: int) -> TypeSet:
        columns = self._inference.columns[part]
        found = frozenset[str]().union(*columns) if columns is not None else self._inference.fields[part]
        return found | ({ANY, UNTYPED} if columns is None else set())

    def natural(self) -> None:
        """Which columns two sides have in common is not looked for: each may meet another of its name."""
        if self._stored:
            return
        for kinds in self._inference.by_names():
            if any(not is_builtin_type(kind) for kind in kinds):
                self._compared(("=",), [kinds, kinds])
                self._alike([kinds, kinds])

    def _operator(self, value: Value) -> None:
        name = value.name[-1] if value.name else ""
        sides = [self._inference.types[part] for part in value.parts]
        if self._again("operator", value.name, *sides, *(self._inference.fields[part] for part in value.parts)):
            return
        if name == _FILL_OPERATOR:
            self._fill([self._inference.types[value.parts[0]], self._inference.fields[value.parts[0]]])
        if name == "||":  # beside a text anything is cast to text
            for part in value.parts:
                for kind in self._inference.types[part]:
                    if not is_builtin_type(kind):
                        self.casts += self._conversions.casts(kind, "text", "eai")
        if self._stored:
            return
        self._compared(value.name, sides)
        if name == "||":
            elements = [frozenset(kind.removesuffix("[]") for kind in kinds) for kinds in sides]
            self._alike([kinds for kinds in elements if kinds - UNKNOWN_TYPES - {ANY}])
        for side, part in zip(sides, value.parts, strict=True):
            if self._inference.fields[part] and not side - {"record"}:
                self._rows(value.parts)
        self._beside(sides, rows=False)

    def _rows(self, parts: tuple[int, ...]) -> None:
        """Rows are compared column by column."""
        inside = [self._inference.fields[part] for part in parts]
        inside = [
            kinds
            | {inner for kind in self._inference.types[part] for inner in self._conversions.columns(kind).values()}
            for kinds, part in zip(inside, parts, strict=True)
        ]
        self._compared(("=",), inside)

    def _compared(self, written: tuple[str, ...], sides: list[TypeSet]) -> None:
        if self._again("=", written, *sides):
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
        self.casts += casts_for_call(self._conversions, fitting, sides, self._inference.spend)

    def _call(self, value: Value) -> None:
        types = [self._inference.types[part] for part in value.parts]
        fields = [self._inference.fields[part] for part in value.parts]
        self._called(value.name, value.number, types, fields)

    def _attribute(self, value: Value) -> None:
        """`(x).f` and `x.f` call `f` where x has no such column."""
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
                if name not in self._conversions.columns(self._conversions.flat(kind))
            )
            if kinds:
                self._called((name,), 1, [kinds], [self._inference.fields[part]])

    def _called(self, written: tuple[str, ...], count: int, types: list[TypeSet], fields: list[TypeSet]) -> None:
        name = written[-1] if written else ""
        if self._again(written, count, *types, *fields):
            return
        if name in _FILL:
            self._fill(types[:1] + fields[:1] if count >= 0 else types + fields)
        signatures = list(self._inference.signatures(written, count)) if written else []
        every = frozenset[str]().union(*types)
        if any(schema == BUILTIN for schema, _ in signatures):
            if "json" in name and name not in _FROM_JSON:
                self.casts += self._conversions.to_json(every.union(*fields), ("json",))
            elif name in _AS_TEXT:
                for kind in every:
                    self.casts += self._conversions.casts(kind, "text", "eai")
        if self._stored:
            return
        if count < 0:
            taken = {plain_name(kind) for _, one in signatures for kind in one.arguments}
            for kind in every:
                self.casts += (found for target, found in self._conversions.implicit(kind) if target in taken)
            self._alike_where_polymorphic([types])
            return
        candidates = [_stretched(one.arguments, count, variadic=one.variadic) for _, one in signatures]
        self.casts += casts_for_call(self._conversions, candidates, types, self._inference.spend)
        for taken_by in candidates:
            for inside, kind in zip(fields, taken_by, strict=False):
                self.casts += self._conversions.into_row(inside, kind, "i")
        self._alike_where_polymorphic(
            [[kinds for kinds, kind in zip(types, one, strict=False) if kind in POLYMORPHIC] for one in candidates]
        )

    def _alike_where_polymorphic(self, groups: list[list[TypeSet]]) -> None:
        for group in groups:
            if len(group) > 1:
                self._beside(group)
                self._alike([frozenset(kind.removesuffix("[]") for kind in kinds) for kinds in group])

    def _fill(self, rows: Iterable[TypeSet]) -> None:
        """A row that is filled from JSON or hstore: its columns are checked."""
        for kinds in rows:
            self.checked += sorted(kind for kind in kinds if qname_of(kind) in self._catalog.checks)

    # Assignments.

    def _assign(self, value: Value) -> None:
        name = self._inference.relation(value.name)
        columns = self._conversions.columns(str(name)) if name is not None else {}
        named = [columns.get(column, ANY) for column in value.columns] or list(columns.values())
        (query,) = value.parts
        given = self._inference.columns[query]
        if value.number or given is None:
            inner = {one for kind in named for one in self._conversions.inner(kind)}
            pairs = [(kind, target) for kind in self._all_of(query) for target in inner]
        else:
            pairs = [(kind, target) for kinds, target in zip(given, named, strict=False) for kind in kinds]
        for kind, target in pairs:
            self.casts += self._conversions.casts(kind, target, "ai")
            self.casts += self._conversions.casts(target, target, "ai")
        for part in (query, *self._values[query].parts):
            for target in named:
                if self._conversions.is_row(self._conversions.flat(target).removesuffix("[]")):
                    self.casts += self._conversions.into_row(self._inference.fields[part], target, "ai")


def _stretched(taken: tuple[str, ...], count: int, *, variadic: bool) -> list[str]:
    """The types of so many arguments: the last of VARIADIC stands for several."""
    found = [plain_name(kind) for kind in taken]
    if variadic and found and (count >= len(found)):
        last = found.pop()
        element = "anyelement" if last == "anyarray" else last.removesuffix("[]")
        found += [element] * (count - len(found))
    return found[:count]
