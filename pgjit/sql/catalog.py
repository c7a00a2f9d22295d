"""A server's system catalog as a value: the relations, columns, functions, operators and types of one database.

A snapshot, as one login role sees the names. `pgjit.server` reads it; as JSON it serves tests and `pgjit policy`
without a server. Decides nothing, and holds no data of any table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from pgjit.errors import InvalidFile
from pgjit.sql.fingerprint import fingerprint
from pgjit.sql.referenced import CopiedColumn, SessionStart

__all__ = [
    "Cast",
    "Catalog",
    "Column",
    "Dependency",
    "Function",
    "Operator",
    "QName",
    "Relation",
    "Type",
    "is_builtin_type",
    "plain_type",
    "qname_of",
]

BUILTIN = "pg_catalog"
_SYSTEM = ("information_schema.", "pg_catalog.")


class QName(NamedTuple):
    """A name with its schema."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str = ""  # as format_type writes it, with its schema unless built in; empty in the system catalogs
    filled: bool = False  # NOT NULL
    made_of: tuple[str, ...] = ()  # of a generated column: the columns that its expression reads


@dataclass(frozen=True, slots=True)
class Dependency:
    """A relation that the query of a view or a rule uses."""

    relation: QName
    columns: tuple[str, ...] = ()  # in the order of their names; none if the query only counts rows
    whole: bool = False  # the query uses the whole row: every column


@dataclass(frozen=True, slots=True)
class Relation:
    kind: str  # pg_class.relkind: r, p, v, m, f, S, c
    columns: tuple[Column, ...] = ()
    owner: str = ""
    reads: tuple[Dependency, ...] = ()  # of a view or materialized view that is not built in
    calls: tuple[QName, ...] = ()  # functions that its query calls
    rules: tuple[str, ...] = ()  # insert, update, delete: the commands that rewrite rules replace
    parents: tuple[QName, ...] = ()  # the relations that it is a partition of or inherits from
    oid: int = field(default=0, compare=False)  # on the server that was read; 0: not known
    numbers: tuple[int, ...] = field(default=(), compare=False)  # pg_attribute.attnum of its columns


@dataclass(frozen=True, slots=True)
class Function:
    """One overload. A built-in one has only the fields that tell it from other overloads."""

    builtin: bool = False  # PostgreSQL's own; an extension may have put others into pg_catalog
    arguments: tuple[str, ...] = ()
    variadic: bool = False
    defaults: int = 0
    returns: str = ""
    outputs: tuple[str, ...] = ()  # types of all parameters, where some are for output
    volatility: str = "v"
    kind: str = "f"
    security_definer: bool = False
    language: str = ""
    extension: str | None = None
    computes: bool = False  # of an extension, and by its catalog entry it only computes or reads

    def takes(self, count: int) -> bool:
        """Whether it can be called with `count` arguments."""
        least = len(self.arguments) - self.defaults - (1 if self.variadic else 0)
        return count >= least and (self.variadic or count <= len(self.arguments))


@dataclass(frozen=True, slots=True)
class Operator:
    left: str | None
    right: str
    function: QName
    returns: str = ""
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class Type:
    kind: str  # pg_type.typtype: b, c, d, e, m, p, r
    calls: tuple[QName, ...] = ()  # functions that the checks of a domain call
    base: str = ""  # of a domain; the type of a range's bounds
    uses: tuple[str, ...] = ()  # types that the checks of a domain cast to
    oids: tuple[int, ...] = field(default=(), compare=False)
    """For an enum or an extension's type: its object id and that of its array type, as parameters of Parse name them.
    They differ from server to server."""
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    target: QName
    source: QName
    function: QName | None  # None: the types are binary-coercible
    context: str = "e"  # e explicit, a assignment, i implicit


