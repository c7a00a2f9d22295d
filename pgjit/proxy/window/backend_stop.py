"""Stops one backend, for example when a window ends mid-query: cancel, terminate, check that it is gone, prove it.

Closing the socket alone does not stop a running statement, COPY included: the server notices only at its next write,
and may commit before. Decides the order of the steps and their time limits; `windows.py` decides when a window ends.

INVARIANT: the stop is never given up. It goes on until the backend is seen to be gone, or this task is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime

from pgjit.audit.event import Proof
from pgjit.errors import ServerUnavailable
from pgjit.grants.server_process import ProcessSighting, ProcessStatus, ServerProcess, process_status
from pgjit.server.control_pool import ControlPool
from pgjit.server.upstream import Upstream, cancel_running
from pgjit.turns import call_in_turn

__all__ = ["BackendStop"]

CANCEL_SECONDS = 0.3
"""Time limit for each of the two ways to cancel; the backend is terminated after them in any case."""

ANSWER_SECONDS = 0.2
CHECK_EVERY = 0.02
CONTROL_SECONDS = 1.0
"""Seconds without an answer from a control connection until the session's own socket is closed. That ends an idle
backend and frees its slot, which a new control connection may need."""

ALERT_AFTER = 3.0
ALERT_EVERY = 60.0
"""Seconds until the alert for a backend that does not end, and between repeated alerts."""

_CHECKS = 25  # between two terminate requests
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_FAULTS = {
    "there": "the backend does not end",
    "elsewhere": "another server answers at its address, which proves nothing about this one",
}

Alert = Callable[["BackendStop"], None]


class BackendStop:
    """The progress of one stop; `proof` reports what was seen so far."""

    def __init__(
        self,
        process: ServerProcess,
        control: ControlPool,
        clock: Callable[[], datetime],
        upstream: Upstream | None = None,
    ) -> None:
        """`upstream`: the session's own connection; None for a backend that an earlier process left."""
        link = None if upstream is None else upstream.link
        self.process = process
        self.cancelled = False
        self.fault = "no control connection answers"
        self._upstream = upstream
        self._control = control
        self._clock = clock
        self._link = link
        self._closed_by_us = False  # then a closed link proves nothing about the server
        self._begun = clock()
        self._over = False
        self._terminated = False
        self._answered = False  # by a control connection to the right server
        self._sighting: ProcessSighting | None = None
        self._status: ProcessStatus = "there"

    async def run(self, *, cancel: bool, answered: Callable[[], bool], alert: Alert) -> None:
        """Stop the backend with its running statement, and return when it is gone.

        Without `cancel` it is terminated at once: if more statements are queued at the server, cancelling the running
        one would let the next begin, and commit. `answered`: whether the error of the cancelled statement has
        arrived. `alert` is called repeatedly if the stop takes long.
        """
        with self._timers(alert):
            if cancel and self._upstream is not None:
                self.cancelled = await self._cancel(self._upstream)
                if self.cancelled:
                    await _wait_for_answer(answered)
            await self._until_gone()

    async def _cancel(self, upstream: Upstream) -> bool:
        """Cancel over a control connection; by a CancelRequest if none answers.

        Many sessions that end together share one query. A CancelRequest is a connection of its own for each.
        """
        with suppress(ServerUnavailable, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                if await self._control.cancel(self.process):
                    return True
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS), self._control.cancel_requests:
                return await cancel_running(upstream, CANCEL_SECONDS)
        return False

    async def _until_gone(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            try:
                await self._terminate()
                for _ in range(_CHECKS):
                    if self._status in ("gone", "restarted"):
                        return
                    if self._status == "elsewhere":
                        break
                    await asyncio.sleep(CHECK_EVERY)
                    self._assess(await self._control.observe(self.process))
                if self._status == "elsewhere":
                    await self._control.reconnect()
            except ServerUnavailable as unavailable:
                self.fault = unavailable.detail or unavailable.message
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _terminate(self) -> None:
        # Termination is a request: check whether the backend exits, and repeat it now and then.
        sighting, terminated = await self._control.terminate(self.process)
        self._terminated = self._terminated or terminated
        self._assess(sighting)

    def _assess(self, sighting: ProcessSighting) -> None:
        self._sighting = sighting
        lost = not self._closed_by_us and self._link is not None and self._link.closed
        self._status = process_status(self.process, sighting, link_lost=lost)
        self._answered = self._answered or self._status != "elsewhere"
        self.fault = _FAULTS.get(self._status, "")

    def _timers(self, alert: Alert) -> ExitStack:
        """Timers that run during the stop: close the link, raise alerts."""
        later, stack = asyncio.get_running_loop().call_later, ExitStack()
        stack.callback(self._finish)
        stack.callback(later(CONTROL_SECONDS, call_in_turn, self._close_link).cancel)
        stack.callback(later(ALERT_AFTER, call_in_turn, lambda: self._alert_repeatedly(stack, alert)).cancel)
        return stack

    def _finish(self) -> None:
        self._over = True  # a timer that is due may still wait for its turn

    def _alert_repeatedly(self, stack: ExitStack, alert: Alert) -> None:
        if self._over:
            return
        later = asyncio.get_running_loop().call_later
        again = later(ALERT_EVERY, call_in_turn, lambda: self._alert_repeatedly(stack, alert))
        stack.callback(again.cancel)
        alert(self)

    def _close_link(self) -> None:
        if self._link is not None and not self._answered and not self._over and not self._link.closed:
            self._closed_by_us = True
            self._link.abort()

    def proof(self, *, gone: bool) -> Proof:
        """The proof of what was seen until now."""
        now = self._clock()
        return Proof(
            cancel_sent=self.cancelled,
            terminate_sent=self._terminated,
            gone=gone,
            by=None if not gone else "restart" if self._status == "restarted" else "look",
            server=None if self._sighting is None else self._sighting.instance,
            checked_at=now,
            took_ms=int((now - self._begun).total_seconds() * 1000),
            error=None if gone else self.fault,
        )


async def _wait_for_answer(answered: Callable[[], bool]) -> None:
    """Wait briefly for the error of the cancelled statement: an early termination would lose it."""
    deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
    while not answered() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - the relay is pure
        await asyncio.sleep(0.005)
