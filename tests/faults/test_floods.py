"""Floods: order is kept, memory stays bounded, and no two sides wait for each other."""

from __future__ import annotations

import asyncio
import gc
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgjit.demo.certificates import Certificates
from pgjit.policy.policy import Preset
from pgwire.messages.extended import sync
from tests.fakes.both_ends import answer, bind, execute, parse, query
from tests.fakes.scripted_server import Peer, Step, expect, notice, send, status, until_left
from tests.fakes.starved_logins import starve_logins
from tests.fakes.whole_proxy import WholeProxy, errors, kinds

READY, DONE = answer("Z", b"I"), answer("C", b"SELECT 1\0")
MIB = 1 << 20
TERMINATE = b"X\0\0\0\4"


@contextmanager
def at_most(megabytes: float) -> Iterator[None]:
    """Python's own memory does not grow past that meanwhile."""
    gc.collect()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MIB, f"{peak / MIB:.1f} MiB"


def repeat(made: bytes, count: int) -> Step:
    async def step(peer: Peer) -> None:
        for _ in range(count):
            await peer.write(made)

    return step


def answer_syncs() -> Step:
    """Answer every Sync, for ever; nothing else comes."""

    async def step(peer: Peer) -> None:
        rest = 0
        while data := await peer.reader.read(1 << 16):
            answers, rest = divmod(rest + len(data), len(sync()))
            await peer.write(READY * answers)

    return step


async def drink(client: object, until: bytes) -> int:
    """Read to the end of a flood, and keep nothing of it: how many bytes there were."""
    size, tail = 0, b""
    while not tail.endswith(until):
        data = await client.receive()  # type: ignore[attr-defined]
        assert data, "it ended too early"
        size += len(data)
        tail = (tail + data)[-len(until) :]
    return size


NOTIFICATION = answer("A", struct.pack("!i", 4242) + b"channel\0payload\0")
CHANGE = status("TimeZone", "UTC")
BATCH = (notice("look") + NOTIFICATION + CHANGE) * 1000


async def test_notices_notifications_and_settings_flow_in_order(tmp_path: Path, certificates: Certificates) -> None:
    steps = [expect("Q"), repeat(BATCH, 40), send(DONE + READY), until_left()]
    async with WholeProxy(tmp_path, certificates, steps) as proxy, await proxy.client() as client:
        with at_most(16):
            await client.send(query("SELECT 1"))
            assert await drink(client, DONE + READY) == len(BATCH) * 40 + len(DONE + READY)
        await client.send(TERMINATE)
        assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["completed"]


async def test_a_notice_of_100_mib_passes_in_pieces(tmp_path: Path, certificates: Certificates) -> None:
    size = 100 * MIB
    head = b"N" + struct.pack("!I", size + 4)
    steps = [expect("Q"), send(head), repeat(b"x" * MIB, 100), send(DONE + READY), until_left()]
    async with WholeProxy(tmp_path, certificates, steps) as proxy, await proxy.client() as client:
        with at_most(16):
            await client.send(query("SELECT 1"))
            assert await drink(client, DONE + READY) == len(head) + size + len(DONE + READY)
        await client.send(TERMINATE)
        assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["completed"]


async def test_a_flood_of_syncs_is_answered_one_by_one(tmp_path: Path, certificates: Certificates) -> None:
    count = 100_000
    async with WholeProxy(tmp_path, certificates, [answer_syncs()]) as proxy, await proxy.client() as client:
        sending = asyncio.create_task(client.send(sync() * count))
        heard = 0
        while heard < count * len(READY):
            heard += len(await client.receive())
        await sending
        assert heard == count * len(READY)
        await client.send(TERMINATE)
        assert await client.ended()
        await proxy.over()
        assert proxy.session_ended["proof"] is None


async def test_a_flood_that_nobody_answers_waits_outside(tmp_path: Path, certificates: Certificates) -> None:
    """The server is busy with one statement: what waits behind it does not fill the memory."""
    enough = asyncio.Event()

    async def busy(peer: Peer) -> None:
        """Take what comes, and answer nothing."""
        taken = 0
        while b"H" not in (data := await peer.reader.read(1 << 16)):
            taken += len(data)
        enough.set()
        await until_left()(peer)
        assert taken < 100_000

    async with WholeProxy(tmp_path, certificates, [expect("Q"), busy]) as proxy, await proxy.client() as client:
        sending = asyncio.create_task(client.send(query("SELECT 1") + sync() * 200_000))
        async with asyncio.timeout(60):
            await enough.wait()  # the proxy sends a Flush, and then waits for the answers
        session = proxy.session
        assert session._live is not None
        assert len(session._live.pump.state.queue.requests) < 10_100
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        proxy.end_window()
        await proxy.over()
        assert proxy.outcomes == ["cut"]
        assert proxy.session_ended["reason"] == "ttl"


