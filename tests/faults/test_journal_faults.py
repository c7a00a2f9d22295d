"""A journal that fails in the middle of a session: nothing new runs, and outcomes are recorded later."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from pgjit.audit.sinks import SegmentSink
from pgjit.demo.certificates import Certificates
from pgjit.policy.policy import Preset
from pgjit.proxy import record_waits
from pgwire.messages.extended import sync
from tests.fakes.both_ends import answer, bind, error, execute, parse, query
from tests.fakes.scripted_server import Peer, expect, send, until_left
from tests.fakes.whole_proxy import WholeProxy, errors, kinds
from tests.run.waiting import until

READY = answer("Z", b"I")
DONE = answer("1") + answer("2") + answer("C", b"SELECT 1\0") + READY
SEGMENT = parse("SELECT 1") + bind() + execute() + sync()
TERMINATE = b"X\0\0\0\4"


class Disk(SegmentSink):
    full = False

    def append(self, lines: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(lines)


def disk_of(proxy: WholeProxy) -> Disk:
    assert isinstance(proxy.sink, Disk)
    return proxy.sink


async def test_in_the_middle_of_pipelined_work(tmp_path: Path, certificates: Certificates) -> None:
    """What was recorded runs on; what comes now is refused in its place; what comes later runs again."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        for kind in "PBES":
            await expect(kind)(peer)
        await go_on.wait()
        for kind in "PBPS":  # Parse and Bind run nothing; in the Execute's place is what must be rejected
            await expect(kind)(peer)
        token = peer.frames[-2].body.split(b"\0")[1].decode()
        assert token.startswith("pgjit_deny_")
        await peer.write(DONE + answer("1") + answer("2") + error("42601", f'at "{token}"') + READY)
        for kind in "PBES":
            await expect(kind)(peer)
        await peer.write(DONE)
        await until_left()(peer)

    async with WholeProxy(tmp_path, certificates, [play], sink=Disk) as proxy:
        async with await proxy.client() as client:
            await client.send(SEGMENT)
            await until(lambda: proxy.records("execution"))
            disk_of(proxy).full = True
            await client.send(SEGMENT)
            go_on.set()
            heard = await client.frames("Z") + await client.frames("Z")
            assert kinds(heard) == "12CZ12EZ"
            assert errors(heard) == [("ERROR", "58030")]
            assert proxy.records("outcome") == []
            disk_of(proxy).full = False
            await client.send(SEGMENT)
            assert kinds(await client.frames("Z")) == "12CZ"
            await client.send(TERMINATE)
            assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["completed", "completed"]


@pytest.mark.parametrize("full", [False, True])
async def test_a_write_that_two_sessions_share(full: bool, tmp_path: Path, certificates: Certificates) -> None:
    """Nothing of either is sent before it, and both are refused if it fails."""
    seen: list[str] = []

    async def play(peer: Peer) -> None:
        await expect("Q")(peer)
        text = peer.frames[-1].body[:-1].decode()
        seen.append(text)
        token = text.split("\0")[0]
        await peer.write(error("42601", f'at "{token}"') + READY if full else answer("C", b"SELECT 1\0") + READY)
        await until_left()(peer)

    async with WholeProxy(tmp_path, certificates, [play], sink=Disk) as proxy:
        group = proxy.services.journal._group
        async with await proxy.client() as one, await proxy.client() as other:
            group._planned = True
            before = proxy.services.journal.seq  # to read the records would write them
            disk_of(proxy).full = full
            for client in (one, other):
                await client.send(query("SELECT 1"))
            await until(lambda: len(group._waiting) == 2)
            assert (seen, proxy.services.journal.seq) == ([], before)
            group._end_turn()
            for client in (one, other):
                heard = await client.frames("Z")
                assert errors(heard) == ([("ERROR", "58030")] if full else [])
            assert len(seen) == 2
            assert ("SELECT 1" in seen) is not full
            disk_of(proxy).full = False
            for client in (one, other):
                await client.send(TERMINATE)
                assert await client.ended()
        async with asyncio.timeout(60):
            await until(lambda: not proxy.listener.connections)
        assert proxy.outcomes == ([] if full else ["completed", "completed"])


async def test_during_a_copy(tmp_path: Path, certificates: Certificates) -> None:
    steps = [
        expect("Q"), send(answer("G", b"\0\0\0")), expect("d"), expect("d"), expect("c"),
        send(answer("C", b"COPY 2\0") + READY), until_left(),
    ]  # fmt: skip
    async with WholeProxy(tmp_path, certificates, steps, sink=Disk, preset=Preset.READ_WRITE) as proxy:
        async with await proxy.client() as client:
            await client.send(query("COPY t FROM STDIN"))
            await client.frames("G")
            disk_of(proxy).full = True
            await client.send(answer("d", b"1\n") * 2 + answer("c"))
            assert kinds(await client.frames("Z")) == "CZ"
            disk_of(proxy).full = False
            await client.send(TERMINATE)
            assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["completed"]


@pytest.mark.parametrize("how", ["goodbye", "gone", "window"])
async def test_at_the_end_of_a_session(
    how: str, tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is disconnected at once; the session waits for the journal, and records its end later."""
    monkeypatch.setattr(record_waits, "_SETTLE_SECONDS", 30)
    async with WholeProxy(tmp_path, certificates, [expect("S"), send(READY), until_left()], sink=Disk) as proxy:
        async with await proxy.client() as client:
            await client.send(sync())
            await client.frames("Z")
            disk_of(proxy).full = True
            if how == "goodbye":
                await client.send(TERMINATE)
            elif how == "window":
                proxy.end_window()
            if how != "gone":
                async with asyncio.timeout(60):
                    assert errors(await client.frames()) == ([("FATAL", "57P01")] if how == "window" else [])
        [peer] = proxy.server.sessions.values()
        async with asyncio.timeout(60):
            await peer.left.wait()
        assert len(proxy.services.registry) == 1
        disk_of(proxy).full = False
        await proxy.over()
        assert proxy.session_ended["reason"] == {"goodbye": "client", "gone": "client-gone", "window": "ttl"}[how]


async def test_for_good(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(record_waits, "_SETTLE_SECONDS", 0.2)
    async with WholeProxy(tmp_path, certificates, [until_left()], sink=Disk) as proxy:
        async with await proxy.client() as client:
            disk_of(proxy).full = True
            await client.send(TERMINATE)
            assert await client.ended()
        async with asyncio.timeout(60):
            await until(lambda: not proxy.listener.connections)
        assert len(proxy.services.registry) == len(proxy.services.identity_quota) == 0
        assert "the end of a session could not be recorded" in caplog.text
        assert not proxy.left_over()
        disk_of(proxy).full = False
