"""What happens when a window ends mid-query: cancel, terminate, look that it is gone, and say so.

Closing the socket alone does not stop a running statement: the server notices when it next writes, and may
commit before that. Decides the order and the patience; when the end is, is the window's.

INVARIANT: an end is never given up. It goes on until the backend was seen to be gone, or this is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime

from pgjit.audit.event import Proof
from pgjit.errors import ServerUnavailable
from pgjit.grants.server_process import ProcessSighting, ProcessStatus, ServerProcess, process_status
from pgjit.server.control_pool import ControlPool
from pgjit.server.upstream import Upstream, cancel_running

__all__ = ["BackendStop"]

CANCEL_PATIENCE = 0.3
"""Seconds that a CancelRequest may take before the backend is terminated without it."""

ANSWER_PATIENCE = 0.2
LOOK_EVERY = 0.02
CONTROL_PATIENCE = 1.0
"""Seconds without an answer from a control connection until the session's own socket is closed. That ends a backend
which is idle, and gives its slot back: a new control connection may need it."""

ALERT_AFTER = 3.0
ALERT_EVERY = 60.0
"""Seconds until a backend that does not go is told of, loudly, and from then on again."""

_LOOKS = 25  # between two requests to end
_SHORTEST, _LONGEST = 0.05, 2.0
_NOT_YET = {
    "there": "the backend does not end",
    "elsewhere": "another server answers at its address, which proves nothing of this one",
}

Alert = Callable[["BackendStop"], None]


class BackendStop:
    """The end of one backend, as far as it has come; `proof` says what was seen of it."""

    def __init__(
        self,
        process: ServerProcess,
        control: ControlPool,
        clock: Callable[[], datetime],
        upstream: Upstream | None = None,
    ) -> None:
        """`upstream`: the session's own connection; None where an earlier process had it."""
        link = None if upstream is None else upstream.link
        self.process = process
        self.cancelled = False
        self.fault = "no control connection answers"
        self._upstream = upstream
        self._control = control
        self._clock = clock
        self._link = link
        self._let_go = False  # we have closed it: that it is closed says nothing of the server any more
        self._begun = clock()
        self._terminated = False
        self._reached = False  # a control connection has answered
        self._seen: ProcessSighting | None = None
        self._verdict: ProcessStatus = "there"

    async def run(self, *, cancel: bool, answered: Callable[[], bool], alert: Alert) -> None:
        """Stop it, running statement included, and return when it is gone.

        Without `cancel` it is terminated at once: where more work waits at the server, cancelling what runs would
        let the next statement begin, and commit. `answered` tells that the cancelled statement's error has come.
        `alert` is called when it takes long, and again for as long as it does.
        """
        with self._watched(alert):
            if cancel and self._upstream is not None:
                self.cancelled = await cancel_running(self._upstream, CANCEL_PATIENCE)
                if self.cancelled:
                    await _until(answered)
            await self._until_gone()

    async def _until_gone(self) -> None:
        pause = _SHORTEST
        while True:
            try:
                await self._ask_to_end()
                for _ in range(_LOOKS):
                    if self._verdict in ("gone", "restarted"):
                        return
                    if self._verdict == "elsewhere":
                        break
                    await asyncio.sleep(LOOK_EVERY)
                    self._judge(await self._control.observe(self.process))
                self.fault = _NOT_YET[self._verdict]
                if self._verdict == "elsewhere":
                    await self._control.reconnect()
            except ServerUnavailable as unavailable:
                self.fault = unavailable.detail or unavailable.message
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    async def _ask_to_end(self) -> None:
        # Terminating is a request: it is looked at whether it goes, and asked again every now and then.
        sight, terminated = await self._control.terminate(self.process)
        self._terminated = self._terminated or terminated
        self._judge(sight)

    def _judge(self, sight: ProcessSighting) -> None:
        self._seen = sight
        lost = not self._let_go and self._link is not None and self._link.closed
        self._verdict = process_status(self.process, sight, link_lost=lost)
        self._reached = self._reached or self._verdict != "elsewhere"

    def _watched(self, alert: Alert) -> ExitStack:
        """What happens by itself for as long as it takes."""
        loop = asyncio.get_running_loop()
        stack = ExitStack()
        stack.callback(loop.call_later(CONTROL_PATIENCE, self._close_link).cancel)
        stack.callback(loop.call_later(ALERT_AFTER, self._tell_again, stack, alert).cancel)
        return stack

    def _tell_again(self, stack: ExitStack, alert: Alert) -> None:
        again = asyncio.get_running_loop().call_later(ALERT_EVERY, self._tell_again, stack, alert)
        stack.callback(again.cancel)
        alert(self)

    def _close_link(self) -> None:
        if self._link is not None and not self._reached and not self._link.closed:
            self._let_go = True
            self._link.abort()

    def proof(self, *, gone: bool) -> Proof:
        """What was seen until now."""
        now = self._clock()
        return Proof(
            cancel_sent=self.cancelled,
            terminate_sent=self._terminated,
            gone=gone,
            by=None if not gone else "restart" if self._verdict == "restarted" else "look",
            server=None if self._seen is None else self._seen.instance,
            checked_at=now,
            took_ms=int((now - self._begun).total_seconds() * 1000),
            error=None if gone else self.fault,
        )


async def _until(answered: Callable[[], bool]) -> None:
    """Give the error a moment to come: terminated too early, the client would never read it."""
    until = asyncio.get_running_loop().time() + ANSWER_PATIENCE
    while not answered() and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - the relay is pure
        await asyncio.sleep(0.005)