@pytest.mark.parametrize("how", ["closes", "resets"])
@pytest.mark.parametrize("waits_for", ["the server to read", "an answer to COPY"])
async def test_a_client_that_vanishes_while_it_is_not_read_from_is_missed(
    waits_for: str, how: str, tmp_path: Path, certificates: Certificates
) -> None:
    """Its end lies behind more than anyone takes from it."""

    async def busy(peer: Peer) -> None:
        await peer.cancelled.wait()
        await until_left()(peer)

    flood = answer("d", b"x" * 10_000)
    first, steps = query("COPY t FROM STDIN"), [expect("Q"), busy]
    if waits_for == "the server to read":
        steps = [expect("Q"), send(answer("G", b"\0\0\0")), busy]
    async with WholeProxy(tmp_path, certificates, steps, preset=Preset.FULL) as proxy, await proxy.client() as client:
        await client.send(first)
        if waits_for == "the server to read":
            await client.frames("G")
        client.piece = 65536

        session = proxy.session
        # No more than it takes: the end of a connection does not arrive behind what the system has no room for.
        async with asyncio.timeout(60):
            while not session._client._pause_reasons:
                await client.send(flood)
                await asyncio.sleep(0)
        if how == "resets":
            client.reset()
        else:
            client._socket.close()
        await proxy.over()
        assert proxy.outcomes == ["cut"]
        assert proxy.session_ended["reason"] == "client-gone"


async def test_small_messages_that_record_much_are_not_recorded_all_at_once(
    tmp_path: Path, certificates: Certificates
) -> None:
    """One long statement, prepared once and run by messages of a few bytes each."""
    text = "SELECT '" + "x" * 15_000 + "'"
    runs = 1_000

    async def play(peer: Peer) -> None:
        while (await peer.frame()).kind != ord("S"):
            peer.frames.clear()
        await peer.write(answer("1") + answer("2") + DONE * runs + READY)
        await until_left()(peer)

    async with WholeProxy(tmp_path, certificates, [play]) as proxy, await proxy.client() as client:
        with at_most(24):
            await client.send(parse(text) + bind() + execute() * runs + sync())
            assert kinds(await client.frames("Z")) == "12" + "C" * runs + "Z"
        await client.send(TERMINATE)
        assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["completed"] * runs


@pytest.mark.parametrize("size", [32 * MIB])
async def test_both_sides_write_at_once(size: int, tmp_path: Path, certificates: Certificates) -> None:
    """A COPY of the client goes one way while notices go the other: neither waits for the other's end."""
    piece = answer("d", b"x" * (MIB - 5))
    notices = notice("y" * (MIB - 100))

    async def play(peer: Peer) -> None:
        await peer.frame()
        await peer.write(answer("G", b"\0\0\0"))

        async def tell() -> None:
            for _ in range(size // MIB):
                await peer.write(notices)

        telling = asyncio.create_task(tell())
        while (await peer.frame()).kind != ord("c"):
            peer.frames.clear()
        await telling
        await peer.write(DONE + READY)
        await until_left()(peer)

    async with WholeProxy(tmp_path, certificates, [play], preset=Preset.READ_WRITE) as proxy:
        async with await proxy.client() as client, asyncio.timeout(60):
            await client.send(query("COPY t FROM STDIN"))
            assert kinds(await client.frames("G")) == "G"

            async def give() -> None:
                for _ in range(size // MIB):
                    await client.send(piece)
                await client.send(answer("c"))

            giving = asyncio.create_task(give())
            assert await drink(client, DONE + READY) == len(notices) * (size // MIB) + len(DONE + READY)
            await giving
            await client.send(TERMINATE)
            assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["completed"]
        assert proxy.records("outcome")[0]["received"] == size


async def test_clients_that_log_in_do_not_put_the_end_of_a_session_off(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with WholeProxy(tmp_path, certificates, [expect("Q"), until_left()]) as proxy:
        async with await proxy.client() as client:
            await client.send(query("SELECT 1"))
            await proxy.lose_controls()  # new control connections are needed
            starve_logins(monkeypatch)
            async with asyncio.timeout(60):
                await proxy.session.end("revoked")
                assert errors(await client.frames()) == [("FATAL", "57P01")]
        await proxy.over()
        assert proxy.session_ended["proof"]["gone"]
