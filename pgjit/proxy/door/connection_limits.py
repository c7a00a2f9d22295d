"""Connection limits: in total, and from one address. Pure.

Decides which connections are served, which are accepted only to send an error, and which are closed at once. Does not
know what a connection is for, and records nothing.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from pgjit.errors import TooManyConnections
from pgjit.proxy.quota import Quota

__all__ = ["Admission", "ClientAddress", "ConnectionLimits"]

_EXTRA = 32
_EXTRA_OF_ADDRESS = 8
"""Connections accepted beyond a limit to send an error: a TLS handshake each. Their cancel requests are served."""


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """The address of a client."""

    source: str  # address and port, as the journal has it
    network: str  # the IPv4 address, or the /64 of an IPv6 address, all of which one machine may use

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
    """`accepted`: the connection counts, and must `leave`. `refusal`: the error to send or to record."""

    accepted: bool
    refusal: TooManyConnections | None = None


class ConnectionLimits:
    """Counts the open connections, logged in or not."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._proxy: Quota[None] = Quota(most)
        self._addresses: Quota[str] = Quota(most_of_address)

    def __len__(self) -> int:
        return self._proxy[None]

    def enter(self, client: ClientAddress) -> Admission:
        refusal = self._refusal(client)
        if not self._proxy.take(None, beyond=_EXTRA):
            return Admission(accepted=False, refusal=refusal)
        if not self._addresses.take(client.network, beyond=_EXTRA_OF_ADDRESS):
            self._proxy.give_back(None)
            return Admission(accepted=False, refusal=refusal)
        return Admission(accepted=True, refusal=refusal)

    def leave(self, client: ClientAddress) -> None:
        self._proxy.give_back(None)
        self._addresses.give_back(client.network)

    def _refusal(self, client: ClientAddress) -> TooManyConnections | None:
        if self._addresses.full(client.network):
            return TooManyConnections(
                "too many connections from your address",
                reference="too-many-connections-of-address",
                detail=f"At most {self._addresses.most} from {client.network} are served at once.",
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
