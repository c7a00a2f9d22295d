"""The connection on which a PostgreSQL store reports changes: it listens, and connects again when it is lost.

The messages of nodes to each other are sent and received on it as well: they wait for no transaction.

A notification may be lost, with the connection or without. Nobody depends on one: who waits for changes looks once a
second anyway, and who sends a message and gets no answer sends it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import asyncpg

from pgjit.grants.stores.postgres_login import PostgresLogin, connect

__all__ = ["CHANNEL", "MESSAGES", "ChangeListener"]

CHANNEL, MESSAGES = "pgjit_store", "pgjit_messages"
_AGAIN_SECONDS = 1.0
_SEND_SECONDS = 1.0
_CHECK_SECONDS = 15.0  # a connection that died in silence is found this late

_log = logging.getLogger("pgjit.store")


class ChangeListener:
    """`on_change` is called for each notification of another origin, and after each connect: some may be lost."""

    def __init__(self, login: PostgresLogin, origin: str, on_change: Callable[[], None]) -> None:
        self._login = login
        self._origin = origin
        self._on_change = on_change
        self._receive: Callable[[str], None] | None = None
        self._connection: asyncpg.Connection[Any] | None = None  # while it listens
        self._in_use = asyncio.Lock()  # a connection runs one statement at a time
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="window store's notifications")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def on_message(self, receive: Callable[[str], None]) -> None:
        self._receive = receive

    async def send(self, text: str) -> None:
        """To all nodes. Raises OSError (TimeoutError is a subclass) or an error of asyncpg."""
        async with asyncio.timeout(_SEND_SECONDS), self._in_use:
            if self._connection is None:
                raise OSError("there is no connection on which messages are sent")
            await self._connection.execute("SELECT pg_notify($1, $2)", MESSAGES, text)

    async def _listen(self) -> None:
        failing = False
        while True:
            try:
                connection = await connect(self._login)
                try:
                    await connection.add_listener(CHANNEL, self._notified)
                    await connection.add_listener(MESSAGES, self._received)
                    if failing:
                        _log.warning("notifications of the window store are received again")
                    failing = False
                    self._on_change()
                    self._connection = connection
                    await self._until_lost(connection)
                finally:
                    self._connection = None
                    await _close(connection)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as fault:
                if not failing:
                    _log.warning("notifications of the window store are not received: %s", fault or type(fault))
                failing = True
            await asyncio.sleep(_AGAIN_SECONDS)

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload != self._origin:
            self._on_change()

    def _received(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if self._receive is not None:
            self._receive(str(payload))

    async def _until_lost(self, connection: asyncpg.Connection[Any]) -> None:
        """Return when the connection is lost. Raises an error of asyncpg, or TimeoutError."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        while not connection.is_closed():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_SECONDS):
                    await lost.wait()
                    return
            async with self._in_use:
                await connection.execute("SELECT 1")


async def _close(connection: asyncpg.Connection[Any]) -> None:
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
