"""A server that plays a script over real sockets: it expects, sends, and cuts connections.

    async with ScriptedServer([tls(context), startup(), send(OK, KEY, READY), until_left()]) as server:
        ...  # connect to 127.0.0.1, server.port
        assert server.peers[0].startup.parameters["user"] == "ann"

Each connection plays the whole script. With `ScriptedServer(first, second)` the first connection plays `first`, and
all later ones play `second`. A failed expectation fails the test when the block is left. A custom step is an `async
def step(peer: Peer) -> None`.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from pgwire.framing import Frame
from pgwire.messages.query import error_response, parameter_status, ready_for_query
from pgwire.messages.startup import (
    CancelRequest,
    EncryptionRequest,
    OtherVersion,
    StartupMessage,
    decode_startup,
    startup_length,
)
from pgwire.reader import message

__all__ = [
    "KEY",
    "OK",
    "READY",
    "Peer",
    "ScriptedServer",
    "Step",
    "answer",
    "authentication",
    "cancel_request",
    "close",
    "cut",
    "expect",
    "fatal",
    "notice",
    "send",
    "startup",
    "status",
    "tls",
    "until_left",
]


class Peer:
    """One connection, with the messages it received so far."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.startup = StartupMessage(0, 0, {})
        self.cancel: CancelRequest | None = None
        self.frames: list[Frame] = []
        self.left = asyncio.Event()  # set when the connection is over
        self.cancelled = asyncio.Event()  # set by scripts of several connections: a CancelRequest had this one's key
        self.rest = b""  # bytes received after the script's last expectation

    @property
    def last(self) -> Frame:
        return self.frames[-1]

    async def first_message(self) -> StartupMessage | OtherVersion | CancelRequest | EncryptionRequest:
        return decode_startup(await self.reader.readexactly(startup_length(await self.reader.readexactly(4))))

    async def frame(self) -> Frame:
        head = await self.reader.readexactly(5)
        body = await self.reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
        self.frames.append(Frame(head[0], head + body))
        return self.last

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Step = Callable[[Peer], Awaitable[None]]

# --- messages of a server during a login ---


def authentication(code: int, data: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!i", code), data)


OK = authentication(0)
KEY = message(b"K", struct.pack("!ii", 4242, 0x5EC4E7))
READY = ready_for_query(b"I")


def status(name: str, value: str) -> bytes:
    return parameter_status(name, value)


def fatal(sqlstate: str, text: str) -> bytes:
    return error_response({"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": text})


def notice(text: str) -> bytes:
    return error_response({"S": "NOTICE", "V": "NOTICE", "C": "00000", "M": text}, notice=True)


# --- steps ---


def tls(context: ssl.SSLContext) -> Step:
    """Expect an SSLRequest, accept it, and continue inside TLS."""

    async def step(peer: Peer) -> None:
        assert await peer.first_message() == EncryptionRequest(gss=False)
        await peer.write(b"S")
        plain = peer.writer.transport
        try:
            await peer.writer.start_tls(context)
        except AttributeError:  # asyncio of Python 3.11 reports in this way that the peer left in the handshake
            peer.writer._transport = plain  # type: ignore[attr-defined]
            raise ConnectionResetError from None

    return step


def startup() -> Step:
    async def step(peer: Peer) -> None:
        first = await peer.first_message()
        assert isinstance(first, StartupMessage), first
        peer.startup = first

    return step


def cancel_request() -> Step:
    async def step(peer: Peer) -> None:
        first = await peer.first_message()
        assert isinstance(first, CancelRequest), first
        peer.cancel = first

    return step


def expect(kind: str) -> Step:
    """The next message must have this type; it becomes `peer.last`."""

    async def step(peer: Peer) -> None:
        frame = await peer.frame()
        assert chr(frame.kind) == kind, frame

    return step


def send(*messages: bytes) -> Step:
    async def step(peer: Peer) -> None:
        await peer.write(b"".join(messages))

    return step


def answer(make: Callable[[Peer], bytes]) -> Step:
    """Send the bytes that `make` returns for the messages so far."""

    async def step(peer: Peer) -> None:
        await peer.write(make(peer))

    return step


def cut(data: bytes, at: int) -> Step:
    """Send the first `at` bytes and end the connection."""

    async def step(peer: Peer) -> None:
        await peer.write(data[:at])
        peer.writer.close()

    return step


def close(*, reset: bool = False) -> Step:
    async def step(peer: Peer) -> None:
        if reset:
            peer.writer.transport.abort()
        else:
            peer.writer.close()

    return step


def until_left() -> Step:
    """Send nothing more until the other side has closed; bytes that still arrive are in `peer.rest`."""

    async def step(peer: Peer) -> None:
        try:
            peer.rest = await peer.reader.read()
        except OSError:
            peer.rest = b""

    return step


class ScriptedServer:
    def __init__(self, *scripts: Sequence[Step], host: str = "127.0.0.1", path: str | None = None) -> None:
        """`path`: a Unix socket in place of a TCP port."""
        self.peers: list[Peer] = []
        self.port = 0
        self.faults: list[BaseException] = []
        self._scripts = scripts
        self._host, self._path = host, path
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._accept, self._path)
        else:
            self._server = await asyncio.start_server(self._accept, self._host, 0)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: object, *exc: object) -> None:
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=60)
            assert not running, "a script did not end with its connection"
        if kind is None and self.faults:
            raise self.faults[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        task = asyncio.get_running_loop().create_task(self._play(peer, script))
        self._tasks.add(task)

    async def _play(self, peer: Peer, script: Sequence[Step]) -> None:
        try:
            for step in script:
                await step(peer)
        except (asyncio.IncompleteReadError, OSError):
            pass  # the other side has gone; the test decides whether that is right
        except Exception as fault:  # noqa: BLE001 - raised again when the block is left
            self.faults.append(fault)
        finally:
            peer.writer.close()
            peer.left.set()
