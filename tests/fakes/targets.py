"""Targets that lead to scripted servers, and the steps by which such a server logs a client in."""

from __future__ import annotations

import socket
from typing import Any

from scramp import ScramException, ScramMechanism

from pgjit.server.credential import FixedSecret
from pgjit.server.dial import Address
from pgjit.server.target import Host, SslMode, Target
from pgwire.messages.query import command_complete
from pgwire.messages.results import encode_data_row
from pgwire.reader import BodyReader
from tests.fakes.scripted_server import (
    KEY,
    OK,
    READY,
    Peer,
    ScriptedServer,
    Step,
    authentication,
    expect,
    fatal,
    send,
    startup,
    status,
)

__all__ = ["PASSWORD", "WELCOME", "address_of", "answering", "logged_in", "scram", "target_at"]

PASSWORD = "correct horse"
WELCOME = OK + status("server_version", "18.1") + KEY + READY


def target_at(*servers: ScriptedServer, **changes: Any) -> Target:
    given: dict[str, Any] = {
        "hosts": tuple(Host("127.0.0.1", server.port) for server in servers),
        "sslmode": SslMode.DISABLE,
        "credential": FixedSecret(PASSWORD),
        **changes,
    }
    return Target(name="shop", database="shop", user="ann", **given)


def address_of(server: ScriptedServer, name: str = "127.0.0.1") -> Address:
    return Address(Host(name, server.port), socket.AF_INET, ("127.0.0.1", server.port))


def logged_in() -> list[Step]:
    return [startup(), send(WELCOME)]


def answering(*results: str | None) -> list[Step]:
    """Answer as many questions, each with one row of one value, or with none (None)."""
    steps: list[Step] = []
    for result in results:
        rows = b"" if result is None else encode_data_row((result.encode(),))
        steps += [expect("Q"), send(rows + command_complete("SELECT") + READY)]
    return steps


def scram(offer: bytes = b"SCRAM-SHA-256\0\0", *, password: str = PASSWORD, certificate: str | None = None) -> Step:
    """The server's side of SCRAM, as scramp plays it; bound to `certificate` (PEM) if there is one."""

    async def step(peer: Peer) -> None:
        await peer.write(authentication(10, offer))
        reader = BodyReader((await peer.frame()).body)
        mechanism = ScramMechanism(reader.string().decode())
        info = mechanism.make_auth_info(password)
        binding = ("tls-server-end-point", certificate) if certificate else None
        server = mechanism.make_server(lambda _: info, channel_binding=binding)
        try:
            server.set_client_first(reader.take(reader.int32()).decode())
            await peer.write(authentication(11, server.get_server_first().encode()))
            server.set_client_final((await peer.frame()).body.decode())
        except ScramException as fault:
            await peer.write(fatal("28P01", str(fault)))
            return
        await peer.write(authentication(12, server.get_server_final().encode()))

    return step
