"""The memory of a session is bounded, and released at its end without the cycle collector."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path

import pytest

from pgjit.demo.certificates import Certificates
from pgjit.proxy.rate_limit import RateLimit
from pgjit.proxy.relay import waits
from pgjit.proxy.relay.pump import Pump
from pgwire.messages.extended import sync
from tests.fakes.both_ends import CONTEXT, answer, bind, execute, parse, query
from tests.fakes.scripted_client import ScriptedClient
from tests.fakes.scripted_server import Peer
from tests.fakes.whole_proxy import WholeProxy, errors, kinds

READY = answer("Z", b"T")
TERMINATE = b"X\0\0\0\4"
VALUE = b"x" * 1_000_000


async def serve(peer: Peer) -> None:
    """A server that sends its answers at Flush and Sync, as PostgreSQL does."""
    held: list[bytes] = []
    while True:
        frame = await peer.frame()
        peer.frames.clear()
        match chr(frame.kind):
            case "P":
                held.append(answer("1"))
            case "B":
                held.append(answer("2"))
            case "E":
                held.append(answer("C", b"SELECT 1\0"))
            case "Q":
                await peer.write(answer("C", b"SELECT 1\0") + READY)
            case "S" | "H" as code:
                await peer.write(b"".join(held) + (READY if code == "S" else b""))
                held.clear()


def _live(proxy: WholeProxy) -> Pump:
    session = proxy.session
    assert session._live is not None
    return session._live.pump


async def _bind_much(client: ScriptedClient, times: int) -> None:
    await client.send(parse("SELECT $1", b"s") + sync())
    await client.frames("Z")
    for number in range(times):
        await client.send(bind(b"s", b"p%d" % number, (VALUE,)))
    await client.send(sync())
    assert kinds(await client.frames("Z")) == "2" * times + "Z"


async def test_of_parameters_that_no_record_will_have_nothing_is_held(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with WholeProxy(tmp_path, certificates, [serve]) as proxy:
        async with await proxy.client() as client:
            await client.send(query("BEGIN"))
            await client.frames("Z")
            await _bind_much(client, 30)
            state = _live(proxy).state
            assert state.prepared_statements.size < 30 * 10_000
            assert state.queue.bytes == 0
            await client.send(execute(b"p0") + sync())
            await client.frames("Z")
        await proxy.over()
    [record] = [one for one in proxy.records("execution") if one["kind"] == "select"]
    [value] = record["parameters"]["values"]
    assert (value["length"], record["parameters"]["truncated"]) == (len(VALUE), True)


async def test_unanswered_requests_are_bounded_by_their_bytes(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "_MOST_QUEUED_BYTES", 2_500_000)
    most = 0

    async def watch(peer: Peer) -> None:
        nonlocal most
        most = max(most, _live(proxy).state.queue.bytes)

    async def step(peer: Peer) -> None:
        held = b""
        while True:
            frame = await peer.frame()
            peer.frames.clear()
            await watch(peer)
            held += {"P": answer("1"), "B": answer("2"), "S": READY}.get(chr(frame.kind), b"")
            if chr(frame.kind) in "SH":
                await peer.write(held)
                held = b""

    async with WholeProxy(tmp_path, certificates, [step]) as proxy:
        async with await proxy.client() as client:
            await _bind_much(client, 20)
        await proxy.over()
    assert len(VALUE) < most < 2_500_000 + 2 * len(VALUE)


@pytest.mark.parametrize("end", ["goodbye", "gone", "window"])
async def test_when_a_session_ends_all_that_it_held_is_given_back_at_once(
    tmp_path: Path, certificates: Certificates, end: str
) -> None:
    async with WholeProxy(tmp_path, certificates, [serve]) as proxy:
        gc.collect()
        gc.disable()
        try:
            async with await proxy.client() as client:
                await client.send(query("BEGIN"))
                await client.frames("Z")
                await _bind_much(client, 3)
                if end == "goodbye":
                    await client.send(TERMINATE)
                    await client.ended()
                elif end == "window":
                    proxy.end_window()
                    await client.ended()
            await proxy.over()
            assert _in_cycles() == {}
        finally:
            gc.enable()


def _in_cycles() -> dict[str, int]:
    """The objects of pgjit that only a collection frees: compiled classes have no weak references to look at."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
    finally:
        gc.set_debug(0)
    kinds = [type(each) for each in gc.garbage]
    gc.garbage.clear()
    return Counter(kind.__qualname__ for kind in kinds if kind.__module__.startswith(("pgjit", "pgwire")))


async def test_an_identity_that_fills_the_journal_is_slowed_down_and_its_window_ends_on_time(
    tmp_path: Path, certificates: Certificates
) -> None:
    now = 0.0
    seen: list[bytes] = []

    async def step(peer: Peer) -> None:
        while True:
            frame = await peer.frame()
            seen.append(frame.body)
            await peer.write(answer("C", b"SELECT 1\0") + READY)

    async with WholeProxy(tmp_path, certificates, [step]) as proxy:
        proxy.services.journal_rate = RateLimit(rate=1, burst=100_000, steady=lambda: now)
        async with await proxy.client() as client:
            for text in ("SELECT 1", f"SELECT '{'x' * 200_000}'"):
                await client.send(query(text))
                await client.frames("Z")
            await client.send(query("SELECT 2"))
            while not proxy.services.journal_rate.wait(CONTEXT.identity.key):
                await asyncio.sleep(0)
            proxy.end_window()
            assert errors(await client.frames("E")) == [("FATAL", "57P01")]
        await proxy.over()
    assert len(seen) == 2
    assert proxy.records("session.ended")[0]["reason"] == "ttl"
