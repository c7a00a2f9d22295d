"""Collects what a statement touches: each object once, where it is met first, with all that it leads to.

Decides that a column of a table is also one of its parts and of what it is a part of. Bounded: beyond a number of
objects, or of steps to find them, there is a doubt in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
"""Of looking at what columns and calls may mean: a tenth of a second. A column that is touched counts as five."""

_WRITES = frozenset({"insert", "update", "delete"})
_WITH_ALL = frozenset({"named", "child"})  # a part has every column of what it is a part of

ColumnAction = Literal["read", "write"]


class StepBudgetExceeded(Exception):
    """No more is looked at: a doubt says so."""


@dataclass(slots=True)
class StepBudget:
    """How much may still be looked at, for all statements of a message."""

    left: int = MOST_STEPS
    suggestions: int = 3  # names that are looked for in place of unknown ones: a client is told of one


RelationFilter = Callable[[QName], bool]


class ObjectCollector:
    def __init__(
        self, catalog: Catalog | None, path: tuple[str, ...], steps: StepBudget, columns_matter: RelationFilter
    ) -> None:
        """`wanted`: of which relations the columns count, where only a part or the whole of them is written."""
        self._catalog = catalog
        self._columns_matter = columns_matter
        self._kin: dict[tuple[QName, bool], tuple[ExpandedRelation, ...]] = {}
        self._path = path
        self._relations: dict[tuple[object, ...], ReferencedRelation] = {}
        self._columns: dict[tuple[object, ...], ReferencedColumn] = {}
        self._functions: dict[tuple[object, ...], ReferencedFunction] = {}
        self._types: dict[tuple[str | None, str], ReferencedType] = {}
        self._operators: dict[tuple[str | None, ...], ReferencedOperator] = {}
        self._fields: set[str] = set()
        self._faults: dict[ResolutionFault, None] = {}
        self._steps: dict[tuple[QName, bool], tuple[ExpandedRelation, ...]] = {}
        self._rows: set[tuple[object, ...]] = set()
        self._asked: set[tuple[object, ...]] = set()
        self._steps_left = steps
        self.row_values: dict[QName, None] = {}  # relations of which a row is used as a value
        self.called: list[tuple[QName, tuple[str, ...], int | None]] = []  # functions that views call

    def fault(self, fault: ResolutionFault) -> None:
        self._faults[fault] = None

    def spend(self, steps: int) -> None:
        """Raises StepBudgetExceeded where they are used up."""
        self._steps_left.left -= steps
        if self._steps_left.left < 0:
            self.fault(ResolutionFault("too-much", f"what its names mean takes more than {MOST_STEPS} steps to find"))
            raise StepBudgetExceeded

    def suggests(self, compared: int) -> bool:
        """Whether to look, among so many names, for one that was meant. Raises StepBudgetExceeded."""
        if not self._steps_left.suggestions:
            return False
        self._steps_left.suggestions -= 1
        self.spend(1 + compared // 20)
        return True

    def function(self, function: ReferencedFunction) -> None:
        self._functions.setdefault((function.schema, function.name, function.signatures, function.through), function)

    def type(self, result: ReferencedType) -> None:
        self._types.setdefault((result.schema, result.name), result)

    def field(self, name: str) -> None:
        self._fields.add(name)

    def operator(self, operator: ReferencedOperator) -> None:
        self._operators.setdefault((operator.schema, operator.name, operator.extension), operator)

    def result(self, settings: tuple[Setting, ...], *, locking: bool) -> ReferencedObjects:
        if locking:
            for found in list(self._relations.values()):
                if found.action == "read":
                    self._add(found, "lock")
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

    def _add(self, found: ReferencedRelation, action: Action) -> None:
        locked = ReferencedRelation(
            found.schema, found.name, found.kind, action, found.position, found.via, found.through, found.candidates
        )
        self._relations.setdefault((found.schema, found.name, action, found.via), locked)

    def met_types(self) -> set[str]:
        """Types that values have here: of columns and rows of the relations that were met, and those written."""
        if self._catalog is None:
            return set()
        names = {QName(one.schema, one.name) for one in self._relations.values() if one.schema}
        types = {kind for name in names for kind in self._catalog.own_types.get(name, ())}
        return types | {str(name) for name in names} | {one.text for one in self._types.values()}

    def column_references(self) -> Iterable[ReferencedColumn]:
        return self._columns.values()

    def met_functions(self) -> set[QName]:
        return {QName(one.schema, one.name) for one in self._functions.values() if one.schema and not one.builtin}

    def met_operators(self) -> set[QName]:
        return {QName(one.schema, one.name) for one in self._operators.values() if one.schema and not one.builtin}

    # Relations.

    def relation(self, entry: RangeTableEntry, action: Action) -> None:
        """A relation is used, and all that it leads to."""
        asked = (entry.name or entry.written, entry.only, action)
        if asked in self._asked:
            return
        self._asked.add(asked)
        if entry.name is None:
            schema, candidates = self.unresolved(entry.written)
            found = ReferencedRelation(schema, entry.written[-1], None, action, entry.position, candidates=candidates)
            self._relations.setdefault((schema, candidates, found.name, action), found)
            return
        steps = self._lead(entry.name, only=entry.only)
        self.spend(len(steps))
        for step in steps:
            self._relations.setdefault(
                (*step.name, action, step.via),
                ReferencedRelation(
                    *step.name,
                    step.relation.kind,
                    action,
                    entry.position,
                    via=step.via,
                    through=step.through,
                    filled=_filled(step.relation) if action in _WRITES else frozenset(),
                ),
            )
            self._behind(step, action, entry.position)

    def _behind(self, step: ExpandedRelation, action: Action, position: int | None) -> None:
        self.spend(len(step.columns or ()) // 2)
        for column in step.columns or ():
            self._column(step, column, "read", position, whole=False)
            if action in _WRITES:
                self._column(step, column, "write", position, whole=False)
        if action in step.relation.rules and step.via in ("named", "view"):
            self.fault(
                ResolutionFault("rule", f"a rule on `{step.name}` turns {action} into something else", position)
            )
        for name in step.relation.calls:
            self.called.append((name, (*step.through, str(step.name)), position))

    def created(self, entry: RangeTableEntry) -> None:
        """What is new is made in the first schema of the path."""
        schema, candidates = self.unresolved(entry.written)
        if schema is None and self._catalog is not None:
            schema, candidates = (self._catalog.search_path or (None,))[0], ()
        self._relations.setdefault(
            (schema, candidates, entry.written[-1], "define"),
            ReferencedRelation(schema, entry.written[-1], None, "define", entry.position, candidates=candidates),
        )

    def unresolved(self, written: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
        """The schema that is written, or those that it may be in: all names in pg_catalog begin with `pg_`."""
        if len(written) > 1:
            return written[-2], ()
        return None, self._path if written[-1].startswith("pg_") else self._path[1:] or self._path

    def _lead(self, name: QName, *, only: bool) -> tuple[ExpandedRelation, ...]:
        key = (name, only)
        steps = self._steps.get(key)
        if steps is None:
            assert self._catalog is not None
            steps = self._steps[key] = expand(self._catalog, name, only=only)
            self.spend(8 * len(steps))
            if len(steps) > MOST_RELATIONS:
                self.fault(ResolutionFault("too-much", f"`{name}` leads to more than {MOST_RELATIONS} relations"))
        return steps

    # Columns.

    def column(
        self, entry: RangeTableEntry, name: str, action: ColumnAction, position: int | None, *, whole: bool
    ) -> None:
        if entry.target and action == "read":
            self.relation(entry, "read")
        if entry.name is None:
            self._unresolved_column(entry, name, action, position, whole=whole)
            return
        steps = self._with_columns(entry.name, only=entry.only)
        self.spend(len(steps))
        for step in steps:
            if step.via in _WITH_ALL or _has(step.relation, name):
                self._column(step, name, action, position, whole=whole)

    def _with_columns(self, name: QName, *, only: bool) -> tuple[ExpandedRelation, ...]:
        """The relation, and of its kin those whose columns anybody asks for: a table may have thousands of parts."""
        key = (name, only)
        kin = self._kin.get(key)
        if kin is None:
            steps = self._lead(name, only=only)
            self.spend(len(steps))
            kin = self._kin[key] = tuple(
                step
                for step in steps
                if step.columns is None and (step.via == "named" or self._columns_matter(step.name))
            )
        return kin

    def row(self, entry: RangeTableEntry, position: int | None) -> None:
        """All columns: by a star, or the row as a value."""
        asked = (entry.name or entry.written, entry.only, entry.target)
        if asked in self._rows:
            return
        self._rows.add(asked)
        if entry.name is None:
            if entry.target:
                self.relation(entry, "read")
            self._unresolved_column(entry, None, "read", position, whole=True)
            return
        for name in entry.columns.values():
            self.column(entry, name, "read", position, whole=True)

    def _unresolved_column(
        self, entry: RangeTableEntry, name: str | None, action: ColumnAction, position: int | None, *, whole: bool
    ) -> None:
        key = (entry.written, name, action)
        if key in self._columns:
            return
        self._full()
        schema, candidates = self.unresolved(entry.written)
        self._columns[key] = ReferencedColumn(
            schema, entry.written[-1], name, action, position, whole, candidates=candidates
        )

    def _column(
        self, step: ExpandedRelation, name: str, action: ColumnAction, position: int | None, *, whole: bool
    ) -> None:
        key = (*step.name, name, action, step.via)
        if key in self._columns:
            return
        self._full()
        self._columns[key] = ReferencedColumn(
            *step.name, name, action, position, whole, via=step.via, through=step.through
        )
        if action == "read" and self._catalog is not None and step.name in self._catalog.derived:
            self._made_of(step, name, position, whole=whole)

    def _made_of(self, step: ExpandedRelation, name: str, position: int | None, *, whole: bool) -> None:
        """Who reads a generated column reads what its expression reads, here and in all that is kin."""
        assert self._catalog is not None
        for source in self._catalog.derived[step.name].get(name, ()):
            for kin in self._with_columns(step.name, only=False):
                if _has(kin.relation, source):
                    through = (*step.through, f"{step.name}.{name}")
                    self._column(kin._replace(via="view", through=through), source, "read", position, whole=whole)

    def _full(self) -> None:
        self.spend(5)
        if len(self._columns) >= MOST_COLUMNS:
            self.fault(ResolutionFault("too-much", f"more than {MOST_COLUMNS} columns are touched"))
            raise StepBudgetExceeded


def _filled(relation: Relation) -> frozenset[str]:
    return frozenset(column.name for column in relation.columns if column.filled)


def _has(relation: Relation, name: str) -> bool:
    return name in SYSTEM_COLUMNS or any(column.name == name for column in relation.columns)
