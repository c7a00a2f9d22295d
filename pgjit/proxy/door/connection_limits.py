"""How many may come in: connections over all and of one address. Pure.

Decides who is let in, who is let in only to be told that there is no room, and who is turned away at the
door. Does not know why somebody comes, and writes nothing down.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from pgjit.errors import TooManyConnections
from pgjit.proxy.quota import Quota

__all__ = ["Admission", "ClientAddress", "ConnectionLimits"]

_TOLD = 32
_TOLD_OF_ADDRESS = 8
"""So many beyond a limit are let in to be told: it costs a TLS handshake each. Cancel requests are served there."""


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


@dataclass(frozen=True, slots=True)
class Admission:
    """`inside`: has to leave again. `refusal`: what it is told, if it is told anything."""

    inside: bool
    refusal: TooManyConnections | None = None


class ConnectionLimits:
    """The connections that are here, logged in or not."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._proxy: Quota[None] = Quota(most)
        self._addresses: Quota[str] = Quota(most_of_address)

    def __len__(self) -> int:
        return self._proxy[None]

    def enter(self, visitor: ClientAddress) -> Admission:
        refusal = self._refusal(visitor)
        if not self._proxy.take(None, beyond=_TOLD):
            return Admission(inside=False, refusal=refusal)
        if not self._addresses.take(visitor.network, beyond=_TOLD_OF_ADDRESS):
            self._proxy.give_back(None)
            return Admission(inside=False, refusal=refusal)
        return Admission(inside=True, refusal=refusal)

    def leave(self, visitor: ClientAddress) -> None:
        self._proxy.give_back(None)
        self._addresses.give_back(visitor.network)

    def _refusal(self, visitor: ClientAddress) -> TooManyConnections | None:
        if self._addresses.full(visitor.network):
            return TooManyConnections(
                "too many connections from your address",
                reference="too-many-connections-of-address",
                detail=f"At most {self._addresses.most} from {visitor.network} are served at once.",
                hint="Close connections that are not used, and try again.",
            )
        if self._proxy.full(None):
            return TooManyConnections(
                "too many connections to this proxy",
                reference="too-many-connections",
                detail=f"At most {self._proxy.most} are served at once.",
                hint="Close connections that are not used, and try again.",
            )
        return None
