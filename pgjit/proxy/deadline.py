"""What happens when a window ends mid-query: cancel, terminate, look that it is gone, and say so.

Closing the socket alone does not stop a running statement: the server notices when it next writes, and may
commit before that. Decides the order and the patience; when the end is, is the window's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from pgjit.audit.event import Proof
from pgjit.errors import ServerUnavailable
from pgjit.proxy.control import Control
from pgjit.proxy.upstream import Upstream, cancel_running

__all__ = ["end_backend"]

CANCEL_PATIENCE = 0.3
"""Seconds that a CancelRequest may take before the backend is terminated without it."""

ANSWER_PATIENCE = 0.2
LOOK_EVERY = 0.02
PATIENCE = 30.0
"""Seconds until a backend that does not go is given up on, loudly."""


async def end_backend(
    upstream: Upstream,
    started: datetime,
    control: Control,
    clock: Callable[[], datetime],
    *,
    cancel: bool,
    answered: Callable[[], bool],
) -> Proof:
    """Stop the backend, running statement included. Never raises: the proof says what was seen.

    Without `cancel` it is terminated at once: where more work waits at the server, cancelling what runs would
    let the next statement begin, and commit. `answered` tells that the cancelled statement's error has come.
    """
    begun = clock()
    cancelled = cancel and await cancel_running(upstream, CANCEL_PATIENCE)
    if cancelled:
        await _until(answered)
    terminated = False
    fault: str | None = None
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while loop.time() < until:
        try:
            terminated = await control.terminate(upstream.backend_pid, started) or terminated
            # Terminating is a request: look until it is gone, and ask again every now and then.
            for _ in range(25):
                if await control.gone(upstream.backend_pid, started):
                    return _proof(begun, clock(), cancelled, terminated, gone=True)
                await asyncio.sleep(LOOK_EVERY)
        except ServerUnavailable as unavailable:
            fault = unavailable.detail
            await asyncio.sleep(0.25)
    return _proof(begun, clock(), cancelled, terminated, gone=False, error=fault or "the backend does not end")


async def _until(answered: Callable[[], bool]) -> None:
    """Give the error a moment to come: terminated too early, the client would never read it."""
    until = asyncio.get_running_loop().time() + ANSWER_PATIENCE
    while not answered() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - the relay is pure
        await asyncio.sleep(0.005)


def _proof(
    begun: datetime, now: datetime, cancelled: bool, terminated: bool, *, gone: bool, error: str | None = None
) -> Proof:
    return Proof(
        cancel_sent=cancelled,
        terminate_sent=terminated,
        gone=gone,
        checked_at=now,
        took_ms=int((now - begun).total_seconds() * 1000),
        error=error,
    )
