"""Collects what a statement touches: each object once, where it is met first, with all that it leads to.

Decides that a column of a table is also one of its parts and of what it is a part of. Bounded: beyond a number of
objects, or of steps to find them, there is a doubt in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.resolve.frames import SYSTEM_COLUMNS, Base
from pgjit.sql.resolve.reach import MOST, Step, reached
from pgjit.sql.statement import Setting
from pgjit.sql.touched import (
    Action,
    Doubt,
    Touched,
    TouchedColumn,
    TouchedFunction,
    TouchedOperator,
    TouchedRelation,
    TouchedType,
)

__all__ = ["MOST_COLUMNS", "MOST_STEPS", "Collector", "Steps", "TooMuch", "Wanted"]

MOST_COLUMNS = 20_000
MOST_STEPS = 120_000
"""Of looking at what columns and calls may mean: a tenth of a second. A column that is touched counts as five."""

_WRITES = frozenset({"insert", "update", "delete"})
_WITH_ALL = frozenset({"named", "child"})  # a part has every column of what it is a part of

ColumnAction = Literal["read", "write"]


class TooMuch(Exception):
    """No more is looked at: a doubt says so."""


@dataclass(slots=True)
class Steps:
    """How much may still be looked at, for all statements of a message."""

    left: int = MOST_STEPS
    suggestions: int = 3  # names that are looked for in place of unknown ones: a client is told of one


Wanted = Callable[[QName], bool]


class Collector:
    def __init__(self, catalog: Catalog | None, path: tuple[str, ...], steps: Steps, wanted: Wanted) -> None:
        """`wanted`: of which relations the columns count, where only a part or the whole of them is written."""
        self._catalog = catalog
        self._wanted = wanted
        self._kin: dict[tuple[QName, bool], tuple[Step, ...]] = {}
        self._path = path
        self._relations: dict[tuple[object, ...], TouchedRelation] = {}
        self._columns: dict[tuple[object, ...], TouchedColumn] = {}
        self._functions: dict[tuple[object, ...], TouchedFunction] = {}
        self._types: dict[tuple[str | None, str], TouchedType] = {}
        self._operators: dict[tuple[str | None, ...], TouchedOperator] = {}
        self._fields: set[str] = set()
        self._doubts: dict[Doubt, None] = {}
        self._steps: dict[tuple[QName, bool], tuple[Step, ...]] = {}
        self._rows: set[tuple[object, ...]] = set()
        self._asked: set[tuple[object, ...]] = set()
        self._steps_left = steps
        self.row_values: dict[QName, None] = {}  # relations of which a row is used as a value
        self.called: list[tuple[QName, tuple[str, ...], int | None]] = []  # functions that views call

    def doubt(self, doubt: Doubt) -> None:
        self._doubts[doubt] = None

    def spend(self, steps: int) -> None:
        """Raises TooMuch where they are used up."""
        self._steps_left.left -= steps
        if self._steps_left.left < 0:
            self.doubt(Doubt("too-much", f"what its names mean takes more than {MOST_STEPS} steps to find"))
            raise TooMuch

    def suggests(self, compared: int) -> bool:
        """Whether to look, among so many names, for one that was meant. Raises TooMuch."""
        if not self._steps_left.suggestions:
            return False
        self._steps_left.suggestions -= 1
        self.spend(1 + compared // 20)
        return True

    def function(self, function: TouchedFunction) -> None:
        self._functions.setdefault((function.schema, function.name, function.signatures, function.through), function)

    def type(self, touched: TouchedType) -> None:
        self._types.setdefault((touched.schema, touched.name), touched)

    def field(self, name: str) -> None:
        self._fields.add(name)

    def operator(self, operator: TouchedOperator) -> None:
        self._operators.setdefault((operator.schema, operator.name, operator.extension), operator)

    def touched(self, settings: tuple[Setting, ...], *, locking: bool) -> Touched:
        if locking:
            for found in list(self._relations.values()):
                if found.action == "read":
                    self._add(found, "lock")
        return Touched(
            tuple(self._relations.values()),
            tuple(self._columns.values()),
            tuple(self._functions.values()),
            tuple(self._types.values()),
            tuple(self._operators.values()),
            settings,
            tuple(self._doubts),
            frozenset(self._fields),
            None if self._catalog is None else self._catalog.start,
            None if self._catalog is None else self._catalog.secrets,
            None if self._catalog is None else self._catalog.quotes,
            {} if self._catalog is None else self._catalog.extensions,
        )

    def _add(self, found: TouchedRelation, action: Action) -> None:
        locked = TouchedRelation(
            found.schema, found.name, found.kind, action, found.position, found.reach, found.through, found.candidates
        )
        self._relations.setdefault((found.schema, found.name, action, found.reach), locked)

    def met_types(self) -> set[str]:
        """Types that values have here: of columns and rows of the relations that were met, and those written."""
        if self._catalog is None:
            return set()
        names = {QName(one.schema, one.name) for one in self._relations.values() if one.schema}
        types = {kind for name in names for kind in self._catalog.own_types.get(name, ())}
        return types | {str(name) for name in names} | {one.text for one in self._types.values()}

    def touched_columns(self) -> Iterable[TouchedColumn]:
        return self._columns.values()

    def met_functions(self) -> set[QName]:
        return {QName(one.schema, one.name) for one in self._functions.values() if one.schema and not one.builtin}

    def met_operators(self) -> set[QName]:
        return {QName(one.schema, one.name) for one in self._operators.values() if one.schema and not one.builtin}

    # Relations.

    def relation(self, base: Base, action: Action) -> None:
        """A relation is used, and all that it leads to."""
        asked = (base.name or base.written, base.only, action)
        if asked in self._asked:
            return
        self._asked.add(asked)
        if base.name is None:
            schema, candidates = self.unresolved(base.written)
            found = TouchedRelation(schema, base.written[-1], None, action, base.position, candidates=candidates)
            self._relations.setdefault((schema, candidates, found.name, action), found)
            return
        steps = self._lead(base.name, only=base.only)
        self.spend(len(steps))
        for step in steps:
            self._relations.setdefault(
                (*step.name, action, step.reach),
                TouchedRelation(
                    *step.name,
                    step.relation.kind,
                    action,
                    base.position,
                    reach=step.reach,
                    through=step.through,
                    filled=_filled(step.relation) if action in _WRITES else frozenset(),
                ),
            )
            self._behind(step, action, base.position)

    def _behind(self, step: Step, action: Action, position: int | None) -> None:
        self.spend(len(step.columns or ()) // 2)
        for column in step.columns or ():
            self._column(step, column, "read", position, whole=False)
            if action in _WRITES:
                self._column(step, column, "write", position, whole=False)
        if action in step.relation.rules and step.reach in ("named", "view"):
            self.doubt(Doubt("rule", f"a rule on `{step.name}` turns {action} into something else", position))
        for name in step.relation.calls:
            self.called.append((name, (*step.through, str(step.name)), position))

    def created(self, base: Base) -> None:
        """What is new is made in the first schema of the path."""
        schema, candidates = self.unresolved(base.written)
        if schema is None and self._catalog is not None:
            schema, candidates = (self._catalog.search_path or (None,))[0], ()
        self._relations.setdefault(
            (schema, candidates, base.written[-1], "define"),
            TouchedRelation(schema, base.written[-1], None, "define", base.position, candidates=candidates),
        )

    def unresolved(self, written: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
        """The schema that is written, or those that it may be in: all names in pg_catalog begin with `pg_`."""
        if len(written) > 1:
            return written[-2], ()
        return None, self._path if written[-1].startswith("pg_") else self._path[1:] or self._path

    def _lead(self, name: QName, *, only: bool) -> tuple[Step, ...]:
        key = (name, only)
        steps = self._steps.get(key)
        if steps is None:
            assert self._catalog is not None
            steps = self._steps[key] = reached(self._catalog, name, only=only)
            self.spend(8 * len(steps))
            if len(steps) > MOST:
                self.doubt(Doubt("too-much", f"`{name}` leads to more than {MOST} relations"))
        return steps

    # Columns.

    def column(self, base: Base, name: str, action: ColumnAction, position: int | None, *, whole: bool) -> None:
        if base.target and action == "read":
            self.relation(base, "read")
        if base.name is None:
            self._unresolved_column(base, name, action, position, whole=whole)
            return
        steps = self._with_columns(base.name, only=base.only)
        self.spend(len(steps))
        for step in steps:
            if step.reach in _WITH_ALL or _has(step.relation, name):
                self._column(step, name, action, position, whole=whole)

    def _with_columns(self, name: QName, *, only: bool) -> tuple[Step, ...]:
        """The relation, and of its kin those whose columns anybody asks for: a table may have thousands of parts."""
        key = (name, only)
        kin = self._kin.get(key)
        if kin is None:
            steps = self._lead(name, only=only)
            self.spend(len(steps))
            kin = self._kin[key] = tuple(
                step for step in steps if step.columns is None and (step.reach == "named" or self._wanted(step.name))
            )
        return kin

    def row(self, base: Base, position: int | None) -> None:
        """All columns: by a star, or the row as a value."""
        asked = (base.name or base.written, base.only, base.target)
        if asked in self._rows:
            return
        self._rows.add(asked)
        if base.name is None:
            if base.target:
                self.relation(base, "read")
            self._unresolved_column(base, None, "read", position, whole=True)
            return
        for name in base.columns.values():
            self.column(base, name, "read", position, whole=True)

    def _unresolved_column(
        self, base: Base, name: str | None, action: ColumnAction, position: int | None, *, whole: bool
    ) -> None:
        key = (base.written, name, action)
        if key in self._columns:
            return
        self._full()
        schema, candidates = self.unresolved(base.written)
        self._columns[key] = TouchedColumn(
            schema, base.written[-1], name, action, position, whole, candidates=candidates
        )

    def _column(self, step: Step, name: str, action: ColumnAction, position: int | None, *, whole: bool) -> None:
        key = (*step.name, name, action, step.reach)
        if key in self._columns:
            return
        self._full()
        self._columns[key] = TouchedColumn(
            *step.name, name, action, position, whole, reach=step.reach, through=step.through
        )
        if action == "read" and self._catalog is not None and step.name in self._catalog.derived:
            self._made_of(step, name, position, whole=whole)

    def _made_of(self, step: Step, name: str, position: int | None, *, whole: bool) -> None:
        """Who reads a generated column reads what its expression reads, here and in all that is kin."""
        assert self._catalog is not None
        for source in self._catalog.derived[step.name].get(name, ()):
            for kin in self._with_columns(step.name, only=False):
                if _has(kin.relation, source):
                    through = (*step.through, f"{step.name}.{name}")
                    self._column(kin._replace(reach="view", through=through), source, "read", position, whole=whole)

    def _full(self) -> None:
        self.spend(5)
        if len(self._columns) >= MOST_COLUMNS:
            self.doubt(Doubt("too-much", f"more than {MOST_COLUMNS} columns are touched"))
            raise TooMuch


def _filled(relation: Relation) -> frozenset[str]:
    return frozenset(column.name for column in relation.columns if column.filled)


def _has(relation: Relation, name: str) -> bool:
    return name in SYSTEM_COLUMNS or any(column.name == name for column in relation.columns)
