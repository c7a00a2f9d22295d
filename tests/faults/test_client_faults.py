"""A client that misbehaves or vanishes at any moment: its work is stopped, and nothing remains."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from pgjit.demo.certificates import Certificates
from pgjit.policy.policy import Preset
from pgjit.proxy.window import wait_until as alarm
from pgwire.messages.extended import sync
from tests.fakes.both_ends import answer, bind, close, error, execute, parse, query
from tests.fakes.scripted_client import ScriptedClient
from tests.fakes.scripted_server import Peer, Step, expect, send, until_left
from tests.fakes.scripted_server import answer as answering
from tests.fakes.whole_proxy import WholeProxy, errors, kinds
from tests.run.waiting import until

READY, BEGUN, FAILED = answer("Z", b"I"), answer("Z", b"T"), answer("Z", b"E")
COLUMNS, ROW, DONE = answer("T", b"\0\0"), answer("D", b"\0\1\0\0\0\x017"), answer("C", b"SELECT 1\0")
PARSED, BOUND = answer("1"), answer("2")
DATA = answer("d", b"1\t2\n")
TERMINATE = b"X\0\0\0\4"
CANCELLED = error("57014", "canceling statement due to user request")


def stopped() -> Step:
    """Like a real server: a statement runs until it is cancelled, and then fails with 57014."""

    async def step(peer: Peer) -> None:
        cancelled = asyncio.create_task(peer.cancelled.wait())
        leaving = asyncio.create_task(peer.reader.read())
        await asyncio.wait((cancelled, leaving), return_when=asyncio.FIRST_COMPLETED)
        cancelled.cancel()
        if peer.cancelled.is_set():
            await peer.write(CANCELLED + READY)
        await leaving

    return step


@dataclass(frozen=True)
class Moment:
    """The state of a session: what the client has sent and received, and the server's next steps."""

    asks: tuple[bytes, ...]  # each is sent when the one before was answered
    hears: tuple[str, ...]  # up to which type of message it listens after each
    does: tuple[Step, ...]
    outcomes: tuple[str, ...]  # when the session is stopped then
    idle: bool = False


MOMENTS = {
    "idle": Moment((sync(),), ("Z",), (expect("S"), send(READY), until_left()), (), idle=True),
    "running": Moment((query("SELECT 1"),), ("",), (expect("Q"), stopped()), ("failed",)),
    "mid-result": Moment(
        (query("SELECT 1"),), ("D",), (expect("Q"), send(COLUMNS + ROW), stopped()), ("failed",)
    ),
    "mid-row": Moment(
        (query("SELECT 1"),), ("T",), (expect("Q"), send(COLUMNS + ROW[:-1]), until_left()), ("cut",)
    ),
    "mid COPY in": Moment(
        (query("COPY t FROM STDIN"), DATA * 3), ("G", ""),
        (expect("Q"), send(answer("G", b"\0\0\0")), stopped()), ("failed",),
    ),
    "inside a message of COPY in": Moment(
        (query("COPY t FROM STDIN"), DATA + DATA[:-1]), ("G", ""),
        (expect("Q"), send(answer("G", b"\0\0\0")), until_left()), ("cut",),
    ),
    "COPY in that is not answered yet": Moment(
        (query("COPY t FROM STDIN") + DATA,), ("",), (expect("Q"), stopped()), ("failed",)
    ),
    "mid COPY out": Moment(
        (query("COPY t TO STDOUT"),), ("d",),
        (expect("Q"), send(answer("H", b"\0\0\0") + DATA), stopped()), ("failed",),
    ),
    "pipeline of 100": Moment(
        ((parse("SELECT 1") + bind() + execute() + sync()) * 100,), ("",),
        (expect("P"), until_left()), ("cut",) * 100,
    ),
    "in a transaction": Moment(
        (query("BEGIN"),), ("Z",), (expect("Q"), send(answer("C", b"BEGIN\0") + BEGUN), until_left()), ("completed",)
    ),
    "running in a transaction": Moment(
        (query("BEGIN"), query("INSERT INTO t VALUES (1)")), ("Z", ""),
        (expect("Q"), send(answer("C", b"BEGIN\0") + BEGUN), expect("Q"), stopped()), ("completed", "failed"),
    ),
    "suspended portal": Moment(
        (parse("SELECT 1") + bind() + execute(limit=1) + b"H\0\0\0\4",), ("s",),
        (*(expect(kind) for kind in "PBEH"), send(PARSED + BOUND + ROW + answer("s")), until_left()), ("suspended",),
        idle=True,  # nothing runs, and nothing is committed without a Sync
    ),
    "half a message": Moment(
        (query("SELECT 1")[:-3],), ("",), (until_left(),), ()
    ),
}  # fmt: skip


