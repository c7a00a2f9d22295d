"""A TCP port with TLS in front of a PostgreSQL server that has none."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

__all__ = ["TlsFront"]

_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # SSLRequest


class TlsFront:
    def __init__(self, server: tuple[str, int], certificate: str | None, key: str | None = None) -> None:
        self._server_path = f"{server[0]}/.s.PGSQL.{server[1]}"
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @classmethod
    def without_tls(cls) -> TlsFront:
        """It says so, and that is all."""
        return cls(("", 0), None)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(len(_REQUEST)) != _REQUEST:
                writer.close()
                return
            if self._context is None:
                writer.write(b"N")
                writer.close()
                return
            writer.write(b"S")
            await writer.start_tls(self._context)
            there, to_server = await asyncio.open_unix_connection(self._server_path)
        except (OSError, EOFError):
            writer.close()
            return
        for source, target in ((reader, to_server), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, target)))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()
