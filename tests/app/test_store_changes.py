"""Changes of a shared store are reported while somebody follows; those of a store of one node are not followed."""

from __future__ import annotations

import asyncio
from typing import cast

from pgjit.app.store_changes import reporting_changes
from pgjit.grants.store import Store
from pgjit.grants.stores.changes import Changes


class Changing:
    """As much of a store as reports changes."""

    def __init__(self, *, shared: bool) -> None:
        self.shared = shared
        self.made = Changes()

    async def changes(self, seen: int) -> int:
        return await self.made.after(seen, 600)


async def reported(store: Changing, reports: list[int]) -> None:
    async with reporting_changes(cast(Store, store), lambda: reports.append(1)):
        for _ in range(5):
            await asyncio.sleep(0)
        store.made.notify()
        for _ in range(5):
            await asyncio.sleep(0)
    store.made.notify()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_each_change_of_a_shared_store_is_reported() -> None:
    reports: list[int] = []
    await reported(Changing(shared=True), reports)
    assert len(reports) == 2, "how it is at first, and the change"


async def test_nobody_follows_a_store_of_one_node() -> None:
    reports: list[int] = []
    await reported(Changing(shared=False), reports)
    assert reports == []