@dataclass(frozen=True, slots=True, repr=False)
class Catalog:
    """Objects by schema and name."""

    server_version: int  # 180001
    search_path: tuple[str, ...]  # as pinned, without `pg_catalog`, which is searched first
    database: str = ""
    role: str = ""
    relations: dict[str, dict[str, Relation]] = field(default_factory=dict)
    functions: dict[str, dict[str, tuple[Function, ...]]] = field(default_factory=dict)
    operators: dict[str, dict[str, tuple[Operator, ...]]] = field(default_factory=dict)
    types: dict[str, dict[str, Type]] = field(default_factory=dict)
    casts: tuple[Cast, ...] = ()  # those that call a function, or lead implicitly to a type, that is not built in
    encoding: str = "UTF8"  # of the database
    superuser: bool = True  # whether the login role is one; True if not known
    pinned_path: str | None = None  # the text of the pinned search_path; `search_path` has its existing schemas
    secrets: dict[str, tuple[str, ...]] | None = None
    """Columns of system catalogs, such as `pg_roles.rolconfig`, in which this role can see what may be a secret: each
    with the settings that it shows, or none if it holds options. None: not examined."""
    quotes: tuple[CopiedColumn, ...] = ()
    operands: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Operand types of built-in operators ("" for a missing side), if an implicit cast of the database itself starts
    from or leads to one of them: such a cast may make the operator fit."""
    extensions: dict[str, str] = field(default_factory=dict)  # the installed ones, with their versions
    version: str = field(default="", init=False, compare=False)
    children: dict[QName, tuple[QName, ...]] = field(default_factory=dict, init=False, compare=False)
    open_types: frozenset[str] = field(default=frozenset(), init=False, compare=False)
    """Types that are not built in and that a built-in type is implicitly cast to, as `schema.name`. Domains, too."""
    made_from: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, compare=False)
    """By target type: the types that are not built in and that are implicitly cast to it."""
    column_names: frozenset[str] = field(default=frozenset(), init=False, compare=False)
    enums: frozenset[int] = field(default=frozenset(), init=False, compare=False)
    """Object ids of the enums, and of their array types, that no function, operator or cast takes: using such a value
    never calls a function of the database itself."""
    extension_types: dict[str, frozenset[int]] = field(default_factory=dict, init=False, compare=False)
    """By extension: the object ids of its types and of their array types, without domains and row types."""
    own_types: dict[QName, frozenset[str]] = field(default_factory=dict, init=False, compare=False)
    """By relation: the types of its columns that are not built in, as `plain_type` writes them."""

    checks: dict[QName, tuple[QName, ...]] = field(default_factory=dict, init=False, compare=False)
    """By type: the functions in the checks of every domain that a value of it holds, at any depth."""

    derived: dict[QName, dict[str, frozenset[str]]] = field(default_factory=dict, init=False, compare=False)
    """By relation: its generated columns with their source columns, over its whole inheritance tree."""
    checked_arguments: frozenset[str] = field(default=frozenset(), init=False, compare=False)
    """The types in `checks` that functions take as arguments."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", fingerprint(self))
        object.__setattr__(self, "children", _children(self.relations))
        object.__setattr__(self, "open_types", _open_types(self))
        object.__setattr__(self, "made_from", _made_from(self))
        object.__setattr__(self, "column_names", _column_names(self.relations))
        object.__setattr__(self, "enums", _enums(self))
        object.__setattr__(self, "derived", _derived(self))
        object.__setattr__(self, "extension_types", _extension_types(self))
        object.__setattr__(self, "own_types", _own_types(self.relations))
        object.__setattr__(self, "checks", _checks(self.types, self.own_types))
        object.__setattr__(self, "checked_arguments", _checked_arguments(self))

    def __repr__(self) -> str:  # a catalog is long
        return f"<Catalog {self.version} of {self.database}>"

    def has_schema(self, name: str) -> bool:
        """Whether the catalog has any object in that schema."""
        return any(name in each for each in (self.relations, self.functions, self.types, self.operators))

    @property
    def path(self) -> tuple[str, ...]:
        """The schemas that an unqualified name is looked up in, in order."""
        return self.search_path if BUILTIN in self.search_path else (BUILTIN, *self.search_path)

    @property
    def start(self) -> SessionStart:
        return SessionStart(self.role, self.superuser, self.pinned_path)

    def relation(self, name: QName) -> Relation | None:
        return self.relations.get(name.schema, {}).get(name.name)

    @classmethod
    def from_json(cls, text: bytes) -> Catalog:
        """Raises InvalidFile."""
        try:
            return _adapter().validate_json(text)
        except ValidationError as fault:
            first = fault.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InvalidFile("the catalog", [f"`{place}`: {first['msg']}"]) from None

    def to_json(self) -> bytes:
        return _content(self)


