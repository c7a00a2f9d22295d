"""Automatically updatable views: PostgreSQL passes a write to such a view on to the relation below it.

Decides from the text of CREATE VIEW alone: the view counts as updatable unless something in its query certainly
prevents that. Knows no catalog.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pgjit.sql.tree import alias_of, strings_of

__all__ = ["PassedOn", "passed_on_by"]

Node = dict[str, Any]

_PREVENTS = frozenset({"distinctClause", "groupClause", "limitCount", "limitOffset", "withClause"})


class PassedOn(NamedTuple):
    """A relation that a view passes writes on to, with the columns that it shows; None: any of them."""

    relation: Node
    columns: tuple[str, ...] | None


def passed_on_by(node_type: str, node: Node) -> list[PassedOn]:
    """The relations that a CREATE VIEW, or a CREATE SCHEMA with views, makes writable through views."""
    if node_type == "CreateSchemaStmt":
        elements = [element.get("ViewStmt") for element in node.get("schemaElts", [])]
        return [opened for view in elements if view for opened in passed_on_by("ViewStmt", view)]
    query = node.get("query", {}).get("SelectStmt", {}) if node_type == "ViewStmt" else {}
    sources = query.get("fromClause", [])
    if len(sources) != 1 or "RangeVar" not in sources[0] or not _PREVENTS.isdisjoint(query):
        return []
    targets = [target.get("ResTarget", {}).get("val", {}) for target in query.get("targetList", [])]
    if any("agg_star" in target.get("FuncCall", {}) for target in targets):  # count(*)
        return []
    relation = sources[0]["RangeVar"]
    return [PassedOn(relation, None if alias_of(relation)[1] else _seen(targets))]


def _seen(targets: list[Node]) -> tuple[str, ...] | None:
    fields = [target["ColumnRef"].get("fields", []) for target in targets if "ColumnRef" in target]
    if any("A_Star" in field for names in fields for field in names):
        return None
    return tuple(dict.fromkeys(strings_of(names)[-1] for names in fields if names))
