"""The nodes and leases of an SQL store: each method is one transaction of a work function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from pgjit.grants.fleet_key import FleetKey
from pgjit.grants.lease import Lease
from pgjit.grants.node import Node
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.grants.stores import backends, fleet_key_rows, lease_rows, node_rows, window_nodes
from pgjit.grants.usage import Usage
from pgjit.grants.window import Window
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Limits

__all__ = ["FleetSqlStore"]

T = TypeVar("T")


class FleetSqlStore:
    node: str

    @property
    def shared(self) -> bool:
        raise NotImplementedError

    async def _transaction(self, work: Callable[[sa.Connection], T]) -> T:
        raise NotImplementedError

    async def begin_node(self, run: str, policies: Mapping[str, str], over: Node | None = None) -> Node | None:
        def work(connection: sa.Connection) -> Node | None:
            if not self.shared:
                node_rows.take_over_all(connection, self.node)
            return node_rows.begin_node(connection, self.node, run, policies, over)

        return await self._transaction(work)

    async def heartbeat(self, run: str, policies: Mapping[str, str] | None = None) -> datetime | None:
        return await self._transaction(lambda each: node_rows.heartbeat(each, self.node, run, policies))

    async def stop_node(self, run: str) -> None:
        await self._transaction(lambda each: node_rows.stop_node(each, self.node, run))

    async def nodes(self) -> list[Node]:
        return await self._transaction(node_rows.all_nodes)

    async def adopt_windows(self, now: datetime, stale_after: timedelta) -> list[Window]:
        return await self._transaction(lambda each: node_rows.adopt_windows(each, self.node, now, stale_after))

    async def take_over(self, dead: str, run: str, now: datetime) -> list[Window]:
        return await self._transaction(lambda each: node_rows.take_over(each, self.node, dead, run, now))

    async def sessions_elsewhere(
        self, *, identity: IdentityKey | None = None, window_ids: Collection[str] | None = None
    ) -> list[SessionElsewhere]:
        return await self._transaction(
            lambda each: backends.sessions_elsewhere(each, self.node, identity, window_ids)
        )

    async def note_sessions(self, window_id: str, sessions: int) -> None:
        await self._transaction(lambda each: window_nodes.note_sessions(each, window_id, self.node, sessions))

    async def extend_lease(self, window_id: str, limits: Limits, spent: Usage, need: Usage) -> Lease:
        return await self._transaction(
            lambda each: lease_rows.extend_lease(each, self.node, window_id, limits, spent, need)
        )

    async def give_lease_back(self, window_id: str, spent: Usage) -> None:
        await self._transaction(lambda each: lease_rows.give_lease_back(each, self.node, window_id, spent))

    async def fleet_keys(self, now: datetime) -> list[FleetKey]:
        return await self._transaction(lambda each: fleet_key_rows.current_keys(each, now))