def _open_types(catalog: Catalog) -> frozenset[str]:
    domains = (
        f"{schema}.{name}"
        for schema, names in catalog.types.items()
        for name, one in names.items()
        if one.kind == "d"
    )
    implicit = (cast for cast in catalog.casts if cast.context == "i" and cast.source.schema == BUILTIN)
    return frozenset((*domains, *(str(cast.target) for cast in implicit)))


def _made_from(catalog: Catalog) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for cast in catalog.casts:
        if cast.context == "i" and cast.source.schema != BUILTIN:
            element = QName(cast.source.schema, cast.source.name.removeprefix("_"))  # `_t` is the array type of `t`
            found[str(cast.target)] = (*found.get(str(cast.target), ()), str(cast.source), str(element))
    return found


def _enums(catalog: Catalog) -> frozenset[int]:
    functions = (one for names in catalog.functions.values() for some in names.values() for one in some)
    operators = (one for names in catalog.operators.values() for some in names.values() for one in some)
    taken = {kind for one in functions if not one.builtin for kind in one.arguments}
    taken |= {kind for one in operators for kind in (one.left, one.right) if kind is not None}
    taken |= {str(cast.source) for cast in catalog.casts}
    plain = {kind.removesuffix("[]").replace('"', "") for kind in taken}
    return frozenset(
        oid
        for schema, names in catalog.types.items()
        for name, kind in names.items()
        if kind.kind == "e"
        if f"{schema}.{name}".replace('"', "") not in plain
        for oid in kind.oids
    )


def _extension_types(catalog: Catalog) -> dict[str, frozenset[int]]:
    """Types that a function from elsewhere casts are left out: such a cast of a parameter would not be seen."""
    made: dict[QName, set[str | None]] = {}
    for cast in catalog.casts:
        if cast.function is not None and cast.function.schema != BUILTIN:
            some = catalog.functions.get(cast.function.schema, {}).get(cast.function.name, ())
            by = [one.extension for one in some] or [None]
            for name in {cast.source.name, cast.source.name.removeprefix("_")}:  # `_t` is the array type of `t`
                made.setdefault(QName(cast.source.schema, name), set()).update(by)
    found: dict[str, set[int]] = {}
    for schema, names in catalog.types.items():
        for name, kind in names.items():
            casting = made.get(QName(schema, name), set())
            if kind.extension is not None and kind.kind in "berm" and casting <= {kind.extension}:
                found.setdefault(kind.extension, set()).update(kind.oids)
    return {name: frozenset(oids) for name, oids in found.items()}


def plain_type(name: str) -> str:
    """The type's name without quotes; for an array, that of its elements."""
    return name.removesuffix("[]").replace('"', "")


def qname_of(name: str) -> QName:
    """The qualified name of a type that format_type wrote; for an array, that of its elements."""
    schema, _, own = plain_type(name).rpartition(".")
    return QName(schema or BUILTIN, own)


def is_builtin_type(name: str) -> bool:
    """Whether format_type writes the type without a schema, or with a system schema."""
    return "." not in name or name.startswith(_SYSTEM)


def _own_types(relations: dict[str, dict[str, Relation]]) -> dict[QName, frozenset[str]]:
    return {
        QName(schema, name): own
        for schema, names in relations.items()
        for name, relation in names.items()
        if (own := frozenset(plain_type(one.type) for one in relation.columns if not is_builtin_type(one.type)))
    }


