"""What the client sends, between its link and the server's: held while something is waited for, in order, bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pgjit.demo.certificates import Certificates, make_certificates
from pgjit.judging.judge import Judge, Judgement
from pgjit.policy.policy import Preset
from pgjit.proxy.relay.client_traffic import ClientTraffic
from pgjit.server.link import HIGH_WATER
from tests.fakes.both_ends import answer, query
from tests.fakes.scripted_server import Peer
from tests.fakes.whole_proxy import WholeProxy, errors, kinds
from tests.run.waiting import a_while, until

READY, DONE = answer("Z", b"I"), answer("C", b"SELECT 1\0")
TERMINATE = b"X\0\0\0\4"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


class Server:
    """Answers each Query at once, and keeps them."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        while (frame := await peer.frame()).kind == ord("Q"):
            self.seen.append(frame.body.rstrip(b"\0"))
            await peer.write(DONE + READY)
            peer.frames.clear()


def traffic_of(proxy: WholeProxy) -> ClientTraffic:
    live = proxy.session._live
    assert live is not None
    return live.pump._from_client


class SlowJudging:
    """The judge's worker answers when `goes_on` is set. `text` is judged by it."""

    def __init__(self, proxy: WholeProxy) -> None:
        self.goes_on = asyncio.Event()
        self.begun = asyncio.Event()
        self.text = "SELECT " + ", ".join(["1"] * 8_000)
        workers = proxy.services.judge_workers
        self._assess = workers.assess
        workers.assess = self._later  # type: ignore[method-assign, assignment]

    async def _later(self, *arguments: Any) -> Judgement:
        self.begun.set()
        await self.goes_on.wait()
        return await self._assess(*arguments)


async def test_messages_that_come_while_one_waits_are_held_and_keep_their_order(
    tmp_path: Path, certificates: Certificates
) -> None:
    server = Server()
    async with WholeProxy(tmp_path, certificates, [server]) as proxy, await proxy.client() as client:
        judging = SlowJudging(proxy)
        await client.send(query(judging.text) + query("SELECT 1"))
        await judging.begun.wait()
        traffic = traffic_of(proxy)
        for number in (2, 3):
            await client.send(query(f"SELECT {number}"))
            await until(lambda number=number: len(traffic._held) == number - 1)  # type: ignore[misc]
        assert server.seen == []
        judging.goes_on.set()
        for _ in range(4):
            assert kinds(await client.frames("Z")) == "CZ"
        assert not traffic._busy
        await client.send(query("SELECT 4"))
        await client.frames("Z")
        await client.send(TERMINATE)
        await proxy.over()
        assert proxy.outcomes == ["completed"] * 5
        assert proxy.session_ended["reason"] == "client"
    assert [text[:8] for text in server.seen] == [b"SELECT 1"] * 2 + [b"SELECT 2", b"SELECT 3", b"SELECT 4"]


async def test_what_is_held_is_bounded_and_the_client_waits(tmp_path: Path, certificates: Certificates) -> None:
    server = Server()
    async with WholeProxy(tmp_path, certificates, [server]) as proxy, await proxy.client() as client:
        judging = SlowJudging(proxy)
        await client.send(query(judging.text))
        await judging.begun.wait()
        traffic = traffic_of(proxy)
        client.piece = 65536
        text = "SELECT 1 /*" + "x" * 10_000 + "*/"
        sending = asyncio.create_task(client.send(query(text) * 1_000))
        await until(lambda: "held" in traffic._client._pause_reasons)
        held = traffic._held_size
        await a_while(0.05)
        assert HIGH_WATER < traffic._held_size == held <= 2 * HIGH_WATER
        judging.goes_on.set()
        for _ in range(1_001):
            await client.frames("Z")
        await sending
        await client.send(TERMINATE)
        await proxy.over()
    assert len(server.seen) == 1_001


@pytest.mark.parametrize("how", ["closes", "resets"])
async def test_a_client_that_leaves_while_a_message_waits_ends_its_session(
    tmp_path: Path, certificates: Certificates, how: str
) -> None:
    server = Server()
    async with WholeProxy(tmp_path, certificates, [server]) as proxy:
        judging = SlowJudging(proxy)
        async with await proxy.client() as client:
            await client.send(query(judging.text))
            await judging.begun.wait()
            await client.send(query("SELECT 1"))
            if how == "resets":
                client.reset()
        await proxy.over()
        assert proxy.session_ended["reason"] == "client-gone"
        assert proxy.records("execution") == []
    assert server.seen == []


