"""This node among the others on its store: its name, its heartbeat, its clock, and what dead nodes left.

Decides whether this node may open windows, and when its view of the store is so old that its sessions have to end.
Liveness is measured by the database's clock. Does not know how a session or a backend is ended.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from pgjit.clock import Clock
from pgjit.errors import PgjitError, ServerUnavailable
from pgjit.grants.fleet_store import FleetStore
from pgjit.grants.node import Node
from pgjit.grants.window import Window

__all__ = ["HOLD_SECONDS", "FleetNode", "FleetWork"]

_log = logging.getLogger("pgjit.fleet")
_HEARTBEAT_SECONDS = 1.0
HOLD_SECONDS = 5.0
"""A process that has a node's name and is silent for so long was killed: the next one takes the name."""
_MOST_AHEAD = timedelta(seconds=5)
"""A clock that is further ahead of the database's opens nothing: its windows would end too late for other nodes."""
_LOOK_EVERY = 10  # heartbeats, for dead nodes


class FleetWork(Protocol):
    """What a node has to do for the fleet, by the parts that can."""

    async def adopt(self, windows: list[Window]) -> None:
        """End these windows, which are over, and the backends that another node left of them."""

    async def take_over(self, windows: list[Window]) -> None:
        """End the backends that a dead process left of these windows, and each window when it is over."""

    def end_sessions(self, reason: str) -> None:
        """End every session of this node; their windows go on."""

    def differs(self, node: Node, policy: str, version: str) -> None:
        """Another node that runs has another version of the policy. `version`: the one here."""


