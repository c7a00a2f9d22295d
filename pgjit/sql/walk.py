"""Walks a statement's tree level by level and collects names and node types, at any depth, without recursion.

The tree is libpg_query's JSON. A node type is a key that begins with a capital letter, but fields of a fixed type
(`larg`, `relation`, `intoClause`, `typeName`) have no such key. So field names are collected as well, and relations,
types and function calls are recognised by their fields. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgjit.sql.kind import kind_of
from pgjit.sql.scopes.updatable_views import passed_on_by
from pgjit.sql.statement import Name, Setting
from pgjit.sql.storage_options import HAS_OPTIONS, spell_options
from pgjit.sql.tree import relation_of, strings_of
from pgjit.sql.type_text import type_in_text

__all__ = ["Walk"]

_DEFINES_COLUMNS = frozenset({"CreateStmt", "AlterTableStmt"})
_SERIAL: dict[tuple[str, ...], str] = {
    ("smallserial",): "int2", ("serial2",): "int2", ("serial",): "int4", ("serial4",): "int4",
    ("bigserial",): "int8", ("serial8",): "int8",
}  # fmt: skip
_READS_INPUT = frozenset({"pg_input_is_valid", "pg_input_error_info"})
_MODIFYING = {"UpdateStmt": "update", "DeleteStmt": "delete", "MergeStmt": "merge"}
_WRITES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})

Places = dict[tuple[str, ...], int]
"""Names, each with the byte offset of its first occurrence; -1 if the parser gives no offset."""


class Walk:
    """`over` fills the sets; `names` returns one of them with positions, in the order of the text."""

    def __init__(self, where: Callable[[int], int]) -> None:
        self._where = where
        self.nodes: set[str] = set()
        self.fields: set[str] = set()
        self.inner: dict[str, None] = {}
        self.functions: Places = {}
        self.relations: Places = {}
        self.targets: Places = {}
        self.types: Places = {}
        self.unread_types: Places = {}
        self.operators: Places = {}
        self.attributes: dict[str, None] = {}
        self.columns: set[str] = set()
        self.settings: list[Setting] = []
        self.options: set[str] = set()
        self.depth = 0  # levels of the tree
        self.selects: list[dict[str, Any]] = []  # every SELECT, the outermost first
        self.writes: list[tuple[str, dict[str, Any]]] = []  # every UPDATE, DELETE and MERGE, the outermost first

    def over(self, node_type: str, node: dict[str, Any]) -> None:
        keys = {node_type}
        if node_type in _DEFINES_COLUMNS:
            _spell_serial(node)
        if node_type in HAS_OPTIONS:
            spell_options(node)
        if handler := _HANDLERS.get(node_type):
            handler(self, node)
        if node_type in _MODIFYING:
            self.writes.append((_MODIFYING[node_type], node))
        depth = 1  # the statement itself is below its type
        level: list[Any] = [node]
        while level:
            below: list[Any] = []
            nodes = 0
            for value in level:
                if type(value) is list:
                    level += value
                    continue
                if type(value) is not dict:
                    continue
                nodes += 1
                keys.update(value)
                if "relname" in value:
                    _note(self.relations, relation_of(value), value)
                if "funcname" in value:
                    self._called(value)
                if "names" in value:
                    _note(self.types, strings_of(value["names"]), value)
                if "limitOption" in value:
                    self.selects.append(value)
                for key, inner in value.items():
                    if type(inner) is dict:
                        below.append(inner)
                        if handler := _HANDLERS.get(key):
                            handler(self, inner)
                        if key[-4:] == "Stmt" and key[0].isupper():
                            self.inner[kind_of(key, inner)] = None
                            if key in _MODIFYING:
                                self.writes.append((_MODIFYING[key], inner))
                    elif type(inner) is list:
                        below += inner
            depth += nodes > 0
            level = below
        self.depth = depth
        if node_type == "ConstraintsSetStmt":
            self.relations.clear()  # names of constraints, in the shape of relations
        self.nodes = {key for key in keys if key[0].isupper()}
        self.fields = keys - self.nodes

    def names(self, places: Places) -> tuple[Name, ...]:
        return tuple(Name(parts, self._place(offset)) for parts, offset in sorted(places.items(), key=_by_offset))

    def _place(self, offset: int) -> int | None:
        return self._where(offset) + 1 if offset >= 0 else None

    def _called(self, value: dict[str, Any]) -> None:
        name = strings_of(value["funcname"])
        _note(self.functions, name, value)
        if name[-1:] == ("set_config",):
            self.settings.append(_set_config(value, self._place(value.get("location", 0))))
        if not _READS_INPUT.isdisjoint(name[-1:]):
            self._input(name, value)

    def _input(self, name: tuple[str, ...], node: dict[str, Any]) -> None:
        """A function that reads a value of a type runs the checks of that type, as a cast does."""
        arguments = node.get("args", [])
        type_name = _constant(arguments[1]) if len(arguments) == 2 else None
        kind = type_in_text(type_name) if type_name is not None else None
        if kind is None:
            _note(self.unread_types, name, node)
        else:
            _note(self.types, kind, node)

    def expression(self, node: dict[str, Any]) -> None:
        """An operator: of A_Expr, of a SubLink, of ORDER BY ... USING."""
        parts = node.get("name") or node.get("operName") or node.get("useOp")
        if parts and "BETWEEN" not in node.get("kind", ""):
            _note(self.operators, strings_of(parts), node)

    def attribute(self, node: dict[str, Any]) -> None:
        """`(value).name`: a column of the value or, if it has none of that name, a function that takes it."""
        self.attributes.update(dict.fromkeys(name for name in strings_of(node.get("indirection", [])) if name))

    def column(self, node: dict[str, Any]) -> None:
        """`alias.name`: a column or, if there is none of that name, a function that takes the whole row."""
        fields = node.get("fields", [])
        if len(fields) > 1 and (name := strings_of(fields)[-1]):
            self.columns.add(name)

    def sample(self, node: dict[str, Any]) -> None:
        """TABLESAMPLE: its method is a function."""
        _note(self.functions, strings_of(node.get("method", [])), node)

    def type_name(self, node: dict[str, Any]) -> None:
        if "names" not in node:  # a type without a name: it gets one that no allow-list has
            _note(self.types, ("",), node)

    def copy(self, node: dict[str, Any]) -> None:
        if node.get("is_from"):
            self.target(node)

    def target(self, node: dict[str, Any]) -> None:
        relation = node.get("relation", {})
        _note(self.targets, relation_of(relation), relation)

    def view(self, node: dict[str, Any]) -> None:
        """A new view may pass writes on to its relation, which is therefore a target."""
        for opened in passed_on_by("ViewStmt", node):
            self.target({"relation": opened.relation})

    def constraint(self, node: dict[str, Any]) -> None:
        """EXCLUDE: `(element WITH operator, ...)`."""
        for pair in node.get("exclusions", []):
            name = pair.get("List", {}).get("items", [])[-1:]
            for operator in name:
                _note(self.operators, strings_of(operator.get("List", {}).get("items", [])), node)

    def set(self, node: dict[str, Any]) -> None:
        arguments = node.get("args", [])
        name = node.get("name")
        if node.get("kind") == "VAR_SET_MULTI" and name != "TRANSACTION SNAPSHOT":  # SET TRANSACTION and its kind
            self._transaction_options(arguments)
        constant = all(_is_constant(argument) for argument in arguments)
        self.settings.append(
            Setting(
                str(name).lower() if name else None,
                constant,
                self._place(node.get("location", -1)),
                everything=node.get("kind") == "VAR_RESET_ALL",
                value=_constant(arguments[0]) if len(arguments) == 1 else None,
                back=node.get("kind") in ("VAR_RESET", "VAR_SET_DEFAULT"),
                values=tuple(_constant(argument) for argument in arguments),
            )
        )

    def transaction(self, node: dict[str, Any]) -> None:
        self.options.add(f"kind={node.get('kind', '')}")
        self._transaction_options(node.get("options", []))

    def _transaction_options(self, options: list[Any]) -> None:
        for option in options:
            element = option.get("DefElem", {}) if isinstance(option, dict) else {}
            constant = element.get("arg", {}).get("A_Const", {})
            value = constant.get("ival", {}).get("ival", 0) if "ival" in constant else "?"
            if "sval" in constant:
                value = constant["sval"].get("sval", "")
            self.options.add(f"{element.get('defname', '?')}={value}")


_HANDLERS: dict[str, Callable[[Walk, dict[str, Any]], None]] = {
    "A_Expr": Walk.expression,
    "A_Indirection": Walk.attribute,
    "ColumnRef": Walk.column,
    "Constraint": Walk.constraint,
    "SubLink": Walk.expression,
    "SortBy": Walk.expression,
    "RangeTableSample": Walk.sample,
    "TypeName": Walk.type_name,
    "typeName": Walk.type_name,
    "VariableSetStmt": Walk.set,
    "setstmt": Walk.set,  # of ALTER ROLE and ALTER DATABASE, a field of a fixed type
    "TransactionStmt": Walk.transaction,
    "CopyStmt": Walk.copy,
    "ViewStmt": Walk.view,
    **dict.fromkeys(_WRITES, Walk.target),
}


def _by_offset(item: tuple[tuple[str, ...], int]) -> int:
    return item[1]


def _note(places: Places, parts: tuple[str, ...], node: dict[str, Any]) -> None:
    """Keep a name with its first offset. libpg_query leaves out an offset of 0."""
    offset = node.get("location", 0)
    places[parts] = min(offset, places.get(parts, offset))


def _spell_serial(node: dict[str, Any]) -> None:
    """`serial` and the like are not types: PostgreSQL makes the column an integer. So does this, in the tree."""
    elements = node.get("tableElts", []) + [
        command.get("AlterTableCmd", {}).get("def", {}) for command in node.get("cmds", [])
    ]
    for element in elements:
        kind = element.get("ColumnDef", {}).get("typeName", {})
        if made := _SERIAL.get(strings_of(kind.get("names", []))):
            kind["names"] = [{"String": {"sval": part}} for part in ("pg_catalog", made)]


def _is_constant(argument: Any) -> bool:
    if isinstance(argument, dict) and "TypeCast" in argument:  # SET TIME ZONE INTERVAL '...'
        argument = argument["TypeCast"].get("arg")
    return isinstance(argument, dict) and set(argument) == {"A_Const"}


def _constant(argument: Any) -> str | None:
    """The text of a constant: a number as it is written, a string without its quotes."""
    constant = argument.get("A_Const", {}) if isinstance(argument, dict) else {}
    if "ival" in constant:
        return str(constant["ival"].get("ival", 0))
    value = constant.get("sval", {}).get("sval", constant.get("fval", {}).get("fval"))
    return None if value is None else str(value)


def _set_config(node: dict[str, Any], place: int | None) -> Setting:
    """`set_config(name, value, local)`: the name must be a constant, the value may be a parameter."""
    arguments = [argument for argument in node.get("args", []) if isinstance(argument, dict)]
    first = arguments[0].get("A_Const", {}).get("sval", {}).get("sval") if len(arguments) == 3 else None
    if first is None:
        return Setting(None, constant=False, position=place, called=True)
    constant = all("A_Const" in argument or "ParamRef" in argument for argument in arguments[1:])
    return Setting(
        str(first).lower(),
        constant=constant,
        position=place,
        value=_constant(arguments[1]),
        back=bool(arguments[1].get("A_Const", {}).get("isnull")),
        called=True,
    )
