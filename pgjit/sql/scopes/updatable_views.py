"""What could be written through a view that is made: PostgreSQL passes writes on where a view is simple enough.

Decides from the text alone: a view counts as one that passes writes on unless something in its query certainly
keeps it from that. Knows no catalog.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pgjit.sql.tree import alias_of, strings_of

__all__ = ["PassedOn", "passed_on_by"]

Node = dict[str, Any]

_KEEPS = frozenset({"distinctClause", "groupClause", "limitCount", "limitOffset", "withClause"})


class PassedOn(NamedTuple):
    """A relation that a view passes writes on to, and its columns that are seen; None where it may be any."""

    relation: Node
    columns: tuple[str, ...] | None


def passed_on_by(node_type: str, node: Node) -> list[PassedOn]:
    """Also of the views that CREATE SCHEMA makes."""
    if node_type == "CreateSchemaStmt":
        elements = [element.get("ViewStmt") for element in node.get("schemaElts", [])]
        return [opened for view in elements if view for opened in passed_on_by("ViewStmt", view)]
    query = node.get("query", {}).get("SelectStmt", {}) if node_type == "ViewStmt" else {}
    sources = query.get("fromClause", [])
    if len(sources) != 1 or "RangeVar" not in sources[0] or not _KEEPS.isdisjoint(query):
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
