"""The query levels of a statement, their FROM items and their references, as written. Values only.

`query_levels.py` fills them from the tree, `pgjit.sql.resolve` looks the names up. Knows no catalog.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

__all__ = ["Call", "CommandRelation", "FromItem", "OperatorUse", "QueryLevel", "Reference", "Scopes", "TargetColumns"]


class FromItem(NamedTuple):
    """An item of FROM or USING, or the target of a write."""

    kind: Literal["relation", "target", "query", "other", "join"]
    name: tuple[str, ...] = ()  # of a relation, as written
    alias: str | None = None
    columns: tuple[str, ...] = ()  # of a relation or a join: aliases of its first columns; else its column names
    level: int = -1  # of a query: its level, which names its columns
    owner: int = -1  # the join whose alias hides it
    only: bool = False
    opaque: bool = False  # it may have columns of other names
    position: int | None = None


class Reference(NamedTuple):
    """A reference to a column, a row or a star: `a`, `a.b`, `a.*`. The parts are as written, without the star."""

    parts: tuple[str, ...]
    star: bool = False
    early: bool = False  # only some FROM items of its level are visible there: in ON, in functions in FROM
    output: bool = False  # may be the name of an output column: ORDER BY, GROUP BY, DISTINCT ON
    attribute: str | None = None  # `b` of `(a).b`


class CommandRelation(NamedTuple):
    """A relation that a command names outside of any query: LOCK, COPY, DDL."""

    name: tuple[str, ...]
    action: Literal["read", "insert", "update", "delete", "lock", "define"]
    position: int | None
    columns: tuple[str, ...] | None = None  # None: all
    creates: bool = False
    same_schema_as: tuple[str, ...] = ()  # a relation, as written, that is in the same schema
    mentioned: bool = False  # a command that creates another relation references, inherits or copies this one
    columns_uncertain: bool = False  # some of `columns` may be functions of the row, or the row itself


class TargetColumns(NamedTuple):
    """The columns of a target that are written; None: all of them."""

    level: int
    action: Literal["insert", "update", "delete"]
    columns: tuple[str, ...] | None = None


class Call(NamedTuple):
    """A function call. `arguments` is None if their number does not select the overloads (VARIADIC, ...)."""

    parts: tuple[str, ...]
    arguments: int | None
    attribute: bool = False  # `(x).f`: a field, or a function
    untyped: tuple[int, ...] | None = None  # arguments that may take any type: 'x', NULL, $1. None: all
    numbers: tuple[int, ...] = ()  # arguments that are certainly numbers
    before: int | None = None  # a call only for servers before that version: later ones have syntax of that name


class OperatorUse(NamedTuple):
    """The use of an operator, also an implicit one (`IN`, NATURAL JOIN). `sides` is 0 if not known."""

    parts: tuple[str, ...]
    sides: int
    untyped: tuple[int, ...] | None = None  # operands that may take any type


@dataclass(slots=True)
class QueryLevel:
    """One SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE.

    A name that is not found here is looked up in the `parent`.
    """

    parent: int = -1
    partial: bool = False  # only some FROM items of the parent are visible from here
    names_from: int = -1  # of a set operation: the level of its first query, which names the columns
    natural: bool = False  # has a NATURAL JOIN
    sources: list[FromItem] = field(default_factory=list)
    references: dict[Reference, int | None] = field(default_factory=dict)  # with the first position
    outputs: dict[str, None] = field(default_factory=dict)  # certain names of output columns
    stars: list[tuple[str, ...]] = field(default_factory=list)  # `*` and `a.*` in the output
    opaque: bool = False  # it may have output columns of other names


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as Statement
class Scopes:
    levels: tuple[QueryLevel, ...] = ()
    command_relations: tuple[CommandRelation, ...] = ()
    writes: tuple[TargetColumns, ...] = ()
    calls: tuple[tuple[Call, int | None], ...] = ()
    operations: tuple[tuple[OperatorUse, int | None], ...] = ()
    queries: frozenset[str] = frozenset()  # names of common table expressions
    locking: bool = False
    arrays: bool = False  # ARRAY(SELECT ...)
