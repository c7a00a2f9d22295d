"""The TLS handshake on a connected, non-blocking socket: as the server, or as the client.

Decides nothing about certificates; the context does.
"""

from __future__ import annotations

import errno
import socket
import ssl

from pgjit.server.readiness import READ, WRITE
from pgjit.server.ready_socket import wait_for_socket
from pgjit.turns import take_turn

__all__ = ["do_handshake"]


class _ClosedIfNotMade(ssl.SSLSocket):
    """A socket that closes itself if it finds, while it is made, that its peer has reset the connection.

    CPython 3.11's SSLSocket takes over the descriptor, then asks for the peer's name. If there is no peer any more it
    raises and leaves the descriptor open, in an object that no caller holds. To ask before does not help: the reset
    can arrive in between.
    """

    made = False

    def getpeername(self) -> object:
        try:
            return super().getpeername()
        except OSError:
            if self.made:
                raise
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, "the peer reset the connection") from None


async def do_handshake(
    plain: socket.socket, context: ssl.SSLContext, *, server_name: str | None = None
) -> ssl.SSLSocket:
    """Start TLS: as the client if there is a `server_name`. The caller limits the time.

    Takes over `plain`, which is closed if this fails. Raises OSError; ssl.SSLError is a subclass.
    """
    try:
        context.sslsocket_class = _ClosedIfNotMade
        tls = context.wrap_socket(
            plain, server_side=server_name is None, server_hostname=server_name, do_handshake_on_connect=False
        )
        assert isinstance(tls, _ClosedIfNotMade)
        tls.made = True
    except BaseException:
        plain.close()
        raise
    try:
        await _until_done(tls, in_turn=server_name is None)
    except BaseException:
        tls.close()
        raise
    return tls


async def _until_done(tls: ssl.SSLSocket, *, in_turn: bool) -> None:
    """`in_turn`: a few at a time with other clients. Not to a server: to end a session may need it."""
    while True:
        if in_turn:
            await take_turn()
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            needed = READ
        except ssl.SSLWantWriteError:
            needed = WRITE
        else:
            return
        await wait_for_socket(tls.fileno(), needed)