async def reach(proxy: WholeProxy, client: ScriptedClient, moment: Moment) -> None:
    """Be at that moment: the server has got to the last step of its script."""
    for said, heard in zip(moment.asks, moment.hears, strict=True):
        await client.send(said)
        if heard == "T":
            await client.receive()
        elif heard:
            await client.frames(heard)
    recorded = len(moment.outcomes)
    await until(lambda: len(proxy.records("execution")) >= recorded)


def of(proxy: WholeProxy, moment: Moment) -> tuple[str, ...]:
    """The outcomes. The server decides whether a statement's own error or the session's end comes first."""
    return tuple("failed" if one == "cut" else one for one in proxy.outcomes)


def expected(moment: Moment) -> tuple[str, ...]:
    return tuple("failed" if one == "cut" else one for one in moment.outcomes)


async def _closes(client: ScriptedClient) -> None:
    client._socket.close()


async def _resets(client: ScriptedClient) -> None:
    client.reset()


async def _notifies(client: ScriptedClient) -> None:
    """TLS close_notify, and the socket stays open."""
    assert client._tls is not None
    with contextlib.suppress(ssl.SSLError):  # it would wait for the other side's
        client._tls.unwrap()
    await client.send_raw(client._outgoing.read())


async def _alerts(client: ScriptedClient) -> None:
    """What is no TLS record of this connection."""
    await client.send_raw(b"\x15\x03\x03\x00\x02\x02\x50")


LEAVING: dict[str, Callable[[ScriptedClient], Awaitable[None]]] = {
    "closes": _closes,
    "resets": _resets,
    "says close_notify": _notifies,
    "sends a broken TLS record": _alerts,
}


def _departures() -> Iterator[ParameterSet]:
    """In each run: every moment with a reset and with one of the other ways, and every way while a statement runs."""
    others = itertools.cycle(how for how in LEAVING if how != "resets")
    for when in MOMENTS:
        another = next(others)
        for how in LEAVING:
            always = how in ("resets", another) or when in ("idle", "running")
            yield pytest.param(when, how, id=f"{when}-{how}", marks=() if always else pytest.mark.slow)


@pytest.mark.parametrize(("when", "how"), list(_departures()))
async def test_a_client_that_vanishes_leaves_nothing_running(
    when: str, how: str, tmp_path: Path, certificates: Certificates
) -> None:
    moment = MOMENTS[when]
    async with WholeProxy(tmp_path, certificates, moment.does, preset=Preset.FULL) as proxy:
        async with await proxy.client() as client:
            await reach(proxy, client, moment)
            await LEAVING[how](client)
            await proxy.over()
        assert of(proxy, moment) == expected(moment)
        assert proxy.session_ended["reason"] == "client-gone"
        assert proxy.session_ended["proof"]["gone"]


