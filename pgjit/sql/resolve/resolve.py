"""Resolves the names of a statement in a catalog: its relations, columns, functions, types and operators.

Decides what each name means, as PostgreSQL's parse analysis would; if that is not certain, everything that it may
mean. Pure and iterative. Without a catalog, names stay as written, with the schemas that they may be in.
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
    """All objects that `statement` references. `search_path` counts only without a catalog.

    `steps`: a budget that several statements may share. `columns_matter`: whether the columns of a relation are
    needed that the statement does not name, only its partitions or parents. `stored`: the statement is the query of
    a view, whose casts the server has recorded.
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
        # ALTER counts as reading too: a new name or expression may show the data elsewhere. So does CREATE INDEX,
        # whose errors quote values, and CREATE TABLE: a foreign key reveals which values exist.
        self._counts_as_read = False
        self._is_alter = False
        self._changes_names = False  # creates or removes a name
        self._is_index_command = False

    def run(self, statement: Statement) -> ReferencedObjects:
        if self._catalog is not None and self._catalog.encoding != "UTF8":
            self._spelling(statement, self._catalog.encoding)
        with suppress(StepBudgetExceeded):  # then a fault was added
            self._all(statement)
        return self._objects.result(statement.settings, locking=statement.scopes.locking)

    def _spelling(self, statement: Statement, encoding: str) -> None:
        for name in statement.beyond_ascii:
            if not is_certain(name, encoding):
                detail = f"`{name}` may be another name to this server, whose encoding is {encoding}"
                self._objects.add_fault(ResolutionFault("encoding", detail))

    def _all(self, statement: Statement) -> None:
        scopes = statement.scopes
        self._is_alter = statement.kind.startswith("alter-")
        self._changes_names = statement.kind in _MAKE_OR_DROP or any(
            named.same_schema_as for named in scopes.command_relations
        )
        self._counts_as_read = self._is_alter or statement.kind in ("create-index", "create-schema", "create-table")
        self._is_index_command = statement.kind in ("alter-index", "drop-index", "reindex")
        name_scopes = name_scopes_of(scopes.levels, self._range_table_entry, self._objects.spend)
        columns = ColumnResolver(scopes.levels, name_scopes, self._catalog, self._objects, self._routines)
        written = {write.level for write in scopes.writes}
        for level, scope in enumerate(name_scopes):
            for entry in scope.entries.values():
                if not entry.target or level not in written:  # a MERGE that does nothing
                    self._objects.add_relation(entry, "read")
            columns.over(level)
        for write in scopes.writes:
            self._write(name_scopes[write.level].entries[0], write)
        for named in scopes.command_relations:
            self._command_relation(named)
        self._unseen_relations(statement, name_scopes)
        self._routines.over(statement)

    def _range_table_entry(self, source: FromItem) -> RangeTableEntry:
        name = self._relation(source.name, source.position)
        entry = self._entry_of(name, source.name, source.position)
        own = list(entry.columns)
        visible = dict(zip((*source.columns, *own[len(source.columns) :]), own, strict=False))
        target = source.kind == "target"
        return RangeTableEntry(
            name, source.name, entry.relation, visible, source.only, target, source.alias, source.position
        )

    def _entry_of(self, name: QName | None, written: tuple[str, ...], position: int | None) -> RangeTableEntry:
        relation = self._catalog.relation(name) if self._catalog and name else None
        columns = {column.name: column.name for column in relation.columns} if relation else {}
        return RangeTableEntry(name, written, relation, columns, position=position)

    def _relation(self, written: tuple[str, ...], position: int | None, *, new: bool = False) -> QName | None:
        """The relation of that name. None without a catalog, or if there is none, which adds a fault."""
        self._known.add(written)
        if self._catalog is None:
            return None
        text = ".".join(written)
        if len(written) == 3 and written[0] != self._catalog.database:
            detail = f"`{text}` is in database `{written[0]}`, and this one is `{self._catalog.database}`"
            self._objects.add_fault(ResolutionFault("database", detail, position))
            return None
        for schema in self._path if len(written) == 1 else written[-2:-1]:
            if written and written[-1] in self._catalog.relations.get(schema, ()):
                return QName(schema, written[-1])
        if not new:
            relations = self._catalog.relations
            searches = self._objects.may_suggest(len(relations) + sum(map(len, relations.values())))
            suggestions = suggest_relations(written, self._catalog) if searches else ()
            detail = f"relation `{text}` does not exist"
            self._objects.add_fault(ResolutionFault("unknown-relation", detail, position, written, suggestions))
        return None

    def _write(self, entry: RangeTableEntry, write: TargetColumns) -> None:
        self._objects.add_relation(entry, write.action)
        self._columns(entry, write.columns, "write")

    def _columns(self, entry: RangeTableEntry, columns: tuple[str, ...] | None, action: str) -> None:
        whole = columns is None
        own = {} if entry.relation is None else {column.name: None for column in entry.relation.columns}
        if columns is None and entry.relation is None:
            self._objects.add_row(entry, entry.position)
        for name in own if columns is None else columns:
            if entry.relation is not None and name not in own:
                detail = f"column `{name}` of relation `{'.'.join(entry.written)}` does not exist"
                searches = self._catalog is not None and self._objects.may_suggest(len(own))
                suggestions = (
                    suggest_columns(name, [NameScope(entries={0: entry})], self._catalog)
                    if searches and self._catalog
                    else ()
                )
                self._objects.add_fault(
                    ResolutionFault("unknown-column", detail, entry.position, (name,), suggestions)
                )
            self._objects.add_column(
                entry, name, "write" if action == "write" else "read", entry.position, whole=whole
            )

    def _command_relation(self, named: CommandRelation) -> None:
        """Add a relation that a command names outside of any query."""
        defined = named.action == "define"
        # The catalog has no indexes: one is accepted if its name has a schema. But ALTER INDEX renames tables as
        # well, and those are in the catalog.
        new = named.creates or (defined and len(named.name) > 1 and (self._is_index_command or not self._is_alter))
        if named.same_schema_as:
            named = named._replace(name=(*self._schema_of(named.same_schema_as), *named.name))
        name = self._relation(named.name, named.position, new=new)
        if self._changes_names and defined and not named.mentioned:
            self._shadow(named, name)
        entry = self._entry_of(name, named.name, named.position)
        if defined and (named.creates or (name is None and new)):
            self._objects.add_created(entry)
        if name is None and new:
            if self._counts_as_read and not named.creates and not self._is_index_command:
                self._objects.add_relation(entry, "read")
            return
        self._objects.add_relation(entry, named.action)
        if self._counts_as_read and defined:
            self._objects.add_relation(entry, "read")
            self._columns(entry, named.columns, "read")
        columns = named.columns
        if named.columns_uncertain and columns is not None and entry.relation is not None:
            columns = tuple(column for column in columns if column in entry.columns)
        if named.action not in ("lock", "delete"):
            self._columns(entry, columns, "read" if named.action == "read" else "write")

    def _shadow(self, named: CommandRelation, found: QName | None) -> None:
        """Refuse a name that hides one of a later schema: once dropped, it means that one, unseen by the catalog."""
        if self._catalog is None:
            return
        path = self._catalog.path
        if len(named.name) > 1:
            schema = named.name[-2]
        else:
            schema = (self._catalog.search_path or path)[0] if named.creates or found is None else found.schema
        for later in path[path.index(schema) + 1 :] if schema in path else ():
            if named.name[-1] in self._catalog.relations.get(later, ()):
                detail = f"`{schema}.{named.name[-1]}` hides `{later}.{named.name[-1]}` from names without a schema"
                self._objects.add_fault(ResolutionFault("hides", detail, named.position))

    def _schema_of(self, written: tuple[str, ...]) -> tuple[str, ...]:
        """The schema of a relation: the written one, or else the one that it is found in."""
        found = self._relation(written, None, new=True)
        return written[:-1] or (found[:1] if found is not None else ())

    def _unseen_relations(self, statement: Statement, name_scopes: list[NameScope]) -> None:
        """Add relations that the walk over the tree found and no query level has. None are known."""
        aliases = {name for scope in name_scopes for name in scope.aliases} | statement.scopes.queries
        for name in statement.relations:
            if name.parts not in self._known and not (len(name.parts) == 1 and name.parts[0] in aliases):
                self._command_relation(CommandRelation(name.parts, "read", name.position))
