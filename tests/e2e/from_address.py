"""A login from an address of the test's choice, byte by byte: real clients do not let it be chosen."""

from __future__ import annotations

import asyncio
import ssl

from pgjit.demo.world import World
from pgwire.reader import message

__all__ = ["said_to"]

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


async def said_to(world: World, address: str, token: str, policy: str, connection: str = "prod-replica") -> str:
    """What the proxy says to a client that comes from `address` with `token`, until it closes or lets it in."""
    context = ssl.create_default_context(cafile=str(world.certificates.authority))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.app.port, local_addr=(address, 0))
    try:
        writer.write(_SSL_REQUEST)
        assert await reader.readexactly(1) == b"S"
        await writer.start_tls(context, server_hostname="localhost")
        parameters = f"user\0{policy}\0database\0{connection}\0\0".encode()
        writer.write((len(parameters) + 8).to_bytes(4) + b"\x00\x03\x00\x00" + parameters)
        assert await reader.readexactly(9) == b"R" + (8).to_bytes(4) + (3).to_bytes(4)
        writer.write(message(b"p", token.encode() + b"\0"))
        return (await asyncio.wait_for(reader.read(65536), 60)).decode("utf-8", "replace")
    finally:
        writer.close()
