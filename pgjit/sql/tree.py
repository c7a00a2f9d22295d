"""Reads the parts of libpg_query's JSON that several readers of the tree need: names, aliases, constants."""

from __future__ import annotations

from typing import Any

__all__ = ["alias_of", "numbers_among", "one_of", "relation_of", "strings_of"]

_RELATION = ("catalogname", "schemaname", "relname")


def relation_of(node: dict[str, Any]) -> tuple[str, ...]:
    """The name of a RangeVar in its parts."""
    return tuple([node[key] for key in _RELATION if node.get(key)])


def strings_of(parts: list[Any]) -> tuple[str, ...]:
    """A qualified name from `[{String: {sval: ...}}, ...]`. A node that is not a string gives an empty part."""
    # Most of what reads a tree comes here, so it makes no generator.
    return tuple([
        str(part["String"].get("sval", "")) if "String" in part else "" for part in parts if type(part) is dict
    ])  # fmt: skip


def alias_of(node: dict[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The alias of a FROM item and its column aliases, with the names of its column definition list."""
    alias = node.get("alias", {})
    defined = (entry.get("ColumnDef", {}).get("colname", "") for entry in node.get("coldeflist", []))
    return alias.get("aliasname"), (*strings_of(alias.get("colnames", [])), *defined)


def one_of(node: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The node type and the node of `{NodeType: {...}}`."""
    return next(iter(node.items()))


_NUMERIC = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})


def numbers_among(values: list[Any]) -> tuple[int, ...]:
    """The indexes of those that are certainly numbers: constants such as `1` and `2.5`, casts to numeric types."""
    return tuple(index for index, value in enumerate(values) if isinstance(value, dict) and _is_number(value))


def _is_number(value: dict[str, Any]) -> bool:
    if constant := value.get("A_Const"):
        return "ival" in constant or "fval" in constant
    kind = value.get("TypeCast", {}).get("typeName", {})
    names = strings_of(kind.get("names", []))
    return "arrayBounds" not in kind and names[:-1] == ("pg_catalog",) and names[-1] in _NUMERIC
