"""How a session ends: no backend is left behind, the client reads what is known, and all of it is written down.

Decides the order of these, and when a client need not wait any longer. How a backend is stopped is `deadline.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from pgjit.audit.event import BackendRemains, Proof, SessionContext, SessionEnded
from pgjit.proxy.access import Access
from pgjit.proxy.membership import ResolvedIdentity
from pgjit.proxy.relay.pump import Ending, Pump
from pgjit.proxy.relay.transitions import EndState
from pgjit.proxy.services import Services
from pgjit.proxy.window.backend_stop import BackendStop
from pgjit.proxy.window.end_errors import WorkOutcome, with_work_outcome
from pgjit.server.link import Link
from pgjit.server.servers import Backend
from pgjit.server.upstream import Upstream
from pgwire.messages.query import error_response

__all__ = ["LiveSession", "SessionEnd"]

_log = logging.getLogger("pgjit.session")


@dataclass(slots=True)
class LiveSession:
    """What exists only while a backend does."""

    context: SessionContext
    access: Access
    standing: ResolvedIdentity
    backend: Backend
    pump: Pump

    @property
    def upstream(self) -> Upstream:
        return self.backend.upstream

    @property
    def silent(self) -> bool:
        """The server says nothing more that a client could be told."""
        return self.upstream.link.closed or self.pump.state.desynchronised


class SessionEnd:
    def __init__(self, services: Services, client: Link, live: LiveSession, ending: Ending) -> None:
        self._services = services
        self._client = client
        self._live = live
        self._ending = ending
        self._parting: asyncio.Task[None] | None = None  # the client has been told, and is seen off
        self._stopping: asyncio.Task[None] | None = None
        self.abandoned = False  # it was left behind: its backend was not seen to end
        self._remains = False  # an alert was raised

    async def carry_out(self) -> None:
        """Raises JournalUnavailable where the end could not be recorded."""
        live, ending = self._live, self._ending
        pump = live.pump
        pump.state.begin_ending(ending.error)
        proof: Proof | None = None
        if live.silent:
            # However long it takes to see what has become of the backend: the client need not wait for that.
            self._part(WorkOutcome.UNANSWERED if pump.state.queue.requests else self._fate())
        if ending.clean:
            await live.upstream.leave()
        else:
            proof = await self._stop_backend()
        live.upstream.link.abort()
        if self._services.kept_backends is not None and (proof is None or proof.gone):
            self._services.kept_backends.over(live.context.session_id)
        if self._parting is None:
            self._tell(self._fate() if proof is None or proof.gone else WorkOutcome.REMAINS)
        self._write_down(proof)
        if pump.unsettled:
            await self._client.close()  # it need not wait for a journal
            await pump.settle()
        if self._parting is not None:
            await self._parting

    def abandon(self) -> None:
        """Stop waiting for the backend's end: the process that comes after takes it up."""
        if self._stopping is not None:
            self._stopping.cancel()

    async def _stop_backend(self) -> Proof:
        live, services = self._live, self._services
        queue = live.pump.state.queue
        live.pump.give_up_copy()
        stop = BackendStop(live.backend.process, live.backend.control, services.clock, live.upstream)
        self._stopping = asyncio.create_task(
            stop.run(
                cancel=queue.single,
                answered=lambda: live.silent or not queue.requests,
                alert=self._alert,
            )
        )
        try:
            await asyncio.wait({self._stopping})
        except asyncio.CancelledError:
            self._stopping.cancel()
            raise
        stopping, self._stopping = self._stopping, None  # it holds this, and would not let go of it
        gone = not stopping.cancelled()
        self.abandoned = not gone
        if gone:
            stopping.result()
        proof = stop.proof(gone=gone)
        await _drained(live.upstream.link)
        services.telemetry.ended(proof.took_ms, gone=gone)
        if self._remains:
            services.telemetry.remaining(-1)
            if gone:
                _log.warning("backend %s is gone after %d ms", live.upstream.backend_pid, proof.took_ms)
        return proof

    def _alert(self, stop: BackendStop) -> None:
        live, services = self._live, self._services
        proof = stop.proof(gone=False)
        _log.critical(
            "backend %s at %s was not seen to end for %d ms: %s",
            live.upstream.backend_pid, live.upstream.address, proof.took_ms, proof.error,
        )  # fmt: skip
        if self._remains:
            return
        self._remains = True
        services.telemetry.remaining(+1)
        context = live.context
        live.pump.note(
            [
                BackendRemains(
                    session_id=context.session_id,
                    window=context.window,
                    process=stop.process,
                    at=services.clock(),
                    proof=proof,
                )
            ]
        )
        self._part(WorkOutcome.REMAINS)

    # --- the client ------------------------------------------------------------------------------------

    def _fate(self) -> WorkOutcome:
        """What is known when the backend is gone and all that it has sent was read."""
        state = self._live.pump.state
        if state.end is EndState.STOPPED:
            return WorkOutcome.CANCELLED
        if state.queue.requests:
            return WorkOutcome.UNANSWERED
        return WorkOutcome.IDLE if state.transaction_status == "I" else WorkOutcome.OPEN

    def _part(self, fate: WorkOutcome) -> None:
        """Tell the client now, and see it off."""
        if self._parting is None:
            self._tell(fate)
            self._parting = asyncio.create_task(self._client.close())

    def _tell(self, fate: WorkOutcome) -> None:
        """The last word to the client, where one can be said: inside a message it cannot."""
        ending, pump = self._ending, self._live.pump
        if ending.error is not None and not ending.told and not pump.inside_message:
            self._client.write(error_response(with_work_outcome(ending.error, fate)))

    # --- the journal -----------------------------------------------------------------------------------

    def _write_down(self, proof: Proof | None) -> None:
        live, ending, now = self._live, self._ending, self._services.clock()
        state = live.pump.state
        live.pump.note(
            [
                *state.cut(now),
                SessionEnded(
                    context=live.context,
                    at=now,
                    reason=ending.reason,
                    detail=ending.error.message if ending.error else None,
                    executions=state.recorder.executions,
                    proof=proof,
                ),
            ]
        )


async def _drained(link: Link) -> None:
    """The server has closed; what it sent last goes on to the client, unless that one does not read."""
    try:
        await asyncio.wait_for(asyncio.shield(link.lost), 0.25)
    except TimeoutError:
        link.abort()
