"""What waits for a link: for bytes, or for its end. Knows the link by its callbacks only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["LinkClosed", "ended", "received"]


class LinkClosed(ConnectionError):
    """The peer disconnected in the middle of an exchange."""


async def received(take: Callable[[], bytes | None], next_data: Callable[[], asyncio.Future[None]]) -> bytes:
    """What `take` returns as soon as there is something."""
    while (data := take()) is None:
        await next_data()
    return data


async def ended(lost: asyncio.Future[None], grace: float, abort: Callable[[], None]) -> None:
    """Wait until the link is `lost`. After `grace` seconds, `abort` it."""
    try:
        await asyncio.wait_for(asyncio.shield(lost), grace)
    except TimeoutError:
        abort()  # the connection may have been lost just as the grace ended
