"""Which entry of a policy speaks of which object: the one place where names meet patterns. Pure.

Decides what an entry means. What becomes of a statement is said by the rules, and explained by `explain.py`.

INVARIANT: what is allowed must be certain, what is denied need only be possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
    "column_grounds",
    "deniable",
    "denial_of_column",
    "denial_of_name",
    "denial_of_operator",
    "denial_of_relation",
    "denial_of_setting",
    "denials_of_kind",
    "extension_grounds",
    "grounds_of_name",
    "keeps_back",
    "kind_grounds",
    "kinds_of",
    "narrowed",
    "opened_extensions",
    "operator_grounds",
    "relation_grounds",
    "words_of_column",
    "words_of_relation",
]

Sort = Literal["functions", "types"]
Name = tuple[str | None, ...]

_WRITING = WRITES | {"lock"}
_CHANGES = frozenset({"insert", "update", "define"})
_VERBS = {"read": ("select",), "lock": ("update", "lock")}  # a row lock needs the right to update, as on the server


def kinds_of(statement: Statement) -> frozenset[str]:
    """The kinds of a statement: its own, and those of the statements inside it."""
    own = "explain-analyze" if statement.shape.analyze else statement.kind
    return frozenset({own, *statement.inner})


def words_of_relation(statement: Statement, referenced: ReferencedRelation) -> frozenset[str]:
    """The kinds by which an entry may speak of what happens to a relation."""
    kinds = kinds_of(statement)
    words = set(_VERBS.get(referenced.action, (referenced.action,)))
    if referenced.action in ("insert", "update", "delete"):
        words |= kinds & {"merge"}
        if referenced.action == "insert" and "copy-in" in kinds:
            words = {"copy-in"}
    elif referenced.action == "define" or statement.kind == "lock":
        words = {statement.kind}
    elif referenced.action == "read":
        words |= kinds - WRITES
    return frozenset(words)


def words_of_column(
    statement: Statement, column: ReferencedColumn, referenced: ReferencedObjects | None
) -> frozenset[str]:
    """Of a column that is written: what happens to its relation."""
    kinds = kinds_of(statement)
    if column.action == "read":
        return frozenset({"select"} | ({statement.kind, *kinds} - WRITES))
    found = [
        words_of_relation(statement, each)
        for each in (referenced.named(column.schema, column.relation) if referenced is not None else ())
        if each.action in _CHANGES
    ]
    return frozenset[str]().union(*found) or kinds & WRITES


def _of_kinds(entry: Selector, words: frozenset[str]) -> bool:
    return entry.kinds is None or not entry.kinds.isdisjoint(words)


def _may(patterns: Patterns | None, name: Name) -> bool:
    return patterns is not None and patterns.match(name, lenient=True)


def _must(patterns: Patterns | None, name: Name) -> bool:
    return patterns is not None and patterns.match(name, lenient=False)


def _in_all(entry: Selector, words: frozenset[str]) -> bool:
    """Of what is somewhere in a statement: the entry speaks of it, and of all that the statement writes."""
    return entry.kinds is None or (not entry.kinds.isdisjoint(words) and words & WRITES <= entry.kinds)


# --- what is denied ------------------------------------------------------------------------------------


def denials_of_kind(terms: StatementTerms, statement: Statement) -> Iterator[tuple[str, Selector]]:
    for entry in terms.deny:
        if entry.kinds is not None and not entry.names_objects:
            for kind in sorted(entry.kinds & (kinds_of(statement) | {statement.kind})):
                yield kind, entry


def deniable(terms: StatementTerms) -> Callable[[tuple[str, str]], bool]:
    """Asked of a relation: whether any entry of `deny` may mean it, or some of its columns."""
    meant = [
        (entry.relations, entry.schemas, None if entry.columns is None else _tables(entry.columns))
        for entry in terms.deny
        if entry.names_relations
    ]
    return lambda name: any(
        _may(relations, name) or _may(schemas, name[:1]) or _may(tables, name) for relations, schemas, tables in meant
    )


def denial_of_relation(
    terms: StatementTerms, words: frozenset[str], referenced: ReferencedRelation
) -> Selector | None:
    """A schema that is not known may be any."""
    name = (referenced.schema, referenced.name)
    for entry in terms.deny:
        if _of_kinds(entry, words) and (_may(entry.relations, name) or _may(entry.schemas, name[:1])):
            return entry
    return None


def denial_of_column(terms: StatementTerms, words: frozenset[str], referenced: ReferencedColumn) -> Selector | None:
    for entry in terms.deny:
        if _of_kinds(entry, words) and _may(
            entry.columns, (referenced.schema, referenced.relation, referenced.column)
        ):
            return entry
    return None


def denial_of_name(terms: StatementTerms, sort: Sort, name: Name, words: frozenset[str]) -> Selector | None:
    """Of a function or a type, by its schema and name. An entry on schemas needs to know the schema."""
    for entry in terms.deny:
        if _of_kinds(entry, words) and (
            _may(getattr(entry, sort), name) or (name[0] is not None and _may(entry.schemas, name[:1]))
        ):
            return entry
    return None


def denial_of_operator(
    terms: StatementTerms, parts: tuple[str | None, ...], words: frozenset[str]
) -> Selector | None:
    """Of an operator by its parts: an entry may write it with its schema or without."""
    known = [part for part in parts if part]
    written = {".".join(known), *known[-1:]}
    for entry in terms.deny:
        if _of_kinds(entry, words) and (
            not entry.operators.isdisjoint(written) or (len(known) > 1 and _may(entry.schemas, (known[0],)))
        ):
            return entry
    return None


def denial_of_setting(terms: StatementTerms, kind: str, name: Name) -> Selector | None:
    """`kind`: `set`, or `show` where its value is asked for."""
    for entry in terms.deny:
        if _of_kinds(entry, frozenset({kind})) and _may(entry.settings, name):
            return entry
    return None


# --- what is allowed -----------------------------------------------------------------------------------


def kind_grounds(terms: StatementTerms, kind: str) -> str | None:
    """The place in the policy that allows statements of a kind; None where nothing does."""
    if kind in preset_kinds(terms.access):
        return terms.place
    if kind in addable_kinds(terms.access):
        return next((entry.place for entry in _adding(terms, frozenset({kind}))), None)
    return None


def _adding(terms: StatementTerms, words: frozenset[str]) -> list[Selector]:
    """The entries that name one of these kinds. What is beyond the preset is allowed by its own word alone."""
    return [entry for entry in terms.allow if entry.kinds is not None and not entry.kinds.isdisjoint(words)]


def narrowed(terms: StatementTerms, kind: str) -> bool:
    """Whether a kind beyond the preset is allowed for some relations only."""
    adding = _adding(terms, frozenset({kind}))
    return all(entry.names_relations for entry in adding) or bool(terms.general)


def _added_grounds(terms: StatementTerms, words: frozenset[str], means: Callable[[Selector], bool]) -> str | None:
    """What allows an object to a kind beyond the preset.

    An entry that names the kind and relations, or one that names the kind alone: then for all relations, or for those
    that entries without kinds name for everything.
    """
    adding = _adding(terms, words)
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
    """Whether a view may be made under the policy: then who writes through one needs what is behind it allowed."""
    return bool(_adding(terms, frozenset({"create-view"})))


def _speaking(terms: StatementTerms, words: frozenset[str]) -> list[Selector]:
    """The entries that name relations for these kinds: where there is one, they take the preset's place.

    For writing, an entry that names relations for one kind speaks for all kinds: who may insert into two tables may
    not delete from all of them.
    """
    spoken = words | WRITES if words & _WRITING else words
    return [entry for entry in terms.relational if _of_kinds(entry, spoken)]


def relation_grounds(terms: StatementTerms, words: frozenset[str], referenced: ReferencedRelation) -> str | None:
    """The place in the policy that allows it; None where nothing does."""
    through = referenced.via == "view" and referenced.action in _WRITING and _makes_views(terms)
    if (referenced.via != "named" and not through) or (referenced.builtin and referenced.action == "read"):
        return terms.place
    name = (referenced.schema, referenced.name)

    def means(entry: Selector) -> bool:
        return (
            _must(entry.relations, name)
            or _must(entry.schemas, name[:1])
            or (entry.columns is not None and _must(_tables(entry.columns), name))
        )

    if referenced.action != "read" and words.isdisjoint(WRITING):
        return _added_grounds(terms, words, means)
    words &= WRITING
    speaking = _speaking(terms, words)
    for entry in speaking:
        if _of_kinds(entry, words) and means(entry):
            return entry.place
    return None if speaking else terms.place


def column_grounds(terms: StatementTerms, words: frozenset[str], referenced: ReferencedColumn) -> str | None:
    system = referenced.schema in ("pg_catalog", "information_schema")
    through = referenced.via == "view" and referenced.action == "write" and _makes_views(terms)
    if (referenced.via != "named" and not through) or (system and referenced.action == "read"):
        return terms.place
    name = (referenced.schema, referenced.relation, referenced.column)

    def means(entry: Selector) -> bool:
        return _must(entry.relations, name[:2]) or _must(entry.schemas, name[:1]) or _must(entry.columns, name)

    if referenced.action != "read" and words.isdisjoint(WRITING):
        return _added_grounds(terms, words, means)
    words &= WRITING
    speaking = _speaking(terms, words)
    naming = [entry for entry in speaking if means(entry)]
    # Where a statement both inserts and updates, it is not told apart which column is meant for which: both count.
    ways = [frozenset({word} | (words & {"merge"})) for word in sorted(words & {"insert", "update", "copy-in"})]
    found = [next((entry.place for entry in naming if _of_kinds(entry, way)), None) for way in ways or [words]]
    if speaking:
        return None if None in found else found[0]
    return terms.place


def keeps_back(terms: StatementTerms, relation: tuple[str, str], column: str) -> bool:
    """Whether the policy does not let a column be read by its own name."""
    words = frozenset({"select"})
    schema, name = relation
    read = ReferencedRelation(schema, name, None, "read")
    of_it = ReferencedColumn(schema, name, column, "read")
    return (
        denial_of_relation(terms, words, read) is not None
        or denial_of_column(terms, words, of_it) is not None
        or relation_grounds(terms, words, read) is None
        or column_grounds(terms, words, of_it) is None
    )


def grounds_of_name(terms: StatementTerms, sort: Sort, name: Name, words: frozenset[str]) -> str | None:
    """The entry that names a function or a type; None where none does."""
    for entry in terms.allow:
        if _in_all(entry, words) and _must(getattr(entry, sort), name):
            return entry.place
    return None


def operator_grounds(terms: StatementTerms, written: tuple[str, ...], words: frozenset[str]) -> str | None:
    """`written`: the ways in which an entry may write it."""
    for entry in terms.allow:
        if _in_all(entry, words) and not entry.operators.isdisjoint(written):
            return entry.place
    return None


def extension_grounds(
    terms: StatementTerms,
    found: ReferencedFunction | ReferencedType | ReferencedOperator,
    extensions: Mapping[str, str],
    words: frozenset[str],
) -> str | None:
    """The entry that opens the extension of an object; None where none does, or the object stays closed."""
    if found.extension is None:
        return None
    for entry in terms.allow:
        if found.extension in entry.extensions and _in_all(entry, words) and opens(found, extensions):
            return entry.place
    return None


def opened_extensions(terms: StatementTerms, extensions: Mapping[str, str], words: frozenset[str]) -> frozenset[str]:
    """Those of the installed extensions that the policy opens."""
    return frozenset(
        name
        for entry in terms.allow
        if _in_all(entry, words)
        for name in entry.extensions
        if is_open(name, extensions)
    )


def _tables(columns: Patterns) -> Patterns:
    """The relations whose columns are named: to read one of them the relation may be read."""
    return Patterns(tuple(each.head(1) for each in columns.included))
