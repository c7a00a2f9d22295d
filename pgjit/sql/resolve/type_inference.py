"""Type inference: the set of types that each value of a statement may have.

Types come from columns, casts and calls, and are passed on from the parts of a value to the value. A set may be too
large but is never too small: if a name is not found, its value may have any type of the statement. Which casts the
values need is decided in `coercions.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pgjit.sql.catalog import BUILTIN, Catalog, Function, QName, is_builtin_type
from pgjit.sql.resolve.casts import ANY, NULL, UNKNOWN_TYPES, UNTYPED, CastTable, plain_name
from pgjit.sql.resolve.overloads import POLYMORPHIC
from pgjit.sql.scopes.expressions import Value, Values

__all__ = ["TypeInference", "TypeSet"]

TypeSet = frozenset[str]
RowTypes = tuple[TypeSet, ...]

_NONE: TypeSet = frozenset()
_SAME = frozenset({
    "any_value", "array_agg", "array_append", "array_cat", "array_prepend", "array_remove", "array_replace",
    "array_reverse", "array_sample", "array_shuffle", "array_sort", "first_value", "lag", "last_value", "lead", "max",
    "min", "nth_value", "trim_array", "unnest",
})  # fmt: skip
"""Built-in functions whose result has the type of their argument, or of its elements, or of an array of it."""
_OFFSET = frozenset({"lag", "lead", "nth_value"})  # their second argument is a number
_ROUNDS = 12
"""Rounds of passing types on. Then every value without a stable set may have any type of the statement."""


class TypeInference:
    """After `run`: the `types` of each value, and in `fields` the types of the columns of an anonymous row."""

    def __init__(
        self, catalog: Catalog, path: tuple[str, ...], values: Values, conversions: CastTable,
        spend: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._path = path
        self._all = values
        self._cast_table = conversions
        self.spend = spend
        self.values = values.values
        self.types: list[TypeSet] = [_NONE] * len(self.values)
        self.fields: list[TypeSet] = [_NONE] * len(self.values)
        self.columns: list[RowTypes | None] = [None] * len(self.values)
        self._rows: set[str] = set()
        self._named: dict[str, set[str]] = {}  # types of the columns of row types, by column name
        self._every_type: set[str] = {ANY, UNTYPED}
        self._unknown_names_have_any_type = False
        self._results_by_call: dict[
            tuple[object, ...], TypeSet
        ] = {}  # result types of calls, by name and argument types

    def run(self) -> None:
        for index, value in enumerate(self.values):
            if value.kind == "relation" and (name := self.relation(value.name)) is not None:
                self._row(str(name))
                self.types[index] = frozenset((str(name),))
        if self._settle():
            self._unknown_names_have_any_type = True  # names that are still not found may have any type
            if self._settle():
                return
        self.types = [frozenset(self._every_type) if kinds else kinds for kinds in self.types]

    def _settle(self) -> bool:
        for _ in range(_ROUNDS):
            self.spend(len(self.values))
            if not self._round():
                return True
        return False

    def _round(self) -> bool:
        changed = False
        rows = len(self._rows)
        for index in range(len(self.values) - 1, -1, -1):
            value = self.values[index]
            types, fields = self._of(value)
            columns = self._columns(value)
            if not types <= self.types[index] or not fields <= self.fields[index] or columns != self.columns[index]:
                self.types[index] |= types
                self.fields[index] |= fields
                self.columns[index] = columns
                self._met(types)
                self.spend(1 + len(types) // 2)
                changed = True
        return changed or len(self._rows) != rows

    def _met(self, types: Iterable[str]) -> None:
        self._every_type.update(types)
        for kind in types:
            if not is_builtin_type(kind) and kind not in self._rows:
                for inner in self._cast_table.inner(kind):
                    self._row(inner)

    def _row(self, kind: str) -> None:
        if kind in self._rows:
            return
        self._rows.add(kind)
        columns = self._cast_table.columns(kind)
        self.spend(len(columns))
        for name, column in columns.items():
            self._named.setdefault(name, set()).add(column)
            self._every_type.add(column)

    def relation(self, written: tuple[str, ...]) -> QName | None:
        if len(written) == 1 and written[0] in self._all.queries:
            return None
        for schema in self._path if len(written) == 1 else written[-2:-1]:
            if written[-1] in self._catalog.relations.get(schema, ()):
                return QName(schema, written[-1])
        return None

    def type_named(self, parts: tuple[str, ...], *, array: bool = False) -> str:
        name = parts[-1] if parts else ""
        for word, more in ((name, array), (name.removeprefix("_"), True)):
            for schema in self._path if len(parts) == 1 else parts[-2:-1]:
                found = QName(schema, word)
                if word in self._catalog.types.get(schema, ()) or self._catalog.relation(found) is not None:
                    return (word if schema == BUILTIN else str(found)) + ("[]" if more else "")
        return name + ("[]" if array else "")

    # The types of one value.

    def _of(self, value: Value) -> tuple[TypeSet, TypeSet]:
        match value.kind:
            case "loose":
                return frozenset((UNTYPED,)), _NONE
            case "null":
                return frozenset((NULL,)), _NONE
            case "parameter":
                return frozenset((UNTYPED, ANY)), _NONE
            case "typed" | "cast":
                return frozenset((self.type_named(value.name, array=value.array),)), _NONE
            case "column":
                return self._column(value.name)
            case "star" if not value.parts:  # `f(x.*)`: the row
                return self._column(value.name) if value.name else (_NONE, _NONE)
            case "relation":
                return self._relation_row(value)
            case "call":
                return self._call(value)
            case "operator":
                return self._operator(value)
            case "field":
                return self._field(value)
            case "json":
                return frozenset((ANY,)), _NONE
            case "nth":
                return self._nth(value)
            case "query" | "union" | "row":
                return frozenset(("record",)), self._within(value.parts)
            case "into" | "store" | "assign" | "execute" | "declared" | "merged":
                return _NONE, _NONE
        return self._made(value)

    def _made(self, value: Value) -> tuple[TypeSet, TypeSet]:
        types = self.union(value.parts)
        fields = self._inside(value.parts)
        match value.kind:
            case "each":
                types = frozenset(self._element(kind) for kind in types)
            case "array":
                types = frozenset(kind if kind.endswith("[]") else self._array(kind) for kind in types)
            case "same":
                types = self._one(types)
            case "other":
                types |= {ANY}
            case "within":
                types |= {column for kind in types for column in self._cast_table.columns(kind).values()}
        return types, fields

    def union(self, parts: Iterable[int]) -> TypeSet:
        return frozenset[str]().union(*(self.types[part] for part in parts))

    def _within(self, parts: Iterable[int]) -> TypeSet:
        found = set(self.union(parts))
        for part in parts:
            found |= self.fields[part]
        found.discard("record")
        return frozenset(found)

    def _element(self, kind: str) -> str:
        flat = self._cast_table.flat(kind)
        return flat[:-2] if flat.endswith("[]") else flat if is_builtin_type(flat) else ANY

    def _array(self, kind: str) -> str:
        return {UNTYPED: "text[]", NULL: "text[]", ANY: ANY}.get(kind, f"{kind}[]")

    def _column(self, parts: tuple[str, ...]) -> tuple[TypeSet, TypeSet]:
        name = parts[-1]
        self.spend(1)
        if len(parts) == 1:
            aliases = self._all.aliases.get(name, ())
            types = self.union(aliases) | self._by_name(name)
            return types or self._anything(), self._inside(aliases) | self._inside_named(name)
        sources = self._all.aliases.get(parts[-2], ())
        if sources and all(self.values[index].kind == "relation" and self.types[index] for index in sources):
            kinds = {kind for index in sources for kind in self.types[index]}
            if "record" not in kinds:
                rows = [self._cast_table.columns(kind) for kind in kinds]
                if found := frozenset(row[name] for row in rows if name in row):
                    return found, _NONE
                return self._results(name, 1, self._path, ()) | self._by_name(name) or frozenset((ANY,)), _NONE
        types = self._by_name(name)
        called = self._results(name, 1, self._path, ())
        types |= called - {ANY} if types else called
        return types or self._anything(), self._inside_named(name)

    def _inside(self, parts: Iterable[int]) -> TypeSet:
        return frozenset[str]().union(*(self.fields[part] for part in parts))

    def _inside_named(self, name: str) -> TypeSet:
        return self._inside(self._all.names.get(name, ()))

    def _anything(self) -> TypeSet:
        return frozenset(self._every_type) if self._unknown_names_have_any_type else _NONE

    def _by_name(self, name: str) -> TypeSet:
        found = self.union(self._all.names.get(name, ()))
        return found | self._named.get(name, set())

    def _relation_row(self, value: Value) -> tuple[TypeSet, TypeSet]:
        if (name := self.relation(value.name)) is not None:
            return frozenset((str(name),)), _NONE
        queries = self._all.queries.get(value.name[-1], ())
        return frozenset(("record",)), self._inside(queries)

    def _field(self, value: Value) -> tuple[TypeSet, TypeSet]:
        if not value.name:  # `(x).*`
            kinds = self._within(value.parts)
            return kinds | {inner for kind in kinds for inner in self._cast_table.columns(kind).values()}, _NONE
        name = value.name[0]
        kinds = self.union(value.parts)
        rows = [self._cast_table.columns(self._cast_table.flat(kind)) for kind in kinds]
        found = {row[name] for row in rows if name in row}
        if any(self.fields[part] for part in value.parts):
            found |= self._by_name(name) or self._within(value.parts)
        if not found:
            found |= self._results(name, 1, self._path, value.parts) or self._anything()
        return frozenset(found), _NONE

    # Calls.

    def signatures(self, parts: tuple[str, ...], count: int) -> Iterator[tuple[str, Function]]:
        """The overloads that take `count` arguments; below 0: all of them."""
        for schema in self._path if len(parts) == 1 else parts[-2:-1]:
            for one in self._catalog.functions.get(schema, {}).get(parts[-1], ()):
                if count < 0 or one.takes(count):
                    yield schema, one

    def _call(self, value: Value) -> tuple[TypeSet, TypeSet]:
        schemas = self._path if len(value.name) == 1 else value.name[-2:-1]
        fields = self._inside(value.parts)
        found = self._results(value.name[-1], value.number, schemas, value.parts)
        if not found and not any(self.signatures(value.name, -1)):  # `t(x)` casts where t is a type
            found = frozenset((self.type_named(value.name), ANY))
        return found, fields

    def _results(self, name: str, count: int, schemas: tuple[str, ...], parts: tuple[int, ...]) -> TypeSet:
        if name in _OFFSET:
            parts = parts[:1] + parts[2:]
        kinds = self.union(parts)
        key = (name, count, schemas, kinds)
        known = self._results_by_call.get(key)
        if known is None:
            known = self._results_by_call[key] = self._returned(name, count, schemas, kinds)
        return known

    def _returned(self, name: str, count: int, schemas: tuple[str, ...], kinds: TypeSet) -> TypeSet:
        found: set[str] = set()
        for schema in schemas:
            for one in self._catalog.functions.get(schema, {}).get(name, ()):
                if count >= 0 and not one.takes(count):
                    continue
                self.spend(2)
                if one.builtin and name in _SAME and any(not is_builtin_type(_element(kind)) for kind in kinds):
                    found |= self._polymorphic(name, kinds)
                elif one.builtin and (kinds or name not in _SAME):
                    found.add(ANY)
                elif not one.builtin:
                    found |= {plain_name(kind) for kind in (one.returns, *one.outputs) if kind}
                if any(kind in POLYMORPHIC or kind in ("record", '"any"') for kind in one.arguments):
                    found |= self._polymorphic(name, kinds)
        return frozenset(found - POLYMORPHIC)

    def _polymorphic(self, name: str, kinds: TypeSet) -> set[str]:
        own = {kind for kind in kinds if not is_builtin_type(_element(kind)) or name in _SAME} - UNKNOWN_TYPES
        if name.startswith("array_") and name not in ("array_to_json", "array_length"):
            return {kind if kind.endswith("[]") else self._array(kind) for kind in own}
        if name in ("unnest", "array_sample"):
            return {self._element(kind) if kind.endswith("[]") else kind for kind in own}
        return own

    def _operator(self, value: Value) -> tuple[TypeSet, TypeSet]:
        name = value.name[-1] if value.name else ""
        key = (value.name,)
        known = self._results_by_call.get(key)
        if known is None:
            schemas = self._path if len(value.name) == 1 else value.name[-2:-1]
            every = [one for schema in schemas for one in self._catalog.operators.get(schema, {}).get(name, ())]
            self.spend(2 * len(every))
            known = self._results_by_call[key] = frozenset((ANY, *(plain_name(one.returns) for one in every)))
        found = set(known)
        if name == "||":
            found |= self._polymorphic("array_append", self.union(value.parts))
        elif name in ("+", "-", "*", "&"):
            found |= {kind for kind in self.union(value.parts) if not is_builtin_type(kind)}
        return frozenset(found), _NONE

    def by_names(self) -> Iterator[TypeSet]:
        """For each column name, the types of all columns with that name."""
        for name in {**self._named, **self._all.names}:
            yield self._by_name(name)

    def sources(self, alias: str) -> list[int]:
        """The FROM items with that alias."""
        return self._all.aliases.get(alias, [])

    # Columns of queries.

    def _nth(self, value: Value) -> tuple[TypeSet, TypeSet]:
        columns = self.columns[value.parts[0]]
        if columns is None:
            query = value.parts[0]
            return self._anything() if self.values[query].kind != "loose" else _NONE, self.fields[query]
        kinds = columns[value.number] if value.number < len(columns) else frozenset((ANY,))
        return kinds, self.fields[value.parts[0]] if "record" in kinds else _NONE

    def _columns(self, value: Value) -> RowTypes | None:
        match value.kind:
            case "relation":
                if (name := self.relation(value.name)) is not None:
                    return tuple(frozenset((kind,)) for kind in self._cast_table.columns(str(name)).values())
                queries = self._all.queries.get(value.name[-1], ())
                return self.columns[queries[0]] if len(queries) == 1 else None
            case "query":
                return self._concatenated(value.parts)
            case "joined":
                found = [self.columns[part] for part in value.parts]
                return None if None in found else tuple(kinds for one in found if one for kinds in one)
            case "union":
                left, right = (self.columns[part] for part in value.parts)
                if left is None or right is None or len(left) != len(right):
                    return left or right
                return tuple(self._one(a | b) for a, b in zip(left, right, strict=True))
            case "pick" if len(value.parts) == 1:
                return self.columns[value.parts[0]]
            case "row":
                return tuple(self.types[part] for part in value.parts)
            case "star":
                return self._star(value)
        return None

    def _one(self, kinds: TypeSet) -> TypeSet:
        """The common type of values with these types."""
        typed = kinds - UNKNOWN_TYPES
        if len(typed) > 1 or UNTYPED in kinds:  # beside other types a domain counts as its base type
            typed = frozenset(self._cast_table.flat(kind) for kind in typed)
        return typed or kinds

    def _concatenated(self, parts: tuple[int, ...]) -> RowTypes | None:
        found: list[TypeSet] = []
        for part in parts:
            if self.values[part].kind == "star":
                columns = self.columns[part]
                if columns is None:
                    return None
                found += columns
            else:
                found.append(self.types[part])
        self.spend(len(found) // 4)
        return tuple(found)

    def _star(self, value: Value) -> RowTypes | None:
        sources: Iterable[int] = value.parts
        if value.name:
            sources = self._all.aliases.get(value.name[-1], ())
            if len(list(sources)) != 1:
                return None
        found = [self.columns[part] for part in sources]
        if not found or None in found:
            return None
        return tuple(kinds for one in found if one for kinds in one)


def _element(kind: str) -> str:
    return kind.removesuffix("[]")
