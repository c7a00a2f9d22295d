"""Gathers requests about server processes while a query runs, and sends them together in the next one.

The end of a window stops all of its backends at once. Two control connections would answer hundreds of single queries
one after the other. Decides which requests share a query: those about one run of a server whose backends have the
same login role. A signal that the server forbids fails the whole query, and it forbids it by role.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

from pgjit.grants.server_process import ProcessSighting, ServerInstance, ServerProcess
from pgjit.server.control_queries import Signal, SignalRequest
from pgjit.turns import in_pieces

__all__ = ["Answer", "SignalBatches"]

_MOST = 500
"""Requests in one query: its answer has to arrive within the deadline of a control connection."""
_ANSWERED_AT_ONCE = 50

Key = tuple[object, int]  # the run of the server, and the role
Answer = tuple[ProcessSighting, bool]
Send = Callable[[Sequence[SignalRequest], ServerInstance], Awaitable[Sequence[Answer]]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: SignalRequest
    answer: asyncio.Future[Answer]


class SignalBatches:
    def __init__(self, send: Send) -> None:
        """`send` sends one query, and returns an answer for each request, in order."""
        self._send = send
        self._waiting: dict[Key, list[_Waiting]] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}

    @property
    def running(self) -> list[asyncio.Task[None]]:
        return list(self._running.values())

    async def request(self, process: ServerProcess, signal: Signal) -> Answer:
        """The sighting of the process, and whether it was signalled. Raises what `send` raises."""
        key = process.instance.run, process.role
        waiting = _Waiting(SignalRequest(process, signal), asyncio.get_running_loop().create_future())
        self._waiting.setdefault(key, []).append(waiting)
        if key not in self._running:
            self._running[key] = asyncio.create_task(self._run(key), context=Context())  # of no session
        return await waiting.answer

    async def close(self) -> None:
        tasks = self.running
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: Key) -> None:
        batch: list[_Waiting] = []
        try:
            while batch := self._next(key):
                await self._run_batch(batch)
        finally:
            # Only a cancelled task leaves requests without an answer.
            for waiting in (*batch, *self._waiting.pop(key, ())):
                waiting.answer.cancel()
            del self._running[key]

    def _next(self, key: Key) -> list[_Waiting]:
        # A request whose caller has given up is not sent.
        waiting = [one for one in self._waiting.pop(key, ()) if not one.answer.done()]
        if len(waiting) > _MOST:
            self._waiting[key] = waiting[_MOST:]
        return waiting[:_MOST]

    async def _run_batch(self, batch: Sequence[_Waiting]) -> None:
        requests = [waiting.request for waiting in batch]
        try:
            answers = await self._send(requests, requests[0].process.instance)
        except Exception as fault:  # noqa: BLE001 - each caller receives it
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(fault)
            return
        # The tasks of five hundred answers would run in one turn of the event loop.
        async for waiting, answer in in_pieces(zip(batch, answers, strict=True), _ANSWERED_AT_ONCE):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
