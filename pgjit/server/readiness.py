"""Which sockets can be read or written: one epoll object for all sessions of an event loop, which the loop watches.

The loop's own `add_reader` does not fit here. After a reset uvloop calls a reader once and then never again, so an
error behind unread data stays unseen; and it cannot report a disconnect while reading is paused. Knows descriptors
and handlers; decides nothing about the bytes.
"""

from __future__ import annotations

import asyncio
import contextvars
import select
import selectors
import time
from collections.abc import Callable
from typing import ClassVar, Final

from pgjit.loop_turn import Handling

__all__ = ["GONE", "READ", "WRITE", "Handler", "Readiness"]

READ: Final[int] = getattr(select, "EPOLLIN", 0x001)
WRITE: Final[int] = getattr(select, "EPOLLOUT", 0x004)
GONE: Final[int] = getattr(select, "EPOLLRDHUP", 0x2000)
"""The peer sends nothing more. Two more events come without being requested: EPOLLHUP and EPOLLERR."""

Handler = Callable[[int], None]
"""Is called with the events of its socket. Does not raise."""

_AT_ONCE: Final = 16
_MOST: Final = 64
_LONG: Final = 0.005
"""What is handled before the loop's timers and tasks get their turn: `_MOST` sockets, in groups of `_AT_ONCE`, and no
further group after so many seconds. A handshake or a whole batch of statements may be behind each socket."""


class _Watched:
    def __init__(self, handler: Handler, context: contextvars.Context) -> None:
        self.handler = handler
        self.context = context
        self.events = 0


class Readiness:
    """The sockets of one event loop. The epoll object is open while at least one socket is known."""

    _of_loop: ClassVar[dict[asyncio.AbstractEventLoop, Readiness]] = {}

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._poller = select.epoll() if hasattr(select, "epoll") else _SelectorPoller(selectors.DefaultSelector())
        self._sockets: dict[int, _Watched] = {}
        self._handling = Handling(loop)
        loop.add_reader(self._poller.fileno(), self._turn)

    @classmethod
    def of_running_loop(cls) -> Readiness:
        loop = asyncio.get_running_loop()
        if (readiness := cls._of_loop.get(loop)) is None:
            for abandoned in [each for each in cls._of_loop if each.is_closed()]:
                del cls._of_loop[abandoned]
            readiness = cls._of_loop[loop] = cls(loop)
        return readiness

    def add(self, descriptor: int, handler: Handler) -> None:
        """Call `handler` for this socket, in the caller's context. No event is watched for yet."""
        self._sockets[descriptor] = _Watched(handler, contextvars.copy_context())

    def use_context(self, descriptor: int) -> None:
        """Call the handler in the caller's context from now on."""
        self._sockets[descriptor].context = contextvars.copy_context()

    def watch(self, descriptor: int, events: int) -> None:
        """Watch for `events` from now on. For none: a reset is not reported either."""
        watched = self._sockets[descriptor]
        if events == watched.events:
            return
        if not watched.events:
            self._poller.register(descriptor, events)
        elif events:
            self._poller.modify(descriptor, events)
        else:
            self._poller.unregister(descriptor)
        watched.events = events

    def forget(self, descriptor: int) -> None:
        """Must be called before the socket is closed: the next socket may get the same descriptor."""
        if self._sockets.pop(descriptor).events:
            self._poller.unregister(descriptor)
        if not self._sockets:
            self._of_loop.pop(self._loop, None)
            if not self._loop.is_closed():
                self._loop.remove_reader(self._poller.fileno())
            self._poller.close()

    def _turn(self) -> None:
        with self._handling:
            until, handled = time.monotonic() + _LONG, 0
            while True:
                ready = self._poller.poll(0, _AT_ONCE)
                self._handle(ready)
                handled += len(ready)
                if len(ready) < _AT_ONCE or handled >= _MOST or time.monotonic() > until:
                    return
                if not self._sockets:  # a handler has closed the last one, and with it the poller
                    return

    def _handle(self, ready: list[tuple[int, int]]) -> None:
        for descriptor, events in ready:
            watched = self._sockets.get(descriptor)
            if watched is not None:  # else a handler has just closed it
                watched.context.run(watched.handler, events)


class _SelectorPoller:
    """Stands in for epoll where it does not exist. A disconnect is then seen only by reading."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._unseen: set[int] = set()  # descriptors for which nothing can be watched
        self._passed = 0  # how many were returned, so that others are returned next

    def fileno(self) -> int:
        number: int = self._selector.fileno()  # type: ignore[attr-defined]  # kqueue has one
        return number

    def register(self, descriptor: int, events: int) -> None:
        kinds = (selectors.EVENT_READ if events & READ else 0) | (selectors.EVENT_WRITE if events & WRITE else 0)
        if kinds:
            self._selector.register(descriptor, kinds)
        else:
            self._unseen.add(descriptor)

    def modify(self, descriptor: int, events: int) -> None:
        self.unregister(descriptor)
        self.register(descriptor, events)

    def unregister(self, descriptor: int) -> None:
        if descriptor in self._unseen:
            self._unseen.discard(descriptor)
        else:
            self._selector.unregister(descriptor)

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        found = self._selector.select(timeout)
        first = self._passed % max(1, len(found))
        ready = (found[first:] + found[:first])[:most]
        self._passed += len(ready)
        return [
            (key.fd, (READ if kinds & selectors.EVENT_READ else 0) | (WRITE if kinds & selectors.EVENT_WRITE else 0))
            for key, kinds in ready
        ]

    def close(self) -> None:
        self._selector.close()
