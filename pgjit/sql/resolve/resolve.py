"""A statement and a catalog to what it touches: every relation, column, function, type and operator.

Decides what each name may mean, as PostgreSQL's analysis would find it, and where that cannot be told, all that
it may mean. Pure and iterative. Without a catalog, names stay as written, with the schemas they may be in.
"""

from __future__ import annotations

from contextlib import suppress

from pgjit.sql.catalog import BUILTIN, Catalog, QName
from pgjit.sql.encodings import is_certain
from pgjit.sql.referenced import ReferencedObjects, ResolutionFault
from pgjit.sql.resolve.columns import ColumnResolver
from pgjit.sql.resolve.name_scopes import NameScope, RangeTableEntry, name_scopes_of
from pgjit.sql.resolve.name_suggestions import suggest_columns, suggest_relations
from pgjit.sql.resolve.object_collector import ObjectCollector, RelationFilter, StepBudget, StepBudgetExceeded
from pgjit.sql.resolve.routines import RoutineResolver
from pgjit.sql.scopes.scopes import CommandRelation, FromItem, TargetColumns
from pgjit.sql.statement import Statement

__all__ = ["resolve"]


def resolve(
    statement: Statement,
    catalog: Catalog | None,
    search_path: tuple[str, ...] = ("public",),
    *,
    steps: StepBudget | None = None,
    columns_matter: RelationFilter = lambda _: True,
    stored: bool = False,
) -> ReferencedObjects:
    """Everything that `statement` touches. `search_path` counts only where there is no catalog.

    `steps`: what may still be looked at, where statements share it. `wanted`: of which relations the columns count,
    where it is a relation that they are a part of, or that is a part of them, that is written. `stored`: it is the
    query of a view, of which the server knows the casts.
    """
    path = catalog.path if catalog else (BUILTIN, *search_path)
    resolving = _Resolving(catalog, path, steps or StepBudget(), columns_matter, stored=stored)
    return resolving.run(statement)


_MAKE_OR_DROP = frozenset({
    "create-table", "create-table-as", "create-view", "create-materialized-view", "create-sequence", "drop-table",
    "drop-view", "drop-materialized-view", "drop-sequence", "drop-foreign-table", "drop-index",
})  # fmt: skip


