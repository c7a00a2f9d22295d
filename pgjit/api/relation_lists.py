"""The relations that policies open, by catalog: computed once for each policy and catalog, one at a time.

To compute a list takes time in proportion to the catalog, on the core that the sessions run on. Callers may ask for
it often. Decides nothing about access: that is `policy/relation_access.py`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pgjit.policy.policy import Policy
from pgjit.policy.relation_access import RelationAccess, relations_in
from pgjit.sql.catalog import Catalog

__all__ = ["RelationList", "RelationLists"]

_MOST = 500


@dataclass(frozen=True, slots=True)
class RelationList:
    relations: tuple[RelationAccess, ...]
    more: bool


class RelationLists:
    """The latest list of each policy. A changed policy or a newly read catalog makes a new one."""

    def __init__(self) -> None:
        self._lists: dict[str, tuple[Policy, Catalog, RelationList]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def of(self, policy: Policy, catalog: Catalog) -> RelationList:
        cached = self._cached(policy, catalog)
        # A caller that goes away leaves the computation running: it holds its place until it is done.
        return cached if cached is not None else await asyncio.shield(self._compute(policy, catalog))

    async def _compute(self, policy: Policy, catalog: Catalog) -> RelationList:
        async with self._one_at_a_time:
            cached = self._cached(policy, catalog)
            if cached is None:
                found, more = await asyncio.to_thread(relations_in, policy.statements, catalog, _MOST)
                cached = RelationList(tuple(found), more)
                self._lists[policy.name] = policy, catalog, cached
            return cached

    def _cached(self, policy: Policy, catalog: Catalog) -> RelationList | None:
        of_policy, of_catalog, cached = self._lists.get(policy.name, (None, None, None))
        same = of_policy is not None and of_policy.version == policy.version and of_catalog is catalog
        return cached if same else None
