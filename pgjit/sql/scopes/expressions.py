"""The expressions of a statement as a flat list of values: the parts of each, and which values get a common type.

The parts of a value are later in the list, unless they are looked up by name. Column names are not distinguished by
query level: `a` is every column of that name. For type inference in `pgjit.sql.resolve`. Knows no catalog, decides
nothing. Iterative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pgjit.sql.tree import one_of, relation_of, strings_of

__all__ = ["EXPRESSIONS", "Expressions", "Node", "Value", "Values", "type_of"]

Node = dict[str, Any]


class Value(NamedTuple):
    """`kind` decides what `name` and `parts` mean:

    loose: an untyped literal; null: NULL; parameter: `$1`; typed: of the type `name`
    column: `name` as written; cast: to the type `name`, `array` where it ends in `[]`; store: the same by assignment
    call, operator: its name, with its arguments; each: an element of an array
    array, row: made of its parts; same: parts that get a common type; pick: one of its parts; other: something else
    field: `(x).name`; json: converted to JSON; into: assigned to one of the types `name`, or to any if empty
    assign: assigned to `columns` of the relation `name`, with `number` 1 to a part of a column
    execute: arguments of EXECUTE; declared: a parameter type of PREPARE
    query: its output columns; union: of two queries; star: `name.*` of its parts
    relation, rows, joined: items of FROM; merged: columns that a join merges; within: a row, or one of its columns
    nth: the column `number` of a query
    """

    kind: str
    name: tuple[str, ...] = ()
    parts: tuple[int, ...] = ()
    array: bool = False
    columns: tuple[str, ...] = ()
    number: int = 0


class Values(NamedTuple):
    values: tuple[Value, ...]
    names: dict[str, list[int]]  # output columns, by their names
    aliases: dict[str, list[int]]  # of FROM items
    queries: dict[str, list[int]]  # common table expressions
    natural: bool  # has a NATURAL JOIN


class Expressions:
    def __init__(self) -> None:
        self.values: list[Value] = []
        self.names: dict[str, list[int]] = {}
        self.aliases: dict[str, list[int]] = {}
        self.queries: dict[str, list[int]] = {}
        self.natural = False
        self.parameters: tuple[tuple[tuple[str, ...], bool], ...] = ()
        self.todo: list[tuple[int, Node]] = []

    def add(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def expression(self, node: Any) -> int:
        """The index of the expression's value. The value is read later."""
        index = self.add(Value("loose"))
        if isinstance(node, dict) and node:
            self.todo.append((index, node))
        return index

    def every(self, nodes: Any) -> tuple[int, ...]:
        return tuple(self.expression(node) for node in nodes or ())

    def boolean(self, node: Any) -> None:
        if node:
            self.add(Value("into", ("bool",), (self.expression(node),)))

    def below(self, node: Any) -> tuple[int, ...]:
        """The nearest expressions below a node of any type."""
        found: list[int] = []
        left: list[Any] = [node]
        while left:
            value = left.pop()
            if type(value) is list:
                left.extend(value)
            elif type(value) is dict:
                if "relname" in value:  # outside of FROM: a relation that a command names
                    self.about(value)
                for key, inner in value.items():
                    if type(inner) is list:
                        left.append(inner)
                    elif type(inner) is dict:
                        if key == "typeName":
                            continue
                        if key[0].isupper():
                            found.append(self.expression({key: inner}))
                        elif "limitOption" in inner:
                            found.append(self.expression({"SelectStmt": inner}))
                        else:
                            left.append(inner)
        return tuple(found)

    def about(self, node: Node) -> int:
        """A relation that a command names, whose columns are visible without an alias."""
        name = relation_of(node)
        index = self.add(Value("relation", name))
        self.aliases.setdefault(name[-1], []).append(index)
        return index

    # Expressions.

    def other(self, index: int, node: Node) -> None:
        self.values[index] = Value("other", parts=self.below(node))

    def picked(self, index: int, node: Node) -> None:
        self.values[index] = Value("pick", parts=self.below(node))

    def constant(self, index: int, node: Node) -> None:
        for key, name in (("ival", "int4"), ("fval", "numeric"), ("boolval", "bool"), ("bsval", "bit")):
            if key in node:
                self.values[index] = Value("typed", (name,))
        if "isnull" in node:
            self.values[index] = Value("null")

    def parameter(self, index: int, node: Node) -> None:
        number = node.get("number", 0)
        if 0 < number <= len(self.parameters):
            name, array = self.parameters[number - 1]
            self.values[index] = Value("typed", name, array=array)
        else:
            self.values[index] = Value("parameter")

    def column(self, index: int, node: Node) -> None:
        fields = node.get("fields", [])
        if fields and "A_Star" in fields[-1]:
            self.values[index] = Value("star", strings_of(fields[:-1]))
        else:
            self.values[index] = Value("column", strings_of(fields))

    def cast(self, index: int, node: Node) -> None:
        name, array = type_of(node.get("typeName", {}))
        self.values[index] = Value("cast", name, (self.expression(node.get("arg")),), array)

    def call(self, index: int, node: Node) -> None:
        arguments = [one.get("NamedArgExpr", {}).get("arg", one) for one in node.get("args", [])]
        certain = not (node.get("func_variadic") or node.get("agg_within_group") or arguments != node.get("args", []))
        self.boolean(node.get("agg_filter"))
        more = self.every(one.get("SortBy", {}).get("node") for one in node.get("agg_order", []))
        if over := node.get("over"):
            self.window(over)
        parts = self.every(arguments)
        if node.get("agg_within_group"):
            parts += more
        name = strings_of(node.get("funcname", []))
        self.values[index] = Value("call", name, parts, number=len(parts) if certain else -1)

    def window(self, node: Node) -> None:
        for key in ("startOffset", "endOffset"):
            if key in node:
                self.add(Value("into", (), (self.expression(node[key]),)))
        self.below({key: node.get(key) for key in ("partitionClause", "orderClause")})

    def operator(self, index: int, node: Node) -> None:
        kind, name = node.get("kind", ""), strings_of(node.get("name", []))
        left, right = node.get("lexpr"), node.get("rexpr")
        listed = right.get("List", {}).get("items") if isinstance(right, dict) else None
        if kind.endswith("_IN") and listed is not None:
            first, several = self.expression(left), self.every(listed)
            if "RowExpr" not in (left or {}):
                self.add(Value("same", parts=(first, *several)))
            pairs = tuple(self.compare(name, first, one) for one in several)
            self.values[index] = Value("typed", ("bool",), pairs)
        elif "BETWEEN" in kind and listed is not None:
            first, several = self.expression(left), self.every(listed)
            for word in (">=", "<=") if kind.endswith("BETWEEN") else (">=", "<=", "<", ">"):
                for one in several:
                    self.compare((word,), first, one)
            self.values[index] = Value("typed", ("bool",))
        elif kind.endswith(("_OP_ANY", "_OP_ALL")):
            side = self.add(Value("each", parts=(self.expression(right),)))
            self.values[index] = Value("operator", name, (self.expression(left), side))
        elif (compared := _rows(left, right)) is not None:
            for a, b in compared:
                self.compare(name, self.expression(a), self.expression(b))
            self.values[index] = Value("typed", ("bool",))
        else:
            sides = self.every(side for side in (left, right) if side is not None)
            self.values[index] = Value("operator", name, sides)
            if kind.endswith("_NULLIF"):
                self.add(self.values[index])
                self.values[index] = Value("pick", parts=sides[:1])

    def compare(self, name: tuple[str, ...], left: int, right: int) -> int:
        return self.add(Value("operator", name, (left, right)))

    def case(self, index: int, node: Node) -> None:
        tested = self.expression(node["arg"]) if "arg" in node else None
        results = []
        for entry in node.get("args", []):
            when = entry.get("CaseWhen", {})
            if tested is None:
                self.boolean(when.get("expr"))
            else:
                self.compare(("=",), tested, self.expression(when.get("expr")))
            results.append(self.expression(when.get("result")))
        results.append(self.expression(node.get("defresult")))
        self.values[index] = Value("same", parts=tuple(results))

    def alike(self, index: int, node: Node) -> None:
        parts = self.every(node.get("args"))
        self.values[index] = Value("same", parts=parts)
        for other in parts[1:]:  # GREATEST and LEAST compare
            if "op" in node:
                self.compare(("<",), parts[0], other)

    def array(self, index: int, node: Node) -> None:
        parts = self.every(node.get("elements"))
        self.values[index] = Value("array", parts=(self.add(Value("same", parts=parts)),))

    def row(self, index: int, node: Node) -> None:
        self.values[index] = Value("row", parts=self.every(node.get("args")))

    def booleans(self, index: int, node: Node) -> None:
        arguments = node.get("args") or [node.get("arg")]
        for each in arguments:
            self.boolean(each)
        self.values[index] = Value("typed", ("bool",))

    def tested(self, index: int, node: Node) -> None:
        self.below(node)
        self.values[index] = Value("typed", ("bool",))

    def indirection(self, index: int, node: Node) -> None:
        found = self.expression(node.get("arg"))
        for step in node.get("indirection", []):
            kind, own = one_of(step)
            if kind == "A_Indices":
                for side in ("lidx", "uidx"):
                    if side in own:
                        self.add(Value("into", ("int4", "text"), (self.expression(own[side]),)))
                found = self.add(Value("pick" if own.get("is_slice") else "each", parts=(found,)))
            elif kind == "String":
                found = self.add(Value("field", (own.get("sval", ""),), (found,)))
            else:
                found = self.add(Value("field", (), (found,)))
        self.values[index] = Value("pick", parts=(found,))

    def sublink(self, index: int, node: Node) -> None:
        query = self.expression(node.get("subselect"))
        kind = node.get("subLinkType", "")
        first = self.add(Value("nth", parts=(query,)))
        if kind == "ARRAY_SUBLINK":
            self.values[index] = Value("array", parts=(first,))
        elif "testexpr" in node:
            name = strings_of(node.get("operName", [])) or ("=",)
            row = node["testexpr"].get("RowExpr", {}).get("args")
            for number, side in enumerate(row or [node["testexpr"]]):
                self.compare(name, self.expression(side), self.add(Value("nth", parts=(query,), number=number)))
            self.values[index] = Value("typed", ("bool",))
        elif kind == "EXISTS_SUBLINK":
            self.values[index] = Value("typed", ("bool",))
        else:
            self.values[index] = Value("pick", parts=(first,))

    def json(self, index: int, node: Node) -> None:
        """A constructor or a function of SQL/JSON: `RETURNING t` casts the result."""
        made = self.add(Value("json", parts=self.below(node)))
        output = node.get("output") or node.get("constructor", {}).get("output", {})
        kind = output.get("typeName")
        self.values[index] = Value("pick", parts=(made,))
        if kind:
            name, array = type_of(kind)
            self.values[index] = Value("cast", name, (made,), array)

    def json_query(self, index: int, node: Node) -> None:
        query = self.expression(node.get("query"))
        made = self.add(Value("json", parts=(self.add(Value("nth", parts=(query,))),)))
        kind = node.get("output", {}).get("typeName")
        name, array = type_of(kind) if kind else (("json",), False)
        self.values[index] = Value("cast", name, (made,), array)

    def xml(self, index: int, node: Node) -> None:
        parts = self.below(node)
        if node.get("op") not in ("IS_XMLELEMENT", "IS_XMLFOREST"):
            for part in parts:
                self.add(Value("into", ("xml", "text"), (part,)))
        self.values[index] = Value("typed", ("xml",))


