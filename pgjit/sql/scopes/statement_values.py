"""Reads the values of a statement from its tree: its queries, their FROM items, and the assignments to columns.

The expressions in them are read by `expressions.py`. Knows no catalog, decides nothing. Iterative.
"""

from __future__ import annotations

from collections.abc import Callable

from pgjit.sql.scopes.expressions import EXPRESSIONS, Expressions, Node, Value, Values, type_of
from pgjit.sql.tree import alias_of, one_of, relation_of, strings_of

__all__ = ["read_values"]


def read_values(node_type: str, node: Node) -> Values:
    reading = _Reading()
    reading.expression({node_type: node})
    while reading.todo:
        index, inner = reading.todo.pop()
        kind, own = one_of(inner)
        if handler := _STATEMENTS.get(kind):
            handler(reading, index, own)
        else:
            EXPRESSIONS.get(kind, Expressions.other)(reading, index, own)
    return Values(tuple(reading.values), reading.names, reading.aliases, reading.queries, reading.natural)


class _Reading(Expressions):
    def sample(self, index: int, node: Node) -> None:
        for part in self.every([*node.get("args", []), *([node["repeatable"]] if "repeatable" in node else [])]):
            self.add(Value("into", (), (part,)))
        self.values[index] = Value("pick", parts=(self.source(node.get("relation", {})),))

    # Utility commands.

    def prepare(self, index: int, node: Node) -> None:
        self.parameters = tuple(type_of(entry.get("TypeName", {})) for entry in node.get("argtypes", []))
        for name, array in self.parameters:
            self.add(Value("declared", name, array=array))
        self.values[index] = Value("other", parts=(self.expression(node.get("query")),))

    def copy(self, index: int, node: Node) -> None:
        """Also CREATE INDEX: a relation and a condition."""
        self.boolean(node.get("whereClause"))
        self.other(index, {key: inner for key, inner in node.items() if key != "whereClause"})

    def execute(self, index: int, node: Node) -> None:
        self.values[index] = Value("execute", parts=self.every(node.get("params")))

    def defined(self, index: int, node: Node) -> None:
        """A column that is created or altered: its default, or the new values of USING."""
        constraints = [one.get("Constraint", {}) for one in node.get("constraints", [])]
        values = [one.get("raw_expr") for one in constraints if one.get("contype") != "CONSTR_CHECK"]
        self.every({"Constraint": one} for one in constraints if one.get("contype") == "CONSTR_CHECK")
        values.append(node.get("raw_default"))
        parts = self.every(value for value in values if value)
        if name := node.get("colname"):
            parts += (self.add(Value("column", (name,))),)
        kind, array = type_of(node.get("typeName", {}))
        self.values[index] = Value("store", kind, parts, array)
        self.names.setdefault(node.get("colname", ""), []).append(self.add(Value("typed", kind, array=array)))

    def constraint(self, index: int, node: Node) -> None:
        if node.get("contype") == "CONSTR_CHECK":
            self.boolean(node.get("raw_expr"))
        else:
            self.other(index, node)

    def altered(self, index: int, node: Node) -> None:
        """ALTER COLUMN ... TYPE names the column beside its definition."""
        definition = node.get("def", {}).get("ColumnDef")
        if definition is not None and "name" in node:
            definition = {**definition, "colname": node["name"]}
            self.values[index] = Value("other", parts=(self.expression({"ColumnDef": definition}),))
        else:
            self.other(index, node)

    # Queries.

    def select(self, index: int, node: Node) -> None:
        self.with_clause(node)
        if "larg" in node:
            arms = self.every({"SelectStmt": node[side]} for side in ("larg", "rarg"))
            self.values[index] = Value("union", parts=arms)
        elif "valuesLists" in node:
            self.values[index] = Value("query", parts=self.columns_of(node["valuesLists"], "same"))
        else:
            sources = self.sources(node.get("fromClause", []))
            self.values[index] = Value("query", parts=self.outputs(node.get("targetList", []), sources))
        for key in ("whereClause", "havingClause"):
            self.boolean(node.get(key))
        for key in ("limitCount", "limitOffset"):
            if key in node:
                self.add(Value("into", ("int8",), (self.expression(node[key]),)))
        for entry in node.get("windowClause", []):
            self.window(entry.get("WindowDef", {}))
        self.below({key: node.get(key) for key in ("groupClause", "sortClause", "distinctClause")})

    def columns_of(self, rows: list[Node], kind: str) -> tuple[int, ...]:
        lists = [self.every(row.get("List", {}).get("items")) for row in rows]
        columns = tuple(self.add(Value(kind, parts=column)) for column in zip(*lists, strict=False))
        for number, column in enumerate(columns):
            self.names.setdefault(f"column{number + 1}", []).append(column)
        return columns

    def outputs(self, targets: list[Node], sources: tuple[int, ...]) -> tuple[int, ...]:
        found = []
        for target in targets:
            entry = target.get("ResTarget", {})
            value = entry.get("val", {})
            index = self.expression(value)
            if value.get("ColumnRef", {}).get("fields", [{}])[-1].get("A_Star") is not None:
                index = self.add(Value("star", strings_of(value["ColumnRef"]["fields"][:-1]), sources))
            for name in [entry["name"]] if "name" in entry else _output_names(value):
                self.names.setdefault(name, []).append(index)
            found.append(index)
        return tuple(found)

    def with_clause(self, node: Node) -> None:
        for entry in node.get("withClause", {}).get("ctes", []):
            query = entry.get("CommonTableExpr", {})
            index = self.expression(query.get("ctequery"))
            self.queries.setdefault(query.get("ctename", ""), []).append(index)
            self.renamed(index, strings_of(query.get("aliascolnames", [])))

    def renamed(self, index: int, columns: tuple[str, ...]) -> None:
        for number, name in enumerate(columns):
            self.names.setdefault(name, []).append(self.add(Value("nth", parts=(index,), number=number)))

    def sources(self, items: list[Node]) -> tuple[int, ...]:
        return tuple(self.source(item) for item in items)

    def source(self, item: Node) -> int:
        """A FROM item. A join gives its items, and the columns that it merges."""
        merged: list[int] = []
        left, found = [item], []
        while left:
            kind, node = one_of(left.pop() or {"": {}})
            if kind != "JoinExpr":
                found.append(self.single(kind, node))
                continue
            left += [node.get("rarg", {}), node.get("larg", {})]
            self.boolean(node.get("quals"))
            self.natural = self.natural or bool(node.get("isNatural"))
            using = strings_of(node.get("usingClause", []))
            for name in using:
                column = self.add(Value("column", (name,)))
                self.compare(("=",), column, column)
                self.add(Value("same", parts=(column, column)))
            alias, columns = alias_of(node)
            if using or alias or node.get("isNatural"):
                merged.append(self.add(Value("merged")))
            if alias:
                self.aliases.setdefault(alias, []).append(merged[-1])
                self.renamed(merged[-1], columns)
        if len(found) == 1 and not merged:
            return found[0]
        return self.add(Value("joined", parts=(*found, *merged)))

    def single(self, kind: str, node: Node) -> int:
        alias, columns = alias_of(node)
        if kind == "RangeVar":
            name = relation_of(node)
            index = self.add(Value("relation", name))
            alias = alias or name[-1]
        elif kind == "RangeSubselect":
            index = self.expression(node.get("subquery"))
        elif kind == "RangeFunction":
            index, alias, columns = self.functions(node, alias, columns)
        else:
            index = self.expression({kind: node}) if kind else self.add(Value("merged"))
            self.table_columns(node.get("columns", []))
        if alias:
            self.aliases.setdefault(alias, []).append(index)
        if kind != "RangeFunction":
            self.renamed(index, columns)
        return index

    def table_columns(self, columns: list[Node]) -> None:
        """The columns of XMLTABLE and JSON_TABLE, nested ones included."""
        left = list(columns)
        while left:
            _, own = one_of(left.pop())
            left += own.get("columns", [])
            name, array = type_of(own.get("typeName", {}))
            column = own.get("colname") or own.get("name", "")
            self.names.setdefault(column, []).append(self.add(Value("typed", name, array=array)))

    def functions(
        self, node: Node, alias: str | None, columns: tuple[str, ...]
    ) -> tuple[int, str | None, tuple[str, ...]]:
        entries = [one.get("List", {}).get("items", []) for one in node.get("functions", [])]
        calls = self.every(entry[0] for entry in entries if entry)
        index = self.add(Value("rows", parts=calls))
        defined = [*node.get("coldeflist", []), *(one for entry in entries for one in entry[1:] if one)]
        for each in [own for one in defined for own in one.get("List", {}).get("items", [one])]:
            column = each.get("ColumnDef", {})
            name, array = type_of(column.get("typeName", {}))
            typed = self.add(Value("typed", name, array=array))
            self.names.setdefault(column.get("colname", ""), []).append(typed)
        called = [strings_of(entry[0].get("FuncCall", {}).get("funcname", [])) for entry in entries if entry]
        for word in (alias, *(one[-1] for one in called if one)):
            if word:
                self.names.setdefault(word, []).append(index)
        within = self.add(Value("within", parts=(index,)))
        for word in columns:
            self.names.setdefault(word, []).append(within)
        return index, alias or next((one[-1] for one in called if one), None), columns

    # Data-modifying statements.

    def insert(self, index: int, node: Node) -> None:
        self.with_clause(node)
        relation = self.target(node)
        columns = _named(node.get("cols", []))
        query = node.get("selectStmt", {}).get("SelectStmt")
        if query and "valuesLists" in query and "larg" not in query:
            self.with_clause(query)
            made = self.add(Value("query", parts=self.columns_of(query["valuesLists"], "pick")))
        else:
            made = self.expression(node.get("selectStmt"))
        self.add(Value("assign", relation, (made,), columns=columns))
        if conflict := node.get("onConflictClause"):
            self.aliases.setdefault("excluded", []).append(self.add(Value("relation", relation)))
            self.set(relation, conflict.get("targetList", []))
            self.boolean(conflict.get("whereClause"))
            self.below(conflict.get("infer"))
        self.values[index] = Value("query", parts=self.returning(node, relation))

    def update(self, index: int, node: Node) -> None:
        self.with_clause(node)
        relation = self.target(node)
        self.sources(node.get("fromClause", []) + node.get("usingClause", []))
        self.set(relation, node.get("targetList", []))
        self.boolean(node.get("whereClause"))
        self.values[index] = Value("query", parts=self.returning(node, relation))

    def merge(self, index: int, node: Node) -> None:
        self.with_clause(node)
        relation = self.target(node)
        self.sources([node.get("sourceRelation", {})])
        self.boolean(node.get("joinCondition"))
        for entry in node.get("mergeWhenClauses", []):
            clause = entry.get("MergeWhenClause", {})
            self.boolean(clause.get("condition"))
            targets = clause.get("targetList", [])
            if "values" in clause:
                made = self.add(Value("query", parts=self.every(clause["values"])))
                self.add(Value("assign", relation, (made,), columns=_named(targets)))
            else:
                self.set(relation, targets)
        self.values[index] = Value("query", parts=self.returning(node, relation))

    def target(self, node: Node) -> tuple[str, ...]:
        relation = node.get("relation", {})
        name = relation_of(relation)
        alias = alias_of(relation)[0] or name[-1]
        self.aliases.setdefault(alias, []).append(self.add(Value("relation", name)))
        return name

    def set(self, relation: tuple[str, ...], targets: list[Node]) -> None:
        source = -1
        for target in targets:
            entry = target.get("ResTarget", {})
            several = entry.get("val", {}).get("MultiAssignRef")
            if several is None:
                made = self.expression(entry.get("val"))
            else:  # every one of them holds the source
                number = several.get("colno", 1) - 1
                if number == 0:
                    source = self.expression(several.get("source"))
                made = self.add(Value("nth", parts=(source,), number=number))
            query = self.add(Value("query", parts=(made,)))
            plain = "indirection" not in entry
            self.add(Value("assign", relation, (query,), columns=(entry.get("name", ""),), number=0 if plain else 1))

    def returning(self, node: Node, relation: tuple[str, ...]) -> tuple[int, ...]:
        clause = node.get("returningClause") or {"exprs": node.get("returningList", [])}
        names = [option.get("ReturningOption", {}).get("value") for option in clause.get("options", [])]
        seen = self.add(Value("relation", relation))
        for name in ("old", "new", *names):
            self.aliases.setdefault(str(name), []).append(seen)
        return self.outputs(clause.get("exprs", []), (seen,))


