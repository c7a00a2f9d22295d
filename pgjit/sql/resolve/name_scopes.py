"""Builds the name scope of each query level: its columns and aliases, from the catalog.

Decides what a name can refer to within one query level; `columns.py` goes from level to level. Iterative, and bounded
by the number of names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pgjit.sql.catalog import QName, Relation
from pgjit.sql.scopes.scopes import FromItem, QueryLevel

__all__ = ["SYSTEM_COLUMNS", "NameScope", "RangeTableEntry", "name_scopes_of"]

SYSTEM_COLUMNS = frozenset({"tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"})


@dataclass(slots=True)  # not frozen, as Statement
class RangeTableEntry:
    """A relation in FROM, or the target of a write."""

    name: QName | None  # None if it is not in the catalog, or without a catalog
    written: tuple[str, ...]
    relation: Relation | None = None
    columns: dict[str, str] = field(default_factory=dict)  # the visible name: the relation's own name
    only: bool = False
    target: bool = False
    alias: str | None = None
    position: int | None = None


@dataclass(slots=True)
class NameScope:
    names: dict[str, list[int]] = field(default_factory=dict)  # certain columns, and the FROM items that have them
    aliases: dict[str, list[int]] = field(default_factory=dict)
    entries: dict[int, RangeTableEntry] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)  # entries whose columns are not known
    opaque: bool = False  # some FROM item may have columns of other names
    renamed: bool = False  # a join has column aliases: what is found here is not certain
    hidden: set[int] = field(default_factory=set)  # FROM items that a join's alias hides
    outputs: dict[str, None] = field(default_factory=dict)
    outputs_opaque: bool = False
    own: dict[int, tuple[dict[str, None], bool]] = field(default_factory=dict)  # columns of other FROM items

    def add(self, name: str, source: int) -> None:
        self.names.setdefault(name, []).append(source)


def name_scopes_of(
    levels: tuple[QueryLevel, ...], entry: Callable[[FromItem], RangeTableEntry], spend: Callable[[int], None]
) -> list[NameScope]:
    """One scope for each query level. A recursive query, which needs its own scope, may have columns of any name.

    `spend` is called with the number of names, and may raise.
    """
    name_scopes: list[NameScope | None] = [None] * len(levels)
    begun = bytearray(len(levels))
    for first in range(len(levels)):
        left = [first]
        while left:
            index = left[-1]
            if name_scopes[index] is not None:
                left.pop()
                continue
            level = levels[index]
            if not begun[index]:
                begun[index] = 1
                needs = [source.level for source in level.sources if source.level >= 0]
                if level.names_from >= 0:
                    needs.append(level.names_from)
                if missing := [need for need in needs if not begun[need]]:
                    left.extend(missing)
                    continue
            scope = name_scopes[index] = _scope_of(level, name_scopes, entry, spend)
            spend(len(scope.outputs) // 8)
            left.pop()
    return [scope for scope in name_scopes if scope is not None]


def _scope_of(
    level: QueryLevel,
    name_scopes: list[NameScope | None],
    entry: Callable[[FromItem], RangeTableEntry],
    spend: Callable[[int], None],
) -> NameScope:
    scope = NameScope()
    for index, source in enumerate(level.sources):
        if source.owner >= 0:
            scope.hidden.add(index)
        name = source.alias or (source.name[-1] if source.name else None)
        if name:
            scope.aliases.setdefault(name, []).append(index)
        if source.kind in ("relation", "target"):
            found = scope.entries[index] = entry(source)
            if found.relation is None:
                scope.unknown.append(index)
            spend(len(found.columns) // 2)
            for column in found.columns:
                scope.add(column, index)
        elif source.kind == "join":
            scope.renamed = scope.renamed or bool(source.columns)
            for column in source.columns:
                scope.add(column, index)
        else:
            names, opaque = _names_of(source, name_scopes)
            scope.own[index] = names, opaque
            scope.opaque = scope.opaque or opaque
            spend(len(names))
            for column in names:
                scope.add(column, index)
    _outputs(level, scope, name_scopes)
    return scope


def _names_of(source: FromItem, name_scopes: list[NameScope | None]) -> tuple[dict[str, None], bool]:
    names = dict.fromkeys(source.columns)
    if source.level < 0:
        return names, source.opaque
    scope = name_scopes[source.level]
    if scope is None:
        return names, True
    return {**scope.outputs, **names}, source.opaque or scope.outputs_opaque


def _outputs(level: QueryLevel, scope: NameScope, name_scopes: list[NameScope | None]) -> None:
    if level.names_from >= 0:
        first = name_scopes[level.names_from]
        scope.outputs_opaque = first is None or first.outputs_opaque
        scope.outputs = {} if first is None else first.outputs
        return
    scope.outputs = dict(level.outputs)
    scope.outputs_opaque = level.opaque
    for star in set(level.stars):
        found = range(len(level.sources)) if not star else scope.aliases.get(star[0], ())
        hidden = bool(star) and not scope.hidden.isdisjoint(found)
        if scope.renamed or hidden or len(star) > 1 or (star and not found):
            scope.outputs_opaque = True  # it has columns, but their names are not certain
            continue
        for index in found:
            _add_star(index, scope)


def _add_star(index: int, scope: NameScope) -> None:
    if index in scope.entries:
        scope.outputs.update(dict.fromkeys(scope.entries[index].columns))
        scope.outputs_opaque = scope.outputs_opaque or index in scope.unknown
    elif index in scope.own:
        names, opaque = scope.own[index]
        scope.outputs.update(names)
        scope.outputs_opaque = scope.outputs_opaque or opaque
    else:
        scope.outputs_opaque = True
