"""Resolves column references: `a`, `t.a`, `t.*`, `(t).a`, from the query level of the reference outwards.

Decides whether the search goes on to the outer query level: it does, unless the name is certain to be in this one.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgjit.sql.catalog import Catalog
from pgjit.sql.referenced import ResolutionFault
from pgjit.sql.resolve.name_scopes import SYSTEM_COLUMNS, NameScope, RangeTableEntry
from pgjit.sql.resolve.name_suggestions import alias_of_table, suggest_columns
from pgjit.sql.resolve.object_collector import ObjectCollector
from pgjit.sql.resolve.routines import RoutineResolver
from pgjit.sql.scopes.scopes import QueryLevel, Reference

__all__ = ["ColumnResolver"]

_WITHOUT_SYSTEM_COLUMNS = frozenset("vScI")  # kinds of relations


class ColumnResolver:
    def __init__(
        self,
        levels: tuple[QueryLevel, ...],
        name_scopes: list[NameScope],
        catalog: Catalog | None,
        found: ObjectCollector,
        routines: RoutineResolver,
    ) -> None:
        self._levels = levels
        self._name_scopes = name_scopes
        self._catalog = catalog
        self._objects = found
        self._routines = routines

    def over(self, level: int) -> None:
        if self._levels[level].natural:
            self._natural(self._name_scopes[level])
        for reference, position in sorted(self._levels[level].references.items(), key=_by_place):
            if not self._refer(level, reference, position):
                self._objects.add_fault(self._unknown(level, reference, position))

    def _unknown(self, level: int, reference: Reference, position: int | None) -> ResolutionFault:
        """PostgreSQL's own error: a column that does not exist, or a table that is not in FROM."""
        parts = (*reference.parts, reference.attribute) if reference.attribute else reference.parts
        name_scopes = [scope for scope, _ in self._outwards(level, early=False)]
        table, name = (parts[-1:], "") if reference.star else (parts[-2:-1], parts[-1])
        if table and not any(table[0] in scope.aliases for scope in name_scopes):
            detail = f"missing FROM-clause entry for table `{table[0]}`"
            alias = alias_of_table(table[0], name_scopes)
            return ResolutionFault("unknown-column", detail, position, parts, alias=alias, not_in_from=True)
        searches = (
            self._catalog is not None
            and name
            and self._objects.may_suggest(sum(len(scope.names) for scope in name_scopes))
        )
        suggestions = (
            suggest_columns(name, name_scopes, self._catalog, *table)
            if searches and self._catalog is not None
            else ()
        )
        return ResolutionFault(
            "unknown-column", f"column `{'.'.join(parts)}` does not exist", position, parts, suggestions
        )

    def _natural(self, scope: NameScope) -> None:
        """NATURAL JOIN: the columns that two FROM items have in common are compared."""
        for name, sources in scope.names.items():
            if len(sources) > 1 or scope.opaque or scope.unknown:
                self._touch(scope, sources, name, None)
        for unknown in scope.unknown:
            self._objects.add_row(scope.entries[unknown], None)

    def _refer(self, level: int, reference: Reference, position: int | None) -> bool:
        parts = reference.parts
        if reference.star and not parts:
            for entry in self._name_scopes[level].entries.values():
                self._objects.add_row(entry, position)
            return True
        if len(parts) == 1 and reference.star:
            return self._row(level, reference, position)
        if len(parts) == 1:
            return self._name(level, reference, position)
        if len(parts) == 2 and not reference.star:
            return self._row(level, reference._replace(parts=parts[:1], attribute=parts[1]), position)
        return self._with_schema(level, reference, position)

    def _outwards(self, level: int, *, early: bool) -> Iterator[tuple[NameScope, bool]]:
        """The scopes from this level outwards, and whether all FROM items of each are visible from here."""
        partial = early
        while level >= 0:
            scope = self._name_scopes[level]
            self._objects.spend(1 + len(scope.unknown))
            yield scope, not partial and not scope.renamed
            partial = self._levels[level].partial
            level = self._levels[level].parent

    def _name(self, level: int, reference: Reference, position: int | None) -> bool:
        """`a`: a column, or else a table's row."""
        name = reference.parts[0]
        found = False
        for scope, complete in self._outwards(level, early=reference.early):
            sources = scope.names.get(name, ()) or self._with_system_column(scope, name)
            self._touch(scope, sources, name, position)
            for unknown in scope.unknown:
                self._objects.add_column(scope.entries[unknown], name, "read", position, whole=False)
            found = found or bool(sources) or bool(scope.unknown) or scope.opaque
            if sources and complete:
                break
        else:
            maybe = found
            if self._row(level, reference, position):
                found = True
            own = self._name_scopes[level]
            found = found or (reference.output and (name in own.outputs or own.outputs_opaque))
            if not maybe:
                return found
        if reference.attribute:  # of a column's value
            self._routines.attribute(reference.attribute, position)
        return found

    def _touch(self, scope: NameScope, sources: list[int] | tuple[int, ...], name: str, position: int | None) -> None:
        self._objects.spend(len(sources))
        for source in sources:
            if entry := scope.entries.get(source):
                self._objects.add_column(entry, entry.columns.get(name, name), "read", position, whole=False)
            elif source not in scope.own:  # a join with column aliases: this may be any of its columns
                self._all(scope, position)

    def _all(self, scope: NameScope, position: int | None) -> None:
        self._objects.spend(len(scope.entries))
        for entry in scope.entries.values():
            self._objects.add_row(entry, position)

    def _with_system_column(self, scope: NameScope, name: str) -> list[int]:
        if name not in SYSTEM_COLUMNS:
            return []
        self._objects.spend(len(scope.entries))
        return [index for index, entry in scope.entries.items() if _has_system_column(entry, name)]

    def _row(self, level: int, reference: Reference, position: int | None) -> bool:
        """`a` as a row, `a.*`, or `a.b` with the attribute b."""
        found = False
        for scope, complete in self._outwards(level, early=reference.early):
            sources = scope.aliases.get(reference.parts[0], ())
            self._objects.spend(len(sources))
            for source in sources:
                if reference.attribute is not None:
                    found = self._field(scope, source, reference.attribute, position) or found
                elif entry := scope.entries.get(source):
                    self._objects.add_row(entry, position)
                    if not reference.star and entry.name:
                        self._objects.row_values[entry.name] = None
                    found = True
                else:
                    if source not in scope.own:
                        self._all(scope, position)
                    found = True
            if sources and complete and not scope.hidden.intersection(sources):
                break
        return found

    def _field(self, scope: NameScope, source: int, name: str, position: int | None) -> bool:
        """`a.b`: a column of `a`, or a function of its row."""
        if entry := scope.entries.get(source):
            return self._field_of(entry, name, position)
        if source in scope.own:
            names, opaque = scope.own[source]
            return name in names or self._routines.attribute(name, position, rows=not opaque) or opaque
        self._objects.spend(len(scope.entries))
        sources = [index for index, entry in scope.entries.items() if name in entry.columns]
        if scope.renamed:
            self._all(scope, position)
        self._touch(scope, sources, name, position)
        for unknown in scope.unknown:
            self._objects.add_column(scope.entries[unknown], name, "read", position, whole=False)
        own = any(name in names or opaque for names, opaque in scope.own.values())
        if self._catalog and not sources and self._routines.attribute(name, position, rows=True):
            self._all(scope, position)
            return True
        return bool(sources) or own or bool(scope.unknown) or scope.renamed

    def _field_of(self, entry: RangeTableEntry, name: str, position: int | None) -> bool:
        if entry.relation is None or name in entry.columns or _has_system_column(entry, name):
            self._objects.add_column(entry, entry.columns.get(name, name), "read", position, whole=False)
            return True
        if self._routines.attribute(name, position, rows=True):
            self._objects.add_row(entry, position)
            return True
        return False

    def _with_schema(self, level: int, reference: Reference, position: int | None) -> bool:
        """`s.t.b` and `s.t.*`, also with the database in front."""
        *names, last = (*reference.parts, "") if reference.star else reference.parts
        if len(names) == 3 and (self._catalog is None or names[0] == self._catalog.database):
            names = names[1:]
        if len(names) != 2:
            return False
        found = False
        for scope, complete in self._outwards(level, early=reference.early):
            self._objects.spend(len(scope.entries))
            entries = [entry for entry in scope.entries.values() if _is(entry, names[0], names[1])]
            for entry in entries:
                if reference.star:
                    self._objects.add_row(entry, position)
                    found = True
                else:
                    found = self._field_of(entry, last, position) or found
            if entries and complete and not scope.hidden:
                break
        return found


def _by_place(item: tuple[Reference, int | None]) -> int:
    return item[1] or 0


def _is(entry: RangeTableEntry, schema: str, name: str) -> bool:
    """Whether `schema.name` means that entry. If it has an alias, it does not."""
    if entry.alias is not None and not entry.target:
        return False
    if entry.name is not None:
        return entry.name == (schema, name)
    return entry.written[-1] == name and entry.written[-2:-1] in ((), (schema,))


def _has_system_column(entry: RangeTableEntry, name: str) -> bool:
    return (
        name in SYSTEM_COLUMNS and entry.relation is not None and entry.relation.kind not in _WITHOUT_SYSTEM_COLUMNS
    )
