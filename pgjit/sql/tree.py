"""The few shapes of libpg_query's JSON that more than one reader of the tree knows."""

from __future__ import annotations

from typing import Any

__all__ = ["alias_of", "one_of", "relation_of", "strings_of"]

_RELATION = ("catalogname", "schemaname", "relname")


def relation_of(node: dict[str, Any]) -> tuple[str, ...]:
    """The name of a RangeVar in its parts."""
    return tuple(node[key] for key in _RELATION if node.get(key))


def strings_of(parts: list[Any]) -> tuple[str, ...]:
    """A qualified name: `[{String: {sval: ...}}, ...]`. An empty part stands for what is not a string."""
    return tuple(str(part.get("String", {}).get("sval", "")) for part in parts if isinstance(part, dict))


def alias_of(node: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The alias of an item of FROM and the names that it gives to columns; those of its definition list too."""
    alias = node.get("alias", {})
    defined = (entry.get("ColumnDef", {}).get("colname", "") for entry in node.get("coldeflist", []))
    return alias.get("aliasname"), (*strings_of(alias.get("colnames", [])), *defined)


def one_of(node: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The node type and the node of `{NodeType: {...}}`."""
    return next(iter(node.items()))
