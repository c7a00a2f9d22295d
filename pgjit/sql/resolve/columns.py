"""Columns and rows: which of the levels' names a reference may mean, from its own level outwards.

Decides how far a search goes on: to the level outside, unless it was found for certain where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.sql.catalog import Catalog
from pgjit.sql.resolve.collect import Collector
from pgjit.sql.resolve.frames import SYSTEM_COLUMNS, Base, NameScope
from pgjit.sql.resolve.nearby import missing_from, near_columns
from pgjit.sql.resolve.routines import Routines
from pgjit.sql.scopes.scopes import Level, Reference
from pgjit.sql.touched import Doubt

__all__ = ["Columns"]

_WITHOUT_SYSTEM_COLUMNS = frozenset("vScI")  # kinds of relations


class Columns:
    def __init__(
        self,
        levels: tuple[Level, ...],
        frames: list[NameScope],
        catalog: Catalog | None,
        found: Collector,
        routines: Routines,
    ) -> None:
        self._levels = levels
        self._frames = frames
        self._catalog = catalog
        self._found = found
        self._routines = routines

    def over(self, level: int) -> None:
        if self._levels[level].natural:
            self._natural(self._frames[level])
        for reference, position in sorted(self._levels[level].references.items(), key=_by_place):
            if not self._refer(level, reference, position):
                self._found.doubt(self._unknown(level, reference, position))

    def _unknown(self, level: int, reference: Reference, position: int | None) -> Doubt:
        """As PostgreSQL has it: a column that does not exist, or a table that is not in FROM."""
        parts = (*reference.parts, reference.attribute) if reference.attribute else reference.parts
        frames = [frame for frame, _ in self._outwards(level, early=False)]
        table, name = (parts[-1:], "") if reference.star else (parts[-2:-1], parts[-1])
        if table and not any(table[0] in frame.aliases for frame in frames):
            detail = f"missing FROM-clause entry for table `{table[0]}`"
            alias = missing_from(table[0], frames)
            return Doubt("unknown-column", detail, position, parts, alias=alias, not_in_from=True)
        seeks = self._catalog is not None and name and self._found.suggests(sum(len(frame.names) for frame in frames))
        near = near_columns(name, frames, self._catalog, *table) if seeks and self._catalog is not None else ()
        return Doubt("unknown-column", f"column `{'.'.join(parts)}` does not exist", position, parts, near)

    def _natural(self, frame: NameScope) -> None:
        """What two sources of the level have in common is compared."""
        for name, sources in frame.names.items():
            if len(sources) > 1 or frame.opaque or frame.unknown:
                self._touch(frame, sources, name, None)
        for unknown in frame.unknown:
            self._found.row(frame.bases[unknown], None)

    def _refer(self, level: int, reference: Reference, position: int | None) -> bool:
        parts = reference.parts
        if reference.star and not parts:
            for base in self._frames[level].bases.values():
                self._found.row(base, position)
            return True
        if len(parts) == 1 and reference.star:
            return self._row(level, reference, position)
        if len(parts) == 1:
            return self._name(level, reference, position)
        if len(parts) == 2 and not reference.star:
            return self._row(level, reference._replace(parts=parts[:1], attribute=parts[1]), position)
        return self._with_schema(level, reference, position)

    def _outwards(self, level: int, *, early: bool) -> Iterator[tuple[NameScope, bool]]:
        """The levels, and whether all of each one's sources can be seen from where it is looked at."""
        partial = early
        while level >= 0:
            frame = self._frames[level]
            self._found.spend(1 + len(frame.unknown))
            yield frame, not partial and not frame.renamed
            partial = self._levels[level].partial
            level = self._levels[level].parent

    def _name(self, level: int, reference: Reference, position: int | None) -> bool:
        """A name alone: a column, or else a row."""
        name = reference.parts[0]
        found = False
        for frame, complete in self._outwards(level, early=reference.early):
            sources = frame.names.get(name, ()) or self._with_system_column(frame, name)
            self._touch(frame, sources, name, position)
            for unknown in frame.unknown:
                self._found.column(frame.bases[unknown], name, "read", position, whole=False)
            found = found or bool(sources) or bool(frame.unknown) or frame.opaque
            if sources and complete:
                break
        else:
            maybe = found
            if self._row(level, reference, position):
                found = True
            own = self._frames[level]
            found = found or (reference.output and (name in own.outputs or own.outputs_opaque))
            if not maybe:
                return found
        if reference.attribute:  # of a column's value
            self._routines.attribute(reference.attribute, position)
        return found

    def _touch(self, frame: NameScope, sources: list[int] | tuple[int, ...], name: str, position: int | None) -> None:
        self._found.spend(len(sources))
        for source in sources:
            if base := frame.bases.get(source):
                self._found.column(base, base.columns.get(name, name), "read", position, whole=False)
            elif source not in frame.own:  # a join with new names: what it calls so is one of all
                self._all(frame, position)

    def _all(self, frame: NameScope, position: int | None) -> None:
        self._found.spend(len(frame.bases))
        for base in frame.bases.values():
            self._found.row(base, position)

    def _with_system_column(self, frame: NameScope, name: str) -> list[int]:
        if name not in SYSTEM_COLUMNS:
            return []
        self._found.spend(len(frame.bases))
        return [index for index, base in frame.bases.items() if _has_system_column(base, name)]

    def _row(self, level: int, reference: Reference, position: int | None) -> bool:
        """`a` as a row, `a.*`, or `a.b` where `attribute` is b."""
        found = False
        for frame, complete in self._outwards(level, early=reference.early):
            sources = frame.aliases.get(reference.parts[0], ())
            self._found.spend(len(sources))
            for source in sources:
                if reference.attribute is not None:
                    found = self._field(frame, source, reference.attribute, position) or found
                elif base := frame.bases.get(source):
                    self._found.row(base, position)
                    if not reference.star and base.name:
                        self._found.row_values[base.name] = None
                    found = True
                else:
                    if source not in frame.own:
                        self._all(frame, position)
                    found = True
            if sources and complete and not frame.hidden.intersection(sources):
                break
        return found

    def _field(self, frame: NameScope, source: int, name: str, position: int | None) -> bool:
        """`a.b`: a column of `a`, or a function of its row."""
        if base := frame.bases.get(source):
            return self._base_field(base, name, position)
        if source in frame.own:
            names, opaque = frame.own[source]
            return name in names or self._routines.attribute(name, position, rows=not opaque) or opaque
        self._found.spend(len(frame.bases))
        sources = [index for index, base in frame.bases.items() if name in base.columns]
        if frame.renamed:
            self._all(frame, position)
        self._touch(frame, sources, name, position)
        for unknown in frame.unknown:
            self._found.column(frame.bases[unknown], name, "read", position, whole=False)
        own = any(name in names or opaque for names, opaque in frame.own.values())
        if self._catalog and not sources and self._routines.attribute(name, position, rows=True):
            self._all(frame, position)
            return True
        return bool(sources) or own or bool(frame.unknown) or frame.renamed

    def _base_field(self, base: Base, name: str, position: int | None) -> bool:
        if base.relation is None or name in base.columns or _has_system_column(base, name):
            self._found.column(base, base.columns.get(name, name), "read", position, whole=False)
            return True
        if self._routines.attribute(name, position, rows=True):
            self._found.row(base, position)
            return True
        return False

    def _with_schema(self, level: int, reference: Reference, position: int | None) -> bool:
        """`s.t.b` and `s.t.*`, also with the database before."""
        *names, last = (*reference.parts, "") if reference.star else reference.parts
        if len(names) == 3 and (self._catalog is None or names[0] == self._catalog.database):
            names = names[1:]
        if len(names) != 2:
            return False
        found = False
        for frame, complete in self._outwards(level, early=reference.early):
            self._found.spend(len(frame.bases))
            bases = [base for base in frame.bases.values() if _is(base, names[0], names[1])]
            for base in bases:
                if reference.star:
                    self._found.row(base, position)
                    found = True
                else:
                    found = self._base_field(base, last, position) or found
            if bases and complete and not frame.hidden:
                break
        return found


def _by_place(item: tuple[Reference, int | None]) -> int:
    return item[1] or 0


def _is(base: Base, schema: str, name: str) -> bool:
    """Whether `schema.name` means that source: with an alias it does not."""
    if base.alias is not None and not base.target:
        return False
    if base.name is not None:
        return base.name == (schema, name)
    return base.written[-1] == name and base.written[-2:-1] in ((), (schema,))


def _has_system_column(base: Base, name: str) -> bool:
    return name in SYSTEM_COLUMNS and base.relation is not None and base.relation.kind not in _WITHOUT_SYSTEM_COLUMNS
