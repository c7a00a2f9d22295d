"""What is reached through a relation: what a view reads, what a table is a part of, what its parts are.

Decides how far a name leads. Iterative, safe against circles, and bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.referenced import Via

__all__ = ["MOST_RELATIONS", "ExpandedRelation", "expand"]

MOST_RELATIONS = 5000
"""Relations that one may lead to; where it leads to more, nothing is certain."""


class ExpandedRelation(NamedTuple):
    """A relation on the way. `columns` are those that a view reads of it; None where those count that are named."""

    name: QName
    relation: Relation
    via: Via
    through: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None


def expand(catalog: Catalog, name: QName, *, only: bool) -> tuple[ExpandedRelation, ...]:
    """The relation itself first. Longer than MOST where it was cut."""
    found: dict[tuple[QName, tuple[str, ...] | None], ExpandedRelation] = {}
    relation = catalog.relation(name)
    left = [(ExpandedRelation(name, relation, "named"), True, not only)] if relation else []
    while left and len(found) <= MOST_RELATIONS:
        step, upwards, downwards = left.pop()
        key = (step.name, step.columns)
        if key in found:
            continue
        found[key] = step
        if upwards:
            left += [(kin, True, False) for kin in _kin(catalog, step.relation.parents, "parent", step)]
        if downwards:
            left += [(kin, False, True) for kin in _kin(catalog, catalog.children.get(step.name, ()), "child", step)]
        left += [(base, True, True) for base in _underlying(catalog, step)]
    return tuple(found.values())


def _underlying(catalog: Catalog, step: ExpandedRelation) -> Iterator[ExpandedRelation]:
    for dependency in step.relation.reads:
        if base := catalog.relation(dependency.relation):
            columns = dependency.columns
            if dependency.whole:
                columns = tuple(column.name for column in base.columns)
            yield ExpandedRelation(dependency.relation, base, "view", (*step.through, str(step.name)), columns)


def _kin(catalog: Catalog, names: tuple[QName, ...], via: Via, step: ExpandedRelation) -> Iterator[ExpandedRelation]:
    """Of what a view reads, the kin is reached by the view as well."""
    for name in names:
        if relation := catalog.relation(name):
            way = "view" if step.via == "view" else via
            yield ExpandedRelation(name, relation, way, (*step.through, str(step.name)), step.columns)
