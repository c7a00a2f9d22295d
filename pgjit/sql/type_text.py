"""Parses a type's name in a string, as in `pg_input_is_valid('1', 'numeric(5,2)')`.

Knows the common forms. For any other it returns None, and the caller refuses the statement.
"""

from __future__ import annotations

import re

__all__ = ["type_in_text"]

_PART = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
_NAMED = re.compile(rf"({_PART})(?:\s*\.\s*({_PART}))?")
_MODIFIER = re.compile(r"\(\s*[0-9]+\s*(?:,\s*-?[0-9]+\s*)?\)")
_ARRAY = re.compile(r"(?:\s*\[\s*[0-9]*\s*\])+\Z")
_GRAMMAR = {  # type names that the grammar itself turns into types of pg_catalog
    "bigint": "int8", "bit": "bit", "bit varying": "varbit", "boolean": "bool", "char": "bpchar",
    "char varying": "varchar", "character": "bpchar", "character varying": "varchar", "dec": "numeric",
    "decimal": "numeric", "double precision": "float8", "float": "float8", "int": "int4", "integer": "int4",
    "interval": "interval", "json": "json", "numeric": "numeric", "real": "float4", "smallint": "int2",
    "time": "time", "time with time zone": "timetz", "time without time zone": "time", "timestamp": "timestamp",
    "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp", "varchar": "varchar",
}  # fmt: skip


def type_in_text(text: str) -> tuple[str, ...] | None:
    """`integer[]` is `("pg_catalog", "_int4")`; `app.mood` is `("app", "mood")`."""
    bare, arrays = _ARRAY.subn("", text.strip())
    bare = _MODIFIER.sub(" ", bare, count=1).strip()
    prefix = "_" if arrays else ""
    if word := _GRAMMAR.get(" ".join(bare.lower().split())):
        return ("pg_catalog", prefix + word)
    match = _NAMED.fullmatch(bare if '"' in bare else bare.lower())
    if match is None or (arrays and '"' in bare):
        return None
    parts = [_unquoted(part) for part in match.groups() if part is not None]
    return (*parts[:-1], prefix + parts[-1])


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
