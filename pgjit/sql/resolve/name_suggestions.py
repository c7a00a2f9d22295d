"""Suggests names for one that the catalog does not have, as PostgreSQL's own hints do ("Perhaps you meant ...").

Decides which names are similar enough. The rules of a policy leave out the names that it denies. Bounded: in a large
catalog only names with the same beginning or end are compared.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.referenced import NameSuggestion
from pgjit.sql.resolve.name_scopes import NameScope, RangeTableEntry

__all__ = ["alias_of_table", "similar_names", "suggest_columns", "suggest_relations"]

_MOST = 3
_COMPARED = 300


def similar_names(name: str, known: Iterable[str], cutoff: float = 0.7) -> list[str]:
    """Those of `known` of which `name` may be a misspelling, the most similar first."""
    alike = (each for each in known if _alike(name, each))
    return difflib.get_close_matches(name, list(islice(alike, _COMPARED)), n=_MOST, cutoff=cutoff)


def _alike(one: str, other: str) -> bool:
    close = abs(len(one) - len(other)) <= 3
    return close and one != other and (one[:2] == other[:2] or one[-2:] == other[-2:] or set(one) == set(other))


def suggest_columns(
    name: str, name_scopes: Iterable[NameScope], catalog: Catalog, alias: str | None = None
) -> tuple[NameSuggestion, ...]:
    """Columns of the visible FROM items, or of the one with that alias."""
    entries = [entry for scope in name_scopes for entry in scope.entries.values() if entry.name is not None]
    if alias is not None:
        entries = [entry for entry in entries if _shown(entry) == alias]
    seen = dict.fromkeys(column for entry in entries for column in entry.columns)
    found = []
    for near in similar_names(name, seen):
        for entry in entries:
            if near in entry.columns and entry.name is not None:
                own = (*entry.name, entry.columns[near])
                found.append(
                    NameSuggestion(own, f"{_shown(entry)}.{near}", _alone(entry.name, entry.relation, catalog))
                )
    return tuple(found[:_MOST])


def alias_of_table(alias: str, name_scopes: Iterable[NameScope]) -> str | None:
    """The alias of the visible table of that name, if it has one."""
    for scope in name_scopes:
        for entry in scope.entries.values():
            if entry.written[-1] == alias and entry.alias not in (None, alias):
                return entry.alias
    return None


def suggest_relations(written: tuple[str, ...], catalog: Catalog) -> tuple[NameSuggestion, ...]:
    """Relations of that name in other schemas; if there are none, relations with similar names."""
    name = written[-1]
    schemas = [schema for schema in catalog.relations if not schema.startswith(("pg_", "information_schema"))]
    exact = [QName(schema, name) for schema in schemas if name in catalog.relations[schema]]
    found = exact
    if not found:
        searched = written[-2:-1] if len(written) > 1 and written[-2] in schemas else tuple(schemas)
        names = similar_names(name, (each for schema in searched for each in catalog.relations[schema]))
        found = [QName(schema, near) for near in names for schema in searched if near in catalog.relations[schema]]
    return tuple(NameSuggestion(one, str(one), _alone(one, catalog.relation(one), catalog)) for one in found[:_MOST])


def _shown(entry: RangeTableEntry) -> str:
    return entry.alias or entry.written[-1]


def _alone(name: QName, relation: Relation | None, catalog: Catalog) -> bool:
    return (
        relation is not None
        and relation.kind in ("r", "p", "f")
        and not relation.parents
        and name not in catalog.children
    )
