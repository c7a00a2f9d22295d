"""Names that may have been meant where one is not in the catalog, as PostgreSQL's own hints give them.

Decides which names are near enough. Whether a policy lets them be named is the rules' to say: a denied name is no
suggestion. Bounded: of large catalogs only names that begin or end alike are compared.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.resolve.frames import Base, NameScope
from pgjit.sql.touched import Near

__all__ = ["missing_from", "near_columns", "near_names", "near_relations"]

_MOST = 3
_COMPARED = 300


def near_names(name: str, known: Iterable[str], cutoff: float = 0.7) -> list[str]:
    """Those of `known` that look like a misspelling of `name`, the nearest first."""
    alike = (each for each in known if _alike(name, each))
    return difflib.get_close_matches(name, list(islice(alike, _COMPARED)), n=_MOST, cutoff=cutoff)


def _alike(one: str, other: str) -> bool:
    close = abs(len(one) - len(other)) <= 3
    return close and one != other and (one[:2] == other[:2] or one[-2:] == other[-2:] or set(one) == set(other))


def near_columns(
    name: str, frames: Iterable[NameScope], catalog: Catalog, alias: str | None = None
) -> tuple[Near, ...]:
    """Columns of the sources that can be seen, or of the one that is named so."""
    bases = [base for frame in frames for base in frame.bases.values() if base.name is not None]
    if alias is not None:
        bases = [base for base in bases if _shown(base) == alias]
    seen = dict.fromkeys(column for base in bases for column in base.columns)
    found = []
    for near in near_names(name, seen):
        for base in bases:
            if near in base.columns and base.name is not None:
                own = (*base.name, base.columns[near])
                found.append(Near(own, f"{_shown(base)}.{near}", _alone(base.name, base.relation, catalog)))
    return tuple(found[:_MOST])


def missing_from(alias: str, frames: Iterable[NameScope]) -> str | None:
    """The alias under which the table of that name can be seen, where it has one."""
    for frame in frames:
        for base in frame.bases.values():
            if base.written[-1] == alias and base.alias not in (None, alias):
                return base.alias
    return None


def near_relations(written: tuple[str, ...], catalog: Catalog) -> tuple[Near, ...]:
    """First those of that very name in other schemas, then those that are nearly called so."""
    name = written[-1]
    schemas = [schema for schema in catalog.relations if not schema.startswith(("pg_", "information_schema"))]
    exact = [QName(schema, name) for schema in schemas if name in catalog.relations[schema]]
    found = exact
    if not found:
        searched = written[-2:-1] if len(written) > 1 and written[-2] in schemas else tuple(schemas)
        names = near_names(name, (each for schema in searched for each in catalog.relations[schema]))
        found = [QName(schema, near) for near in names for schema in searched if near in catalog.relations[schema]]
    return tuple(Near(one, str(one), _alone(one, catalog.relation(one), catalog)) for one in found[:_MOST])


def _shown(base: Base) -> str:
    return base.alias or base.written[-1]


def _alone(name: QName, relation: Relation | None, catalog: Catalog) -> bool:
    return (
        relation is not None
        and relation.kind in ("r", "p", "f")
        and not relation.parents
        and name not in catalog.children
    )
