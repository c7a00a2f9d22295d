"""A load balancer that sends the PROXY protocol, and that a test tells which node the next connection goes to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Self

from tests.fakes.proxy_headers import v2

__all__ = ["Balancer"]


class Balancer:
    """`async with Balancer() as balancer:`. Each connection goes to port `node`, as that of `client`.

    `header`: what is sent before the client's bytes.
    """

    def __init__(self, header: Callable[[str, int], bytes] | None = None) -> None:
        self.node = 0
        self.client = "192.0.2.10"
        self.connections = 0
        self._header = header or (lambda host, port: v2(host, "127.0.0.1", (port, 6432)))
        self._carrying: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.node)
        back.write(self._header(self.client, writer.get_extra_info("peername")[1]))
        try:
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        finally:
            back.close()
            writer.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
