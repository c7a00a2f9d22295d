"""What a login costs: calls of functions in the proxy's thread, from the accepted socket to the goodbye."""

from __future__ import annotations

import sys
from pathlib import Path

from pgjit.demo.database import DemoDatabase
from pgjit.demo.world import World
from tests.e2e.worlds import add_reader, open_world, records
from tests.run.processes import finish_async
from tests.run.work import calls_async

# In a process of its own, so that its work is not counted. Logs in, waits for ReadyForQuery, says goodbye.
_CLIENT = r"""
import socket, ssl, struct, sys

port, authority, token, count = sys.argv[1:]
trust = ssl.create_default_context(cafile=authority)
startup = struct.pack("!i", 196608) + b"user\0reader\0database\0prod-replica\0\0"
for _ in range(int(count)):
    with socket.create_connection(("127.0.0.1", int(port))) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert plain.recv(1) == b"S"
        with trust.wrap_socket(plain, server_hostname="localhost") as link:
            link.sendall(struct.pack("!i", len(startup) + 4) + startup)
            link.recv(4096)
            link.sendall(b"p" + struct.pack("!i", len(token) + 5) + token.encode() + b"\0")
            said = b""
            while not said.endswith(b"Z\0\0\0\x05I"):
                more = link.recv(65536)
                assert more, said
                said += more
            link.sendall(b"X\0\0\0\x04")
            while link.recv(4096):
                pass
"""


MOST_CALLS = 20_000


async def _log_in(world: World, token: str, count: int) -> None:
    place = str(world.app.port), str(world.certificates.authority)
    client = await finish_async(sys.executable, "-c", _CLIENT, *place, token, str(count), seconds=60)
    assert client.status == 0, client.err


async def test_a_login_with_warm_caches_costs_some_thousand_calls_and_the_next_one_no_more(
    database: DemoDatabase, tmp_path: Path
) -> None:
    """About 3 ms of processor time, of which TLS is 0.6."""
    async with open_world(database, tmp_path) as world:
        token = await world.token(add_reader(world))
        await _log_in(world, token, 5)
        few, many = [await calls_async(_log_in(world, token, count)) for count in (10, 30)]
        assert len(records(world, "session.opened")) == 45
        assert len(records(world, "window.opened")) == 1
    one = (many - few) / 20
    assert one < MOST_CALLS
