"""`WITH (autovacuum_enabled = off)`: the parser reads a bare word among the options of a relation as a type's name.

Decides which options are those of a relation, where no value is a type. In sequences (`AS bigint`) and in what
defines types and operators it is one. Decides nothing of what an option does.
"""

from __future__ import annotations

from typing import Any

from pgjit.sql.tree import strings_of

__all__ = ["HAS_OPTIONS", "spell_options"]

HAS_OPTIONS = frozenset({"AlterTableStmt", "CreateStmt", "CreateTableAsStmt", "IndexStmt", "ViewStmt"})
_OF_RELATIONS = ("AT_SetRelOptions", "AT_ResetRelOptions", "AT_ReplaceRelOptions", "AT_SetOptions", "AT_ResetOptions")
_BY_INDEX = ("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_EXCLUSION")


def spell_options(node: dict[str, Any]) -> None:
    """Put words in the place of such types, in the tree itself."""
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
