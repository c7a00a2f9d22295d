"""A worker's end of the bus: it asks the supervisor what concerns all workers, and answers cancel requests.

Decides that without the supervisor nobody new is let in: nobody counts any more. The worker drains then.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson

from pgjit.app.session_port import longest_drain
from pgjit.app.supervisor.bus import Bus, BusClosed
from pgjit.app.supervisor.bus_message import (
    MOST_BYTES,
    Admitted,
    BusFault,
    BusMessage,
    CancelAnswer,
    CancelAsk,
    DrainOrder,
    EnterAsk,
    Left,
    NewLimits,
    PlaceAnswer,
    PlaceAsk,
    PlaceLeft,
    SiblingDied,
    WorkerReady,
    WorkerStart,
    decoded,
)
from pgjit.config import LimitsSection
from pgjit.grants.holder import HolderKey
from pgjit.proxy.siblings import SharedAdmission, SupervisorGone

__all__ = ["WorkerBus", "read_start"]

_START_SECONDS = 30.0
A = TypeVar("A", Admitted, PlaceAnswer)
TakeOver = Callable[[str, str], Awaitable[None]]
CancelHere = Callable[[int, bytes], Awaitable[bool]]


def read_start(descriptor: int) -> tuple[WorkerStart, socket.socket]:
    """The first message of the bus, and the bus. Blocks. Raises BusFault and OSError."""
    endpoint = socket.socket(fileno=descriptor)
    try:
        endpoint.set_inheritable(False)
        endpoint.settimeout(_START_SECONDS)
        message = decoded(_first_line(endpoint))
        if not isinstance(message, WorkerStart):
            raise BusFault(f"`{message.kind}` is not the first message")
    except BaseException:
        endpoint.close()
        raise
    return message, endpoint


def _first_line(endpoint: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):  # one byte each: what follows is for the event loop
        byte = endpoint.recv(1)
        if not byte or len(line) >= MOST_BYTES:
            raise BusFault("the supervisor is gone, or sent no message that ends")
        line += byte
    return bytes(line)


class WorkerBus:
    """The siblings of a worker, by way of the supervisor.

    `ordered` is set when the worker has to drain: by the `order`, or without one because the supervisor is gone.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._cancel_here: CancelHere | None = None
        self._take_over: TakeOver | None = None
        self._running: set[asyncio.Future[None]] = set()
        self.ordered = asyncio.Event()
        self.order: DrainOrder | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, endpoint: socket.socket) -> AsyncIterator[WorkerBus]:
        own = cls(await Bus.on(endpoint))
        receiving = asyncio.create_task(own._receive(), name="bus")
        try:
            yield own
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, *own._running, return_exceptions=True)

    def answer_cancels(self, cancel_here: CancelHere) -> None:
        """`cancel_here`: cancels in the session of this worker that has the key; False if none has it."""
        self._cancel_here = cancel_here

    def on_death(self, take_over: TakeOver) -> None:
        self._take_over = take_over

    def ready(self) -> None:
        self._bus.send(WorkerReady())

    def follow(self, limits: LimitsSection) -> None:
        """These limits are in force."""
        self._bus.send(
            NewLimits(
                connections=limits.connections,
                of_address=limits.connections_per_address,
                of_identity=limits.sessions_per_identity,
                drain=longest_drain(limits),
            )
        )

    # --- what holds for all workers --------------------------------------------------------------------

    async def enter(self, network: str) -> SharedAdmission:
        def give_back(late: Admitted) -> None:
            if late.accepted:
                self.leave(network)

        ask = self._bus.ask(Admitted, lambda number: EnterAsk(number=number, network=network))
        try:
            answer = await _or_back(ask, give_back)
        except BusClosed:
            return SharedAdmission(accepted=False)
        return SharedAdmission(answer.accepted, answer.limit)

    def leave(self, network: str) -> None:
        self._bus.send(Left(network=network))

    async def take_place(self, holder: HolderKey) -> bool:
        key = _key(holder)

        def give_back(late: PlaceAnswer) -> None:
            if late.taken:
                self.leave_place(holder)

        ask = self._bus.ask(PlaceAnswer, lambda number: PlaceAsk(number=number, key=key))
        try:
            return (await _or_back(ask, give_back)).taken
        except BusClosed:
            raise SupervisorGone from None

    def leave_place(self, holder: HolderKey) -> None:
        self._bus.send(PlaceLeft(key=_key(holder)))

    async def cancel(self, pid: int, secret: bytes) -> bool:
        if not secret:
            return False
        try:
            answer = await self._bus.ask(
                CancelAnswer, lambda number: CancelAsk(number=number, pid=pid, secret=secret.hex())
            )
        except BusClosed:
            return False
        return answer.found

    # --- messages of the supervisor --------------------------------------------------------------------

    async def _receive(self) -> None:
        try:
            await self._bus.receive(self._handle)
        finally:
            self.ordered.set()

    def _handle(self, message: BusMessage) -> None:
        if isinstance(message, DrainOrder):
            self.order = message
            self.ordered.set()
        if isinstance(message, CancelAsk):
            self._run(self._answer_cancel(message))
        if isinstance(message, SiblingDied) and self._take_over is not None:
            self._run(self._take_over(message.name, message.run))

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer_cancel(self, ask: CancelAsk) -> None:
        found = False
        try:
            if self._cancel_here is not None:
                found = await self._cancel_here(ask.pid, bytes.fromhex(ask.secret))
        finally:
            self._bus.send(CancelAnswer(number=ask.number, found=found))


def _key(holder: HolderKey) -> str:
    return orjson.dumps([*holder.identity, holder.program]).decode()


async def _or_back(ask: Coroutine[Any, Any, A], give_back: Callable[[A], None]) -> A:
    """The answer. A login that ends while it waits for one gives back what the answer brings. Raises BusClosed."""
    asking = asyncio.create_task(ask)

    def late(task: asyncio.Task[A]) -> None:
        if not task.cancelled() and task.exception() is None:
            give_back(task.result())

    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        asking.add_done_callback(late)
        raise
