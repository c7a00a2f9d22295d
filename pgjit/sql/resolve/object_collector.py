"""Collects the objects that a statement references: each once, at its first position, with all that it expands to.

Decides that a column of a table is also a column of its partitions and parents. Bounded: beyond a number of columns,
or of steps to find them, a ResolutionFault takes their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.referenced import (
    Action,
    ReferencedColumn,
    ReferencedFunction,
    ReferencedObjects,
    ReferencedOperator,
    ReferencedRelation,
    ReferencedType,
    ResolutionFault,
)
from pgjit.sql.resolve.name_scopes import SYSTEM_COLUMNS, RangeTableEntry
from pgjit.sql.resolve.relation_expansion import MOST_RELATIONS, ExpandedRelation, expand
from pgjit.sql.statement import Setting

__all__ = ["MOST_COLUMNS", "MOST_STEPS", "ObjectCollector", "RelationFilter", "StepBudget", "StepBudgetExceeded"]

MOST_COLUMNS = 20_000
MOST_STEPS = 120_000
"""Steps of looking up columns and calls: about a tenth of a second. A column that is added counts as five."""

_WRITES = frozenset({"insert", "update", "delete"})
_WITH_ALL = frozenset({"named", "child"})  # a partition has every column of its parent

ColumnAction = Literal["read", "write"]


class StepBudgetExceeded(Exception):
    """The budget is used up. A ResolutionFault was added that reports it."""


@dataclass(slots=True)
class StepBudget:
    """The steps that are left for all statements of a message."""

    left: int = MOST_STEPS
    suggestions: int = 3  # unknown names for which similar ones are searched: the client gets one error


RelationFilter = Callable[[QName], bool]
"""Whether the columns of a relation matter to the caller."""


class ObjectCollector:
    def __init__(
        self, catalog: Catalog | None, path: tuple[str, ...], steps: StepBudget, columns_matter: RelationFilter
    ) -> None:
        """`columns_matter`: for relations that the statement does not name, only their partitions or parents."""
        self._catalog = catalog
        self._columns_matter = columns_matter
        self._relatives: dict[tuple[QName, bool], tuple[ExpandedRelation, ...]] = {}
        self._path = path
        self._relations: dict[tuple[object, ...], ReferencedRelation] = {}
        self._columns: dict[tuple[object, ...], ReferencedColumn] = {}
        self._functions: dict[tuple[object, ...], ReferencedFunction] = {}
        self._types: dict[tuple[str | None, str], ReferencedType] = {}
        self._operators: dict[tuple[str | None, ...], ReferencedOperator] = {}
        self._fields: set[str] = set()
        self._faults: dict[ResolutionFault, None] = {}
        self._expansions: dict[tuple[QName, bool], tuple[ExpandedRelation, ...]] = {}
        self._rows: set[tuple[object, ...]] = set()
        self._added: set[tuple[object, ...]] = set()
        self._budget = steps
        self.row_values: dict[QName, None] = {}  # relations whose row is used as a value
        self.called: list[tuple[QName, tuple[str, ...], int | None]] = []  # functions that views call

    def add_fault(self, fault: ResolutionFault) -> None:
        self._faults[fault] = None

    def spend(self, steps: int) -> None:
        """Raises StepBudgetExceeded if fewer are left."""
        self._budget.left -= steps
        if self._budget.left < 0:
            self.add_fault(ResolutionFault("too-much", f"resolving its names takes more than {MOST_STEPS} steps"))
            raise StepBudgetExceeded

    def may_suggest(self, compared: int) -> bool:
        """Whether to compare an unknown name with so many known ones. Raises StepBudgetExceeded."""
        if not self._budget.suggestions:
            return False
        self._budget.suggestions -= 1
        self.spend(1 + compared // 20)
        return True

    def add_function(self, function: ReferencedFunction) -> None:
        self._functions.setdefault((function.schema, function.name, function.signatures, function.through), function)

    def add_type(self, type_: ReferencedType) -> None:
        self._types.setdefault((type_.schema, type_.name), type_)

    def add_field(self, name: str) -> None:
        self._fields.add(name)

    def add_operator(self, operator: ReferencedOperator) -> None:
        self._operators.setdefault((operator.schema, operator.name, operator.extension), operator)

    def result(self, settings: tuple[Setting, ...], *, locking: bool) -> ReferencedObjects:
        if locking:
            for found in list(self._relations.values()):
                if found.action == "read":
                    self._add_with_action(found, "lock")
        return ReferencedObjects(
            tuple(self._relations.values()),
            tuple(self._columns.values()),
            tuple(self._functions.values()),
            tuple(self._types.values()),
            tuple(self._operators.values()),
            settings,
            tuple(self._faults),
            frozenset(self._fields),
            None if self._catalog is None else self._catalog.start,
            None if self._catalog is None else self._catalog.secrets,
            None if self._catalog is None else self._catalog.quotes,
            {} if self._catalog is None else self._catalog.extensions,
        )

    def _add_with_action(self, found: ReferencedRelation, action: Action) -> None:
        locked = ReferencedRelation(
            found.schema, found.name, found.kind, action, found.position, found.via, found.through, found.candidates
        )
        self._relations.setdefault((found.schema, found.name, action, found.via), locked)

    def met_types(self) -> set[str]:
        """The types of values so far: of the relations' rows and columns, and the types that are named."""
        if self._catalog is None:
            return set()
        names = {QName(one.schema, one.name) for one in self._relations.values() if one.schema}
        types = {kind for name in names for kind in self._catalog.own_types.get(name, ())}
        return types | {str(name) for name in names} | {one.text for one in self._types.values()}

    def met_functions(self) -> set[QName]:
        return {QName(one.schema, one.name) for one in self._functions.values() if one.schema and not one.builtin}

    def met_operators(self) -> set[QName]:
        return {QName(one.schema, one.name) for one in self._operators.values() if one.schema and not one.builtin}

    # Relations.

    def add_relation(self, entry: RangeTableEntry, action: Action) -> None:
        """Add a relation with all that it expands to."""
        key = (entry.name or entry.written, entry.only, action)
        if key in self._added:
            return
        self._added.add(key)
        if entry.name is None:
            schema, candidates = self.unresolved(entry.written)
            found = ReferencedRelation(schema, entry.written[-1], None, action, entry.position, candidates=candidates)
            self._relations.setdefault((schema, candidates, found.name, action), found)
            return
        steps = self._expand(entry.name, only=entry.only)
        self.spend(len(steps))
        for reached in steps:
            self._relations.setdefault(
                (*reached.name, action, reached.via),
                ReferencedRelation(
                    *reached.name,
                    reached.relation.kind,
                    action,
                    entry.position,
                    via=reached.via,
                    through=reached.through,
                    filled=_filled(reached.relation) if action in _WRITES else frozenset(),
                ),
            )
            self._add_uses(reached, action, entry.position)

    def _add_uses(self, reached: ExpandedRelation, action: Action, position: int | None) -> None:
        self.spend(len(reached.columns or ()) // 2)
        for column in reached.columns or ():
            self._column(reached, column, "read", position, whole=False)
            if action in _WRITES:
                self._column(reached, column, "write", position, whole=False)
        if action in reached.relation.rules and reached.via in ("named", "view"):
            self.add_fault(
                ResolutionFault("rule", f"a rule on `{reached.name}` turns {action} into something else", position)
            )
        for name in reached.relation.calls:
            self.called.append((name, (*reached.through, str(reached.name)), position))

    def add_created(self, entry: RangeTableEntry) -> None:
        """Add a relation that the statement creates: in the first schema of the search path."""
        schema, candidates = self.unresolved(entry.written)
        if schema is None and self._catalog is not None:
            schema, candidates = (self._catalog.search_path or (None,))[0], ()
        self._relations.setdefault(
            (schema, candidates, entry.written[-1], "define"),
            ReferencedRelation(schema, entry.written[-1], None, "define", entry.position, candidates=candidates),
        )

    def unresolved(self, written: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
        """The written schema, or those it may be in. Every name in pg_catalog begins with `pg_`."""
        if len(written) > 1:
            return written[-2], ()
        return None, self._path if written[-1].startswith("pg_") else self._path[1:] or self._path

    def _expand(self, name: QName, *, only: bool) -> tuple[ExpandedRelation, ...]:
        key = (name, only)
        steps = self._expansions.get(key)
        if steps is None:
            assert self._catalog is not None
            steps = self._expansions[key] = expand(self._catalog, name, only=only)
            self.spend(8 * len(steps))
            if len(steps) > MOST_RELATIONS:
                self.add_fault(
                    ResolutionFault("too-much", f"`{name}` expands to more than {MOST_RELATIONS} relations")
                )
        return steps

    # Columns.

    def add_column(
        self, entry: RangeTableEntry, name: str, action: ColumnAction, position: int | None, *, whole: bool
    ) -> None:
        if entry.target and action == "read":
            self.add_relation(entry, "read")
        if entry.name is None:
            self._unresolved_column(entry, name, action, position, whole=whole)
            return
        steps = self._carrying_columns(entry.name, only=entry.only)
        self.spend(len(steps))
        for reached in steps:
            if reached.via in _WITH_ALL or _has(reached.relation, name):
                self._column(reached, name, action, position, whole=whole)

    def _carrying_columns(self, name: QName, *, only: bool) -> tuple[ExpandedRelation, ...]:
        """The relation, and those of its relatives whose columns matter: a table may have thousands of partitions."""
        key = (name, only)
        relatives = self._relatives.get(key)
        if relatives is None:
            steps = self._expand(name, only=only)
            self.spend(len(steps))
            relatives = self._relatives[key] = tuple(
                reached
                for reached in steps
                if reached.columns is None and (reached.via == "named" or self._columns_matter(reached.name))
            )
        return relatives

    def add_row(self, entry: RangeTableEntry, position: int | None) -> None:
        """Add all columns: for a star, or for the row as a value."""
        key = (entry.name or entry.written, entry.only, entry.target)
        if key in self._rows:
            return
        self._rows.add(key)
        if entry.name is None:
            if entry.target:
                self.add_relation(entry, "read")
            self._unresolved_column(entry, None, "read", position, whole=True)
            return
        for name in entry.columns.values():
            self.add_column(entry, name, "read", position, whole=True)

    def _unresolved_column(
        self, entry: RangeTableEntry, name: str | None, action: ColumnAction, position: int | None, *, whole: bool
    ) -> None:
        key = (entry.written, name, action)
        if key in self._columns:
            return
        self._count_column()
        schema, candidates = self.unresolved(entry.written)
        self._columns[key] = ReferencedColumn(
            schema, entry.written[-1], name, action, position, whole, candidates=candidates
        )

    def _column(
        self, reached: ExpandedRelation, name: str, action: ColumnAction, position: int | None, *, whole: bool
    ) -> None:
        key = (*reached.name, name, action, reached.via)
        if key in self._columns:
            return
        self._count_column()
        self._columns[key] = ReferencedColumn(
            *reached.name, name, action, position, whole, via=reached.via, through=reached.through
        )
        if action == "read" and self._catalog is not None and reached.name in self._catalog.derived:
            self._add_sources(reached, name, position, whole=whole)

    def _add_sources(self, reached: ExpandedRelation, name: str, position: int | None, *, whole: bool) -> None:
        """To read a generated column is to read the columns of its expression, in all relatives as well."""
        assert self._catalog is not None
        for source in self._catalog.derived[reached.name].get(name, ()):
            for relatives in self._carrying_columns(reached.name, only=False):
                if _has(relatives.relation, source):
                    through = (*reached.through, f"{reached.name}.{name}")
                    self._column(
                        relatives._replace(via="view", through=through), source, "read", position, whole=whole
                    )

    def _count_column(self) -> None:
        self.spend(5)
        if len(self._columns) >= MOST_COLUMNS:
            self.add_fault(ResolutionFault("too-much", f"it references more than {MOST_COLUMNS} columns"))
            raise StepBudgetExceeded


def _filled(relation: Relation) -> frozenset[str]:
    return frozenset(column.name for column in relation.columns if column.filled)


def _has(relation: Relation, name: str) -> bool:
    return name in SYSTEM_COLUMNS or any(column.name == name for column in relation.columns)
