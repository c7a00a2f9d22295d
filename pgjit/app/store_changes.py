"""Follows the changes of the store: what any node has decided is enforced here, and waiting logins see it.

Cancel requests are passed on to other nodes, and taken from them, for as long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pgjit.grants.requests import Requests
from pgjit.grants.store import Store
from pgjit.proxy.services import Services
from pgjit.proxy.window.revocations import Revocations

__all__ = ["following_changes", "reporting_changes"]


@asynccontextmanager
async def following_changes(store: Store, revocations: Revocations, services: Services) -> AsyncIterator[None]:
    """Raises ServerUnavailable."""
    following = asyncio.create_task(_follow(store, revocations, services.requests))
    try:
        async with services.cancels.in_fleet(store):
            yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@asynccontextmanager
async def reporting_changes(store: Store, report: Callable[[], None]) -> AsyncIterator[None]:
    """Call `report` for each change that a node makes in a store of several; never for a store of this node alone."""
    if not store.shared:
        yield
        return
    following = asyncio.create_task(_call_on_changes(store, report))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(store: Store, revocations: Revocations, requests: Requests) -> None:
    def wake() -> None:
        revocations.wake()
        requests.wake()

    await _call_on_changes(store, wake)


async def _call_on_changes(store: Store, call: Callable[[], None]) -> None:
    seen = 0
    while True:
        number = await store.changes(seen)
        if number != seen:
            call()
        seen = number