@pytest.mark.parametrize(
    "when", [name for name in MOMENTS if name not in ("half a message", "inside a message of COPY in")]
)
async def test_a_terminate_message_stops_the_running_statement(
    when: str, tmp_path: Path, certificates: Certificates
) -> None:
    moment = MOMENTS[when]
    async with WholeProxy(tmp_path, certificates, moment.does, preset=Preset.FULL) as proxy:
        async with await proxy.client() as client:
            await reach(proxy, client, moment)
            await client.send(TERMINATE)
            if when == "COPY in that is not answered yet":
                await _closes(client)  # the goodbye itself has to wait there
            else:
                await client.frames()
        await proxy.over()
        assert of(proxy, moment) == expected(moment)
        assert proxy.session_ended["reason"] in ("client", "client-gone")
        assert (proxy.session_ended["proof"] is None) is moment.idle


TERMINATED_AT_ONCE = {"pipeline of 100", "idle", "in a transaction", "suspended portal", "half a message"}
"""One cancel would not end what is with the server, or nothing is there that a cancel could end."""


@pytest.mark.parametrize("when", MOMENTS)
async def test_the_end_of_the_window_ends_it_with_proof(
    when: str, tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm, "_TICK", 0.01)
    moment = MOMENTS[when]
    async with WholeProxy(tmp_path, certificates, moment.does, preset=Preset.FULL) as proxy:
        async with await proxy.client() as client:
            await reach(proxy, client, moment)
            if when == "mid-row":
                proxy.server.termination_error = b""
            proxy.end_window()
            async with asyncio.timeout(60):
                heard = await client.frames()
        await proxy.over()
        received_errors = errors(heard)
        if when == "mid-row":
            assert received_errors == [], "no error can be sent inside a message"
        else:
            assert received_errors[-1:] == [("FATAL", "57P01")]
            assert received_errors[:-1] in ([], [("ERROR", "57014")])
        assert of(proxy, moment) == expected(moment)
        assert proxy.session_ended["reason"] == "ttl"
        assert proxy.session_ended["proof"]["gone"]
        assert proxy.session_ended["proof"]["cancel_sent"] is (when not in TERMINATED_AT_ONCE)


