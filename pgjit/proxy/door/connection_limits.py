"""Connection limits: in total, and from one address. Pure.

Decides which connections are served, which are accepted only to send an error, and which are closed at once. Behind a
load balancer a client's address is known later than its connection: the limit of addresses is applied then. Does not
know what a connection is for, and records nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from pgjit.audit.event import BalancerConnection
from pgjit.errors import TooManyConnections
from pgjit.proxy.quota import Quota
from pgjit.proxy.siblings import SharedAdmission

__all__ = ["EXTRA", "EXTRA_OF_ADDRESS", "ClientAddress", "ConnectionLimits", "ConnectionPlace"]

EXTRA = 32
EXTRA_OF_ADDRESS = 8
"""Connections accepted beyond a limit to send an error: a TLS handshake each. Their cancel requests are served."""


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """The address of a client."""

    source: str  # address and port, as the journal has it
    network: str  # the IPv4 address, or the /64 of an IPv6 address, all of which one machine may use
    balancer: BalancerConnection | None = None  # that named this address

    @classmethod
    def of(cls, host: str, port: int, balancer: BalancerConnection | None = None) -> ClientAddress:
        source = f"{host}:{port}"
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is None:
                network = ipaddress.IPv6Address(address.packed[:8] + bytes(8))
                return cls(source, f"{network}/64", balancer)
            address = address.ipv4_mapped
        return cls(source, str(address), balancer)


class ConnectionLimits:
    """Counts the open connections, logged in or not."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self.total: Quota[None] = Quota(most)
        self.addresses: Quota[str] = Quota(most_of_address)

    def change(self, most: int, most_of_address: int) -> None:
        """The limits from now on. Connections that are open stay."""
        self.total.most, self.addresses.most = most, most_of_address

    def __len__(self) -> int:
        return self.total[None]

    def enter(self, client: ClientAddress | None) -> ConnectionPlace:
        """A new connection. Without `client` its address is known later: see `ConnectionPlace.name`."""
        full = self.total.full(None)
        place = ConnectionPlace(self, accepted=self.total.take(None, beyond=EXTRA))
        if full:
            place.refusal = _too_many(self.total.most)
        if client is not None:
            place.name(client)
        return place


class ConnectionPlace:
    """The place of one connection: it counts until `leave`.

    `accepted`: if not, the connection must be closed at once. `refusal`: the error to send or to record.
    """

    def __init__(self, limits: ConnectionLimits, *, accepted: bool) -> None:
        self.accepted = accepted
        self.refusal: TooManyConnections | None = None
        self._limits = limits
        self._counted = accepted
        self._network: str | None = None
        self._leave_node: Callable[[], None] | None = None

    def name(self, client: ClientAddress) -> None:
        """The connection is this client's. `accepted` and `refusal` take its address into account from now on."""
        addresses = self._limits.addresses
        if addresses.full(client.network):
            self.refusal = _too_many_of_address(addresses.most, client)
        if self.accepted and addresses.take(client.network, beyond=EXTRA_OF_ADDRESS):
            self._network = client.network
        else:
            self.accepted = False
            self.leave()

    def count_on_node(self, client: ClientAddress, admission: SharedAdmission, leave: Callable[[], None]) -> None:
        """The limits of all workers of this node apply as well. `leave`: gives back the place among them."""
        if not admission.accepted:
            self.accepted = False
            self.leave()
        else:
            self._leave_node = leave
        if admission.limit == "address":
            self.refusal = _too_many_of_address(self._limits.addresses.most, client)
        elif admission.limit == "connections":
            self.refusal = _too_many(self._limits.total.most)

    def leave(self) -> None:
        """The connection is closed. May be called twice."""
        if self._leave_node is not None:
            self._leave_node()
            self._leave_node = None
        if self._network is not None:
            self._limits.addresses.give_back(self._network)
            self._network = None
        if self._counted:
            self._limits.total.give_back(None)
            self._counted = False


def _too_many(most: int | None) -> TooManyConnections:
    return TooManyConnections(
        "too many connections to this proxy",
        reference="too-many-connections",
        detail=f"At most {most} are served at once.",
        hint="Close connections that are not used, and try again.",
    )


def _too_many_of_address(most: int | None, client: ClientAddress) -> TooManyConnections:
    return TooManyConnections(
        "too many connections from your address",
        reference="too-many-connections-of-address",
        detail=f"At most {most} from {client.network} are served at once.",
        hint="Close connections that are not used, and try again.",
    )