def _checked_arguments(catalog: Catalog) -> frozenset[str]:
    if not catalog.checks:
        return frozenset()
    return frozenset(
        kind
        for names in catalog.functions.values()
        for functions in names.values()
        for one in functions
        if not one.builtin
        for kind in one.arguments
        if qname_of(kind) in catalog.checks
    )


def _checks(types: dict[str, dict[str, Type]], rows: dict[QName, frozenset[str]]) -> dict[QName, tuple[QName, ...]]:
    """From each domain with checks to the types that hold it, and on to the types that hold those."""
    holders: dict[QName, list[QName]] = {}
    left: list[tuple[QName, tuple[QName, ...]]] = []
    for schema, names in types.items():
        for name, one in names.items():
            for used in (one.base, *one.uses):
                if used and not is_builtin_type(used):
                    holders.setdefault(qname_of(used), []).append(QName(schema, name))
            if one.calls:
                left.append((QName(schema, name), one.calls))
    for row, own in rows.items():
        for used in own:
            holders.setdefault(qname_of(used), []).append(row)
    found: dict[QName, set[QName]] = {}
    while left:
        reached, calls = left.pop()
        known = found.setdefault(reached, set())
        if not known.issuperset(calls):
            known.update(calls)
            left += [(holder, calls) for holder in holders.get(reached, ())]
    return {holder: tuple(sorted(called)) for holder, called in found.items()}


def _column_names(relations: dict[str, dict[str, Relation]]) -> frozenset[str]:
    """Column names of relations and composite types: `f(x)` may mean `x.f` if there is no function `f`."""
    return frozenset(
        column.name for names in relations.values() for relation in names.values() for column in relation.columns
    )


def _children(relations: dict[str, dict[str, Relation]]) -> dict[QName, tuple[QName, ...]]:
    found: dict[QName, list[QName]] = {}
    for schema, names in relations.items():
        for name, relation in names.items():
            for parent in relation.parents:
                found.setdefault(parent, []).append(QName(schema, name))
    return {parent: tuple(children) for parent, children in found.items()}


def _derived(catalog: Catalog) -> dict[QName, dict[str, frozenset[str]]]:
    """A partition may compute a column from other columns than its parent, so the sources of all are joined."""
    found: dict[QName, dict[str, frozenset[str]]] = {}
    for schema, names in catalog.relations.items():
        for name, relation in names.items():
            if QName(schema, name) in found or not any(column.made_of for column in relation.columns):
                continue
            made: dict[str, frozenset[str]] = {}
            kin = _kin_of(catalog, QName(schema, name))
            for column in (column for each in kin.values() for column in each.columns if column.made_of):
                made[column.name] = made.get(column.name, frozenset()).union(column.made_of)
            found.update(dict.fromkeys(kin, made))
    return found


def _kin_of(catalog: Catalog, name: QName) -> dict[QName, Relation]:
    """The relation with its whole inheritance tree: all its ancestors, and all their descendants."""
    found: dict[QName, Relation] = {}
    left = [name]
    while left:
        kin = left.pop()
        relation = catalog.relation(kin)
        if kin not in found and relation is not None:
            found[kin] = relation
            left += [*relation.parents, *catalog.children.get(kin, ())]
    return found


_adapter = cache(lambda: TypeAdapter(Catalog))  # made when first used: to make it takes as long as to import the rest
_OURS: dict[str, Any] = {
    **dict.fromkeys(
        (
            "version", "children", "column_names", "derived", "enums", "extension_types", "open_types", "own_types",
            "checks", "checked_arguments", "made_from",
        ),
        True,
    ),
    "types": {"__all__": {"__all__": {"oids"}}},
}  # fmt: skip


def _content(catalog: Catalog) -> bytes:
    return _adapter().dump_json(catalog, exclude=_OURS, exclude_defaults=True)
