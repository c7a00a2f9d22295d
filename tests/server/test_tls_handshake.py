"""TLS that cannot begin: the socket is closed, and nothing is left open."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
from pathlib import Path

import pytest

from pgjit.demo.certificates import make_certificates
from pgjit.server.tls_handshake import do_handshake
from tests.fakes.scripted_client import trusting
from tests.fakes.starved_logins import starve_logins

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


async def test_a_peer_that_is_gone_later_does_not_close_the_socket_behind_its_owner_s_back(tmp_path: Path) -> None:
    """The event loop still watches the descriptor, and the next socket would get its number."""
    certificates = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    for each in (peer, accepted):
        each.setblocking(False)
    mine, theirs = await asyncio.gather(
        do_handshake(accepted, context),
        do_handshake(peer, trusting(certificates.authority), server_name="localhost"),
    )
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    theirs.close()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        mine.getpeername()
    assert f"fd={mine.fileno()}" in repr(mine)
    assert mine.fileno() != -1
    mine.close()


async def test_clients_that_log_in_do_not_put_off_a_connection_to_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To end a session may need a new control connection."""
    certificates = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        plain = socket.create_connection(server.sockets[0].getsockname())
        plain.setblocking(False)
        starve_logins(monkeypatch)
        async with asyncio.timeout(60):
            tls = await do_handshake(plain, trusting(certificates.authority), server_name="localhost")
        assert tls.version() is not None
        tls.close()
