"""Expands a relation: a view to the relations that it reads, a table to its parents and partitions.

This is where a view is seen through. Decides to which relations a name expands. Iterative, safe against cycles, and
bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.referenced import Via

__all__ = ["MOST_RELATIONS", "ExpandedRelation", "expand"]

MOST_RELATIONS = 5000
"""Relations that one may expand to. With more of them the statement is refused."""


class ExpandedRelation(NamedTuple):
    """A relation of the expansion. `columns`: those that a view reads; None: those that the statement names."""

    name: QName
    relation: Relation
    via: Via
    through: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None


def expand(catalog: Catalog, name: QName, *, only: bool) -> tuple[ExpandedRelation, ...]:
    """The relation itself comes first. Longer than MOST_RELATIONS if the expansion was cut off."""
    found: dict[tuple[QName, tuple[str, ...] | None], ExpandedRelation] = {}
    relation = catalog.relation(name)
    left = [(ExpandedRelation(name, relation, "named"), True, not only)] if relation else []
    while left and len(found) <= MOST_RELATIONS:
        reached, upwards, downwards = left.pop()
        key = (reached.name, reached.columns)
        if key in found:
            continue
        found[key] = reached
        if upwards:
            left += [
                (relative, True, False) for relative in _kin(catalog, reached.relation.parents, "parent", reached)
            ]
        if downwards:
            left += [
                (relative, False, True)
                for relative in _kin(catalog, catalog.children.get(reached.name, ()), "child", reached)
            ]
        left += [(base, True, True) for base in _underlying(catalog, reached)]
    return tuple(found.values())


def _underlying(catalog: Catalog, reached: ExpandedRelation) -> Iterator[ExpandedRelation]:
    for dependency in reached.relation.reads:
        if base := catalog.relation(dependency.relation):
            columns = dependency.columns
            if dependency.whole:
                columns = tuple(column.name for column in base.columns)
            yield ExpandedRelation(dependency.relation, base, "view", (*reached.through, str(reached.name)), columns)


def _kin(
    catalog: Catalog, names: tuple[QName, ...], via: Via, reached: ExpandedRelation
) -> Iterator[ExpandedRelation]:
    """Parents and partitions of a relation that a view reads count as read by the view."""
    for name in names:
        if relation := catalog.relation(name):
            via_here = "view" if reached.via == "view" else via
            yield ExpandedRelation(name, relation, via_here, (*reached.through, str(reached.name)), reached.columns)
