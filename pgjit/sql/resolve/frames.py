"""The names that each level of a statement offers: columns and aliases, found with the catalog.

Decides what a name can refer to in one level; `resolve.py` goes from level to level. Iterative, and bounded by
the number of names that the levels have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pgjit.sql.catalog import QName, Relation
from pgjit.sql.scopes.scopes import Level, Source

__all__ = ["SYSTEM_COLUMNS", "Base", "NameScope", "frames_of"]

SYSTEM_COLUMNS = frozenset({"tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"})


@dataclass(frozen=True, slots=True)
class Base:
    """A relation in FROM, or a target."""

    name: QName | None  # None where it is not in the catalog, or there is none
    written: tuple[str, ...]
    relation: Relation | None = None
    columns: dict[str, str] = field(default_factory=dict)  # the name that is seen, the relation's own name
    only: bool = False
    target: bool = False
    alias: str | None = None
    position: int | None = None


@dataclass(slots=True)
class NameScope:
    names: dict[str, list[int]] = field(default_factory=dict)  # columns that are certain, in which sources
    aliases: dict[str, list[int]] = field(default_factory=dict)
    bases: dict[int, Base] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)  # bases of which the columns are not known
    opaque: bool = False  # some source may have columns of other names
    renamed: bool = False  # a join gives new names: what is found here is not certain
    hidden: set[int] = field(default_factory=set)  # sources that a join's alias hides
    outputs: dict[str, None] = field(default_factory=dict)
    outputs_opaque: bool = False
    own: dict[int, tuple[dict[str, None], bool]] = field(default_factory=dict)  # of sources that are no relations

    def add(self, name: str, source: int) -> None:
        self.names.setdefault(name, []).append(source)


def frames_of(
    levels: tuple[Level, ...], base: Callable[[Source], Base], spend: Callable[[int], None]
) -> list[NameScope]:
    """One frame for each level. A level that waits for itself (a recursive query) has columns of any name.

    `spend` is told how many names there are, and may raise.
    """
    frames: list[NameScope | None] = [None] * len(levels)
    begun = bytearray(len(levels))
    for first in range(len(levels)):
        left = [first]
        while left:
            index = left[-1]
            if frames[index] is not None:
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
            frame = frames[index] = _frame(level, frames, base, spend)
            spend(len(frame.outputs) // 8)
            left.pop()
    return [frame for frame in frames if frame is not None]


def _frame(
    level: Level, frames: list[NameScope | None], base: Callable[[Source], Base], spend: Callable[[int], None]
) -> NameScope:
    frame = NameScope()
    for index, source in enumerate(level.sources):
        if source.owner >= 0:
            frame.hidden.add(index)
        name = source.alias or (source.name[-1] if source.name else None)
        if name:
            frame.aliases.setdefault(name, []).append(index)
        if source.kind in ("relation", "target"):
            found = frame.bases[index] = base(source)
            if found.relation is None:
                frame.unknown.append(index)
            spend(len(found.columns) // 2)
            for column in found.columns:
                frame.add(column, index)
        elif source.kind == "join":
            frame.renamed = frame.renamed or bool(source.columns)
            for column in source.columns:
                frame.add(column, index)
        else:
            names, opaque = _names_of(source, frames)
            frame.own[index] = names, opaque
            frame.opaque = frame.opaque or opaque
            spend(len(names))
            for column in names:
                frame.add(column, index)
    _outputs(level, frame, frames)
    return frame


def _names_of(source: Source, frames: list[NameScope | None]) -> tuple[dict[str, None], bool]:
    names = dict.fromkeys(source.columns)
    if source.level < 0:
        return names, source.opaque
    frame = frames[source.level]
    if frame is None:
        return names, True
    return {**frame.outputs, **names}, source.opaque or frame.outputs_opaque


def _outputs(level: Level, frame: NameScope, frames: list[NameScope | None]) -> None:
    if level.names_from >= 0:
        first = frames[level.names_from]
        frame.outputs_opaque = first is None or first.outputs_opaque
        frame.outputs = {} if first is None else first.outputs
        return
    frame.outputs = dict(level.outputs)
    frame.outputs_opaque = level.opaque
    for star in set(level.stars):
        found = range(len(level.sources)) if not star else frame.aliases.get(star[0], ())
        hidden = bool(star) and not frame.hidden.isdisjoint(found)
        if frame.renamed or hidden or len(star) > 1 or (star and not found):
            frame.outputs_opaque = True  # something is there, and its names are not certain
            continue
        for index in found:
            _add_star(index, frame)


def _add_star(index: int, frame: NameScope) -> None:
    if index in frame.bases:
        frame.outputs.update(dict.fromkeys(frame.bases[index].columns))
        frame.outputs_opaque = frame.outputs_opaque or index in frame.unknown
    elif index in frame.own:
        names, opaque = frame.own[index]
        frame.outputs.update(names)
        frame.outputs_opaque = frame.outputs_opaque or opaque
    else:
        frame.outputs_opaque = True
