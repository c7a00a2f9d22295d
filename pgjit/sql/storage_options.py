"""Storage parameters, `WITH (autovacuum_enabled = off)`: the parser reads the bare word `off` as a type's name.

Decides which options are storage parameters of a relation: their values are never types, and are turned into strings
in the tree. In CREATE SEQUENCE (`AS bigint`), CREATE TYPE and CREATE OPERATOR such a value is a type. Does not decide
what an option does.
"""

from __future__ import annotations

from typing import Any

from pgjit.sql.tree import strings_of

__all__ = ["HAS_OPTIONS", "spell_options"]

HAS_OPTIONS = frozenset({"AlterTableStmt", "CreateStmt", "CreateTableAsStmt", "IndexStmt", "ViewStmt"})
_OF_RELATIONS = ("AT_SetRelOptions", "AT_ResetRelOptions", "AT_ReplaceRelOptions", "AT_SetOptions", "AT_ResetOptions")
_BY_INDEX = ("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_EXCLUSION")


def spell_options(node: dict[str, Any]) -> None:
    """Replace such types by strings, in the tree itself."""
    lists = [node.get("options", []), node.get("into", {}).get("options", [])]
    for element in node.get("tableElts", []):
        lists += _of_constraints(element)
    for entry in node.get("cmds", []):
        command = entry.get("AlterTableCmd", {})
        defined = command.get("def", {})
        if command.get("subtype") in _OF_RELATIONS:
            lists.append(defined.get("List", {}).get("items", []))
        lists += _of_constraints(defined)
    for option in (each for some in lists for each in some):
        _spell(option.get("DefElem", {}))


def _of_constraints(element: dict[str, Any]) -> list[list[Any]]:
    constraints = [element, *element.get("ColumnDef", {}).get("constraints", [])]
    found = [each.get("Constraint", {}) for each in constraints]
    return [each.get("options", []) for each in found if each.get("contype") in _BY_INDEX]


def _spell(option: dict[str, Any]) -> None:
    kind = option.get("arg", {}).get("TypeName", {})
    name = strings_of(kind.get("names", []))
    if name and not kind.keys() - {"names", "typemod", "location"}:
        option["arg"] = {"String": {"sval": name[-1]}}
