"""The objects that a statement references: the result of `resolve`, which the rules of a policy judge. Values only.

A list here may be too long but is never too short: if a name can mean several objects, each of them is listed.
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
"""`lock`: LOCK TABLE, FOR UPDATE and the like. `define`: every other command on a relation, such as DDL or VACUUM."""

Via = Literal["named", "view", "parent", "child"]
"""How a statement comes to reference an object.

`named`: the statement names it. `view`: a named view or rule uses it, with the rights of the view's owner, or a
generated column is computed from it. `parent`: the statement names a partition or inheriting table of it. `child`: it
is a partition or inheriting table of a named one. A denial counts for all of these; a permission is needed only for
what is named, as on the server.
"""


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as Statement
class ReferencedRelation:
    schema: str | None  # None without a catalog: `candidates` has the schemas that it may be in
    name: str
    kind: str | None  # pg_class.relkind: r, p, v, m, f, S, c; None without a catalog
    action: Action
    position: int | None = None  # characters of the message from 1
    via: Via = "named"
    through: tuple[str, ...] = ()  # the relations in between, as `schema.name`; the named one is the first
    candidates: tuple[str, ...] = ()
    filled: frozenset[str] = frozenset()  # of a target: its columns that are NOT NULL

    @property
    def builtin(self) -> bool:
        return self.schema in ("pg_catalog", "information_schema")


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as Statement
class ReferencedColumn:
    """A column that is read (also in a condition, a join or an ORDER BY) or written."""

    schema: str | None  # None without a catalog, as in ReferencedRelation
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
    """A function that may be called: all overloads of a name that fit the number of arguments."""

    schema: str | None  # None without a catalog
    name: str
    signatures: tuple[str, ...] = ()  # of every fitting overload, such as `integer, text`
    builtin: bool = False
    volatility: str | None = None  # i, s or v: the worst of the fitting overloads
    kind: str | None = None  # p, a, w or f: the first of these that a fitting overload has
    security_definer: bool = False
    extension: str | None = None  # the extension that every fitting overload belongs to
    computes: bool = False  # `Function.computes` of every fitting overload
    position: int | None = None
    through: tuple[str, ...] = ()  # the views, types, casts or operators that call it
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
    """A name that may have been meant. `text`: as a statement would write it. `name`: its parts, with the schema."""

    name: tuple[str, ...]
    text: str
    standalone: bool  # a table without parents and children, and not a view


@dataclass(frozen=True, slots=True)
class ResolutionFault:
    """A name that the catalog does not have, or whose meaning is not certain: the statement is refused.

    `kind` is one of: unknown-relation, unknown-column, unknown-function, unknown-type,
    unknown-operator, unknown-schema, rule, too-much, database, hides, encoding.
    """

    kind: str
    detail: str
    position: int | None = None
    name: tuple[str, ...] = ()  # the unknown name, as written
    suggestions: tuple[NameSuggestion, ...] = ()  # names that may have been meant; a policy may deny some
    alias: str | None = None  # the alias that hides the name of the table
    not_in_from: bool = False  # the column's table is not in FROM


@dataclass(frozen=True, slots=True)
class SessionStart:
    """The role and the search_path with which every session of the connection starts."""

    role: str  # the login role
    superuser: bool
    search_path: str | None  # the pinned setting


class CopiedColumn(NamedTuple):
    """A column some of whose values a system catalog holds as well, where every role can read them."""

    place: str  # the catalog's column: pg_attribute.attmissingval or pg_class.relpartbound
    relation: tuple[str, str]
    column: str


@dataclass(slots=True)  # not frozen, as Statement
class ReferencedObjects:
    relations: tuple[ReferencedRelation, ...] = ()
    columns: tuple[ReferencedColumn, ...] = ()
    functions: tuple[ReferencedFunction, ...] = ()
    types: tuple[ReferencedType, ...] = ()
    operators: tuple[ReferencedOperator, ...] = ()
    settings: tuple[Setting, ...] = ()
    faults: tuple[ResolutionFault, ...] = ()
    fields: frozenset[str] = frozenset()  # `f` of `(value).f` if the catalog has no function `f`
    start: SessionStart | None = None  # None without a catalog
    secrets: dict[str, tuple[str, ...]] | None = None  # as `Catalog.secrets`; None if not known
    quotes: tuple[CopiedColumn, ...] | None = None  # as `Catalog.quotes`; None if not known
    extensions: Mapping[str, str] = field(default_factory=dict)  # the installed ones, with their versions
    _named: dict[tuple[str | None, str], list[ReferencedRelation]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def missing(self, *kinds: str) -> frozenset[tuple[str, ...]]:
        """The names, as written, of the faults of these kinds."""
        return frozenset(fault.name for fault in self.faults if fault.kind in kinds)

    def named(self, schema: str | None, name: str) -> list[ReferencedRelation]:
        """The entries of `relations` with that name, by an index that is built once: many columns need it."""
        if not self._named:
            for each in self.relations:
                self._named.setdefault((each.schema, each.name), []).append(each)
        return self._named.get((schema, name), [])
