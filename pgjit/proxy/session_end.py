"""The end of a session: stop its backend, send the client the last error, and record the end.

Decides the order of these steps, and when the client need not wait any longer. A COPY that is running is cut off
here. `window/backend_stop.py` stops the backend.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pgjit.audit.event import BackendRemains, Execution, Proof, SessionContext, SessionEnded
from pgjit.audit.shown_statement import shown_statement
from pgjit.clock import moment_of, nanoseconds_of
from pgjit.grants.usage import Usage
from pgjit.policy.policy import Policy
from pgjit.proxy.access import Access
from pgjit.proxy.end_notices import EndNotices
from pgjit.proxy.membership import ResolvedIdentity
from pgjit.proxy.registry import RunningExecution, SessionView
from pgjit.proxy.relay.ending import Ending
from pgjit.proxy.relay.in_flight import Run
from pgjit.proxy.relay.pump import Pump
from pgjit.proxy.relay.transitions import EndState
from pgjit.proxy.services import Services
from pgjit.proxy.window.backend_stop import BackendStop
from pgjit.proxy.window.end_errors import WorkOutcome, with_work_outcome
from pgjit.server.link import Link
from pgjit.server.servers import Backend
from pgjit.server.upstream import Upstream
from pgjit.turns import take_turn
from pgwire.messages.query import error_response

__all__ = ["LiveSession", "SessionEnd"]

_log = logging.getLogger("pgjit.session")
_LOOK_SECONDS = 0.05
_SHOWN_TEXT = 2000  # characters of a statement that runs: its record has all of it


@dataclass(slots=True)
class LiveSession:
    """The parts of a session that has a backend."""

    context: SessionContext
    access: Access
    resolved: ResolvedIdentity
    backend: Backend
    pump: Pump
    opened_at: datetime
    application_name: str | None
    notices: EndNotices | None = None  # while the session is relayed

    @property
    def upstream(self) -> Upstream:
        return self.backend.upstream

    @property
    def view(self) -> SessionView:
        """The session for the list of live sessions."""
        context, state = self.context, self.pump.state
        running: Literal["active", "idle", "idle in transaction", "ending"] = "active"
        if state.ending:
            running = "ending"
        elif state.queue.empty:
            running = "idle" if state.transaction_status == "I" else "idle in transaction"
        run = state.queue.running
        recorder, budget = state.recorder, state.budget
        return SessionView(
            id=context.session_id,
            window=context.window.id,
            identity=context.identity,
            policy=context.policy,
            connection=context.connection,
            backend_pid=context.backend_pid,
            source=context.source,
            application_name=self.application_name,
            opened_at=self.opened_at,
            ends_at=self.access.ends_at,
            executions=recorder.executions,
            state=running,
            rows=recorder.rows + (0 if run is None else run.rows),
            bytes=recorder.bytes + (0 if run is None else run.size),
            running=None if run is None or run.execution is None else _shown(run, run.execution),
            used=Usage(budget.usage.rows, budget.usage.bytes, budget.usage.statements),
            limits=budget.limits,
        )

    def follow(self, policy: Policy, ends_at: datetime | None, rules_since: int) -> bool:
        """Go on under another version of the policy; whether it ends earlier. INVARIANT: it never ends later."""
        before, self.access = self.access, self.access.under(policy, ends_at)
        self.pump.follow(self.access, rules_since)
        return self.access.ends_at != before.ends_at

    def renew_notices(self) -> None:
        if self.notices is not None and not self.pump.state.ending:
            self.notices.start(self.access)

    async def until_nothing_runs(self, seconds: float) -> None:
        """Return when the server has answered everything, or after `seconds`."""
        latest = asyncio.get_running_loop().time() + seconds
        # A session that has to leave is rare, and no event of the hot path reports the last answer.
        while (  # noqa: ASYNC110
            self.pump.state.queue.requests
            and not self.pump.state.ending
            and asyncio.get_running_loop().time() < latest
        ):
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def server_done(self) -> bool:
        """The server sends nothing more that could go to the client."""
        return self.upstream.link.closed or self.pump.state.desynchronised


def _shown(run: Run, execution: Execution) -> RunningExecution:
    text = shown_statement(execution)
    return RunningExecution(
        number=run.number,
        started_at=moment_of(run.started),
        statement=text[:_SHOWN_TEXT],
        more=len(text) > _SHOWN_TEXT,
        rows=run.rows,
        bytes=run.size,
    )


class SessionEnd:
    def __init__(self, services: Services, client: Link, live: LiveSession, ending: Ending) -> None:
        self._services = services
        self._client = client
        self._live = live
        self._ending = ending
        self._closing_client: asyncio.Task[None] | None = None  # set once the client has its last error
        self._stopping: asyncio.Task[None] | None = None
        self.abandoned = False  # the wait was stopped before the backend was seen to be gone
        self._alerted = False

    async def carry_out(self) -> None:
        """End the session. Raises JournalUnavailable if the end could not be recorded."""
        live, ending = self._live, self._ending
        pump = live.pump
        pump.state.begin_ending(ending.error)
        proof: Proof | None = None
        if live.server_done:
            # The client need not wait until the backend is seen to be gone.
            self._dismiss_client(WorkOutcome.UNANSWERED if pump.state.queue.requests else self._work_outcome())
        if ending.clean:
            await live.upstream.leave()
        else:
            proof = await self._stop_backend()
        live.upstream.link.abort()
        if self._services.kept_backends is not None and (proof is None or proof.gone):
            self._services.kept_backends.remove(live.context.session_id)
        if self._closing_client is None:
            self._send_last_error(self._work_outcome() if proof is None or proof.gone else WorkOutcome.REMAINS)
        self._record(proof)
        if pump.unsettled:
            await self._client.close()  # the client need not wait for the journal
            await pump.settle()
        if self._closing_client is not None:
            await self._closing_client

    def abandon(self) -> None:
        """Stop waiting for the backend's end; the next process ends it."""
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
                answered=lambda: live.server_done or queue.empty,
                alert=self._alert,
            )
        )
        try:
            await asyncio.wait({self._stopping})
        except asyncio.CancelledError:
            self._stopping.cancel()
            raise
        await take_turn(ends=True)
        stopping, self._stopping = self._stopping, None  # breaks a reference cycle
        gone = not stopping.cancelled()
        self.abandoned = not gone
        if gone:
            stopping.result()
        proof = stop.proof(gone=gone)
        await _drained(live.upstream.link)
        services.telemetry.backend_stopped(proof.took_ms, gone=gone)
        if self._alerted:
            services.telemetry.remaining(-1)
        if gone:
            level = logging.WARNING if self._alerted else logging.INFO
            _log.log(level, "backend %s is gone after %d ms", live.upstream.backend_pid, proof.took_ms)
        return proof

    def _alert(self, stop: BackendStop) -> None:
        live, services = self._live, self._services
        proof = stop.proof(gone=False)
        _log.critical(
            "backend %s at %s was not seen to end for %d ms: %s",
            live.upstream.backend_pid, live.upstream.address, proof.took_ms, proof.error,
        )  # fmt: skip
        if self._alerted:
            return
        self._alerted = True
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
        self._dismiss_client(WorkOutcome.REMAINS)

    # --- the client ------------------------------------------------------------------------------------

    def _work_outcome(self) -> WorkOutcome:
        """What is known of the session's work, after the backend is gone and its last messages were read."""
        state = self._live.pump.state
        if state.end is EndState.STOPPED:
            return WorkOutcome.CANCELLED
        if state.queue.requests:
            return WorkOutcome.UNANSWERED
        return WorkOutcome.IDLE if state.transaction_status == "I" else WorkOutcome.OPEN

    def _dismiss_client(self, outcome: WorkOutcome) -> None:
        """Send the client its last error now, and close its connection."""
        if self._closing_client is None:
            self._send_last_error(outcome)
            self._closing_client = asyncio.create_task(self._client.close())

    def _send_last_error(self, outcome: WorkOutcome) -> None:
        """Send the client the error, unless it has received a message only in part."""
        ending, pump = self._ending, self._live.pump
        if ending.error is not None and not ending.error_sent and not pump.inside_message:
            self._client.write(error_response(with_work_outcome(ending.error, outcome)))

    # --- the journal -----------------------------------------------------------------------------------

    def _record(self, proof: Proof | None) -> None:
        live, ending, now = self._live, self._ending, self._services.clock()
        state = live.pump.state
        live.pump.note(
            [
                *state.cut(nanoseconds_of(now)),
                SessionEnded(
                    context=live.context,
                    at=now,
                    reason=ending.reason,
                    detail=ending.error.message if ending.error else None,
                    executions=state.recorder.executions,
                    rows=state.recorder.rows,
                    bytes=state.recorder.bytes,
                    received=state.recorder.received,
                    proof=proof,
                ),
            ]
        )


async def _drained(link: Link) -> None:
    """Wait until the server's last bytes were forwarded; not longer if the client does not read."""
    try:
        await asyncio.wait_for(asyncio.shield(link.lost), 0.25)
    except TimeoutError:
        link.abort()