def _named(targets: list[Node]) -> tuple[str, ...]:
    return tuple(target.get("ResTarget", {}).get("name", "") for target in targets)


_WORDS = {
    "CaseExpr": "case", "CoalesceExpr": "coalesce", "A_ArrayExpr": "array", "RowExpr": "row", "SubLink": "array",
    "XmlSerialize": "xmlserialize",
}  # fmt: skip
_WITHIN = ("arg", "defresult", "subselect", "val")


def _output_names(value: Node) -> set[str]:
    """The names that PostgreSQL may give an output column without an alias. A name too many does no harm."""
    found: set[str] = set()
    left = [value]
    while left:
        kind, node = one_of(left.pop() or {"": {}})
        if word := _WORDS.get(kind):
            found.add(word)
        if kind == "MinMaxExpr":
            found |= {"greatest", "least"}
        elif kind == "ColumnRef":
            found.add(strings_of(node.get("fields", []))[-1])
        elif kind == "FuncCall":
            found.add(strings_of(node.get("funcname", [""]))[-1])
        elif kind == "A_Indirection":
            found |= set(strings_of(node.get("indirection", [])))
        elif kind == "A_Expr":
            found.add("nullif")
        elif kind.startswith("Json"):
            found |= _JSON
        found |= set(strings_of(node.get("typeName", {}).get("names", []))[-1:])
        if kind == "SelectStmt":
            left += [target.get("ResTarget", {}).get("val", {}) for target in node.get("targetList", [])]
            found |= {target.get("ResTarget", {}).get("name", "") for target in node.get("targetList", [])}
        left += [node[key] for key in _WITHIN if isinstance(node.get(key), dict)]
    return found - {""}


_JSON = {
    "json_object", "json_array", "json_objectagg", "json_arrayagg", "json_value", "json_query", "json_exists", "json",
    "json_scalar", "json_serialize",
}  # fmt: skip

_STATEMENTS: dict[str, Callable[[_Reading, int, Node], None]] = {
    "AlterTableCmd": _Reading.altered,
    "ColumnDef": _Reading.defined,
    "Constraint": _Reading.constraint,
    "CopyStmt": _Reading.copy,
    "IndexStmt": _Reading.copy,
    "DeleteStmt": _Reading.update,
    "ExecuteStmt": _Reading.execute,
    "InsertStmt": _Reading.insert,
    "MergeStmt": _Reading.merge,
    "PrepareStmt": _Reading.prepare,
    "RangeTableSample": _Reading.sample,
    "SelectStmt": _Reading.select,
    "UpdateStmt": _Reading.update,
}
