"""The port for clients: open until its block is left, and then drained.

Decides which sockets the listener accepts from, and how long the drain may take. `proxy/listener.py` does both.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pgjit.config import Config, LimitsSection
from pgjit.proxy.listener import Listener

__all__ = ["PortEnd", "longest_drain", "open_session_port"]

_BEYOND_SECONDS = 45.0
"""For the ends of backends (30 s at most), the last records and all other parts."""


@dataclass(slots=True)
class PortEnd:
    """How this process leaves the port. A worker is instructed by its supervisor.

    `delayed`: balancers have to notice first. `keeps_queue`: another process accepts what waits in the sockets; by
    default that of any inherited socket.
    """

    delayed: bool = True
    keeps_queue: bool | None = None


@asynccontextmanager
async def open_session_port(
    listener: Listener,
    config: Callable[[], Config],
    inherited: Sequence[socket.socket],
    end: PortEnd,
    at_once: asyncio.Event,
) -> AsyncIterator[int]:
    """Yields the port. `config` returns the one in force.

    `end` and `at_once` are read at its end: the latter is set to wait for sessions no longer. Raises OSError.
    """
    place = config().file.listen
    try:
        if inherited:
            listener.open_on(inherited)
        else:
            await listener.open(place.host, place.port)
        yield listener.ports[0]
    finally:
        limits = config().file.limits
        listener.keeps_queue = bool(inherited) if end.keeps_queue is None else end.keeps_queue
        await listener.drain(limits.drain_seconds, limits.drain_delay_seconds if end.delayed else 0.0, at_once)


def longest_drain(limits: LimitsSection) -> float:
    """Seconds that a shutdown takes at most, the stop of all parts included."""
    return limits.drain_delay_seconds + limits.drain_seconds + _BEYOND_SECONDS