@pytest.mark.parametrize("at", ["judging", "sending"])
async def test_a_fault_of_the_proxy_ends_the_session_and_nothing_is_sent(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    server = Server()
    async with WholeProxy(tmp_path, certificates, [server]) as proxy, await proxy.client() as client:
        traffic = traffic_of(proxy)
        if at == "judging":
            monkeypatch.setattr(Judge, "judge_inline", fail)
        else:
            monkeypatch.setattr(traffic, "_counts", None)  # the first that is used between the record and the server
        await client.send(query("SELECT 1"))
        assert errors(await client.frames("E")) == [("FATAL", "08P01")]
        await proxy.over()
        assert proxy.session_ended["reason"] == "fault"
    assert server.seen == []


async def test_messages_behind_a_goodbye_are_not_sent(tmp_path: Path, certificates: Certificates) -> None:
    server = Server()
    async with WholeProxy(tmp_path, certificates, [server]) as proxy, await proxy.client() as client:
        await client.send(query("SELECT 1") + TERMINATE + query("SELECT 2"))
        await proxy.over()
        assert len(proxy.records("execution")) == 1
    assert server.seen == [b"SELECT 1"]


async def test_a_session_that_leaves_within_a_data_message_says_nothing_in_it(
    tmp_path: Path, certificates: Certificates
) -> None:
    """The server would take a CopyFail for the rest of the data."""
    received = bytearray()

    async def copies(peer: Peer) -> None:
        assert (await peer.frame()).kind == ord("Q")
        await peer.write(answer("G", b"\0\0\0"))
        while data := await peer.reader.read(1024):
            received.extend(data)

    whole = answer("d", b"1" * 99 + b"\n")
    async with WholeProxy(tmp_path, certificates, [copies], preset=Preset.READ_WRITE) as proxy:
        async with await proxy.client() as client:
            await client.send(query("COPY t FROM STDIN"))
            await client.frames("G")
            await client.send(whole[:20])
            await until(lambda: len(received) == 20)
            traffic = traffic_of(proxy)
            leaving = asyncio.create_task(proxy.session.leave("terms-changed", 60))
            await until(lambda: traffic._stopped)
            await client.send(whole[20:] + answer("c"))
            await until(lambda: traffic._held or not traffic.inside_data)
            assert traffic.inside_data
            await proxy.session.end("terms-changed")
            await leaving
        await proxy.over()
        assert proxy.outcomes == ["cut"]
    assert bytes(received) == whole[:20]


async def test_a_client_of_a_session_that_leaves_may_go_first(tmp_path: Path, certificates: Certificates) -> None:
    async def copies(peer: Peer) -> None:
        await peer.frame()
        await peer.write(answer("G", b"\0\0\0"))
        while await peer.reader.read(1024):
            pass

    async with WholeProxy(tmp_path, certificates, [copies], preset=Preset.READ_WRITE) as proxy:
        async with await proxy.client() as client:
            await client.send(query("COPY t FROM STDIN"))
            await client.frames("G")
            leaving = asyncio.create_task(proxy.session.leave("terms-changed", 600))
            await until(lambda: traffic_of(proxy)._stopped)
            await client.send(answer("d", b"1\n"))
        await proxy.over()
        await leaving
        assert proxy.session_ended["reason"] == "client-gone"


class SlowDisk:
    """The journal's records reach the disk when `goes_on` is set. `begun`: one waits for it."""

    def __init__(self, proxy: WholeProxy) -> None:
        self.begun, self.goes_on = asyncio.Event(), asyncio.Event()
        self._flush = proxy.services.journal.flush
        proxy.services.flush_before_forward = True
        proxy.services.journal.flush = self._later  # type: ignore[method-assign]

    async def _later(self) -> None:
        self.begun.set()
        await self.goes_on.wait()
        await self._flush()


@pytest.mark.parametrize("how", ["cut off", "held"])
async def test_a_statement_whose_record_waits_for_the_disk_is_not_forwarded_once_its_session_is_cut_off(
    how: str, tmp_path: Path, certificates: Certificates
) -> None:
    server = Server()
    async with WholeProxy(tmp_path, certificates, [server]) as proxy:
        disk = SlowDisk(proxy)
        async with await proxy.client() as client:
            session = proxy.session
            await client.send(query("SELECT 1"))
            await disk.begun.wait()
            assert len(proxy.records("execution")) == 1
            if how == "cut off":
                session.cut_off()
            else:
                session.hold()
            disk.goes_on.set()
            records = traffic_of(proxy)._records
            await until(lambda: not records._flushing)
            if how == "held":
                assert kinds(await client.frames("Z")) == "CZ"
            await session.end("revoked")
            async with asyncio.timeout(60):
                assert errors(await client.frames()) == [("FATAL", "57P01")]
            await proxy.over()
        assert proxy.outcomes == (["cut"] if how == "cut off" else ["completed"])
    assert server.seen == ([] if how == "cut off" else [b"SELECT 1"])
