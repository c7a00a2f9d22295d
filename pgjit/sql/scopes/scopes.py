"""The levels of a statement's queries, their sources and what is referred to in them, as the text has it.

Values between `levels.py`, which fills them from the tree, and `resolve.py`, which looks the names up. They
know of no catalog.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

__all__ = ["Call", "CommandRelation", "FromItem", "OperatorUse", "QueryLevel", "Reference", "Scopes", "TargetColumns"]


class FromItem(NamedTuple):
    """What stands in FROM or USING, or is the target of a write."""

    kind: Literal["relation", "target", "query", "other", "join"]
    name: tuple[str, ...] = ()  # of a relation, as written
    alias: str | None = None
    columns: tuple[str, ...] = ()  # of a relation or a join: new names of its first columns; else names that it has
    level: int = -1  # of a query: where its columns get their names
    owner: int = -1  # the join with an alias that hides it
    only: bool = False
    opaque: bool = False  # may have columns of other names
    position: int | None = None


class Reference(NamedTuple):
    """A column, a row or a star: `a`, `a.b`, `a.*`. Parts as written, without the star."""

    parts: tuple[str, ...]
    star: bool = False
    early: bool = False  # stands where only some sources of its level can be seen: ON, functions in FROM
    output: bool = False  # may be the name of an output column: ORDER BY, GROUP BY, DISTINCT ON
    attribute: str | None = None  # `b` of `(a).b`


class CommandRelation(NamedTuple):
    """A relation outside of any query: of LOCK, COPY, DDL."""

    name: tuple[str, ...]
    action: Literal["read", "insert", "update", "delete", "lock", "define"]
    position: int | None
    columns: tuple[str, ...] | None = None  # None: all
    creates: bool = False
    beside: tuple[str, ...] = ()  # a relation as written, in whose schema it is
    beyond: bool = False  # named by what creates another one: referenced, inherited from, copied
    loose: bool = False  # some of `columns` may be none: functions of the row, or the row itself


class TargetColumns(NamedTuple):
    """Columns of a target that are written; None for all."""

    level: int
    action: Literal["insert", "update", "delete"]
    columns: tuple[str, ...] | None = None


class Call(NamedTuple):
    """A function call: `arguments` is None where the number of arguments does not tell the signature."""

    parts: tuple[str, ...]
    arguments: int | None
    attribute: bool = False  # `(x).f`: a field, or a function
    loose: tuple[int, ...] | None = None  # arguments that any type can be read from: 'x', NULL, $1. None: all
    numbers: tuple[int, ...] = ()  # arguments that are numbers for certain
    before: int | None = None  # a call on servers before that version only: later ones have syntax of that name


class OperatorUse(NamedTuple):
    """An operator that is used, written or not. `sides` is 0 where their number is not known."""

    parts: tuple[str, ...]
    sides: int
    loose: tuple[int, ...] | None = None  # as of a call


@dataclass(slots=True)
class QueryLevel:
    """One SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE.

    A name that is not found in it may mean something of its `parent`.
    """

    parent: int = -1
    partial: bool = False  # from here only some of the parent's sources can be seen
    names_from: int = -1  # a set operation: its columns have the names of its first query
    natural: bool = False  # has a NATURAL JOIN
    sources: list[FromItem] = field(default_factory=list)
    references: dict[Reference, int | None] = field(default_factory=dict)  # with the place of the first
    outputs: dict[str, None] = field(default_factory=dict)  # names that are certain
    stars: list[tuple[str, ...]] = field(default_factory=list)  # `*` and `a.*` in the output
    opaque: bool = False  # has output columns of other names


@dataclass(frozen=True, slots=True)
class Scopes:
    levels: tuple[QueryLevel, ...] = ()
    uses: tuple[CommandRelation, ...] = ()
    writes: tuple[TargetColumns, ...] = ()
    calls: tuple[tuple[Call, int | None], ...] = ()
    operations: tuple[tuple[OperatorUse, int | None], ...] = ()
    queries: frozenset[str] = frozenset()  # names of queries of a WITH
    locking: bool = False
    arrays: bool = False  # ARRAY(SELECT ...)
