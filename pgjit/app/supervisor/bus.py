"""One end of the bus: messages over a Unix stream socket, and answers to those that ask.

Decides how much may be unsent or unanswered: a peer that reads nothing is cut off. `bus_message.py` has the messages.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from typing import TypeVar

from pgjit.app.supervisor.bus_message import (
    MOST_BYTES,
    Admitted,
    BusFault,
    BusMessage,
    CancelAnswer,
    PlaceAnswer,
    decoded,
    encoded,
)

__all__ = ["Bus", "BusAnswer", "BusClosed"]

_log = logging.getLogger("pgjit.workers")
_MOST_UNSENT = 1 << 20

BusAnswer = Admitted | PlaceAnswer | CancelAnswer
A = TypeVar("A", Admitted, PlaceAnswer, CancelAnswer)


class BusClosed(Exception):
    """The other process is gone, or does not read."""


class Bus:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[type[BusAnswer], asyncio.Future[BusAnswer]]] = {}
        self.closed = False

    @classmethod
    async def on(cls, endpoint: socket.socket) -> Bus:
        endpoint.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=endpoint, limit=MOST_BYTES))

    def send(self, message: BusMessage) -> None:
        """Does nothing when the bus is closed."""
        if self.closed:
            return
        if self._writer.transport.get_write_buffer_size() > _MOST_UNSENT:
            _log.error("a process of this node does not read its messages: it is cut off")
            self.close()
            return
        self._writer.write(encoded(message))

    async def ask(self, kind: type[A], make: Callable[[int], BusMessage]) -> A:
        """Send a message with a number, and wait for its answer. Raises BusClosed."""
        if self.closed:
            raise BusClosed
        number = next(self._numbers)
        answer: asyncio.Future[BusAnswer] = asyncio.get_running_loop().create_future()
        self._asked[number] = kind, answer
        try:
            self.send(make(number))
            received = await answer
        finally:
            self._asked.pop(number, None)
        assert isinstance(received, kind)
        return received

    async def receive(self, handle: Callable[[BusMessage], None]) -> None:
        """Handle every message that is no answer, until the peer is gone or sends what is no message."""
        try:
            while line := await self._reader.readuntil(b"\n"):
                message = decoded(line)
                if isinstance(message, BusAnswer):
                    self._answered(message)
                else:
                    handle(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except (BusFault, asyncio.LimitOverrunError) as fault:
            _log.error("a process of this node sent what is no message, and is cut off: %s", fault)
        finally:
            self.close()

    def _answered(self, message: BusAnswer) -> None:
        """An answer that nobody waits for any more is ignored; one of another kind is a fault. Raises BusFault."""
        kind, answer = self._asked.get(message.number, (type(message), None))
        if not isinstance(message, kind):
            raise BusFault(f"`{message.kind}` is not the answer to message {message.number}")
        if answer is not None and not answer.done():
            answer.set_result(message)

    def close(self) -> None:
        self.closed = True
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(BusClosed())
        self._writer.close()
