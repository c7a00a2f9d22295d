"""The load balancers in front of this proxy: they send a client's addresses before its bytes (PROXY protocol).

Decides from which addresses such a header is read, and what a connection from anywhere else may do: nothing. Without
the setting no header is read at all. What a header says is a claim of the balancer, and no login. Does not know what
a header looks like: `pgwire.proxy_header` does.

INVARIANT: nobody but the configured balancers can choose the address under which a client is recorded and limited.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from pgjit.audit.event import BalancerConnection
from pgjit.errors import PgjitError
from pgjit.proxy.door.connection_limits import ClientAddress
from pgjit.proxy.door.handshake import ClosedWithoutData, first_byte, peek
from pgjit.server.link_waits import LinkClosed
from pgwire.proxy_header import MAX_PROXY_HEADER, ProxyHeader, ProxyHeaderReader

__all__ = ["Balancers", "Network", "NotFromBalancer"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotFromBalancer(PgjitError):
    """A connection past the load balancer. It is closed without a word."""

    sqlstate = "28000"
    severity = "FATAL"

    def __init__(self, host: str) -> None:
        super().__init__(
            "connections are accepted from the load balancer alone",
            reference="not-from-balancer",
            detail=f"{host} is not in `listen.proxy_protocol.from`.",
            hint="Connect to the load balancer, or add its address to `listen.proxy_protocol.from`.",
        )


class Balancers:
    """`networks`: of their own addresses, as this proxy sees them."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)

    def include(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    async def client_behind(self, connection: socket.socket, peer: ClientAddress) -> ClientAddress:
        """The client whose connection this is. Reads the header, and no byte behind it.

        Raises NotFromBalancer, RemoteProtocolError, OSError and LinkClosed (ClosedWithoutData is a subclass).
        """
        host, _, port = peer.source.rpartition(":")
        if not self.include(host):
            await first_byte(connection)  # a port check from elsewhere says nothing, and is no event
            raise NotFromBalancer(host)
        header = await _read_header(connection)
        if header.source is None:
            return ClientAddress.of(host, int(port))  # a health check, or a client whose address nobody knows
        behind = BalancerConnection(
            peer.source,
            unique_id=header.unique_id,
            link_id=header.link_id,
            vpc_endpoint=header.vpc_endpoint,
        )
        return ClientAddress.of(header.source.host, header.source.port, behind)


async def _read_header(connection: socket.socket) -> ProxyHeader:
    reader = ProxyHeaderReader()
    while reader.header is None:
        try:
            data = await peek(connection, MAX_PROXY_HEADER)
        except ConnectionError as fault:
            if reader.begun:
                raise
            raise ClosedWithoutData(str(fault)) from None
        if not data:
            if reader.begun:
                raise LinkClosed("the load balancer left within its PROXY protocol header")
            raise ClosedWithoutData("the load balancer left without a byte")
        connection.recv(reader.feed(data))  # they are there
    return reader.header
