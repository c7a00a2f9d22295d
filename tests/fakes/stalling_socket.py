"""A Unix socket between a client and a PostgreSQL server that passes bytes on until it is stalled."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Self

__all__ = ["StallingSocket"]


class StallingSocket:
    def __init__(self, server: tuple[str, int]) -> None:
        self._server_path = f"{server[0]}/.s.PGSQL.{server[1]}"
        self._folder = Path(tempfile.mkdtemp(prefix="pgjit-st-"))
        self._moving = asyncio.Event()
        self._moving.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.address = (str(self._folder), 5432)

    async def __aenter__(self) -> Self:
        path = self._folder / ".s.PGSQL.5432"
        self._listener = await asyncio.start_unix_server(self._accept, path)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        shutil.rmtree(self._folder)

    def stall(self) -> None:
        self._moving.clear()

    def go_on(self) -> None:
        self._moving.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_server = await asyncio.open_unix_connection(self._server_path)
        for source, target in ((reader, to_server), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, target)))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._moving.wait()
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()
