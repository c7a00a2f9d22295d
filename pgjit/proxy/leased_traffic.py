"""Holds back what a lease does not cover: a session's messages and results wait until more of the budget is leased.

Decides only about waiting. `relay/budget.py` decides whether a limit is exceeded, with what is leased by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

from pgjit.proxy.window.leases import WindowLease
from pgjit.server.link import Link
from pgwire.framing import Frame

__all__ = ["LeasedTraffic"]

_RUNNING = b"QPEF"  # messages that count statements: those that run, and those that may be refused
_SEMICOLON = b";"


class StreamPiece(Protocol):
    """A piece of the server's stream."""

    @property
    def rows(self) -> int:
        """How many rows it may count, at most."""

    @property
    def bytes(self) -> int:
        """How many bytes it may count, at most."""


P = TypeVar("P", bound=StreamPiece)


class LeasedTraffic(Generic[P]):
    """`over`: the session's end; from then on nothing waits."""

    def __init__(
        self,
        lease: WindowLease | None,
        over: asyncio.Future[Any],
        server: Link,
        scan: Callable[[bytes], P],
        process: Callable[[P], None],
        left: Callable[[], None],
    ) -> None:
        self._lease = lease
        self._over = over
        self._server = server
        self._scan = scan
        self._process = process
        self._left = left
        self._held: list[bytes] | None = None  # what the server has sent since a result waits
        self._server_left = False
        self._waiting: asyncio.Task[None] | None = None

    def covers(self, frames: Sequence[Frame]) -> bool:
        """Whether the statements of these messages are leased."""
        if self._lease is None:
            return True
        statements = _statements(frames)
        # A row and a byte too: the statement is refused if none is left, though more could be leased.
        return not statements or self._lease.covers(rows=1, size=1, statements=statements)

    async def before(self, frames: Sequence[Frame]) -> None:
        """Wait until the statements of these messages are leased, or cannot be.

        What was leased while this session waited may be spent before its turn comes, by others that waited too. So it
        looks again: what `covers` allows is counted before any other session runs.
        """
        while self._lease is not None and not self._over.done() and not self.covers(frames):
            await self._or_over(self._lease.extend(rows=1, size=1, statements=_statements(frames)))

    def from_server(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        scanned = self._scan(data)
        lease = self._lease
        if lease is None or self._over.done() or lease.covers(rows=scanned.rows, size=scanned.bytes):
            self._process(scanned)
            return
        self._held = []
        self._server.pause("lease")
        self._waiting = asyncio.create_task(self._process_later(lease, scanned))

    def server_left(self) -> None:
        if self._held is not None:
            self._server_left = True
        else:
            self._left()

    def close(self) -> None:
        """Nothing is processed any more, and the callbacks need not be held."""
        self._process = lambda _: None
        self._left = lambda: None

    async def _process_later(self, lease: WindowLease, scanned: P) -> None:
        while not self._over.done() and not lease.covers(rows=scanned.rows, size=scanned.bytes):
            await self._or_over(lease.extend(rows=scanned.rows, size=scanned.bytes))
        held, self._held = self._held or [], None
        self._process(scanned)
        self._server.resume("lease")
        for data in held:
            self.from_server(data)
        if self._server_left:
            self._server_left = False
            self.server_left()

    async def _or_over(self, extending: Coroutine[None, None, None]) -> None:
        """An extension that is under way at the end goes on by itself: the store knows what it granted."""
        task = asyncio.ensure_future(extending)
        await asyncio.wait((task, self._over), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()


def _statements(frames: Sequence[Frame]) -> int:
    """How many statements these messages may run."""
    return sum(1 + bytes(each.raw).count(_SEMICOLON) for each in frames if each.kind in _RUNNING)
