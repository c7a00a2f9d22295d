"""The walk over a statement's tree: collects names and node types, at any depth, without recursion.

The tree is libpg_query's JSON: node types are keys that begin with a capital, but fields of a fixed type
(`larg`, `relation`, `intoClause`, `typeName`) carry no type key. So field names are collected as well, and
relations and types are known by their shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pgjit.sql.statement import Name, Setting

__all__ = ["KINDS", "Walk", "kind_of"]

KINDS: dict[str, str] = {
    "SelectStmt": "select",
    "InsertStmt": "insert",
    "UpdateStmt": "update",
    "DeleteStmt": "delete",
    "MergeStmt": "merge",
    "ExplainStmt": "explain",
    "VariableShowStmt": "show",
    "VariableSetStmt": "set",
    "TransactionStmt": "transaction",
    "DeclareCursorStmt": "declare",
    "FetchStmt": "fetch",
    "ClosePortalStmt": "close",
    "PrepareStmt": "prepare",
    "ExecuteStmt": "execute",
    "DeallocateStmt": "deallocate",
    "DiscardStmt": "discard",
    "ListenStmt": "listen",
    "UnlistenStmt": "unlisten",
    "NotifyStmt": "notify",
    "CallStmt": "call",
    "DoStmt": "do",
    "LockStmt": "lock",
    "TruncateStmt": "truncate",
}
_STATEMENT = re.compile(r"[A-Za-z]+Stmt\Z")
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def kind_of(node_type: str, node: dict[str, Any]) -> str:
    """The kind of a statement in the words that policies use; of an unknown one, its node's name."""
    if node_type == "CopyStmt":
        return "copy-in" if node.get("is_from") else "copy-out"
    return KINDS.get(node_type) or _WORD.sub("-", node_type.removesuffix("Stmt")).lower()


class Walk:
    """`over` fills the lists."""

    def __init__(self, where: Callable[[int], int]) -> None:
        self._where = where
        self.nodes: set[str] = set()
        self.fields: set[str] = set()
        self.inner: list[tuple[str, dict[str, Any]]] = []
        self.functions: list[Name] = []
        self.relations: list[Name] = []
        self.types: list[Name] = []
        self.operators: list[Name] = []
        self.settings: list[Setting] = []
        self.options: set[str] = set()

    def over(self, tree: dict[str, Any]) -> None:
        left: list[Any] = [tree]
        top = True
        while left:
            value = left.pop()
            if isinstance(value, list):
                left.extend(value)
                continue
            if not isinstance(value, dict):
                continue
            if "relname" in value:
                self._relation(value)
            for key, inner in value.items():
                if key[0].isupper():
                    self.nodes.add(key)
                    if isinstance(inner, dict):
                        if not top and _STATEMENT.match(key):
                            self.inner.append((key, inner))
                        self._node(key, inner)
                else:
                    self.fields.add(key)
                    if isinstance(inner, dict) and "names" in inner and "typemod" in inner:
                        self._type(inner)
                if isinstance(inner, (dict, list)):
                    left.append(inner)
            top = False

    def _place(self, node: dict[str, Any]) -> int | None:
        location = node.get("location", 0)
        return self._where(location) + 1 if isinstance(location, int) and location >= 0 else None

    def _relation(self, node: dict[str, Any]) -> None:
        parts = [node[key] for key in ("catalogname", "schemaname", "relname") if node.get(key)]
        self.relations.append(Name(tuple(parts), self._place(node)))

    def _type(self, node: dict[str, Any]) -> None:
        self.types.append(Name(_strings(node["names"]), self._place(node)))

    def _node(self, key: str, node: dict[str, Any]) -> None:
        match key:
            case "FuncCall":
                name = Name(_strings(node.get("funcname", [])), self._place(node))
                self.functions.append(name)
                if name.parts[-1:] == ("set_config",):
                    self.settings.append(_set_config(node, name))
            case "TypeName":
                self._type(node) if "names" in node else None
            case "A_Expr" | "SubLink" | "SortBy":
                operator = _strings(node.get("name") or node.get("operName") or node.get("useOp") or [])
                if len(operator) > 1:
                    self.operators.append(Name(operator, self._place(node)))
            case "RangeTableSample":
                self.functions.append(Name(_strings(node.get("method", [])), self._place(node)))
            case "VariableSetStmt":
                self._set(node)
            case "TransactionStmt":
                self.options.add(f"kind={node.get('kind', '')}")
                self._transaction_options(node.get("options", []))

    def _set(self, node: dict[str, Any]) -> None:
        arguments = node.get("args", [])
        name = node.get("name")
        if node.get("kind") == "VAR_SET_MULTI":  # SET TRANSACTION and its kind
            self._transaction_options(arguments)
        constant = all(
            isinstance(argument, dict) and set(argument) <= {"A_Const", "TypeCast"} for argument in arguments
        )
        self.settings.append(Setting(str(name).lower() if name else "all", constant, self._place(node)))

    def _transaction_options(self, options: list[Any]) -> None:
        for option in options:
            element = option.get("DefElem", {}) if isinstance(option, dict) else {}
            constant = element.get("arg", {}).get("A_Const", {})
            value = constant.get("ival", {}).get("ival", 0) if "ival" in constant else "?"
            if "sval" in constant:
                value = constant["sval"].get("sval", "")
            self.options.add(f"{element.get('defname', '?')}={value}")


def _strings(parts: list[Any]) -> tuple[str, ...]:
    """A qualified name: `[{String: {sval: ...}}, ...]`. An empty part stands for what is not a string."""
    return tuple(str(part.get("String", {}).get("sval", "")) for part in parts if isinstance(part, dict))


def _set_config(node: dict[str, Any], name: Name) -> Setting:
    """`set_config(name, value, local)`: the name must be written out; a value may come as a parameter."""
    arguments = [argument for argument in node.get("args", []) if isinstance(argument, dict)]
    first = arguments[0].get("A_Const", {}).get("sval", {}).get("sval") if len(arguments) == 3 else None
    if first is None:
        return Setting(None, constant=False, position=name.position)
    constant = all("A_Const" in argument or "ParamRef" in argument for argument in arguments[1:])
    return Setting(str(first).lower(), constant=constant, position=name.position)
