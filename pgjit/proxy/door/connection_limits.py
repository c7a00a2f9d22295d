"""How many may come in: connections over all and of one address, sessions of one identity. Pure.

Decides who is let in, who is let in only to be told that there is no room, and who is turned away at the
door. Does not know why somebody comes, and writes nothing down.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pgjit.errors import TooManyConnections

__all__ = ["Admission", "ClientAddress", "ConnectionLimits", "Quota"]

_TOLD = 32
_TOLD_OF_ADDRESS = 8
"""So many beyond a limit are let in to be told: it costs a TLS handshake each. Cancel requests are served there."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Where a connection comes from."""

    source: str  # address and port, as the journal has it
    network: str  # the address; of IPv6 its /64, since one machine has all of those

    @classmethod
    def of(cls, host: str, port: int) -> ClientAddress:
        source = f"{host}:{port}"
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is None:
                network = ipaddress.IPv6Address(address.packed[:8] + bytes(8))
                return cls(source, f"{network}/64")
            address = address.ipv4_mapped
        return cls(source, str(address))


class Quota(Generic[K]):
    """How many of each key are inside."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._inside: Counter[K] = Counter()

    def __getitem__(self, key: K) -> int:
        return self._inside[key]

    def __len__(self) -> int:
        """How many keys have something inside."""
        return len(self._inside)

    def take(self, key: K, *, beyond: int = 0) -> bool:
        """A place for `key`, if there is one; `beyond` the limit where that is asked for."""
        if self._inside[key] >= self.most + beyond:
            if not self._inside[key]:
                del self._inside[key]
            return False
        self._inside[key] += 1
        return True

    def give_back(self, key: K) -> None:
        self._inside[key] -= 1
        if self._inside[key] <= 0:
            del self._inside[key]


@dataclass(frozen=True, slots=True)
class Admission:
    """`inside`: has to leave again. `refusal`: what it is told, if it is told anything."""

    inside: bool
    refusal: TooManyConnections | None = None


class ConnectionLimits:
    """The connections that are here, logged in or not."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._most = most
        self._here = 0
        self._addresses: Quota[str] = Quota(most_of_address)

    def __len__(self) -> int:
        return self._here

    def enter(self, visitor: ClientAddress) -> Admission:
        refusal = self._refusal(visitor)
        if self._here >= self._most + _TOLD or not self._addresses.take(visitor.network, beyond=_TOLD_OF_ADDRESS):
            return Admission(inside=False, refusal=refusal)
        self._here += 1
        return Admission(inside=True, refusal=refusal)

    def leave(self, visitor: ClientAddress) -> None:
        self._here -= 1
        self._addresses.give_back(visitor.network)

    def _refusal(self, visitor: ClientAddress) -> TooManyConnections | None:
        if self._addresses[visitor.network] >= self._addresses.most:
            return TooManyConnections(
                "too many connections from your address",
                reference="too-many-connections-of-address",
                detail=f"At most {self._addresses.most} from {visitor.network} are served at once.",
                hint="Close connections that are not used, and try again.",
            )
        if self._here >= self._most:
            return TooManyConnections(
                "too many connections to this proxy",
                reference="too-many-connections",
                detail=f"At most {self._most} are served at once.",
                hint="Close connections that are not used, and try again.",
            )
        return None
