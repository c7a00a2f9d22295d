"""Functions, operators, types and casts: which ones a name may mean.

Decides that a name means every function of that name that takes so many arguments, in every schema that is
searched: which of them is called depends on the types, and those are the server's to find out. What runs without
being written (defaults, triggers, implicit casts, input functions of columns' types) is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.sql.catalog import BUILTIN, Cast, Catalog, Function, QName
from pgjit.sql.collect import Collector
from pgjit.sql.statement import Name, Statement
from pgjit.sql.touched import Doubt, TouchedFunction, TouchedOperator, TouchedType

__all__ = ["Routines"]

_ROWS = frozenset({
    "record", "anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray", '"any"', "any",
})  # fmt: skip
_SERIALS = frozenset({"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"})


class Routines:
    def __init__(self, catalog: Catalog | None, path: tuple[str, ...], found: Collector) -> None:
        self._catalog = catalog
        self._path = path
        self._found = found

    def over(self, statement: Statement) -> None:
        called = set()
        for call, position in statement.scopes.calls:
            called.add(call.parts)
            if call.attribute:
                self.attribute(call.parts[-1], position)
            else:
                self._call(call.parts, call.arguments, position)
        for name in statement.functions:
            if name.parts not in called:
                self._call(name.parts, None, name.position)
        for kind in statement.types:
            self._type(kind.parts, kind.position)
        for operator in statement.operators:
            self._operator(operator)
        for implied in statement.scopes.implied:
            self._operator(Name((implied,)))
        for function, through, position in self._found.called:
            self._add(function, self._signatures(function), position, through)

    # Functions.

    def attribute(self, name: str, position: int | None, *, rows: bool = False) -> bool:
        """`(x).name` or `x.name` that is no column: a function of one argument; of a row where `rows`.

        False where there is none.
        """
        if self._catalog is None:
            self._found.function(TouchedFunction(None, name, position=position, candidates=self._path))
            return True
        some = False
        for schema in self._path:
            fitting = [one for one in self._catalog.functions.get(schema, {}).get(name, ()) if one.takes(1)]
            if rows and schema == BUILTIN:  # nothing makes a row into another type here
                fitting = [one for one in fitting if one.arguments and one.arguments[0] in _ROWS]
            if fitting:
                self._add(QName(schema, name), fitting, position)
                some = True
        return some

    def _call(self, parts: tuple[str, ...], count: int | None, position: int | None) -> None:
        name = parts[-1] if parts else ""
        if self._catalog is None:
            schema = parts[-2] if len(parts) > 1 else None
            candidates = () if schema else self._path
            builtin = schema == BUILTIN
            self._found.function(
                TouchedFunction(schema, name, builtin=builtin, position=position, candidates=candidates)
            )
            return
        schemas = self._schemas(parts)
        named = [(schema, self._catalog.functions.get(schema, {}).get(name, ())) for schema in schemas]
        fitting = [(schema, [one for one in all_ if count is None or one.takes(count)]) for schema, all_ in named]
        if not any(some for _, some in fitting):
            fitting = [(schema, list(all_)) for schema, all_ in named]
        for schema, some in fitting:
            if some:
                self._add(QName(schema, name), some, position)
        if not any(some for _, some in fitting) and not (count == 1 and self._cast_or_field(parts, position)):
            self._found.doubt(Doubt("unknown-function", f"`{'.'.join(parts)}` is not in the catalog", position))

    def _schemas(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        return self._path if len(parts) == 1 else tuple(parts[-2:-1])

    def _cast_or_field(self, parts: tuple[str, ...], position: int | None) -> bool:
        """`t(x)` casts where t is a type, `f(x)` is `x.f` where no function is called so."""
        assert self._catalog is not None
        if any(self._is_type(QName(schema, parts[-1])) for schema in self._schemas(parts)):
            self._type(parts, position)
            return True
        return len(parts) == 1 and parts[0] in self._catalog.column_names

    def _signatures(self, name: QName) -> Iterable[Function]:
        assert self._catalog is not None
        return self._catalog.functions.get(name.schema, {}).get(name.name, ())

    def _add(
        self, name: QName, some: Iterable[Function], position: int | None, through: tuple[str, ...] = ()
    ) -> None:
        every = tuple(some)
        for builtin in (True, False):
            signatures = [one for one in every if one.builtin is builtin]
            if signatures:
                self._found.function(
                    TouchedFunction(
                        *name,
                        signatures=() if builtin else tuple(", ".join(one.arguments) for one in signatures),
                        builtin=builtin,
                        volatility=max(one.volatility for one in signatures),
                        kind="p" if any(one.kind == "p" for one in signatures) else signatures[0].kind,
                        security_definer=any(one.security_definer for one in signatures),
                        extension=next((one.extension for one in signatures if one.extension), None),
                        position=position,
                        through=through,
                    )
                )
        if not every:
            self._found.function(TouchedFunction(*name, position=position, through=through))

    # Types.

    def _is_type(self, name: QName) -> bool:
        assert self._catalog is not None
        return name.name in self._catalog.types.get(name.schema, ()) or self._catalog.relation(name) is not None

    def _type(self, parts: tuple[str, ...], position: int | None) -> None:
        name = parts[-1] if parts else ""
        if self._catalog is None:
            schema = parts[-2] if len(parts) > 1 else None
            candidates = () if schema else self._path
            self._found.type(TouchedType(schema, name, None, schema == BUILTIN, position, candidates))
            return
        if len(parts) == 1 and name in _SERIALS:
            self._found.type(TouchedType(BUILTIN, name, "b", builtin=True, position=position))
            return
        for word in (name, name.removeprefix("_")):  # `_t` is the array type of `t`
            for schema in self._schemas(parts):
                if self._is_type(QName(schema, word)):
                    self._known_type(QName(schema, word), position)
                    return
        self._found.doubt(Doubt("unknown-type", f"`{'.'.join(parts)}` is not in the catalog", position))

    def _known_type(self, name: QName, position: int | None) -> None:
        assert self._catalog is not None
        kind = self._catalog.types.get(name.schema, {}).get(name.name)
        builtin = name.schema in (BUILTIN, "information_schema")
        self._found.type(TouchedType(*name, kind.kind if kind else "c", builtin, position))
        for function in kind.calls if kind else ():
            self._add(function, self._signatures(function), position, (str(name),))
        for cast in self._catalog.casts:
            if name in (cast.target, cast.source) and (name.schema != BUILTIN or self._may_come(cast, name)):
                self._add(cast.function, self._signatures(cast.function), position, (str(name),))

    def _may_come(self, cast: Cast, name: QName) -> bool:
        """Whether casting to the built-in type `name` may run it: some column here has the type that it is from."""
        if name != cast.target:
            return False
        return cast.source.schema == BUILTIN or str(cast.source) in self._found.column_types()

    # Operators.

    def _operator(self, operator: Name) -> None:
        parts = operator.parts
        name = parts[-1] if parts else ""
        if self._catalog is None:
            schema = parts[-2] if len(parts) > 1 else None
            candidates = () if schema else self._path
            self._found.operator(TouchedOperator(schema, name, schema == BUILTIN, operator.position, candidates))
            return
        some = False
        for schema in self._schemas(parts):
            if name in self._catalog.operators.get(schema, ()):
                self._found.operator(TouchedOperator(schema, name, schema == BUILTIN, operator.position))
                some = True
        if not some:
            self._found.doubt(
                Doubt("unknown-operator", f"`{operator.text}` is not in the catalog", operator.position)
            )
