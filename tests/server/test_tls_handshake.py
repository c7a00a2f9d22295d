"""TLS that cannot begin: the socket is closed, and nothing is left open."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct

import pytest

from pgjit.server.tls_handshake import do_handshake

pytestmark = pytest.mark.live

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends a reset


async def test_a_peer_that_reset_the_connection_before_tls_leaves_no_socket_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    accepted.setblocking(False)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.close()
    await asyncio.sleep(0)
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        await do_handshake(accepted, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert accepted.fileno() == -1
    gc.collect()  # a socket that was left open is a ResourceWarning, and so a fault of this test
