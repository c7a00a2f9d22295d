"""The contract of a window store, as far as several nodes use it: nodes, their windows, their parts of a budget."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from pgjit.grants.fleet_key import FleetKey
from pgjit.grants.lease import Lease
from pgjit.grants.node import Node
from pgjit.grants.session_elsewhere import SessionElsewhere
from pgjit.grants.usage import Usage
from pgjit.grants.window import Window
from pgjit.identity.identity import IdentityKey
from pgjit.policy.policy import Limits

__all__ = ["FleetStore"]


class FleetStore(Protocol):
    @property
    def shared(self) -> bool:
        """Whether other nodes may use the store now. A store in a file has one node."""

    async def begin_node(self, run: str, policies: Mapping[str, str], over: Node | None = None) -> Node | None:
        """Take this node's name for the process `run`. Or return the process that has it; then nothing changed.

        `over`: that process, if it was seen to be silent. If it has been heard of since, it keeps the name. What an
        earlier process had leased counts as spent. A store that is not shared gives the node what others left.
        """

    async def heartbeat(self, run: str, policies: Mapping[str, str] | None = None) -> datetime | None:
        """Note that the process lives; returns the database's clock. None: another process has taken the name.

        `policies`: the versions of its policies by name, if they have changed.
        """

    async def stop_node(self, run: str) -> None:
        """Note that the process was stopped: the next one need not wait for its silence."""

    async def nodes(self) -> list[Node]:
        """All nodes that ever used the store, by name."""

    async def adopt_windows(self, now: datetime, stale_after: timedelta) -> list[Window]:
        """Take over from dead nodes the windows that are over, with their backends; returns these windows."""

    async def take_over(self, dead: str, run: str, now: datetime) -> list[Window]:
        """Take over the windows of the process `run` of a node, which is known to have ended, with their backends.

        Returns these windows, also those that are not over. None if another process has the node's name by now.
        """

    async def sessions_elsewhere(
        self, *, identity: IdentityKey | None = None, window_ids: Collection[str] | None = None
    ) -> list[SessionElsewhere]:
        """The sessions of other nodes whose backends are not known to be gone: one identity's, some windows', or all.

        A node that has just opened a session saves it a moment later.
        """

    async def note_sessions(self, window_id: str, sessions: int) -> None:
        """How many sessions this node has in the window, for the limit of sessions."""

    async def extend_lease(self, window_id: str, limits: Limits, spent: Usage, need: Usage) -> Lease:
        """Lease more of the window's budget: a few per cent, or what is needed, but at most what is free.

        `spent`: all that this node has spent of its leases of this window.
        """

    async def give_lease_back(self, window_id: str, spent: Usage) -> None:
        """What this node has not spent of its lease is free again."""

    async def fleet_keys(self, now: datetime) -> list[FleetKey]:
        """The keys that all nodes have, the oldest first. There is at least one: the first call makes it."""

    def on_message(self, receive: Callable[[str], None]) -> None:
        """From now on `receive` is called with what nodes send, this one too. A message may be lost."""

    async def send_message(self, text: str) -> None:
        """Send up to 400 characters to all nodes, by a connection that no transaction waits for.

        Raises ServerUnavailable.
        """
