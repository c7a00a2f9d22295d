"""Moves the bytes of a session between client and server, and records every batch before it is sent.

Decides when the session's traffic is over, and in which order the journal and the links are used. `client_side.py`
decides what is forwarded, `server_side.py` what the client receives. This is the room's only file with I/O.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from pgjit.audit.event import Event, SessionContext
from pgjit.errors import JournalUnavailable, PgjitError, ProtocolFault
from pgjit.grants.holder import HolderKey
from pgjit.grants.usage import Usage
from pgjit.judging.judge import Judgement
from pgjit.policy.policy import Preset
from pgjit.proxy.access import Access
from pgjit.proxy.leased_traffic import LeasedTraffic
from pgjit.proxy.relay.batch import next_batch
from pgjit.proxy.relay.budget import Budget
from pgjit.proxy.relay.client_side import ClientPlan, ClientSide
from pgjit.proxy.relay.execution_counts import count_executions, count_outcomes
from pgjit.proxy.relay.kept_results import KeptResults
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_side import ServerSide
from pgjit.proxy.relay.server_step import ScannedData
from pgjit.proxy.relay.show_pgjit import SessionFacts
from pgjit.proxy.relay.statement_timeout import LOOK_SECONDS, StatementTimeout
from pgjit.proxy.services import Services
from pgjit.proxy.session_records import SessionRecords
from pgjit.proxy.window.end_errors import idle_in_transaction_error, server_closed_error
from pgjit.proxy.window.leases import WindowLease
from pgjit.server.link import Link
from pgjit.server.upstream import Upstream, cancel_running
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame, FrameReader
from pgwire.messages import extended

__all__ = ["Ending", "Pump"]

_log = logging.getLogger("pgjit.conversation")
_SMALL_MESSAGE = 10_000  # PostgreSQL's own limit for messages that carry no text and no data
_TEXTUAL = b"QPBF"
_MOST_QUEUED = 10_000
_MOST_QUEUED_BYTES = 8 * 1024 * 1024
"""How many requests, and how many bytes of them, may wait for the server's answer. PostgreSQL holds back about 1,600
answers, in 8 KiB."""

_LOOK_SECONDS = 5.0
_CANCEL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the traffic is over. `clean`: the client sent Terminate with nothing running."""

    reason: str
    error: PgjitError | None = None
    clean: bool = False
    error_sent: bool = False  # the client has the server's own error already


