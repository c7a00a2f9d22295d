"""Reads the query levels of a statement from its tree: which names are visible where, as in PostgreSQL's analysis.

Iterative: inner queries are put on a list of work. If the tree alone leaves a case open, all possibilities are noted.
Knows no catalog, decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pgjit.sql.scopes.command_relations import command_relations_of
from pgjit.sql.scopes.from_clause import CteScope, ExpressionPlace, FromClause, Node, keep_first
from pgjit.sql.scopes.json_syntax import SYNTAX, calls_of
from pgjit.sql.scopes.scopes import (
    Call,
    CommandRelation,
    FromItem,
    OperatorUse,
    QueryLevel,
    Reference,
    Scopes,
    TargetColumns,
)
from pgjit.sql.tree import alias_of, numbers_among, one_of, relation_of, strings_of

__all__ = ["read_scopes"]


def read_scopes(node_type: str, node: Node, where: Callable[[int], int]) -> Scopes:
    reading = _Reading(where, node_type, node)
    reading.expression({node_type: node}, ExpressionPlace())
    while reading.todo:
        method, inner, place = reading.todo.pop()
        method(reading, inner, place)
    return Scopes(
        tuple(reading.levels),
        (*reading.command_relations, *command_relations_of(node_type, node, where)),
        tuple(reading.writes),
        tuple(sorted(reading.calls.items(), key=_by_place)),
        tuple(sorted(reading.operations.items(), key=_by_place)),
        frozenset(reading.queries),
        reading.locking,
        reading.arrays,
    )


class _Reading(FromClause):
    def __init__(self, where: Callable[[int], int], kind: str, statement: Node) -> None:
        super().__init__(where)
        self._kind = kind
        self._made = statement.get("relation") if kind == "CreateStmt" else None
        self.command_relations: list[CommandRelation] = []
        self.writes: list[TargetColumns] = []
        self.calls: dict[Call, int | None] = {}
        self.queries: set[str] = set()
        self.locking = False
        self.arrays = False
        self.todo: list[tuple[Callable[[_Reading, Any, ExpressionPlace], None], Any, ExpressionPlace]] = []

    def expression(self, value: Any, place: ExpressionPlace) -> None:
        left: list[Any] = [value]
        while left:
            node = left.pop()
            if type(node) is list:
                left.extend(node)
                continue
            if type(node) is not dict:
                continue
            if "relname" in node:  # outside of FROM: a relation that a command names
                self.use(node)
                continue
            for key, inner in node.items():
                kind = type(inner)
                if kind is dict:
                    handler = _EXPRESSIONS.get(key)
                    if handler is None or handler(self, inner, place):
                        left.append(inner)
                elif kind is list:
                    left.extend(inner)

    def use(self, node: Node) -> None:
        # COPY's relation is read with its columns, in `command_relations_of`. SET CONSTRAINTS names constraints in
        # the form of relations.
        if self._kind not in ("CopyStmt", "ConstraintsSetStmt"):
            creates = self._kind.startswith(("Create", "View", "Composite"))
            action: Literal["lock", "define"] = "lock" if self._kind == "LockStmt" else "define"
            mentioned = self._made is not None and node is not self._made
            self.command_relations.append(
                CommandRelation(relation_of(node), action, self.at(node), creates=creates, mentioned=mentioned)
            )

    # The nodes of an expression. A handler returns True if the nodes inside are to be read as well.

    def column(self, node: Node, place: ExpressionPlace) -> bool:
        fields = node.get("fields", [])
        star = bool(fields) and "A_Star" in fields[-1]
        if place.level < 0 and len(fields) > 1 and not star:  # in DDL: a column of its table, or a function
            function = Call(strings_of(fields)[-1:], 1, attribute=True)
            keep_first(self.calls, function, self.at(node))
        self.refer(
            Reference(strings_of(fields[:-1] if star else fields), star, place.early, place.output), node, place
        )
        return False

    def indirection(self, node: Node, place: ExpressionPlace) -> bool:
        """`(a).b`: a field of a column, a column of a row, or a function of either."""
        column = node.get("arg", {}).get("ColumnRef")
        names = [step["String"]["sval"] for step in node.get("indirection", []) if "String" in step]
        known = None
        if column and names and "String" in node["indirection"][0] and len(column["fields"]) == 1:
            parts = strings_of(column["fields"])
            if parts != ("",):
                known = names.pop(0)
                self.refer(Reference(parts, early=place.early, attribute=known), column, place)
        untyped = _untyped([node.get("arg")])
        for name in names:
            keep_first(self.calls, Call((name,), 1, attribute=True, untyped=untyped), None)
        if known is None:
            return True
        self.todo.append((_Reading.expression, node["indirection"], place))
        return False

    def call(self, node: Node, _place: ExpressionPlace) -> bool:
        counts = not (node.get("func_variadic") or node.get("agg_within_group"))
        arguments = node.get("args", [])
        untyped = _untyped(arguments) if counts else None
        numbers = numbers_among(arguments) if untyped is not None else ()
        call = Call(strings_of(node.get("funcname", [])), len(arguments) if counts else None, False, untyped, numbers)
        keep_first(self.calls, call, self.at(node))
        return True

    def operator(self, node: Node, _place: ExpressionPlace) -> bool:
        sides = [node[side] for side in ("lexpr", "rexpr") if side in node]
        names = [strings_of(node.get("name", []))]
        if "BETWEEN" in node.get("kind", ""):
            names = [(name,) for name in (">=", "<=", "<", ">")]
        for name in names:
            keep_first(self.operations, OperatorUse(name, len(sides), _untyped(sides)), self.at(node))
        return True

    def case(self, node: Node, _place: ExpressionPlace) -> bool:
        if "arg" in node:
            compared = [entry.get("CaseWhen", {}).get("expr") for entry in node.get("args", [])]
            keep_first(self.operations, OperatorUse(("=",), 2, _untyped([node["arg"], compared])), self.at(node))
        return True

    def sublink(self, node: Node, _place: ExpressionPlace) -> bool:
        self.arrays = self.arrays or node.get("subLinkType") == "ARRAY_SUBLINK"
        if "testexpr" in node:
            name = strings_of(node.get("operName", [])) or ("=",)  # IN
            keep_first(self.operations, OperatorUse(name, 2, _untyped([node["testexpr"]])), self.at(node))
        return True

    def assign(self, node: Node, _place: ExpressionPlace) -> bool:
        return bool(node.get("colno", 1) == 1)  # the others hold the same tree again

    def query(self, node: Node, place: ExpressionPlace) -> bool:
        """A query in an expression: its parent is the level of the expression."""
        level = self.open(place.level, partial=place.early)
        self.todo.append((_Reading.select, node, ExpressionPlace(level, place.ctes)))
        return False

    # Levels.

    def begin(self, node_type: str, node: Node, level: int, ctes: CteScope | None) -> None:
        method = _STATEMENTS.get(node_type)
        if method is None:  # PostgreSQL accepts no other statement there
            self.levels[level].opaque = True
            method = _Reading.expression
        self.todo.append((method, node, ExpressionPlace(level, ctes)))

    def with_clause(self, node: Node, place: ExpressionPlace) -> CteScope | None:
        clause = node.get("withClause")
        if clause is None:
            return place.ctes
        entries = [entry["CommonTableExpr"] for entry in clause.get("ctes", [])]
        queries: dict[str, tuple[int, int, tuple[str, ...], tuple[str, ...]]] = {}
        around = self.levels[place.level]
        for order, entry in enumerate(entries):
            self.queries.add(entry["ctename"])
            level = self.open(around.parent, partial=around.partial)
            queries.setdefault(
                entry["ctename"], (order, level, strings_of(entry.get("aliascolnames", [])), _added(entry))
            )
            visible = len(entries) if clause.get("recursive") else order
            node_type, query = one_of(entry["ctequery"])
            self.begin(node_type, query, level, CteScope(queries, visible, place.ctes))
        return CteScope(queries, len(entries), place.ctes)

    def select(self, node: Node, place: ExpressionPlace) -> None:
        here = self.levels[place.level]
        place = ExpressionPlace(place.level, self.with_clause(node, place))
        ordering = place._replace(output=True)
        for key, inner in node.items():
            if key in ("larg", "rarg"):
                arm = self.open(here.parent, partial=here.partial)
                if key == "larg":
                    here.names_from = arm
                self.todo.append((_Reading.select, inner, ExpressionPlace(arm, place.ctes)))
            elif key == "fromClause":
                self.sources(inner, place)
            elif key == "targetList":
                self.outputs(inner, here)
                self.expression(inner, place)
            elif key in ("sortClause", "groupClause", "distinctClause"):
                self.expression(inner, ordering)
            elif key == "valuesLists":
                here.outputs = {f"column{number + 1}": None for number in range(_width(inner))}
                self.expression(inner, place)
            elif key == "lockingClause":
                self.locking = True
            elif key == "intoClause":
                self.command_relations.append(
                    CommandRelation(relation_of(inner["rel"]), "define", self.at(inner["rel"]), creates=True)
                )
            elif key != "withClause":
                self.expression(inner, place)

    def outputs(self, targets: list[Node], level: QueryLevel) -> None:
        for target in targets:
            entry = target.get("ResTarget", {})
            value = entry.get("val", {})
            if name := entry.get("name"):
                level.outputs[name] = None
            elif fields := value.get("ColumnRef", {}).get("fields"):
                if "A_Star" in fields[-1]:
                    level.stars.append(strings_of(fields[:-1]))
                else:
                    level.outputs[strings_of(fields)[-1]] = None
            else:
                level.opaque = True

    def insert(self, node: Node, place: ExpressionPlace) -> None:
        place = ExpressionPlace(place.level, self.with_clause(node, place))
        here = self.target(node, place)
        columns = node.get("cols")
        self.writes.append(TargetColumns(place.level, "insert", _named(columns) if columns else None))
        self.expression(columns, place)
        if query := node.get("selectStmt", {}).get("SelectStmt"):
            self.todo.append((_Reading.select, query, ExpressionPlace(self.open(here.parent), place.ctes)))
        if conflict := node.get("onConflictClause"):
            here.sources.append(here.sources[0]._replace(alias="excluded"))
            if targets := conflict.get("targetList"):
                self.writes.append(TargetColumns(place.level, "update", _named(targets)))
            for element in conflict.get("infer", {}).get("indexElems", []):
                if name := element.get("IndexElem", {}).get("name"):
                    self.refer(Reference((name,)), conflict["infer"], place)
            self.expression(conflict, place)
        self.returning(node, place)

    def update(self, node: Node, place: ExpressionPlace) -> None:
        place = ExpressionPlace(place.level, self.with_clause(node, place))
        self.target(node, place)
        self.writes.append(TargetColumns(place.level, "update", _named(node.get("targetList", []))))
        self.sources(node.get("fromClause", []), place)
        self.expression([node.get("targetList"), node.get("whereClause")], place)
        self.returning(node, place)

    def delete(self, node: Node, place: ExpressionPlace) -> None:
        place = ExpressionPlace(place.level, self.with_clause(node, place))
        self.target(node, place)
        self.writes.append(TargetColumns(place.level, "delete", ()))
        self.sources(node.get("usingClause", []), place)
        self.expression(node.get("whereClause"), place)
        self.returning(node, place)

    def merge(self, node: Node, place: ExpressionPlace) -> None:
        place = ExpressionPlace(place.level, self.with_clause(node, place))
        self.target(node, place)
        self.sources([node.get("sourceRelation", {})], place)
        self.expression(node.get("joinCondition"), place)
        for entry in node.get("mergeWhenClauses", []):
            clause = entry.get("MergeWhenClause", {})
            targets = clause.get("targetList")
            match clause.get("commandType"):
                case "CMD_INSERT":
                    self.writes.append(TargetColumns(place.level, "insert", _named(targets) if targets else None))
                case "CMD_UPDATE":
                    self.writes.append(TargetColumns(place.level, "update", _named(targets or [])))
                case "CMD_DELETE":
                    self.writes.append(TargetColumns(place.level, "delete", ()))
            self.expression(clause, place)
        self.returning(node, place)

    def target(self, node: Node, place: ExpressionPlace) -> QueryLevel:
        relation = node.get("relation", {})
        alias, columns = alias_of(relation)
        here = self.levels[place.level]
        only = not relation.get("inh")
        name = relation_of(relation)
        here.sources.append(FromItem("target", name, alias, columns, only=only, position=self.at(relation)))
        return here

    def returning(self, node: Node, place: ExpressionPlace) -> None:
        clause = node.get("returningClause")
        if clause is None:
            clause = {"exprs": node.get("returningList", [])}
        if not clause.get("exprs"):
            return
        here = self.levels[place.level]
        names = [option.get("ReturningOption", {}).get("value") for option in clause.get("options", [])]
        for name in ("old", "new", *names):
            here.sources.append(here.sources[0]._replace(alias=name))
        self.outputs(clause["exprs"], here)
        self.expression(clause["exprs"], place)


def _added(entry: Node) -> tuple[str, ...]:
    """The columns that SEARCH and CYCLE add to a common table expression."""
    search, cycle = entry.get("search_clause", {}), entry.get("cycle_clause", {})
    names = (search.get("search_seq_column"), cycle.get("cycle_mark_column"), cycle.get("cycle_path_column"))
    return tuple(name for name in names if name)


def _untyped(values: list[Any]) -> tuple[int, ...] | None:
    """The indexes of those that may take any type: untyped literals, NULL, parameters."""
    if any(isinstance(value, dict) and "NamedArgExpr" in value for value in values):
        return None
    return tuple(index for index, value in enumerate(values) if _is_untyped(value))


def _is_untyped(value: Any) -> bool:
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left.extend(node)
        elif isinstance(node, dict) and node:
            node_type, inner = one_of(node)
            if node_type == "ParamRef" or (node_type == "A_Const" and not inner.keys() & _TYPED):
                return True
            if node_type == "CollateClause":
                left.append(inner.get("arg"))
            elif node_type in ("List", "RowExpr"):
                left.extend((inner.get("items"), inner.get("args")))
    return False


def _by_place(item: tuple[Any, int | None]) -> int:
    return item[1] or 0


def _named(targets: list[Node]) -> tuple[str, ...]:
    return tuple(target["ResTarget"]["name"] for target in targets if "name" in target.get("ResTarget", {}))


def _width(rows: list[Node]) -> int:
    return len(rows[0].get("List", {}).get("items", [])) if rows else 0


_TYPED = {"ival", "fval", "boolval", "bsval"}

_Handler = Callable[[_Reading, Node, ExpressionPlace], bool]


def _calling(node_type: str) -> _Handler:
    def handler(reading: _Reading, node: Node, _place: ExpressionPlace) -> bool:
        for call in calls_of(node_type, node):
            keep_first(reading.calls, call, reading.at(node))
        return True

    return handler


def _modifying(node_type: str) -> _Handler:
    """A data-modifying statement in WITH: no outer level is visible from it."""

    def handler(reading: _Reading, node: Node, place: ExpressionPlace) -> bool:
        reading.begin(node_type, node, reading.open(-1), place.ctes)
        return False

    return handler


_EXPRESSIONS: dict[str, _Handler] = {
    **{node_type: _calling(node_type) for node_type in SYNTAX},
    "ColumnRef": _Reading.column,
    "A_Indirection": _Reading.indirection,
    "FuncCall": _Reading.call,
    "funccall": _Reading.call,
    "A_Expr": _Reading.operator,
    "CaseExpr": _Reading.case,
    "SubLink": _Reading.sublink,
    "MultiAssignRef": _Reading.assign,
    "SelectStmt": _Reading.query,
    **{node_type: _modifying(node_type) for node_type in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")},
}

_STATEMENTS: dict[str, Callable[[_Reading, Any, ExpressionPlace], None]] = {
    "SelectStmt": _Reading.select,
    "InsertStmt": _Reading.insert,
    "UpdateStmt": _Reading.update,
    "DeleteStmt": _Reading.delete,
    "MergeStmt": _Reading.merge,
}