def type_of(node: Node) -> tuple[tuple[str, ...], bool]:
    """The name of a type, and whether it is an array of it."""
    return strings_of(node.get("names", [])), bool(node.get("arrayBounds"))


def _rows(left: Any, right: Any) -> list[tuple[Any, Any]] | None:
    """The pairs of columns, if two rows are compared."""
    sides = [side.get("RowExpr", {}).get("args") if isinstance(side, dict) else None for side in (left, right)]
    if sides[0] is None or sides[1] is None or len(sides[0]) != len(sides[1]):
        return None
    return list(zip(*sides, strict=True))


_Handler = Callable[[Expressions, int, Node], None]

EXPRESSIONS: dict[str, _Handler] = {
    "A_ArrayExpr": Expressions.array,
    "A_Const": Expressions.constant,
    "A_Expr": Expressions.operator,
    "A_Indirection": Expressions.indirection,
    "BoolExpr": Expressions.booleans,
    "BooleanTest": Expressions.booleans,
    "CaseExpr": Expressions.case,
    "CoalesceExpr": Expressions.alike,
    "CollateClause": Expressions.picked,
    "ColumnRef": Expressions.column,
    "FuncCall": Expressions.call,
    "JsonArrayAgg": Expressions.json,
    "JsonArrayConstructor": Expressions.json,
    "JsonArrayQueryConstructor": Expressions.json_query,
    "JsonFuncExpr": Expressions.json,
    "JsonObjectAgg": Expressions.json,
    "JsonObjectConstructor": Expressions.json,
    "JsonParseExpr": Expressions.json,
    "JsonScalarExpr": Expressions.json,
    "JsonSerializeExpr": Expressions.json,
    "JsonTable": Expressions.json,
    "MinMaxExpr": Expressions.alike,
    "NullTest": Expressions.tested,
    "ParamRef": Expressions.parameter,
    "RowExpr": Expressions.row,
    "SubLink": Expressions.sublink,
    "TypeCast": Expressions.cast,
    "XmlExpr": Expressions.xml,
    "XmlSerialize": Expressions.xml,
}