class Pump:
    def __init__(
        self,
        services: Services,
        access: Access,
        context: SessionContext,
        client: Link,
        upstream: Upstream,
        tripwire: dict[str, str],
        usage: Usage,
        lease: WindowLease | None = None,
    ) -> None:
        self._services = services
        self._policy = access.policy
        self._end = services.clock.until(access.ends_at)
        self._client = client
        self._upstream = upstream
        self._server = upstream.link
        self._stopping: asyncio.Future[bool] | None = None  # a cancel request of our own is under way
        limits = services.limits
        self._frames = FrameReader(
            lambda kind: limits.message_bytes if kind in _TEXTUAL else _SMALL_MESSAGE,
            data=b"d",
            cut=_TEXTUAL,
            small=min(_SMALL_MESSAGE, limits.message_bytes),
        )
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._judged = access.policy.statements.access is not Preset.FULL
        self._changed = False  # this session may have changed the catalog
        self._counts = services.telemetry.of_policy(access.policy.name)
        self._records = SessionRecords(
            services.journal, services.journal_rate, access.identity.key, synced=services.flush_before_forward,
            overflow=self._unrecorded, ready=lambda: self._results is None or self._results.writable,
        )  # fmt: skip
        self.state = RelayState(
            context,
            ends_at=access.ends_at,
            new_token=lambda: b"pgjit_deny_" + secrets.token_hex(8).encode(),
            budget=Budget(access.policy.limits, usage),
            encoding=upstream.parameters.get("server_encoding", ""),
            unrestricted=not self._judged,
        )
        files = services.journal.results if context.results is not None else None
        self._results = None if files is None else KeptResults(files, self.state.queue, self._unrecorded)
        self._client_side = ClientSide(
            self.state,
            self._judge,
            self._facts(access),
            looks_again=True,
            spent=time.thread_time,
            latest=lambda: services.judge(access.policy).number,
        )
        self._server_side = ServerSide(self.state, tripwire, hides_details=access.policy.statements.needs_names)
        self._leased = LeasedTraffic(
            lease, self._over, self._server, self._server_side.scan, self._from_server, self._server_left
        )
        self._answered = asyncio.Event()  # set whenever the server has sent something
        self._timeout = StatementTimeout(access.policy.limits, self.state)

    def _facts(self, access: Access) -> SessionFacts:
        # `sessions` holds no part of the pump: a reference cycle would keep the session's memory.
        quotas, key, policy = self._services, HolderKey.of(access.identity), access.policy
        return SessionFacts(
            context=self.state.context, ends_at=access.ends_at, policy=policy, budget=self.state.budget,
            request=access.request, utf8=self._upstream.parameters.get("server_encoding") == "UTF8",
            sessions=lambda: (
                quotas.policy_quota[key, policy.name], quotas.identity_quota[key], quotas.identity_quota.most,
            ),
        )  # fmt: skip

    def over(self, ending: Ending) -> None:
        """End the traffic. The first reason counts."""
        if not self._over.done():
            self._over.set_result(ending)

    async def run(self) -> Ending:
        """Forward until the end. Nothing of the client is sent after this returns."""
        self._client.back_pressure(self._server)
        self._server.stream(self._leased.from_server, self._leased.server_left, peer=self._client)
        tasks = [asyncio.create_task(self._from_client())]
        if self._timeout.needed:
            tasks.append(asyncio.create_task(self._check_timeouts()))
        for task in tasks:
            task.add_done_callback(self._task_failed)
        try:
            return await asyncio.shield(self._over)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *([self._stopping] if self._stopping else []), return_exceptions=True)
            self._records.write()  # before the end is recorded it is known what was

    async def _check_timeouts(self) -> None:
        while not self._over.done():
            await asyncio.sleep(LOOK_SECONDS)
            match self._timeout.check(self._services.clock()):
                case "statement":
                    self._stop()
                case "transaction":
                    self.over(Ending("idle-in-transaction", idle_in_transaction_error(self._policy)))

    def _stop(self) -> None:
        """Cancel what runs at the server."""
        if self._stopping is None or self._stopping.done():
            self._stopping = asyncio.ensure_future(cancel_running(self._upstream, _CANCEL_SECONDS))

    def _task_failed(self, task: asyncio.Task[None]) -> None:
        """A fault of our own must end the session, not leave it hanging."""
        if not task.cancelled() and task.exception() is not None:
            self.over(Ending("fault", ProtocolFault("terminating connection: the proxy failed")))

    # --- from the client -------------------------------------------------------------------------------

    async def _from_client(self) -> None:
        while not self._over.done():
            data = await self._client.receive()
            if not data:
                self.over(Ending("client-gone"))
                return
            if self._changed and self.state.idle:
                self._changed = False
                await self._check_catalog(soon=True)
            try:
                frames = self._frames.feed(data)
                await self._pass_on(frames)
            except RemoteProtocolError as fault:
                self.over(Ending("protocol", ProtocolFault(f"malformed message: {fault}")))
                return

    async def _pass_on(self, frames: Sequence[Frame]) -> None:
        at, settled = 0, False
        judged: dict[bytes, Judgement] = {}
        while at < len(frames):
            await self._wait_for_cancel()
            await self._wait_for_room()
            await self._slow_down()
            batch = next_batch(frames, at)
            await self._leased.before(batch)
            began, now = time.perf_counter_ns(), self._services.clock.of_turn()
            if self._end.passed or self._over.done():
                return  # the window's timer ends the session; nothing more goes on
            plan = self._client_side.from_client(batch, now, judged, settled=settled)
            await self._carry_out(plan)
            self._services.telemetry.overhead.record((time.perf_counter_ns() - began) // 1000)
            done = len(batch) - len(plan.rest)
            at += done
            settled = plan.unknown or (settled and not done)
            judged = {} if done else judged
            if plan.unknown:
                judged = await self._look_again(judged)
            if plan.unjudged is not None:
                judged |= await self._judge_in_worker(plan.unjudged)
            if at < len(frames):
                await self._yield_to_others()

    async def _look_again(self, judged: dict[bytes, Judgement]) -> dict[bytes, Judgement]:
        """Before a name is refused that is not in the catalog: it may have been made a moment ago."""
        before = self._services.judge(self._policy)
        await self._check_catalog()
        return judged if self._services.judge(self._policy) is before else {}

    async def _check_catalog(self, *, soon: bool = False) -> None:
        """Have the catalog checked for changes at the server."""
        looking = asyncio.ensure_future(self._services.refresh_catalog(self._policy, soon=soon))
        try:
            left = (looking, self._client.lost, self._over)
            await asyncio.wait(left, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            looking.cancel()
        if looking.done():
            looking.result()
        if self._client.lost.done():
            self.over(Ending("client-gone"))

    async def _wait_for_cancel(self) -> None:
        """Wait for our own cancel request: it could cancel what is sent meanwhile."""
        while self._stopping is not None and not self._over.done():
            await asyncio.wait((self._stopping, self._client.lost, self._over), return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.done():
                self._stopping = None
            elif self._client.lost.done():
                self.over(Ending("client-gone"))

    async def _yield_to_others(self) -> None:
        """Give the other sessions their turn, and wait for an answer if the next message depends on it."""
        await asyncio.sleep(0)
        while self.state.waits and not self._over.done():
            await self._wait_for_answer()

    @property
    def _queue_is_full(self) -> bool:
        """The queue is full. Data of a COPY is not held in it."""
        queue = self.state.queue
        much = len(queue.requests) >= _MOST_QUEUED or queue.bytes >= _MOST_QUEUED_BYTES
        return much and not self.state.copy_in.active

    async def _wait_for_room(self) -> None:
        if self._queue_is_full:
            self._server.write(extended.flush())  # or the answers may stay with the server
        while self._queue_is_full and not self._over.done():
            await self._wait_for_answer()

    async def _slow_down(self) -> None:
        """An identity that fills the journal waits until it is within its share."""
        identity = self.state.context.identity.key
        if (wait := self._services.journal_rate.wait(identity)) and not self._over.done():
            _log.warning("identity %s fills the journal, and is slowed down for %.1f s", identity.oid, wait)
            left = (self._client.lost, self._over)
            await asyncio.wait(left, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if self._client.lost.done():
                self.over(Ending("client-gone"))

    async def _wait_for_answer(self) -> None:
        """Wait until the server sends something, or the client is gone."""
        self._answered.clear()
        answered = asyncio.ensure_future(self._answered.wait())
        try:
            await asyncio.wait((answered, self._client.lost, self._over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered.cancel()
        if self._client.lost.done():
            self.over(Ending("client-gone"))

    async def _carry_out(self, plan: ClientPlan) -> None:
        """Record, then forward. INVARIANT: no bytes of an execution precede its record."""
        if not plan.events:
            self._send(plan)
            return
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def then(recorded: bool) -> None:
            try:
                self._send(plan, recorded=recorded)
            except Exception as fault:  # noqa: BLE001 - it ends the session
                if not sent.done():
                    sent.set_exception(fault)
            if not sent.done():
                sent.set_result(None)

        self._records.before(plan.events, then)
        await sent

    def _send(self, plan: ClientPlan, *, recorded: bool = True) -> None:
        data = plan.data if recorded else self.state.withdraw(plan)
        # A session sees its own changes at once: they may make a name mean something else.
        self._changed = (count_executions(self._counts, plan.events) and self._judged) or self._changed
        if self._over.done() or self._end.passed:
            return
        self._server.write(data)
        if plan.fault is not None:
            self.over(Ending("protocol", plan.fault))
        elif plan.goodbye:
            self.over(Ending("client", clean=self.state.idle))

    def _judge(self, sql: bytes) -> Judgement | None:
        """Judge with the latest catalog. None: it takes too long for the event loop."""
        began = time.perf_counter_ns()
        judgement = self._services.judge(self._policy).judge_inline(sql)
        self._services.telemetry.judged_inline.record((time.perf_counter_ns() - began) // 1000)
        return judgement

    async def _judge_in_worker(self, sql: bytes) -> dict[bytes, Judgement]:
        """Wait for the judge's worker. The end of the session does not wait for it."""
        identity = self.state.context.identity.key
        judging = asyncio.ensure_future(self._services.judge_in_worker(identity, self._policy, sql))
        try:
            await asyncio.wait((judging, self._client.lost, self._over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            judging.cancel()
        if judging.done():
            return {sql: judging.result()}
        if self._client.lost.done():
            self.over(Ending("client-gone"))
        return {}

    # --- from the server -------------------------------------------------------------------------------

    def _from_server(self, scanned: ScannedData) -> None:
        step = self._server_side.read(scanned, self._services.clock.of_turn())
        self._answered.set()
        data = step.data if self._results is None else self._results.pass_on(step)
        if step.events:
            count_outcomes(self._counts, step.events)
            self._records.after(step.events)
        self._server.write(step.to_server)
        if step.cancel:
            self._stop()
        for piece in data:
            self._client.write(piece)
        if step.fault is not None:
            self.over(Ending(step.reason, step.fault))

    def _server_left(self) -> None:
        if (last := self.state.last_words) is not None:
            self.over(Ending("server", last, error_sent=True))
            return
        self.over(Ending("server", server_closed_error()))

    # --- the journal -----------------------------------------------------------------------------------

    def _unrecorded(self) -> None:
        self.over(Ending("journal", JournalUnavailable(fatal=True)))

    def note(self, events: Sequence[Event]) -> None:
        """Record what has happened. What the journal cannot take now is kept, and written first later."""
        count_outcomes(self._counts, events)
        self._records.write(events)

    def close(self) -> None:
        """Break the pump's reference cycles, so that the session's memory is freed at once."""
        self._client_side.close()
        self._leased.close()
        self._records.close()

    def give_up_copy(self) -> None:
        """End a COPY from the client from our side. Inside a data message this cannot be done."""
        if not self._frames.inside_data:
            self._server.write(self.state.copy_in.give_up(b"access has ended"))

    @property
    def inside_message(self) -> bool:
        """The client has a message in part: nothing else can be sent to it now."""
        return self._server_side.inside_message

    @property
    def unsettled(self) -> bool:
        """The journal could not take every record."""
        return self._records.unsettled

    async def settle(self) -> None:
        """At the end: try again to write the records that are left. Raises JournalUnavailable."""
        await self._records.settle()
