"""Resolves the names of functions, operators and types; adds the coercions that `coercions.py` finds.

Decides that a name means every function of that name that takes as many arguments, in every schema of the search
path: the server chooses among them by the argument types. Functions that run without any of these (column defaults,
triggers, input functions of types) are not seen here.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.sql.catalog import BUILTIN, Catalog, Function, Operator, QName, qname_of
from pgjit.sql.parse import read_values_of
from pgjit.sql.referenced import ReferencedFunction, ReferencedOperator, ReferencedType, ResolutionFault
from pgjit.sql.resolve.casts import cast_table_of
from pgjit.sql.resolve.coercions import coercions_of
from pgjit.sql.resolve.object_collector import ObjectCollector
from pgjit.sql.resolve.reachable_types import ReachableTypes, takes_numbers
from pgjit.sql.resolve.type_inference import TypeInference
from pgjit.sql.scopes.scopes import Call, OperatorUse
from pgjit.sql.statement import Statement

__all__ = ["RoutineResolver"]

Calls = list[tuple[Call, int | None]]
Operations = list[tuple[OperatorUse, int | None]]

_ROWS = frozenset({
    "record", "anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray", '"any"', "any",
})  # fmt: skip
_OBJECT_OF_TEXT = ("pg_catalog", "json_object")
_JSON_OBJECT = 160000  # the version from which JSON_OBJECT is a keyword
_KINDS = "pawf"  # a procedure is the worst
_SERIALS = frozenset({"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"})


class RoutineResolver:
    def __init__(
        self, catalog: Catalog | None, path: tuple[str, ...], objects: ObjectCollector, *, stored: bool = False
    ) -> None:
        """`stored`: the statement is the query of a view."""
        self._catalog = catalog
        self._path = path
        self._objects = objects
        self._stored = stored

    def over(self, statement: Statement) -> None:
        version = 0 if self._catalog is None else self._catalog.server_version
        calls, operations = _all_calls(statement, version), _all_operations(statement)
        for kind in statement.types:
            self._type(kind.parts, kind.position)
        if self._catalog is None:
            self._without_catalog(calls, operations)
            return
        for call, position in calls:
            if call.attribute:
                self.attribute(call.parts[-1], position)
        types = self._types_here(calls, operations)
        for call, position in calls:
            if not call.attribute:
                self._call(call, types, position)
        for operation, position in operations:
            self._operator(operation, types, position)
        for function, through, position in self._objects.called:
            self._add(function, self._signatures(function), position, through)
        self._unwritten(statement)

    def _unwritten(self, statement: Statement) -> None:
        """Add the cast functions and domain checks that run without being named."""
        assert self._catalog is not None
        if not self._may_coerce():
            return
        values = read_values_of(statement)
        self._objects.spend(len(values.values) // 2)
        inference = TypeInference(
            self._catalog, self._path, values, cast_table_of(self._catalog), self._objects.spend
        )
        inference.run()
        coercions = coercions_of(self._catalog, self._path, values, inference, stored=self._stored)
        for cast in coercions.casts:
            self._add(cast.function, self._signatures(cast.function), None, (cast.source,))
        checked: set[QName] = set()
        for held in coercions.checked:
            called = set(self._catalog.checks.get(qname_of(held), ()))
            if not called <= checked:
                self._checks(held, None)
                checked |= called

    def _may_coerce(self) -> bool:
        """Whether a value may be cast or checked by a function that is not built in. If not, no values are read."""
        assert self._catalog is not None
        cast_table = cast_table_of(self._catalog)
        if not cast_table.sources and not self._catalog.checks:
            return False
        types = ReachableTypes(self._catalog)
        types.add(self._objects.met_types())
        for name in self._objects.met_functions():
            for one in self._signatures(name):  # a built-in value may be cast to its parameter types
                types.add((*one.arguments, one.returns, *one.outputs))
        for name in self._objects.met_operators():
            for operator in self._catalog.operators.get(name.schema, {}).get(name.name, ()):
                types.add(kind for kind in (operator.left, operator.right) if kind is not None)
        return cast_table.any_of(types) or any(types.has(str(name)) for name in self._catalog.checks)

    def _without_catalog(self, calls: Calls, operations: Operations) -> None:
        for call, position in calls:
            schema, candidates = self._written(call.parts)
            self._objects.add_function(
                ReferencedFunction(
                    schema, call.parts[-1], builtin=schema == BUILTIN, position=position, candidates=candidates
                )
            )
        for operation, position in operations:
            schema, candidates = self._written(operation.parts)
            self._objects.add_operator(
                ReferencedOperator(
                    schema, operation.parts[-1], schema == BUILTIN, position=position, candidates=candidates
                )
            )

    def _written(self, parts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
        return (parts[-2], ()) if len(parts) > 1 else (None, self._path)

    def _types_here(self, calls: Calls, operations: Operations) -> ReachableTypes:
        """The types of all values. Each call that they make possible may add the type of its result."""
        assert self._catalog is not None
        types = ReachableTypes(self._catalog)
        names = [call.parts for call, _ in calls] + [operation.parts for operation, _ in operations]
        if not self._catalog.casts and not any(self._has_own(parts) for parts in names):
            return types
        types.add(self._objects.met_types())
        for name in self._objects.met_functions():
            types.add(made for one in self._signatures(name) for made in (one.returns, *one.outputs))
        more = True
        while more:
            functions = [one for call, _ in calls for _, overloads in self._fitting(call, types) for one in overloads]
            operators = [one for operation, _ in operations for _, one in self._own_operators(operation, types)]
            more = types.add(
                [made for one in functions if not one.builtin for made in (one.returns, *one.outputs)]
                + [one.returns for one in operators]
            )
        return types

    def _has_own(self, parts: tuple[str, ...]) -> bool:
        """Whether a function or operator of that name is not built in."""
        assert self._catalog is not None
        name = parts[-1]
        return any(
            any(not one.builtin for one in self._catalog.functions.get(schema, {}).get(name, ()))
            or bool(self._catalog.operators.get(schema, {}).get(name))
            for schema in self._schemas(parts)
        )

    # Functions.

    def attribute(self, name: str, position: int | None, *, rows: bool = False) -> bool:
        """`(x).name` or `x.name` without such a column: a function of one argument, which is a row if `rows`.

        False if there is none.
        """
        if self._catalog is None:
            self._objects.add_function(ReferencedFunction(None, name, position=position, candidates=self._path))
            return True
        any_fits = False
        for schema in self._path:
            fitting = [one for one in self._catalog.functions.get(schema, {}).get(name, ()) if one.takes(1)]
            if rows and schema == BUILTIN:  # a row is not cast to another type here
                fitting = [one for one in fitting if one.arguments and one.arguments[0] in _ROWS]
            if fitting:
                self._add(QName(schema, name), fitting, position)
                any_fits = True
        if not rows:
            harmless = self._cast_to(name, position)
            if harmless and not any_fits:
                self._objects.add_field(name)
        return any_fits

    def _cast_to(self, name: str, position: int | None) -> bool:
        """`(x).t` casts if t is a type and x has no field t. False if it may call functions that are not listed."""
        assert self._catalog is not None
        types = [self._catalog.types.get(schema, {}).get(name.removeprefix("_")) for schema in self._path]
        types += [self._catalog.types.get(schema, {}).get(name) for schema in self._path]
        kinds = {kind.kind for kind in types if kind is not None} - {"c"}  # row types are not cast to in this way
        if kinds:
            self._type((name,), position)
        return kinds <= {"b", "e", "m", "r"} and not name.startswith("_")  # it may be an array type

    def _call(self, call: Call, types: ReachableTypes, position: int | None) -> None:
        any_fits = False
        for schema, signatures in self._fitting(call, types):
            self._add(QName(schema, call.parts[-1]), signatures, position)
            any_fits = True
            for kind in self._checked_arguments(signatures):
                self._checks(kind, position)
        if not any_fits and not (call.arguments == 1 and self._cast_or_field(call.parts, position)):
            self._unknown("function", call.parts, position)

    def _fitting(self, call: Call, types: ReachableTypes) -> list[tuple[str, list[Function]]]:
        """The overloads that a call may choose, by schema. Beside a built-in one, the argument types must fit."""
        assert self._catalog is not None
        if call.attribute:
            return []
        schemas = self._schemas(call.parts)
        named = [(schema, list(self._signatures(QName(schema, call.parts[-1])))) for schema in schemas]
        self._objects.spend(1 + sum(len(overloads) for _, overloads in named))
        count = call.arguments
        fitting = [
            (schema, [one for one in overloads if count is None or one.takes(count)]) for schema, overloads in named
        ]
        fitting = [
            (schema, [one for one in overloads if takes_numbers(one, call.numbers)]) for schema, overloads in fitting
        ]
        if not any(overloads for _, overloads in fitting):
            fitting = named
        if count == 0:
            fitting = _first_without_arguments(fitting)
        if len(schemas) > 1 and any(one.builtin for _, overloads in fitting for one in overloads):
            fitting = [
                (schema, [one for one in overloads if one.builtin or types.may_call(one, call.untyped)])
                for schema, overloads in fitting
            ]
        return [(schema, overloads) for schema, overloads in fitting if overloads]

    def _schemas(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        return self._path if len(parts) == 1 else tuple(parts[-2:-1])

    def _cast_or_field(self, parts: tuple[str, ...], position: int | None) -> bool:
        """`t(x)` casts if t is a type; `f(x)` is `x.f` if there is no function f."""
        assert self._catalog is not None
        if any(self._is_type(QName(schema, parts[-1])) for schema in self._schemas(parts)):
            self._type(parts, position)
            return True
        return len(parts) == 1 and parts[0] in self._catalog.column_names

    def _signatures(self, name: QName) -> Iterable[Function]:
        assert self._catalog is not None
        return self._catalog.functions.get(name.schema, {}).get(name.name, ())

    def _add(
        self, name: QName, overloads: Iterable[Function], position: int | None, through: tuple[str, ...] = ()
    ) -> None:
        every = tuple(overloads)
        for builtin, extension in dict.fromkeys((one.builtin, one.extension) for one in every):
            signatures = [one for one in every if one.builtin is builtin and one.extension == extension]
            self._objects.add_function(
                ReferencedFunction(
                    *name,
                    signatures=() if builtin else tuple(", ".join(one.arguments) for one in signatures),
                    builtin=builtin,
                    volatility=max(one.volatility for one in signatures),
                    kind=min((one.kind for one in signatures), key=_KINDS.index),
                    security_definer=any(one.security_definer for one in signatures),
                    extension=extension,
                    computes=all(one.computes for one in signatures),
                    position=position,
                    through=through,
                )
            )
        if not every:
            self._objects.add_function(ReferencedFunction(*name, position=position, through=through))

    # Types.

    def _is_type(self, name: QName) -> bool:
        assert self._catalog is not None
        return name.name in self._catalog.types.get(name.schema, ()) or self._catalog.relation(name) is not None

    def _type(self, parts: tuple[str, ...], position: int | None) -> None:
        name = parts[-1] if parts else ""
        if self._catalog is None:
            schema = parts[-2] if len(parts) > 1 else None
            candidates = () if schema else self._path
            self._objects.add_type(ReferencedType(schema, name, None, schema == BUILTIN, position, candidates))
            return
        if len(parts) == 1 and name in _SERIALS:
            self._objects.add_type(ReferencedType(BUILTIN, name, "b", builtin=True, position=position))
            return
        for word in (name, name.removeprefix("_")):  # `_t` is the array type of `t`
            for schema in self._schemas(parts):
                if self._is_type(QName(schema, word)):
                    self._known_type(QName(schema, word), position)
                    return
        self._unknown("type", parts, position)

    def _unknown(self, what: str, parts: tuple[str, ...], position: int | None) -> None:
        assert self._catalog is not None
        detail = f"{what} `{'.'.join(parts)}` does not exist"
        if len(parts) > 1 and not self._catalog.has_schema(parts[-2]):
            what, detail = "schema", f"schema `{parts[-2]}` does not exist"
        self._objects.add_fault(ResolutionFault(f"unknown-{what}", detail, position, parts))

    def _known_type(self, name: QName, position: int | None) -> None:
        assert self._catalog is not None
        kind = self._catalog.types.get(name.schema, {}).get(name.name)
        builtin = name.schema in (BUILTIN, "information_schema")
        extension = kind.extension if kind else None
        self._objects.add_type(
            ReferencedType(*name, kind.kind if kind else "c", builtin, position, extension=extension)
        )
        self._checks(str(name), position)

    def _checked_arguments(self, signatures: Iterable[Function]) -> set[str]:
        assert self._catalog is not None
        if not self._catalog.checks:
            return set()
        kinds = {kind for one in signatures if not one.builtin for kind in one.arguments}
        return kinds & self._catalog.checked_arguments

    def _checks(self, kind: str, position: int | None) -> None:
        """Add the functions in the checks of the domains that a type holds."""
        assert self._catalog is not None
        name = qname_of(kind)
        for function in self._catalog.checks.get(name, ()):
            self._add(function, self._signatures(function), position, (str(name),))

    # Operators.

    def _operator(self, operation: OperatorUse, types: ReachableTypes, position: int | None) -> None:
        assert self._catalog is not None
        name = operation.parts[-1]
        named = [
            schema for schema in self._schemas(operation.parts) if name in self._catalog.operators.get(schema, ())
        ]
        if not named:
            text = ".".join(operation.parts)
            detail = f"operator `{text}` does not exist"
            self._objects.add_fault(ResolutionFault("unknown-operator", detail, position, operation.parts))
        if BUILTIN in named:
            self._objects.add_operator(ReferencedOperator(BUILTIN, name, builtin=True, position=position))
        for schema, one in self._own_operators(operation, types):
            self._objects.add_operator(ReferencedOperator(schema, name, extension=one.extension, position=position))
            for kind in (one.left, one.right):
                self._checks(kind or "", position)

    def _own_operators(self, operation: OperatorUse, types: ReachableTypes) -> list[tuple[str, Operator]]:
        """The operators that are not built in and that may be chosen."""
        assert self._catalog is not None
        untyped = None if len(operation.parts) > 1 else operation.untyped
        every = [
            (schema, one)
            for schema in self._schemas(operation.parts)
            for one in self._catalog.operators.get(schema, {}).get(operation.parts[-1], ())
        ]
        self._objects.spend(len(every))
        return [(schema, one) for schema, one in every if types.may_use(one, operation.sides, untyped)]


def _first_without_arguments(fitting: list[tuple[str, list[Function]]]) -> list[tuple[str, list[Function]]]:
    """Without arguments, the overload of the first schema is called: no type distinguishes them."""
    first = next((schema for schema, overloads in fitting if any(not one.arguments for one in overloads)), None)
    return [(schema, [one for one in overloads if one.arguments or schema == first]) for schema, overloads in fitting]


def _all_calls(statement: Statement, version: int) -> Calls:
    """All calls, also outside of expressions: the method of TABLESAMPLE, the function of a trigger.

    `version` is the server's, 0 if not known: syntax that an older server takes for a call is one then.
    """
    calls = [(call, at) for call, at in statement.scopes.calls if call.before is None or version < call.before]
    if version < _JSON_OBJECT:  # the parser adds `pg_catalog.`, an older server uses its search path
        calls += [(call._replace(parts=call.parts[-1:]), at) for call, at in calls if call.parts == _OBJECT_OF_TEXT]
    known = {call.parts for call, _ in calls}
    return calls + [(Call(one.parts, None), one.position) for one in statement.functions if one.parts not in known]


def _all_operations(statement: Statement) -> Operations:
    operations = list(statement.scopes.operations)
    known = {operation.parts for operation, _ in operations}
    return operations + [
        (OperatorUse(one.parts, 0), one.position) for one in statement.operators if one.parts not in known
    ]