GARBAGE = {
    "no message": b"\0\0\0\0\0\0\0\0",
    "a length of 0": b"Q\0\0\0\0",
    "a length of 3": b"Q\0\0\0\3",
    "a negative length": b"Q\xff\xff\xff\xff",
    "a length past every limit": b"Q\x7f\xff\xff\xff",
    "a small message that is large": b"S\0\1\0\0",
    "an unknown type": answer("~"),
    "a message of the server's": answer("Z", b"I"),
    "a password": answer("p", b"x\0"),
    "text without an end": answer("Q", b"SELECT 1"),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "a startup message": b"\0\0\0\x08\0\3\0\0",
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_ends_the_session_with_one_error(name: str, tmp_path: Path, certificates: Certificates) -> None:
    async with WholeProxy(tmp_path, certificates, [until_left()]) as proxy:
        async with await proxy.client() as client:
            await client.send(GARBAGE[name])
            async with asyncio.timeout(60):
                heard = await client.frames()
        await proxy.over()
        assert errors(heard) == [("FATAL", "08P01")]
        assert kinds(heard) == "E"
        assert proxy.session_ended["reason"] == "protocol"
        assert proxy.server.sessions[4200].rest == b"", "nothing of it reached the server"


async def test_a_client_that_does_not_read_and_vanishes(tmp_path: Path, certificates: Certificates) -> None:
    full = asyncio.Event()

    async def flood(peer: Peer) -> None:
        while not peer.cancelled.is_set():
            peer.writer.write(ROW * 10_000)
            if peer.writer.transport.get_write_buffer_size() > 1 << 20:
                full.set()
            try:
                await asyncio.wait_for(peer.writer.drain(), 0.05)
            except TimeoutError:
                full.set()
        await until_left()(peer)

    async with WholeProxy(tmp_path, certificates, [expect("Q"), send(COLUMNS), flood]) as proxy:
        client = await proxy.client()
        await client.send(query("SELECT 1"))
        async with asyncio.timeout(60):
            await full.wait()
        client.reset()
        await proxy.over()
        assert proxy.outcomes == ["cut"]
        assert proxy.session_ended["reason"] == "client-gone"


async def test_a_refusal_in_each_of_several_segments(tmp_path: Path, certificates: Certificates) -> None:
    """In each: one that runs, one that is refused, one that is passed over, and the Sync of its own."""
    segments = 5
    segment = b"".join(
        [parse(text) + bind() + execute() for text in ("SELECT 1", "DELETE FROM t", "SELECT 2")]
    ) + sync()  # fmt: skip

    async def play(peer: Peer) -> None:
        for _ in range(segments):
            for kind in "PBE":
                await expect(kind)(peer)
            await expect("P")(peer)
            token = peer.last.body.split(b"\0")[1].decode()
            assert token.startswith("pgjit_deny_")
            await expect("S")(peer)
            await peer.write(
                PARSED + BOUND + ROW + DONE + error("42601", f'syntax error at or near "{token}"') + READY
            )
        await until_left()(peer)

    async with WholeProxy(tmp_path, certificates, [play]) as proxy:
        async with await proxy.client() as client:
            await client.send(segment * segments)
            heard = [frame for _ in range(segments) for frame in await client.frames("Z")]
            await client.send(TERMINATE)
            assert await client.ended()
        await proxy.over()
        assert kinds(heard) == "12DCEZ" * segments
        assert errors(heard) == [("ERROR", "42501")] * segments
        assert proxy.outcomes == ["completed", "refused"] * segments


async def test_long_names_and_portals_that_are_suspended_resumed_and_closed(
    tmp_path: Path, certificates: Certificates
) -> None:
    """The server truncates names at 63 bytes: the recorded statement is the one that runs."""
    name = b"n" * 63
    asks = (
        parse("SELECT 1", name + b"first") + bind(name + b"other", b"p" * 70) + execute(b"p" * 80, 1)
        + execute(b"p" * 63, 1) + close("P", b"p" * 64) + close("S", name) + sync()
    )  # fmt: skip
    says = PARSED + BOUND + ROW + answer("s") + ROW + DONE + answer("3") * 2 + READY
    steps = [*(expect(kind) for kind in "PBEECCS"), send(says), until_left()]
    async with WholeProxy(tmp_path, certificates, steps) as proxy:
        async with await proxy.client() as client:
            await client.send(asks)
            assert kinds(await client.frames("Z")) == "12DsDC33Z"
            await client.send(TERMINATE)
            assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["suspended", "completed"]
        assert [record["statement"] for record in proxy.records("execution")] == ["SELECT 1"] * 2


@pytest.mark.parametrize("kind", ["statement", "portal"])
async def test_a_closed_name_is_refused_afterwards(kind: str, tmp_path: Path, certificates: Certificates) -> None:
    code, again = ("S", bind(b"s", b"p")) if kind == "statement" else ("P", execute(b"p"))
    asks = parse("SELECT 1", b"s") + bind(b"s", b"p") + close(code, b"s" if code == "S" else b"p") + again + sync()

    def rejected(peer: Peer) -> bytes:
        token = peer.frames[-2].body.split(b"\0")[1].decode()
        return PARSED + BOUND + answer("3") + error("42601", f'at "{token}"') + READY

    steps = [*(expect(kind) for kind in "PBCPS"), answering(rejected), until_left()]
    async with WholeProxy(tmp_path, certificates, steps) as proxy:
        async with await proxy.client() as client:
            await client.send(asks)
            heard = await client.frames("Z")
            assert kinds(heard) == "123EZ"
            assert errors(heard) == [("ERROR", "26000" if kind == "statement" else "34000")]
            await client.send(TERMINATE)
            assert await client.ended()
        await proxy.over()
        assert proxy.outcomes == ["refused"]
