"""An address on the network that leads to one server now and to another one a moment later.

async with MovingAddress(first.socket_dir) as address:
    ...  # connect to 127.0.0.1, address.port
    address.lead_to(second.socket_dir)  # connections that are there stay where they are
    with address.stalling(b"pgjit control"):
        ...  # connections whose startup message has this text pass no byte
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

__all__ = ["MovingAddress"]


class MovingAddress:
    def __init__(self, socket_dir: Path) -> None:
        self.port = 0
        self._socket_dir = socket_dir
        self._tasks: set[asyncio.Task[None]] = set()
        self._stalled_text = b""
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lead_to(self, socket_dir: Path) -> None:
        self._socket_dir = socket_dir

    @contextmanager
    def stalling(self, text: bytes) -> Iterator[None]:
        self._stalled_text = text
        self._flowing.clear()
        try:
            yield
        finally:
            self._stalled_text = b""
            self._flowing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one side has closed, which closes the other."""
        writers = [writer]
        ways: list[asyncio.Task[None]] = []
        try:
            from_server, to_server = await asyncio.open_unix_connection(str(self._socket_dir / ".s.PGSQL.5432"))
            writers.append(to_server)
            startup = await reader.read(65536)
            await self._pass(startup, startup, to_server)
            ways = [
                asyncio.create_task(self._pour(startup, reader, to_server)),
                asyncio.create_task(self._pour(startup, from_server, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the server is not there: neither is what leads to it
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in writers:
                each.close()

    async def _pour(self, startup: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._pass(startup, data, writer)

    async def _pass(self, startup: bytes, data: bytes, writer: asyncio.StreamWriter) -> None:
        while self._stalled_text and self._stalled_text in startup:
            await self._flowing.wait()
        writer.write(data)
        await writer.drain()
