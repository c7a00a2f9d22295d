"""What a statement touches, as one line that a table of cases can hold.

    relations / columns / functions, types, operators / doubts

Names are without `public.`; what is built in is left out, as are empty parts. Before a name: `~` through a view, `^`
the whole of a part, `_` a part of the whole. Behind it: `:update` and its like for anything but reading; for columns
`=` for writing, and `*` in place of the columns where a row was used as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgjit.sql.referenced import ReferencedColumn, ReferencedObjects

__all__ = ["compact"]

_WAYS = {"named": "", "view": "~", "parent": "^", "child": "_"}


def compact(referenced: ReferencedObjects) -> str:
    relations = (
        _WAYS[one.via]
        + _named(one.schema, one.name, one.candidates)
        + ("" if one.action == "read" else f":{one.action}")
        for one in referenced.relations
    )
    functions = (
        f"{_named(one.schema, one.name, one.candidates)}({'|'.join(one.signatures)})"
        for one in referenced.functions
        if not one.builtin
    )
    types = (f"::{_named(one.schema, one.name, one.candidates)}" for one in referenced.types if not one.builtin)
    operators = (
        f"op {_named(one.schema, one.name, one.candidates)}" for one in referenced.operators if not one.builtin
    )
    parts = (
        _words(relations),
        _words(_column(one) for one in referenced.columns),
        _words((*functions, *types, *operators)),
        _words(one.kind for one in referenced.faults),
    )
    return " / ".join(part for part in parts if part)


def _words(words: Iterable[str]) -> str:
    return " ".join(sorted(dict.fromkeys(words)))


def _named(schema: str | None, name: str, candidates: tuple[str, ...]) -> str:
    if schema is None:
        return f"{{{','.join(candidates)}}}.{name}"
    return name if schema == "public" else f"{schema}.{name}"


def _column(one: ReferencedColumn) -> str:
    name = "*" if one.whole_row else one.column
    relation = _named(one.schema, one.relation, one.candidates)
    return f"{_WAYS[one.via]}{relation}.{name}{'=' if one.action == 'write' else ''}"
