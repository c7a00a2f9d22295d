"""A server that plays a script over real sockets: what it expects, what it sends, where it cuts.

    async with ScriptedServer([tls(context), startup(), send(OK, KEY, READY), until_left()]) as server:
        ...  # connect to 127.0.0.1, server.port
        assert server.peers[0].startup.parameters["user"] == "ann"

Each connection plays the whole script; `ScriptedServer(first, second)` gives each of the first connections a script
of its own and the last one to all that follow. A step that does not see what it expects fails the test when the
block is left. For a step of one's own write `async def step(peer: Peer) -> None`.
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
    """One connection: what came on it so far."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.startup = StartupMessage(0, 0, {})
        self.cancel: CancelRequest | None = None
        self.frames: list[Frame] = []
        self.left = asyncio.Event()  # set when the connection is over
        self.cancelled = asyncio.Event()  # for who plays several connections: a CancelRequest named this one
        self.rest = b""  # what came after the script's last expectation

    @property
    def last(self) -> Frame:
        return self.frames[-1]

    async def opening(self) -> StartupMessage | OtherVersion | CancelRequest | EncryptionRequest:
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

# --- what a server sends during a login ---


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
    """Expect an SSLRequest, agree, and go on inside TLS."""

    async def step(peer: Peer) -> None:
        assert await peer.opening() == EncryptionRequest(gss=False)
        await peer.write(b"S")
        plain = peer.writer.transport
        try:
            await peer.writer.start_tls(context)
        except AttributeError:  # how asyncio of Python 3.11 says that the other side left in the handshake
            peer.writer._transport = plain  # type: ignore[attr-defined]
            raise ConnectionResetError from None

    return step


def startup() -> Step:
    async def step(peer: Peer) -> None:
        opening = await peer.opening()
        assert isinstance(opening, StartupMessage), opening
        peer.startup = opening

    return step


def cancel_request() -> Step:
    async def step(peer: Peer) -> None:
        opening = await peer.opening()
        assert isinstance(opening, CancelRequest), opening
        peer.cancel = opening

    return step


def expect(kind: str) -> Step:
    """The next message is of this type; it is `peer.last` then."""

    async def step(peer: Peer) -> None:
        frame = await peer.frame()
        assert chr(frame.kind) == kind, frame

    return step


def send(*messages: bytes) -> Step:
    async def step(peer: Peer) -> None:
        await peer.write(b"".join(messages))

    return step


def answer(make: Callable[[Peer], bytes]) -> Step:
    """Send what `make` gives for what has come so far."""

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
    """Say nothing more until the other side has closed; what still comes is in `peer.rest`."""

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
            _, running = await asyncio.wait(self._tasks, timeout=5)
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
            pass  # the other side has gone: whether it should have is for the test to say
        except Exception as fault:  # noqa: BLE001 - raised again when the block is left
            self.faults.append(fault)
        finally:
            peer.writer.close()
            peer.left.set()
