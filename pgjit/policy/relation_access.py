"""Which relations of a catalog a policy lets statements read and write. Pure.

It asks what the rules ask, for each relation by its name, and follows views, parents and partitions as they do. It
decides nothing: a statement may still be refused for another reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pgjit.policy.match import (
    find_denial_of_column,
    find_denial_of_relation,
    find_permission_for_kind,
    find_permission_for_relation,
    keeps_back,
)
from pgjit.policy.policy import Preset, StatementTerms
from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.referenced import ReferencedColumn, ReferencedRelation

__all__ = ["RelationAccess", "relations_in"]

Verb = Literal["insert", "update", "delete"]
_WRITES: tuple[Verb, ...] = ("insert", "update", "delete")
_SYSTEM = ("pg_catalog", "information_schema")
_READ = frozenset({"select"})
_KINDS = "rpvmf"


@dataclass(frozen=True, slots=True)
class RelationAccess:
    name: str  # with its schema
    actions: tuple[str, ...]  # of select, insert, update, delete
    columns_denied: tuple[str, ...]  # that may not be read


def relations_in(terms: StatementTerms, catalog: Catalog, most: int) -> tuple[list[RelationAccess], bool]:
    """At most `most` relations by name, and whether there are more. System catalogs are left out."""
    listed: list[RelationAccess] = []
    for schema, relations in sorted(catalog.relations.items()):
        for name, relation in sorted(relations.items()) if schema not in _SYSTEM else ():
            actions = (
                tuple(_actions(terms, catalog, QName(schema, name), relation)) if relation.kind in _KINDS else ()
            )
            if actions and len(listed) == most:
                return listed, True
            if actions:
                denied = [each.name for each in relation.columns if keeps_back(terms, (schema, name), each.name)]
                listed.append(
                    RelationAccess(f"{schema}.{name}", actions, tuple(denied) if "select" in actions else ())
                )
    return listed, False


def _actions(terms: StatementTerms, catalog: Catalog, name: QName, relation: Relation) -> Iterator[str]:
    if terms.access is Preset.FULL:
        yield from ("select", *_WRITES)
        return
    read = ReferencedRelation(name.schema, name.name, relation.kind, "read")
    if find_permission_for_relation(terms, _READ, read) is not None and not _reaches_denied(terms, catalog, name):
        yield "select"
    for verb in _WRITES:
        verbs, written = frozenset({verb}), ReferencedRelation(name.schema, name.name, relation.kind, verb)
        if (
            relation.kind != "m"
            and find_permission_for_kind(terms, verb) is not None
            and find_permission_for_relation(terms, verbs, written) is not None
            and find_denial_of_relation(terms, verbs, written) is None
        ):
            yield verb


def _reaches_denied(terms: StatementTerms, catalog: Catalog, name: QName) -> bool:
    """Whether it, or what it is made of, is denied to be read: then no statement can read it."""
    waiting, seen = [name], {name}
    while waiting:
        found = waiting.pop()
        if find_denial_of_relation(terms, _READ, ReferencedRelation(found.schema, found.name, None, "read")):
            return True
        relation = catalog.relations.get(found.schema, {}).get(found.name)
        if relation is None:
            continue
        for each in relation.reads:
            of_it = catalog.relations.get(each.relation.schema, {}).get(each.relation.name)
            columns = [column.name for column in of_it.columns] if each.whole and of_it else each.columns
            if any(_denied(terms, each.relation, column) for column in columns):
                return True
        for other in (*(each.relation for each in relation.reads), *relation.parents):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return False


def _denied(terms: StatementTerms, relation: QName, column: str) -> bool:
    read = ReferencedColumn(relation.schema, relation.name, column, "read")
    return find_denial_of_column(terms, _READ, read) is not None
