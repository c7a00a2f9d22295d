"""The limits that hold for all workers of a node together, counted in one place: the supervisor. Pure.

Decides nothing new: the numbers are those of `limits` in the configuration, and a few connections beyond them are
accepted to get the error, as in `proxy/door/connection_limits.py`. What a worker held is free when it is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

from pgjit.proxy.door.connection_limits import EXTRA, EXTRA_OF_ADDRESS
from pgjit.proxy.quota import Quota

__all__ = ["NodeLimits"]


@dataclass(slots=True)
class _Held:
    """What one worker holds: connections by network, sessions by identity."""

    networks: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)


class NodeLimits:
    def __init__(self, connections: int, of_address: int, sessions_of_identity: int) -> None:
        self._connections: Quota[None] = Quota(connections)
        self._addresses: Quota[str] = Quota(of_address)
        self._identities: Quota[str] = Quota(sessions_of_identity)
        self._held: dict[Hashable, _Held] = {}

    def change(self, connections: int, of_address: int, sessions_of_identity: int) -> None:
        """From now on; what is held beyond is not taken away."""
        self._connections.most = connections
        self._addresses.most = of_address
        self._identities.most = sessions_of_identity

    @property
    def connections(self) -> int:
        return self._connections[None]

    def enter(self, worker: Hashable, network: str) -> tuple[bool, Literal["connections", "address"] | None]:
        """Whether the connection is accepted, and which limit is reached: then it only gets the error."""
        limit: Literal["connections", "address"] | None = None
        if self._addresses.full(network):
            limit = "address"
        elif self._connections.full(None):
            limit = "connections"
        if not self._connections.take(None, beyond=EXTRA):
            return False, limit
        if not self._addresses.take(network, beyond=EXTRA_OF_ADDRESS):
            self._connections.give_back(None)
            return False, limit
        self._of(worker).networks[network] += 1
        return True, limit

    def leave(self, worker: Hashable, network: str) -> None:
        held = self._of(worker).networks
        if held[network] > 0:  # a worker gives back only what it holds
            held[network] -= 1
            self._connections.give_back(None)
            self._addresses.give_back(network)

    def take_place(self, worker: Hashable, key: str) -> bool:
        if not self._identities.take(key):
            return False
        self._of(worker).keys[key] += 1
        return True

    def leave_place(self, worker: Hashable, key: str) -> None:
        held = self._of(worker).keys
        if held[key] > 0:
            held[key] -= 1
            self._identities.give_back(key)

    def forget(self, worker: Hashable) -> None:
        """The worker is gone, with all that it held."""
        held = self._held.pop(worker, _Held())
        for network, count in held.networks.items():
            for _ in range(count):
                self._connections.give_back(None)
                self._addresses.give_back(network)
        for key, count in held.keys.items():
            for _ in range(count):
                self._identities.give_back(key)

    def _of(self, worker: Hashable) -> _Held:
        return self._held.setdefault(worker, _Held())
