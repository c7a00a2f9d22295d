"""Notifies the service manager (systemd) of this process's state, by the protocol of sd_notify(3).

Decides what is sent and when. Without `NOTIFY_SOCKET` nothing is sent. A service manager that cannot be reached is
logged once, and holds up nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager

__all__ = ["ServiceManager"]

_log = logging.getLogger("pgjit.service")
_SEND_SECONDS = 0.5
_EXTENSION = 30.0
_EXTEND_EVERY = 10.0
"""An extension is renewed long before it is over: a process that hangs is killed when the last one has passed."""


class ServiceManager:
    def __init__(self, address: str | None, watchdog: float | None = None) -> None:
        """`address`: NOTIFY_SOCKET. `watchdog`: seconds after which silence counts as a hang."""
        self._address = address
        self._watchdog = watchdog
        self._failed = False

    @classmethod
    def of_environment(
        cls, environment: MutableMapping[str, str] | None = None, pid: int | None = None
    ) -> ServiceManager:
        """Takes its variables out of the environment: child processes are not for systemd to hear."""
        environment = os.environ if environment is None else environment
        address = environment.pop("NOTIFY_SOCKET", None)
        microseconds, owner = environment.pop("WATCHDOG_USEC", None), environment.pop("WATCHDOG_PID", None)
        if address is not None and address[:1] not in ("/", "@"):
            _log.warning("NOTIFY_SOCKET is `%s`, which is no Unix socket: systemd is not notified", address)
            address = None
        mine = owner is None or owner == str(os.getpid() if pid is None else pid)
        watched = mine and microseconds is not None and microseconds.isascii() and microseconds.isdigit()
        seconds = int(microseconds) / 1e6 if watched and microseconds is not None else 0.0
        return cls(address, seconds or None)

    # --- states ----------------------------------------------------------------------------------------

    def ready(self, status: str) -> None:
        """Started, or done with a reload."""
        self._notify(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for people, as `systemctl status` shows it."""
        self._notify(f"STATUS={_line(status)}")

    def reloading(self, status: str) -> None:
        """`ready` must follow. systemd compares the time with its own clock."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS={_line(status)}")

    def stopping(self, status: str) -> None:
        self._notify(f"STOPPING=1\nSTATUS={_line(status)}")

    def extend(self, seconds: float) -> None:
        """A start or a stop may last `seconds` from now, whatever the unit's limit is."""
        self._notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    # --- while something runs --------------------------------------------------------------------------

    @asynccontextmanager
    async def watched(self, answers: Callable[[], Awaitable[bool]] | None = None) -> AsyncIterator[None]:
        """While the block runs, report at half the interval that the event loop runs, so that a hang is noticed.

        `answers`: whether the other processes of this service respond as well; if not, nothing is reported.
        """
        if self._address is None or self._watchdog is None:
            yield
            return
        watching = asyncio.create_task(self._watch(self._watchdog / 2, answers), name="watchdog")
        try:
            yield
        finally:
            await _stopped(watching)

    @asynccontextmanager
    async def extended(self, most: float) -> AsyncIterator[None]:
        """While the block runs, a stop may last longer than the unit's limit: up to `most` seconds."""
        if self._address is None:
            yield
            return
        extending = asyncio.create_task(self._extend(most), name="stop timeout")
        try:
            yield
        finally:
            await _stopped(extending)

    async def _watch(self, seconds: float, answers: Callable[[], Awaitable[bool]] | None) -> None:
        while True:
            try:
                if answers is None or await answers():
                    self._notify("WATCHDOG=1")
            except Exception:  # noqa: BLE001 - INVARIANT: the watchdog goes on; what did not answer is not reported
                _log.exception("it could not be found out whether this service responds")
            await asyncio.sleep(seconds)

    async def _extend(self, most: float) -> None:
        end = asyncio.get_running_loop().time() + most
        while (left := end - asyncio.get_running_loop().time()) > 0:
            self.extend(min(_EXTENSION, left + _EXTEND_EVERY))
            await asyncio.sleep(_EXTEND_EVERY)

    def _notify(self, text: str) -> None:
        if self._address is None:
            return
        path = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
                notifying.settimeout(_SEND_SECONDS)
                notifying.sendto(text.encode(), path)
        except OSError as fault:
            if not self._failed:
                _log.warning("systemd cannot be notified at %s: %s", self._address, fault)
            self._failed = True
        else:
            self._failed = False


def _line(text: str) -> str:
    """A line of its own in the message: a line break would begin another variable."""
    return " ".join(text.split())


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
