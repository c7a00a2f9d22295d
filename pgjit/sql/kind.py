"""The kind of a statement in the words that policies use: PostgreSQL's own command tags, in kebab-case.

Examples are `drop-table`, `create-materialized-view` and `alter-text-search-dictionary`: the tags of event triggers
and of `CommandComplete` in PostgreSQL's documentation. `CREATE USER` has the tag of `CREATE ROLE`, so that is its
kind. Kinds without a tag of their own are `explain-analyze`, `copy-in` and `copy-out`. Decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["kind_of"]

Node = dict[str, Any]

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_TAGS: dict[str, str] = {  # where the tag differs from the node's name
    "AlterDatabaseRefreshCollStmt": "alter-database",
    "AlterDatabaseSetStmt": "alter-database",
    "AlterEnumStmt": "alter-type",
    "AlterEventTrigStmt": "alter-event-trigger",
    "AlterExtensionContentsStmt": "alter-extension",
    "AlterFdwStmt": "alter-foreign-data-wrapper",
    "AlterForeignServerStmt": "alter-server",
    "AlterOpFamilyStmt": "alter-operator-family",
    "AlterRoleSetStmt": "alter-role",
    "AlterSeqStmt": "alter-sequence",
    "AlterStatsStmt": "alter-statistics",
    "AlterTSConfigurationStmt": "alter-text-search-configuration",
    "AlterTSDictionaryStmt": "alter-text-search-dictionary",
    "AlterTableSpaceOptionsStmt": "alter-tablespace",
    "CheckPointStmt": "checkpoint",
    "ClosePortalStmt": "close",
    "CompositeTypeStmt": "create-type",
    "ConstraintsSetStmt": "set-constraints",
    "CreateAmStmt": "create-access-method",
    "CreateEnumStmt": "create-type",
    "CreateEventTrigStmt": "create-event-trigger",
    "CreateFdwStmt": "create-foreign-data-wrapper",
    "CreateForeignServerStmt": "create-server",
    "CreateOpClassStmt": "create-operator-class",
    "CreateOpFamilyStmt": "create-operator-family",
    "CreatePLangStmt": "create-language",
    "CreateRangeStmt": "create-type",
    "CreateSeqStmt": "create-sequence",
    "CreateStatsStmt": "create-statistics",
    "CreateStmt": "create-table",
    "CreateTableSpaceStmt": "create-tablespace",
    "CreateTrigStmt": "create-trigger",
    "CreatedbStmt": "create-database",
    "DeclareCursorStmt": "declare",
    "DropTableSpaceStmt": "drop-tablespace",
    "DropdbStmt": "drop-database",
    "IndexStmt": "create-index",
    "RefreshMatViewStmt": "refresh-materialized-view",
    "ReplicaIdentityStmt": "alter-table",
    "RuleStmt": "create-rule",
    "SecLabelStmt": "security-label",
    "TruncateStmt": "truncate",
    "VariableSetStmt": "set",
    "VariableShowStmt": "show",
    "ViewStmt": "create-view",
}

_OBJECTS: dict[str, str] = {  # where the tag's word for an object differs from the parser's
    "ATTRIBUTE": "type",
    "COLUMN": "table",
    "DOMCONSTRAINT": "domain",
    "FDW": "foreign-data-wrapper",
    "FOREIGN_SERVER": "server",
    "LARGEOBJECT": "large-object",
    "MATVIEW": "materialized-view",
    "OPCLASS": "operator-class",
    "OPFAMILY": "operator-family",
    "STATISTIC_EXT": "statistics",
    "TABCONSTRAINT": "table",
    "TSCONFIGURATION": "text-search-configuration",
    "TSDICTIONARY": "text-search-dictionary",
    "TSPARSER": "text-search-parser",
    "TSTEMPLATE": "text-search-template",
}


def kind_of(node_type: str, node: Node) -> str:
    """The kind of a statement. An unknown node type gives its own name in kebab-case."""
    if own := _OWN.get(node_type):
        return own(node)
    return _TAGS.get(node_type) or _WORD.sub("-", node_type.removesuffix("Stmt")).lower()


def _on(verb: str, key: str) -> Callable[[Node], str]:
    """For a statement whose node has the object's kind under `key`."""
    return lambda node: f"{verb}-{_object(node.get(key))}"


def _object(word: object) -> str:
    name = str(word).removeprefix("OBJECT_")
    return _OBJECTS.get(name) or name.replace("_", "-").lower()


def _renamed(node: Node) -> str:
    """To rename a column is to alter its relation: `ALTER VIEW v RENAME COLUMN` is `alter-view`."""
    part = node.get("renameType") in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE")
    return f"alter-{_object(node.get('relationType' if part else 'renameType'))}"


_OWN: dict[str, Callable[[Node], str]] = {
    "AlterFunctionStmt": _on("alter", "objtype"),
    "AlterObjectDependsStmt": _on("alter", "objectType"),
    "AlterObjectSchemaStmt": _on("alter", "objectType"),
    "AlterOwnerStmt": _on("alter", "objectType"),
    "AlterTableMoveAllStmt": _on("alter", "objtype"),
    "AlterTableStmt": _on("alter", "objtype"),
    "CopyStmt": lambda node: "copy-in" if node.get("is_from") else "copy-out",
    "CreateFunctionStmt": lambda node: "create-procedure" if node.get("is_procedure") else "create-function",
    "CreateTableAsStmt": lambda node: (
        "create-table-as" if node.get("objtype") == "OBJECT_TABLE" else _on("create", "objtype")(node)
    ),
    "DefineStmt": _on("create", "kind"),
    "DropStmt": _on("drop", "removeType"),
    "GrantRoleStmt": lambda node: "grant-role" if node.get("is_grant") else "revoke-role",
    "GrantStmt": lambda node: "grant" if node.get("is_grant") else "revoke",
    "RenameStmt": _renamed,
    "VacuumStmt": lambda node: "vacuum" if node.get("is_vacuumcmd") else "analyze",
}