class FleetNode:
    def __init__(
        self,
        name: str,
        store: FleetStore,
        clock: Clock,
        policies: Mapping[str, str],
        *,
        stale_after: timedelta = timedelta(seconds=30),
        strict: bool = False,
        run: str | None = None,
        dead: Collection[str] = (),
    ) -> None:
        """`policies`: version by name. `run` names this process; `dead` are those that are known to have ended."""
        self._name = name
        self._store = store
        self._clock = clock
        self._policies = policies
        self._stale_after = stale_after
        self._strict = strict
        self._run = uuid.uuid4().hex if run is None else run
        self._dead = frozenset(dead)
        self._work: FleetWork | None = None
        self._viewed_at = clock.steady()
        self._failing = False
        self._ended_for: str | None = None  # why the sessions were ended, while that lasts
        self._ahead = timedelta()
        self._reported: set[tuple[str, ...]] = set()  # dead nodes, other policies
        self._announced = True  # the store has the versions of this node's policies
        self.superseded = False

    @property
    def fault(self) -> PgjitError | None:
        """Why this node may open no window now."""
        if self.superseded:
            return ServerUnavailable(
                "this node opens no windows",
                reference="node-superseded",
                detail=f"Another process has taken the name of node `{self._name}` on the window store.",
                hint="Each node on a store needs a name of its own (`node`): stop this process.",
            )
        if self._ahead > _MOST_AHEAD:
            return ServerUnavailable(
                "this node opens no windows",
                reference="node-clock-ahead",
                detail=f"Its clock is {self._ahead.total_seconds():.0f} s ahead of the window store's.",
                hint="Set the clock of this node, or that of the store's server.",
            )
        return None

    @property
    def ahead(self) -> timedelta | None:
        """How far its clock was ahead of the store's at the last heartbeat; None where the store is a file."""
        return self._ahead if self._store.shared else None

    @property
    def stale(self) -> bool:
        """The store was not reached for `stale_after`."""
        return self._clock.steady() - self._viewed_at > self._stale_after.total_seconds()

    def check(self) -> None:
        """Raises ServerUnavailable if this node may open no window and join none."""
        if (fault := self.fault) is not None:
            raise fault

    def work_with(self, work: FleetWork) -> None:
        """From now on the node ends sessions and adopts windows."""
        self._work = work

    def announce(self, policies: Mapping[str, str]) -> None:
        """These are the policies now: version by name. The other nodes know it after the next heartbeat."""
        self._policies = policies
        self._announced = False

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Have the name, and heartbeats, while the block runs. Raises ServerUnavailable."""
        await self._begin()
        beating = asyncio.create_task(self._keep_beating(), name="heartbeat") if self._store.shared else None
        try:
            yield
        finally:
            if beating is not None:
                beating.cancel()
                await asyncio.gather(beating, return_exceptions=True)
            try:
                await self._store.stop_node(self._run)
            except PgjitError as fault:
                _log.warning("the store does not know that this node was stopped: %s", fault.message)

    async def _begin(self) -> None:
        """Take the name. A process that has it is watched: if it is silent, it was killed."""
        seen = await self._store.begin_node(self._run, self._policies)
        if seen is not None and seen.run in self._dead:
            seen = await self._store.begin_node(self._run, self._policies, seen)
        latest = self._clock.steady() + HOLD_SECONDS
        if seen is not None:
            _log.warning("the last process of node %s was not stopped in order: is it silent?", self._name)
        while seen is not None:
            await asyncio.sleep(0.25)
            over = seen if self._clock.steady() > latest else None
            holder = await self._store.begin_node(self._run, self._policies, over)
            if holder is not None and (holder.run, holder.heartbeat_at) != (seen.run, seen.heartbeat_at):
                raise ServerUnavailable(
                    "window store cannot be used",
                    reference="node-name-in-use",
                    detail=f"Another process runs as node `{self._name}` on this store.",
                    hint="Give each node a name of its own: `node` in the configuration.",
                )
            seen = holder
        if self._store.shared:
            await self._beat()

    async def _keep_beating(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            try:
                await self._beat()
                if beats % _LOOK_EVERY == 0:
                    await self._look_at_others()
                beats += 1
            except PgjitError as fault:
                if not self._failing:
                    _log.error("the window store is not reached: %s", fault.message)
                self._failing = True
            except Exception:  # noqa: BLE001 - INVARIANT: the heartbeat goes on, whatever fails in a round
                _log.exception("a heartbeat failed")
            self._end_if_blind()

    async def _beat(self) -> None:
        """The heartbeat. INVARIANT: the clock of a node is not behind the database's, so its windows end in time."""
        policies = None if self._announced else self._policies
        now = await self._store.heartbeat(self._run, policies)
        self._announced = self._announced or policies is self._policies
        self._viewed_at = self._clock.steady()
        if now is None:
            if not self.superseded:
                _log.critical("another process has taken the name of node %s: this one ends its sessions", self._name)
            self.superseded = True
            return
        if self._failing:
            _log.warning("the window store is reached again")
        self._failing = False
        self._ahead = self._clock() - now
        self._clock.not_before(now)

    def _end_if_blind(self) -> None:
        """End the sessions whose revocation this node would not see."""
        reason = "node-superseded" if self.superseded else "store-stale" if self._strict and self.stale else None
        if reason is None:
            self._ended_for = None
            return
        if self._work is None:
            return
        if self._ended_for != reason:
            _log.critical("this node ends its sessions: %s", reason)
        self._ended_for = reason
        self._work.end_sessions(reason)  # in each round: a login may have been under way

    async def _look_at_others(self) -> None:
        for node in await self._store.nodes():
            if node.name == self._name or node.stopped:
                continue
            if node.silence > self._stale_after:
                self._report_once(
                    (node.name, node.run),
                    f"node {node.name} has been silent for {node.silence.total_seconds():.0f} s, and was not stopped",
                )
            elif self._work is not None:
                for policy, version in node.policies.items():
                    here = self._policies.get(policy, version)
                    if here != version and self._report_once(
                        (node.name, policy, version), f"node {node.name} has another version of policy {policy}"
                    ):
                        self._work.differs(node, policy, here)
        if self._work is not None and not self.superseded:
            adopted = await self._store.adopt_windows(self._clock(), self._stale_after)
            if adopted:
                _log.warning("%d windows of dead nodes are over: this node ends their backends", len(adopted))
                await self._work.adopt(adopted)

    async def take_over_from(self, dead: str, run: str) -> None:
        """The process `run` of a node is known to have ended: its backends need not outlive it.

        If that fails, the next process of its name ends them.
        """
        if self._work is None or self.superseded:
            return
        try:
            windows = await self._store.take_over(dead, run, self._clock())
            if windows:
                _log.warning("node %s has ended: this node ends the backends of its %d windows", dead, len(windows))
                await self._work.take_over(windows)
        except PgjitError as fault:
            _log.error("what node %s left is for its next process: %s", dead, fault.message)

    def _report_once(self, what: tuple[str, ...], text: str) -> bool:
        first = what not in self._reported
        if first:
            self._reported.add(what)
            _log.error("%s", text)
        return first
