"""Reads the relations that commands name outside of a query: COPY, RENAME, the lists of names in DROP and COMMENT.

Also the relations that a new view would pass writes on to. Knows no catalog, decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pgjit.sql.scopes.scopes import CommandRelation
from pgjit.sql.scopes.updatable_views import passed_on_by
from pgjit.sql.tree import relation_of, strings_of

__all__ = ["command_relations_of"]

_RELATIONS = frozenset({
    "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE", "OBJECT_INDEX",
})  # fmt: skip
_PARTS = frozenset({
    "OBJECT_COLUMN", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_TABCONSTRAINT",
})  # fmt: skip

_PASSED_ON: tuple[Literal["insert", "update", "delete"], ...] = ("insert", "update", "delete")


def command_relations_of(node_type: str, node: dict[str, Any], where: Callable[[int], int]) -> list[CommandRelation]:
    if node_type == "CopyStmt" and "relation" in node:
        columns = strings_of(node.get("attlist", []))
        relation = node["relation"]
        place = where(relation.get("location", 0)) + 1
        return [
            CommandRelation(
                relation_of(relation), "insert" if node.get("is_from") else "read", place, columns or None
            )
        ]
    if node_type in ("ViewStmt", "CreateSchemaStmt"):
        return [
            CommandRelation(
                relation_of(relation), action, where(relation.get("location", 0)) + 1, columns, columns_uncertain=True
            )
            for relation, columns in passed_on_by(node_type, node)
            for action in _PASSED_ON
        ]
    if node_type == "RenameStmt" and node.get("renameType") in _RELATIONS:
        return [
            CommandRelation(
                (node["newname"],), "define", None, creates=True, same_schema_as=relation_of(node["relation"])
            )
        ]
    objects = node.get("objects", []) if node_type == "DropStmt" else [node.get("object")]
    kind = node.get("removeType") or node.get("objtype") or node.get("renameType") or node.get("objectType")
    names = [strings_of(entry["List"].get("items", [])) for entry in objects if entry and "List" in entry]
    if kind in _PARTS:  # `table.column`, `table.trigger`
        names = [name[:-1] for name in names]
    elif kind not in _RELATIONS:
        return []
    return [CommandRelation(name, "define", None) for name in names if name]
