"""A link to a peer, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pgjit.server.link import Link
from pgjit.server.tls_handshake import do_handshake
from tests.fakes.tls_peer import Certificates, TlsPeer, tcp_pair

__all__ = ["ended", "linked"]


@asynccontextmanager
async def linked(certificates: Certificates | None, *, send_buffer: int = 0) -> AsyncIterator[tuple[Link, TlsPeer]]:
    """A link and its peer. With a small `send_buffer` the link's socket is full soon."""
    mine, theirs = tcp_pair(send_buffer=send_buffer, receive_buffer=send_buffer)
    if certificates is None:
        link, peer = Link(mine), TlsPeer(theirs)
    else:
        peer = TlsPeer(theirs, certificates.client)
        tls, _ = await asyncio.gather(do_handshake(mine, certificates.server), peer.shake_hands())
        link = Link(tls)
    try:
        yield link, peer
    finally:
        link.abort()
        await link.lost
        theirs.close()


async def ended(link: Link) -> None:
    await asyncio.wait_for(asyncio.shield(link.lost), 60)
