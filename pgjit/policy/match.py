"""Which entry of a policy is about which object: the one place where names meet patterns. Pure.

Decides what an entry means. Whether a statement may run is decided by the rules. The *verbs* of an object are the
kinds of statements by which an entry may be about what happens to it.

INVARIANT: an entry of `allow` counts only where it certainly means the object, an entry of `deny` where it possibly
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Literal

from pgjit.policy.extensions import is_open, opens
from pgjit.policy.kinds import WRITES, WRITING, addable_kinds, preset_kinds
from pgjit.policy.pattern import Patterns
from pgjit.policy.policy import StatementTerms
from pgjit.policy.selector import Selector
from pgjit.sql.referenced import (
    ReferencedColumn,
    ReferencedFunction,
    ReferencedObjects,
    ReferencedOperator,
    ReferencedRelation,
    ReferencedType,
)
from pgjit.sql.statement import Statement

__all__ = [
    "Sort",
    "build_denial_test",
    "collect_kinds",
    "find_denial_of_column",
    "find_denial_of_name",
    "find_denial_of_operator",
    "find_denial_of_relation",
    "find_denial_of_setting",
    "find_denials_of_kind",
    "find_entries_on_relations",
    "find_opened_extensions",
    "find_permission_for_column",
    "find_permission_for_extension",
    "find_permission_for_kind",
    "find_permission_for_name",
    "find_permission_for_operator",
    "find_permission_for_relation",
    "is_narrowed",
    "keeps_back",
    "verbs_on_column",
    "verbs_on_relation",
]

Sort = Literal["functions", "types"]
Name = tuple[str | None, ...]

_WRITING = WRITES | {"lock"}
_CHANGES = frozenset({"insert", "update", "define"})
_VERBS = {"read": ("select",), "lock": ("update", "lock")}  # a row lock needs the right to update, as on the server


def collect_kinds(statement: Statement) -> frozenset[str]:
    """The kinds of a statement: its own, and those of the statements inside it."""
    return _kinds("explain-analyze" if statement.shape.analyze else statement.kind, statement.inner)


@lru_cache(maxsize=256)  # each rule asks for them
def _kinds(own: str, inner: tuple[str, ...]) -> frozenset[str]:
    return frozenset({own, *inner})


def verbs_on_relation(statement: Statement, referenced: ReferencedRelation) -> frozenset[str]:
    """The kinds of statements by which an entry may be about what happens to a relation."""
    kinds = collect_kinds(statement)
    verbs = set(_VERBS.get(referenced.action, (referenced.action,)))
    if referenced.action in ("insert", "update", "delete"):
        verbs |= kinds & {"merge"}
        if referenced.action == "insert" and "copy-in" in kinds:
            verbs = {"copy-in"}
    elif referenced.action == "define" or statement.kind == "lock":
        verbs = {statement.kind}
    elif referenced.action == "read":
        verbs |= kinds - WRITES
    return frozenset(verbs)


def verbs_on_column(
    statement: Statement, column: ReferencedColumn, referenced: ReferencedObjects | None
) -> frozenset[str]:
    """The same for a column. One that is written has the verbs of its relation."""
    kinds = collect_kinds(statement)
    if column.action == "read":
        return frozenset({"select"} | ({statement.kind, *kinds} - WRITES))
    found = [
        verbs_on_relation(statement, each)
        for each in (referenced.named(column.schema, column.relation) if referenced is not None else ())
        if each.action in _CHANGES
    ]
    return frozenset[str]().union(*found) or kinds & WRITES


def _covers_kinds(entry: Selector, verbs: frozenset[str]) -> bool:
    return entry.kinds is None or not entry.kinds.isdisjoint(verbs)


def possibly_matches(patterns: Patterns | None, name: Name) -> bool:
    return patterns is not None and patterns.match(name, lenient=True)


def certainly_matches(patterns: Patterns | None, name: Name) -> bool:
    return patterns is not None and patterns.match(name, lenient=False)


def _covers_statement(entry: Selector, verbs: frozenset[str]) -> bool:
    """Whether the entry is about an object anywhere in a statement: about all that the statement writes as well."""
    return entry.kinds is None or (not entry.kinds.isdisjoint(verbs) and verbs & WRITES <= entry.kinds)


# --- what is denied ------------------------------------------------------------------------------------


def find_denials_of_kind(terms: StatementTerms, statement: Statement) -> Iterator[tuple[str, Selector]]:
    for entry in terms.deny:
        if entry.kinds is not None and not entry.names_objects:
            for kind in sorted(entry.kinds & (collect_kinds(statement) | {statement.kind})):
                yield kind, entry


def build_denial_test(terms: StatementTerms) -> Callable[[tuple[str, str]], bool]:
    """A test of relations: whether any entry of `deny` possibly means one, or some of its columns."""
    return lambda name: any(
        possibly_matches(relations, name) or possibly_matches(schemas, name[:1]) or possibly_matches(of_columns, name)
        for relations, schemas, of_columns in terms.denied_relations
    )


def find_denial_of_relation(
    terms: StatementTerms, verbs: frozenset[str], referenced: ReferencedRelation
) -> Selector | None:
    """The entry of `deny` that possibly means the relation. An unknown schema may be any."""
    name = (referenced.schema, referenced.name)
    for entry in terms.deny:
        if _covers_kinds(entry, verbs) and (
            possibly_matches(entry.relations, name) or possibly_matches(entry.schemas, name[:1])
        ):
            return entry
    return None


def find_denial_of_column(
    terms: StatementTerms, verbs: frozenset[str], referenced: ReferencedColumn
) -> Selector | None:
    for entry in terms.deny:
        if _covers_kinds(entry, verbs) and possibly_matches(
            entry.columns, (referenced.schema, referenced.relation, referenced.column)
        ):
            return entry
    return None


def find_denial_of_name(terms: StatementTerms, sort: Sort, name: Name, verbs: frozenset[str]) -> Selector | None:
    """The entry of `deny` that possibly means a function or a type. An unknown schema is no schema of an entry."""
    for entry in terms.deny:
        if _covers_kinds(entry, verbs) and (
            possibly_matches(getattr(entry, sort), name)
            or (name[0] is not None and possibly_matches(entry.schemas, name[:1]))
        ):
            return entry
    return None


def find_denial_of_operator(
    terms: StatementTerms, parts: tuple[str | None, ...], verbs: frozenset[str]
) -> Selector | None:
    """The entry of `deny` that means an operator, with its schema or without."""
    known = [part for part in parts if part]
    written = {".".join(known), *known[-1:]}
    for entry in terms.deny:
        if _covers_kinds(entry, verbs) and (
            not entry.operators.isdisjoint(written)
            or (len(known) > 1 and possibly_matches(entry.schemas, (known[0],)))
        ):
            return entry
    return None


def find_denial_of_setting(terms: StatementTerms, kind: str, name: Name) -> Selector | None:
    """`kind`: `set` where the setting is changed, `show` where its value is read."""
    for entry in terms.deny:
        if _covers_kinds(entry, frozenset({kind})) and possibly_matches(entry.settings, name):
            return entry
    return None


# --- what is allowed -----------------------------------------------------------------------------------


def find_permission_for_kind(terms: StatementTerms, kind: str) -> str | None:
    """The place of the entry, or of the preset, that allows statements of a kind; None where none does."""
    if kind in preset_kinds(terms.access):
        return terms.place
    if kind in addable_kinds(terms.access):
        return next((entry.place for entry in _find_adding_entries(terms, frozenset({kind}))), None)
    return None


def _find_adding_entries(terms: StatementTerms, verbs: frozenset[str]) -> list[Selector]:
    """The entries that name one of these kinds: a kind beyond the preset is allowed only by its name."""
    return [entry for entry in terms.allow if entry.kinds is not None and not entry.kinds.isdisjoint(verbs)]


def is_narrowed(terms: StatementTerms, kind: str) -> bool:
    """Whether a kind beyond the preset is allowed for some relations only."""
    adding = _find_adding_entries(terms, frozenset({kind}))
    return all(entry.names_relations for entry in adding) or bool(terms.general)


def _find_added_permission(
    terms: StatementTerms, verbs: frozenset[str], means: Callable[[Selector], bool]
) -> str | None:
    """The place of the entry that allows an object to a kind beyond the preset.

    An entry that names the kind and relations allows those. An entry that names the kind alone allows all relations,
    or where entries without kinds name some relations, those.
    """
    adding = _find_adding_entries(terms, verbs)
    for entry in adding:
        if entry.names_relations and means(entry):
            return entry.place
    whole = next((entry for entry in adding if not entry.names_relations), None)
    if whole is None:
        return None
    if not terms.general:
        return whole.place
    return next((entry.place for entry in terms.general if means(entry)), None)


def _makes_views(terms: StatementTerms) -> bool:
    """Whether the policy lets views be made. Then what a view writes to has to be allowed as well."""
    return bool(_find_adding_entries(terms, frozenset({"create-view"})))


def _find_entries(terms: StatementTerms, verbs: frozenset[str]) -> list[Selector]:
    """The entries that name relations for these kinds. Where there is one, they take the place of the preset.

    An entry that names relations for one kind of writing counts for all kinds of writing: a policy that allows
    inserts into two tables does not allow deletes from all of them.
    """
    widened = verbs | WRITES if verbs & _WRITING else verbs
    return [entry for entry in terms.relational if _covers_kinds(entry, widened)]


def find_entries_on_relations(terms: StatementTerms, kind: str) -> list[Selector] | None:
    """The entries whose relations statements of an allowed kind may use; None where they may use every relation."""
    verbs = frozenset({kind})
    if kind in WRITING:
        entries = _find_entries(terms, verbs)
        return [entry for entry in entries if _covers_kinds(entry, verbs)] if entries else None
    adding = _find_adding_entries(terms, verbs)
    named = [entry for entry in adding if entry.names_relations]
    if len(named) == len(adding):
        return named
    return [*named, *terms.general] if terms.general else None


def find_permission_for_relation(
    terms: StatementTerms, verbs: frozenset[str], referenced: ReferencedRelation
) -> str | None:
    """The place of the entry, or of the preset, that allows what happens to a relation; None where none does."""
    through = referenced.via == "view" and referenced.action in _WRITING and _makes_views(terms)
    if (referenced.via != "named" and not through) or (referenced.builtin and referenced.action == "read"):
        return terms.place
    name = (referenced.schema, referenced.name)

    def means(entry: Selector) -> bool:
        return (
            certainly_matches(entry.relations, name)
            or certainly_matches(entry.schemas, name[:1])
            or (entry.columns is not None and entry.columns.head(1).match(name, lenient=False))
        )

    if referenced.action != "read" and verbs.isdisjoint(WRITING):
        return _find_added_permission(terms, verbs, means)
    verbs &= WRITING
    entries = _find_entries(terms, verbs)
    for entry in entries:
        if _covers_kinds(entry, verbs) and means(entry):
            return entry.place
    return None if entries else terms.place


def find_permission_for_column(
    terms: StatementTerms, verbs: frozenset[str], referenced: ReferencedColumn
) -> str | None:
    system = referenced.schema in ("pg_catalog", "information_schema")
    through = referenced.via == "view" and referenced.action == "write" and _makes_views(terms)
    if (referenced.via != "named" and not through) or (system and referenced.action == "read"):
        return terms.place
    name = (referenced.schema, referenced.relation, referenced.column)

    def means(entry: Selector) -> bool:
        return (
            certainly_matches(entry.relations, name[:2])
            or certainly_matches(entry.schemas, name[:1])
            or certainly_matches(entry.columns, name)
        )

    if referenced.action != "read" and verbs.isdisjoint(WRITING):
        return _find_added_permission(terms, verbs, means)
    verbs &= WRITING
    entries = _find_entries(terms, verbs)
    naming = [entry for entry in entries if means(entry)]
    # Where a statement both inserts and updates, it is not known which column is written by which: both count.
    ways = [frozenset({word} | (verbs & {"merge"})) for word in sorted(verbs & {"insert", "update", "copy-in"})]
    found = [next((entry.place for entry in naming if _covers_kinds(entry, way)), None) for way in ways or [verbs]]
    if entries:
        return None if None in found else found[0]
    return terms.place


def keeps_back(terms: StatementTerms, relation: tuple[str, str], column: str) -> bool:
    """Whether the policy refuses to let a column be read by its name."""
    verbs = frozenset({"select"})
    schema, name = relation
    read = ReferencedRelation(schema, name, None, "read")
    of_it = ReferencedColumn(schema, name, column, "read")
    return (
        find_denial_of_relation(terms, verbs, read) is not None
        or find_denial_of_column(terms, verbs, of_it) is not None
        or find_permission_for_relation(terms, verbs, read) is None
        or find_permission_for_column(terms, verbs, of_it) is None
    )


def find_permission_for_name(terms: StatementTerms, sort: Sort, name: Name, verbs: frozenset[str]) -> str | None:
    """The place of the entry that names a function or a type; None where none does."""
    for entry in terms.allow:
        if _covers_statement(entry, verbs) and certainly_matches(getattr(entry, sort), name):
            return entry.place
    return None


def find_permission_for_operator(
    terms: StatementTerms, written: tuple[str, ...], verbs: frozenset[str]
) -> str | None:
    """The place of the entry that names an operator. `written`: the ways in which an entry may write it."""
    for entry in terms.allow:
        if _covers_statement(entry, verbs) and not entry.operators.isdisjoint(written):
            return entry.place
    return None


def find_permission_for_extension(
    terms: StatementTerms,
    found: ReferencedFunction | ReferencedType | ReferencedOperator,
    extensions: Mapping[str, str],
    verbs: frozenset[str],
) -> str | None:
    """The place of the entry that opens an object by its extension; None where none does."""
    if found.extension is None:
        return None
    for entry in terms.allow:
        if found.extension in entry.extensions and _covers_statement(entry, verbs) and opens(found, extensions):
            return entry.place
    return None


def find_opened_extensions(
    terms: StatementTerms, extensions: Mapping[str, str], verbs: frozenset[str]
) -> frozenset[str]:
    """The installed extensions that the policy opens."""
    return frozenset(
        name
        for entry in terms.allow
        if _covers_statement(entry, verbs)
        for name in entry.extensions
        if is_open(name, extensions)
    )
