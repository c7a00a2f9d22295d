"""Hundreds of sessions, opened and ended in every way: all resources are released."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from pgjit.demo.certificates import Certificates
from pgjit.policy.policy import Preset
from pgwire.messages.authentication import encode_password
from pgwire.messages.extended import sync
from pgwire.messages.startup import encode_startup
from tests.fakes.both_ends import answer, bind, execute, parse, query
from tests.fakes.door import GOOD
from tests.fakes.scripted_client import ScriptedClient
from tests.fakes.scripted_server import Peer, fatal
from tests.fakes.whole_proxy import STARTUP, WholeProxy

READY = answer("Z", b"I")
TERMINATE = b"X\0\0\0\4"
AT_ONCE = 20
MOST_BLOCKS_EACH = 40.0
"""Small blocks of memory: a session that stays has thousands."""
MOST_KIB_EACH = 4.0
"""A share of all memory. To count it takes four times as long as all else."""


async def serve(peer: Peer) -> None:
    """A server whose behaviour follows from the text of a Query."""
    while True:
        frame = await peer.frame()
        peer.frames.clear()
        match frame.body if frame.kind == ord("Q") else frame.raw[:1]:
            case b"SELECT 1\0":
                await peer.write(answer("C", b"SELECT 1\0") + READY)
            case b"SELECT 2\0":  # it runs, and is never answered
                continue
            case b"SELECT 3\0":
                await peer.write(answer("T", b"\0\0") + answer("D", b"\0\0")[:-1])
                peer.writer.close()
            case b"SELECT 4\0":
                await peer.write(fatal("57P01", "terminating connection"))
                peer.writer.close()
            case b"SELECT 5\0":
                await peer.write(answer("~"))
            case b"COPY t FROM STDIN\0":
                await peer.write(answer("G", b"\0\0\0"))
            case b"S":
                await peer.write(READY)


async def one(proxy: WholeProxy, way: int) -> None:
    async with await proxy.dial() as client:
        if way == 0:  # gone before its startup message
            return
        await client.send(encode_startup(STARTUP))
        await client.frames(until="R")
        if way == 1:  # gone before its token
            return
        await client.send(encode_password(GOOD.encode() if way != 2 else b"an.other.token"))
        if (await client.frames(until="ZE"))[-1][0] == "E":
            return
        await _live(client, way)


async def _live(client: ScriptedClient, way: int) -> None:
    match way:
        case 3:
            await client.send(query("SELECT 1"))
            await client.frames("Z")
            await client.send(TERMINATE)
            await client.ended()
        case 4:
            await client.send(query("SELECT 2"))
            client.reset()
        case 5 | 6 | 7:
            await client.send(query(f"SELECT {way - 2}"))
            while await client.receive():
                pass
        case 8:
            await client.send(query("COPY t FROM STDIN"))
            await client.frames("G")
            await client.send(answer("d", b"1\n") * 10)
        case 9:
            await client.send((parse("SELECT 1") + bind() + execute()) * 50 + sync())
        case 10:
            await client.send(answer("~"))
            await client.frames()
        case _:
            pass


WAYS = 12


@contextmanager
def counted_blocks() -> Iterator[Callable[[], float]]:
    yield sys.getallocatedblocks


@contextmanager
def counted_kib() -> Iterator[Callable[[], float]]:
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0] / 1024
    finally:
        tracemalloc.stop()


async def _round_of(proxy: WholeProxy, sessions: int) -> int:
    """Descriptors that are open after so many sessions, each of which is over."""
    for start in range(0, sessions, AT_ONCE):
        await asyncio.gather(*(one(proxy, way % WAYS) for way in range(start, start + AT_ONCE)))
    await proxy.over()
    proxy.server.peers.clear()
    proxy.server.sessions.clear()
    proxy.server.controls[:] = [peer for peer in proxy.server.controls if not peer.left.is_set()]
    proxy.server._tasks = {task for task in proxy.server._tasks if not task.done()}
    gc.collect()
    await asyncio.sleep(0)
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("counted", "most", "many"),
    [
        pytest.param(counted_blocks, MOST_BLOCKS_EACH, 120, id="blocks"),
        pytest.param(counted_kib, MOST_KIB_EACH, 240, id="bytes", marks=pytest.mark.slow),
    ],
)
async def test_the_resources_of_sessions_are_released(
    counted: Callable[[], AbstractContextManager[Callable[[], float]]],
    most: float,
    many: int,
    tmp_path: Path,
    certificates: Certificates,
) -> None:
    async with WholeProxy(tmp_path, certificates, [serve], preset=Preset.FULL) as proxy:
        with counted() as memory:
            files = await _round_of(proxy, 60)
            before = memory()
            files_later = await _round_of(proxy, many)
            each = (memory() - before) / many
        assert len(proxy.services.registry) == 0
        assert files_later <= files
        assert each < most
        assert len(proxy.records("session.opened")) > many / 2
