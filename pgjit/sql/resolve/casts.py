"""Finds the function of a cast from one type to another, by PostgreSQL's rules; and what the values of a type hold.

Only casts that call a function count. Types are written as `schema.name`, built-in ones by their name in pg_catalog,
arrays with `[]` appended. Which casts a statement needs is decided in `coercions.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pgjit.sql.catalog import BUILTIN, Catalog, QName, is_builtin_type, qname_of
from pgjit.sql.resolve.reachable_types import ReachableTypes

__all__ = ["ANY", "NULL", "UNKNOWN_TYPES", "UNTYPED", "ApplicableCast", "CastTable", "cast_table_of", "plain_name"]

UNTYPED = "'"
"""In a set of types: an untyped literal, which takes the type that its context needs."""
NULL = "''"
"""In a set of types: NULL, which takes the type that its context needs and passes every check."""
UNKNOWN_TYPES = frozenset((UNTYPED, NULL))
ANY = "?"
"""In a set of types: some built-in type."""

_NAMES = {
    "boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4",
    "double precision": "float8", "character": "bpchar", "character varying": "varchar", "bit varying": "varbit",
    "time without time zone": "time", "time with time zone": "timetz", "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}  # fmt: skip


class ApplicableCast(NamedTuple):
    """A cast that may be applied: its function and its source type."""

    function: QName
    source: str


def plain_name(text: str) -> str:
    """A type that format_type wrote, in the spelling of this file."""
    kind, array = text.replace('"', ""), ""
    while kind.endswith("[]"):
        kind, array = kind[:-2], "[]"
    return _NAMES.get(kind, kind.removeprefix("pg_catalog.")) + array


class CastTable:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._casts: dict[str, list[tuple[str, str, QName]]] = {}
        self._from_builtin: list[tuple[str, str, QName]] = []
        self._flat: dict[str, str] = {}
        self._inner: dict[str, frozenset[str]] = {}
        self._columns: dict[str, dict[str, str]] = {}
        for cast in catalog.casts:
            if cast.function is None:
                continue
            source, target = self.type_of(cast.source), self.type_of(cast.target)
            self._casts.setdefault(source, []).append((target, cast.context, cast.function))
            if is_builtin_type(source):
                self._from_builtin.append((target, cast.context, cast.function))

        self._builtin_sources = frozenset(filter(is_builtin_type, self._casts))

    @property
    def sources(self) -> Iterable[str]:
        return self._casts

    @property
    def builtin_sources(self) -> frozenset[str]:
        return self._builtin_sources

    def any_of(self, types: ReachableTypes) -> bool:
        """Whether a cast may apply: from one of these, or from a built-in type to one of these or a built-in one."""
        for source, casts in self._casts.items():
            builtin = is_builtin_type(source)
            if types.has(source.removesuffix("[]")):
                return True
            if builtin and any(is_builtin_type(made) or types.has(made.removesuffix("[]")) for made, _, _ in casts):
                return True
        return False

    def leads_to(self, source: str) -> Iterable[str]:
        return [target for target, _, _ in self._of(source)]

    def type_of(self, name: QName) -> str:
        """`_t` is the array type of `t`."""
        known = self._catalog.types.get(name.schema, {})
        element, array = name.name, ""
        if element.startswith("_") and element not in known and self._catalog.relation(name) is None:
            element, array = element[1:], "[]"
        return (element if name.schema == BUILTIN else f"{name.schema}.{element}") + array

    def flat(self, kind: str) -> str:
        """The base type of a domain, through any number of domains; any other type as it is."""
        known = self._flat.get(kind)
        if known is None:
            known = self._flat[kind] = self._below(kind)
        return known

    def _below(self, kind: str) -> str:
        for _ in range(64):
            if kind.endswith("[]") or is_builtin_type(kind):
                return kind
            name = qname_of(kind)
            found = self._catalog.types.get(name.schema, {}).get(name.name)
            if found is None or found.kind != "d" or not found.base:
                return kind
            kind = plain_name(found.base)
        return kind

    def is_row(self, kind: str) -> bool:
        return bool(self.columns(kind)) and not is_builtin_type(kind)

    def columns(self, kind: str) -> dict[str, str]:
        """The columns of a row type, with their types."""
        known = self._columns.get(kind)
        if known is None:
            relation = self._catalog.relation(qname_of(kind)) if not kind.endswith("[]") else None
            columns = () if relation is None else relation.columns
            known = {column.name: plain_name(column.type) if column.type else ANY for column in columns}
            self._columns[kind] = known
        return known

    def inner(self, kind: str) -> frozenset[str]:
        """The type and the types in its values: elements, columns, base types; not the bounds of a range."""
        known = self._inner.get(kind)
        if known is None:
            found: set[str] = set()
            left = [kind]
            while left:
                one = left.pop()
                if one in found:
                    continue
                found.add(one)
                if one.endswith("[]"):
                    left.append(one[:-2])
                elif not is_builtin_type(one):
                    left.append(self.flat(one))
                    left += self.columns(one).values()
            known = self._inner[kind] = frozenset(found)
        return known

    def _base(self, kind: str) -> str:
        """The type that casts are looked up by: base types in place of domains, also in an array."""
        kind = self.flat(kind)
        return self.flat(kind[:-2]) + "[]" if kind.endswith("[]") else kind

    def casts(self, source: str, target: str | None, contexts: str) -> Iterator[ApplicableCast]:
        """The casts from one type to another, in these contexts. `target` None: to any built-in type."""
        source = self._base(source)
        if target is not None:
            target = self._base(target)
        for made, context, function in self._of(source):
            if context in contexts and (made == target or (target is None and is_builtin_type(made))):
                yield ApplicableCast(function, source)

    def implicit(self, source: str) -> Iterator[tuple[str, ApplicableCast]]:
        source = self._base(source)
        for made, context, function in self._of(source):
            if context == "i":
                yield made, ApplicableCast(function, source)

    def _of(self, source: str) -> Iterator[tuple[str, str, QName]]:
        """All casts from a type. An array is cast element by element."""
        if source == ANY:
            yield from self._from_builtin
            return
        yield from self._casts.get(source, ())
        if source.endswith("[]"):
            for target, context, function in self._casts.get(source[:-2], ()):
                yield target + "[]", context, function

    def into_row(self, fields: Iterable[str], target: str, contexts: str) -> Iterator[ApplicableCast]:
        """An anonymous row that becomes a row type is cast column by column."""
        kind = self.flat(target).removesuffix("[]")
        inside = set(self.columns(kind).values())
        for field in fields:
            for column in inside:
                yield from self.casts(field, column, contexts)

    def to_json(self, kinds: Iterable[str], targets: tuple[str, ...]) -> Iterator[ApplicableCast]:
        """JSON functions cast a value to json if its type is not built in and neither an array nor a row."""
        for kind in {one for each in kinds for one in self.inner(each)}:
            if not is_builtin_type(kind) and not kind.endswith("[]") and not self.is_row(kind):
                for target in targets:
                    yield from self.casts(kind, target, "eai")


_known: OrderedDict[str, CastTable] = OrderedDict()
_MOST_KNOWN = 4


def cast_table_of(catalog: Catalog) -> CastTable:
    """The table of a catalog, built once for each version of it."""
    found = _known.get(catalog.version)
    if found is None:
        found = _known[catalog.version] = CastTable(catalog)
        while len(_known) > _MOST_KNOWN:
            _known.popitem(last=False)
    return found
