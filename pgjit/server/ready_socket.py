"""Waits for a socket that no session has yet: during a handshake, nothing is called for it."""

from __future__ import annotations

import asyncio

from pgjit.server.readiness import Readiness

__all__ = ["wait_for_socket"]


async def wait_for_socket(descriptor: int, events: int) -> None:
    """Wait until one of `events` holds for a socket that has no handler."""
    readiness = Readiness.of_running_loop()
    happened = asyncio.Event()
    readiness.add(descriptor, lambda _: happened.set())
    try:
        readiness.watch(descriptor, events)
        await happened.wait()
    finally:
        readiness.forget(descriptor)
