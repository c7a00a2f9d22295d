"""What a statement touches: the values that resolving its names gives, and that policies judge.

A list here is never too short, but may be too long: where a reference could mean several things, each of them
is listed. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pgjit.sql.statement import Setting

__all__ = [
    "Action",
    "CopiedColumn",
    "NameSuggestion",
    "ReferencedColumn",
    "ReferencedFunction",
    "ReferencedObjects",
    "ReferencedOperator",
    "ReferencedRelation",
    "ReferencedType",
    "ResolutionFault",
    "SessionStart",
    "Via",
]

Action = Literal["read", "insert", "update", "delete", "lock", "define"]
"""`lock`: LOCK TABLE and FOR UPDATE and its kind. `define`: DDL, TRUNCATE, VACUUM: whatever else names a relation."""

Via = Literal["named", "view", "parent", "child"]
"""How a statement comes to an object.

`named`: it is written there. `view`: a view (or rule) that is written there reads or writes it, with the rights of
the view's owner, or a generated column is made of it. `parent`: a partition or an inheriting table is written there,
and this is what it is a part of. `child`: it is a part of what is written there. What must not be touched must not be
reached in any way; to allow something, what is named counts, as it does for the server.
"""


@dataclass(frozen=True, slots=True)
class ReferencedRelation:
    schema: str | None  # None where there is no catalog to tell: then `candidates` has the schemas it may be in
    name: str
    kind: str | None  # pg_class.relkind: r, p, v, m, f, S, c; None where there is no catalog
    action: Action
    position: int | None = None  # characters of the message from 1
    via: Via = "named"
    through: tuple[str, ...] = ()  # `schema.name` of the relations on the way, the one that is written first
    candidates: tuple[str, ...] = ()
    filled: frozenset[str] = frozenset()  # of what is written to: its columns that are NOT NULL

    @property
    def builtin(self) -> bool:
        return self.schema in ("pg_catalog", "information_schema")


@dataclass(frozen=True, slots=True)
class ReferencedColumn:
    """A column that is read (also in a condition, a join, an order) or written."""

    schema: str | None  # as in ReferencedRelation
    relation: str
    column: str | None  # None: any of its columns, or all
    action: Literal["read", "write"]
    position: int | None = None
    whole_row: bool = False  # by `*` or the row as a value
    via: Via = "named"
    through: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferencedFunction:
    """A function that may be called: each that overload resolution could choose, by name and number of arguments."""

    schema: str | None  # None where there is no catalog
    name: str
    signatures: tuple[str, ...] = ()  # `integer, text`; of all that fit
    builtin: bool = False
    volatility: str | None = None  # i, s or v: the worst of those that fit
    kind: str | None = None  # p, a, w or f: the first of these that any of those that fit is
    security_definer: bool = False
    extension: str | None = None  # that all of those that fit are of
    computes: bool = False  # as `Function.computes`, of all that fit
    position: int | None = None
    through: tuple[str, ...] = ()  # views, types, casts or operators that call it
    candidates: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class ReferencedType:
    schema: str | None
    name: str
    kind: str | None = None  # pg_type.typtype: b, c, d, e, m, p, r
    builtin: bool = False
    position: int | None = None
    candidates: tuple[str, ...] = ()
    extension: str | None = None

    @property
    def text(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class ReferencedOperator:
    schema: str | None
    name: str
    builtin: bool = False
    extension: str | None = None
    position: int | None = None
    candidates: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


class NameSuggestion(NamedTuple):
    """A name that may have been meant: `text` as a statement would write it, `name` in its parts with the schema."""

    name: tuple[str, ...]
    text: str
    standalone: bool  # a table that is no part of another and has none, and no view


@dataclass(frozen=True, slots=True)
class ResolutionFault:
    """Where the statement and the catalog do not agree, or nobody could tell what is meant: it is refused.

    `kind` is one of: unknown-relation, unknown-column, unknown-function, unknown-type,
    unknown-operator, unknown-schema, rule, too-much, database, hides, encoding.
    """

    kind: str
    detail: str
    position: int | None = None
    name: tuple[str, ...] = ()  # that is unknown, as written
    suggestions: tuple[NameSuggestion, ...] = ()  # that may have been meant; a policy may deny some of them
    alias: str | None = None  # under which the table that is named can be seen
    not_in_from: bool = False  # of a column: its table is not in FROM


@dataclass(frozen=True, slots=True)
class SessionStart:
    """What a session of the connection begins with, as far as settings speak of it."""

    role: str  # it logs in as this one
    superuser: bool
    search_path: str | None  # as it is pinned


class CopiedColumn(NamedTuple):
    """Values of a relation's column that a system catalog repeats, where every role can read them."""

    place: str  # pg_attribute.attmissingval or pg_class.relpartbound
    relation: tuple[str, str]
    column: str


@dataclass(frozen=True, slots=True)
class ReferencedObjects:
    relations: tuple[ReferencedRelation, ...] = ()
    columns: tuple[ReferencedColumn, ...] = ()
    functions: tuple[ReferencedFunction, ...] = ()
    types: tuple[ReferencedType, ...] = ()
    operators: tuple[ReferencedOperator, ...] = ()
    settings: tuple[Setting, ...] = ()
    faults: tuple[ResolutionFault, ...] = ()
    fields: frozenset[str] = frozenset()  # `f` of `(value).f` where the catalog has no function that could be meant
    start: SessionStart | None = None  # None where there is no catalog
    secrets: dict[str, tuple[str, ...]] | None = None  # as `Catalog.secrets`; None where nobody knows
    quotes: tuple[CopiedColumn, ...] | None = None  # as `Catalog.quotes`; None where nobody knows
    extensions: Mapping[str, str] = field(default_factory=dict)  # that are installed, with their versions
    _named: dict[tuple[str | None, str], list[ReferencedRelation]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def missing(self, *what: str) -> frozenset[tuple[str, ...]]:
        """Names as written that are not in the catalog: `what` are words of doubts."""
        return frozenset(fault.name for fault in self.faults if fault.kind in what)

    def named(self, schema: str | None, name: str) -> list[ReferencedRelation]:
        """What happens to the relation of that name. Many columns are asked for: looked for once."""
        if not self._named:
            for each in self.relations:
                self._named.setdefault((each.schema, each.name), []).append(each)
        return self._named.get((schema, name), [])
