"""Orphans, the backends that an earlier process left: each window waits for its own, and each is ended once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import cast

import pytest

from pgjit.audit.event import Proof
from pgjit.audit.journal import Journal
from pgjit.clock import Clock
from pgjit.grants.kept_backend import BackendAddress, KeptBackend
from pgjit.grants.server_process import ServerInstance, ServerProcess
from pgjit.grants.store import Store
from pgjit.grants.window import Window
from pgjit.proxy.registry import Registry
from pgjit.proxy.window import kept_backends
from pgjit.proxy.window.kept_backends import KeptBackends
from pgjit.server.servers import Servers
from pgjit.telemetry import Telemetry
from tests.contracts.store import NOW
from tests.run.waiting import until

INSTANCE = ServerInstance(system="1", started=NOW)
PLACE = BackendAddress(
    connection="prod", host="localhost", port=5432, family=int(socket.AF_INET), sockaddr=("127.0.0.1", 5432)
)


def orphan(pid: int, window: str) -> KeptBackend:
    process = ServerProcess(pid=pid, started=NOW, role=10, instance=INSTANCE)
    return KeptBackend(session_id=f"s_{pid}", window_id=window, address=PLACE, process=process)


class Kept:
    """As much of a store as the backends need."""

    def __init__(self, *entries: KeptBackend) -> None:
        self.entries = {entry.session_id: entry for entry in entries}

    async def backends(self, *, own: bool) -> list[KeptBackend]:
        return list(self.entries.values())

    async def known(self, ids: Collection[str]) -> dict[str, Window]:
        return {}

    async def note_backends(self, added: list[KeptBackend], removed: list[str]) -> None:
        for entry in added:
            self.entries[entry.session_id] = entry
        for session_id in removed:
            del self.entries[session_id]


class Server:
    def __init__(self) -> None:
        self.ended = dict[int, asyncio.Event]()  # by pid

    @asynccontextmanager
    async def control_at(self, _: object) -> AsyncIterator[Server]:
        yield self


class Stop:
    """Stops a backend when the test says that it is gone."""

    def __init__(self, process: ServerProcess, server: Server, _: object) -> None:
        assert process.pid not in server.ended, "a backend is ended twice"
        self._gone = server.ended[process.pid] = asyncio.Event()

    async def run(self, **_: object) -> None:
        await self._gone.wait()

    def proof(self, *, gone: bool) -> Proof:
        return Proof(cancel_sent=False, terminate_sent=True, gone=gone, checked_at=NOW, took_ms=0)


@asynccontextmanager
async def ending(store: Kept, server: Server) -> AsyncIterator[KeptBackends]:
    backends = KeptBackends(cast(Store, store), cast(Journal, None), Clock(), Telemetry(version="0"))
    await backends.load()
    backends.end_orphans({"prod": cast(Servers, server)})
    try:
        yield backends
    finally:
        await backends.stop_ending()
        await backends.close()


async def begun(server: Server, count: int) -> None:
    """Return when so many backends are being ended."""
    await until(lambda: len(server.ended) >= count)


@pytest.fixture(autouse=True)
def stop_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_backends, "BackendStop", Stop)


async def test_each_window_waits_for_the_last_of_its_own_orphans() -> None:
    store, server = Kept(orphan(1, "w_1"), orphan(2, "w_1"), orphan(3, "w_2")), Server()
    async with ending(store, server) as backends:
        await begun(server, 3)
        waits = {name: asyncio.create_task(backends.wait_until_gone(name)) for name in ("w_1", "w_2", "w_3")}
        await asyncio.wait_for(waits["w_3"], 60)  # it has none
        server.ended[3].set()
        await asyncio.wait_for(waits["w_2"], 60)
        server.ended[1].set()
        async with asyncio.timeout(60):
            while backends.count_orphans("w_1") == 2:
                await asyncio.sleep(0)
        assert (backends.count_orphans("w_1"), backends.orphans_remain, waits["w_1"].done()) == (1, True, False)
        server.ended[2].set()
        await asyncio.wait_for(waits["w_1"], 60)
        assert not backends.orphans_remain
    assert store.entries == {}


async def test_many_orphans_are_ended_a_few_in_a_turn() -> None:
    store, server = Kept(*(orphan(pid, f"w_{pid}") for pid in range(1000))), Server()
    before, most = 0, 0
    async with ending(store, server), asyncio.timeout(60):
        while before < 1000:
            await asyncio.sleep(0)
            most, before = max(most, len(server.ended) - before), len(server.ended)
    assert most <= 100


async def test_what_a_dead_node_left_is_ended_once() -> None:
    """Even where the store has the entry still, a moment after the backend is gone."""
    store, server = Kept(orphan(1, "w_1")), Server()
    async with ending(store, server) as backends:
        await begun(server, 1)
        server.ended[1].set()
        await asyncio.wait_for(backends.wait_until_gone("w_1"), 60)
        store.entries = {entry.session_id: entry for entry in (orphan(1, "w_1"), orphan(2, "w_1"), orphan(4, "w_9"))}
        windows = cast(dict[str, Window], {"w_1": None})
        for _ in range(2):
            await backends.adopt(windows, Registry())
        await begun(server, 2)
        assert set(server.ended) == {1, 2}
        assert [backends.count_orphans(name) for name in ("w_1", "w_9")] == [1, 0]
