"""What is reached through a relation: what a view reads, what a table is a part of, what its parts are.

Decides how far a name leads. Iterative, safe against circles, and bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pgjit.sql.catalog import Catalog, QName, Relation
from pgjit.sql.touched import Reach

__all__ = ["MOST", "Step", "reached"]

MOST = 5000
"""Relations that one may lead to; where it leads to more, nothing is certain."""


class Step(NamedTuple):
    """A relation on the way. `columns` are those that a view reads of it; None where those count that are named."""

    name: QName
    relation: Relation
    reach: Reach
    through: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None


def reached(catalog: Catalog, name: QName, *, only: bool) -> tuple[Step, ...]:
    """The relation itself first. Longer than MOST where it was cut."""
    found: dict[tuple[QName, tuple[str, ...] | None], Step] = {}
    relation = catalog.relation(name)
    left = [(Step(name, relation, "named"), True, not only)] if relation else []
    while left and len(found) <= MOST:
        step, upwards, downwards = left.pop()
        key = (step.name, step.columns)
        if key in found:
            continue
        found[key] = step
        if upwards:
            left += [(kin, True, False) for kin in _kin(catalog, step.relation.parents, "parent", step)]
        if downwards:
            left += [(kin, False, True) for kin in _kin(catalog, catalog.children.get(step.name, ()), "child", step)]
        left += [(base, True, True) for base in _bases(catalog, step)]
    return tuple(found.values())


def _bases(catalog: Catalog, step: Step) -> Iterator[Step]:
    for dependency in step.relation.reads:
        if base := catalog.relation(dependency.relation):
            columns = dependency.columns
            if dependency.whole:
                columns = tuple(column.name for column in base.columns)
            yield Step(dependency.relation, base, "view", (*step.through, str(step.name)), columns)


def _kin(catalog: Catalog, names: tuple[QName, ...], reach: Reach, step: Step) -> Iterator[Step]:
    """Of what a view reads, the kin is reached by the view as well."""
    for name in names:
        if relation := catalog.relation(name):
            way = "view" if step.reach == "view" else reach
            yield Step(name, relation, way, (*step.through, str(step.name)), step.columns)
