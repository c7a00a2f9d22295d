"""A transport in memory: records what was written, and whether reading is paused."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["MemoryTransport"]


class MemoryTransport(asyncio.Transport):
    """`close` reports the loss at the next iteration of the loop, unless the peer `lingers` with unread data."""

    def __init__(self, protocol: asyncio.Protocol, *, tls: bool = False, lingers: bool = False) -> None:
        super().__init__({"ssl_object": object() if tls else None, "peername": ("10.0.0.7", 51000)})
        self.protocol = protocol
        self.writes: list[bytes] = []
        self.reading = True
        self.turns: list[str] = []  # each time that reading was paused or resumed
        self.high_water: int | None = None
        self.aborted = False
        self._closing = False
        self._lingers = lingers
        protocol.connection_made(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high_water = high

    def write(self, data: Any) -> None:
        assert not self._closing
        self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False
        self.turns.append("pause")

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True
        self.turns.append("resume")

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        if not self._lingers:
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self._closing = self.aborted = True
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)