class _Resolving:
    def __init__(
        self,
        catalog: Catalog | None,
        path: tuple[str, ...],
        steps: StepBudget,
        columns_matter: RelationFilter,
        *,
        stored: bool,
    ) -> None:
        self._catalog = catalog
        self._path = path
        self._objects = ObjectCollector(catalog, path, steps, columns_matter)
        self._routines = RoutineResolver(catalog, path, self._objects, stored=stored)
        self._known: set[tuple[str, ...]] = set()  # names of relations that were looked up
        # ALTER counts as reading too: a new name or expression may show the data elsewhere. So do indexes, whose
        # errors quote values, and what a new table refers to: a foreign key tells what is there.
        self._reads = False
        self._alters = False
        self._moves = False  # makes a name or takes it away
        self._index = False

    def run(self, statement: Statement) -> ReferencedObjects:
        if self._catalog is not None and self._catalog.encoding != "UTF8":
            self._spelling(statement, self._catalog.encoding)
        with suppress(StepBudgetExceeded):  # then there is a doubt
            self._all(statement)
        return self._objects.result(statement.settings, locking=statement.scopes.locking)

    def _spelling(self, statement: Statement, encoding: str) -> None:
        for name in statement.beyond_ascii:
            if not is_certain(name, encoding):
                detail = f"`{name}` may be another name to this server, whose encoding is {encoding}"
                self._objects.fault(ResolutionFault("encoding", detail))

    def _all(self, statement: Statement) -> None:
        scopes = statement.scopes
        self._alters = statement.kind.startswith("alter-")
        self._moves = statement.kind in _MAKE_OR_DROP or any(use.beside for use in scopes.uses)
        self._reads = self._alters or statement.kind in ("create-index", "create-schema", "create-table")
        self._index = statement.kind in ("alter-index", "drop-index", "reindex")
        name_scopes = name_scopes_of(scopes.levels, self._range_table_entry, self._objects.spend)
        columns = ColumnResolver(scopes.levels, name_scopes, self._catalog, self._objects, self._routines)
        written = {write.level for write in scopes.writes}
        for level, scope in enumerate(name_scopes):
            for entry in scope.entries.values():
                if not entry.target or level not in written:  # a MERGE that does nothing
                    self._objects.relation(entry, "read")
            columns.over(level)
        for write in scopes.writes:
            self._write(name_scopes[write.level].entries[0], write)
        for use in scopes.uses:
            self._use(use)
        self._others(statement, name_scopes)
        self._routines.over(statement)

    def _range_table_entry(self, source: FromItem) -> RangeTableEntry:
        name = self._relation(source.name, source.position)
        entry = self._entry_of(name, source.name, source.position)
        own = list(entry.columns)
        seen = dict(zip((*source.columns, *own[len(source.columns) :]), own, strict=False))
        target = source.kind == "target"
        return RangeTableEntry(
            name, source.name, entry.relation, seen, source.only, target, source.alias, source.position
        )

    def _entry_of(self, name: QName | None, written: tuple[str, ...], position: int | None) -> RangeTableEntry:
        relation = self._catalog.relation(name) if self._catalog and name else None
        columns = {column.name: column.name for column in relation.columns} if relation else {}
        return RangeTableEntry(name, written, relation, columns, position=position)

    def _relation(self, written: tuple[str, ...], position: int | None, *, new: bool = False) -> QName | None:
        """The relation of that name. None where there is none, which is a doubt, or no catalog."""
        self._known.add(written)
        if self._catalog is None:
            return None
        text = ".".join(written)
        if len(written) == 3 and written[0] != self._catalog.database:
            detail = f"`{text}` is in database `{written[0]}`, and this one is `{self._catalog.database}`"
            self._objects.fault(ResolutionFault("database", detail, position))
            return None
        for schema in self._path if len(written) == 1 else written[-2:-1]:
            if written and written[-1] in self._catalog.relations.get(schema, ()):
                return QName(schema, written[-1])
        if not new:
            relations = self._catalog.relations
            seeks = self._objects.suggests(len(relations) + sum(map(len, relations.values())))
            near = suggest_relations(written, self._catalog) if seeks else ()
            detail = f"relation `{text}` does not exist"
            self._objects.fault(ResolutionFault("unknown-relation", detail, position, written, near))
        return None

    def _write(self, entry: RangeTableEntry, write: TargetColumns) -> None:
        self._objects.relation(entry, write.action)
        self._columns(entry, write.columns, "write")

    def _columns(self, entry: RangeTableEntry, columns: tuple[str, ...] | None, action: str) -> None:
        whole = columns is None
        own = {} if entry.relation is None else {column.name: None for column in entry.relation.columns}
        if columns is None and entry.relation is None:
            self._objects.row(entry, entry.position)
        for name in own if columns is None else columns:
            if entry.relation is not None and name not in own:
                detail = f"column `{name}` of relation `{'.'.join(entry.written)}` does not exist"
                seeks = self._catalog is not None and self._objects.suggests(len(own))
                near = (
                    suggest_columns(name, [NameScope(entries={0: entry})], self._catalog)
                    if seeks and self._catalog
                    else ()
                )
                self._objects.fault(ResolutionFault("unknown-column", detail, entry.position, (name,), near))
            self._objects.column(entry, name, "write" if action == "write" else "read", entry.position, whole=whole)

    def _use(self, use: CommandRelation) -> None:
        """A relation outside of any query."""
        defined = use.action == "define"
        # An index is not in the catalog: it is known by its name alone, if that has a schema. But ALTER INDEX renames
        # tables as well, and those are there.
        new = use.creates or (defined and len(use.name) > 1 and (self._index or not self._alters))
        if use.beside:
            use = use._replace(name=(*self._schema_of(use.beside), *use.name))
        name = self._relation(use.name, use.position, new=new)
        if self._moves and defined and not use.beyond:
            self._shadow(use, name)
        entry = self._entry_of(name, use.name, use.position)
        if defined and (use.creates or (name is None and new)):
            self._objects.created(entry)
        if name is None and new:
            if self._reads and not use.creates and not self._index:
                self._objects.relation(entry, "read")
            return
        self._objects.relation(entry, use.action)
        if self._reads and defined:
            self._objects.relation(entry, "read")
            self._columns(entry, use.columns, "read")
        columns = use.columns
        if use.loose and columns is not None and entry.relation is not None:
            columns = tuple(column for column in columns if column in entry.columns)
        if use.action not in ("lock", "delete"):
            self._columns(entry, columns, "read" if use.action == "read" else "write")

    def _shadow(self, use: CommandRelation, found: QName | None) -> None:
        """A name that hides one of a later schema: dropped, it means that one before the catalog says so."""
        if self._catalog is None:
            return
        path = self._catalog.path
        if len(use.name) > 1:
            schema = use.name[-2]
        else:
            schema = (self._catalog.search_path or path)[0] if use.creates or found is None else found.schema
        for later in path[path.index(schema) + 1 :] if schema in path else ():
            if use.name[-1] in self._catalog.relations.get(later, ()):
                detail = f"`{schema}.{use.name[-1]}` hides `{later}.{use.name[-1]}` from names without a schema"
                self._objects.fault(ResolutionFault("hides", detail, use.position))

    def _schema_of(self, written: tuple[str, ...]) -> tuple[str, ...]:
        """Where a relation is: as it is written, else as it is found."""
        found = self._relation(written, None, new=True)
        return written[:-1] or (found[:1] if found is not None else ())

    def _others(self, statement: Statement, name_scopes: list[NameScope]) -> None:
        """Relations that the walk over the tree saw and no level has: none, unless a shape is new."""
        aliases = {name for scope in name_scopes for name in scope.aliases} | statement.scopes.queries
        for name in statement.relations:
            if name.parts not in self._known and not (len(name.parts) == 1 and name.parts[0] in aliases):
                self._use(CommandRelation(name.parts, "read", name.position))
