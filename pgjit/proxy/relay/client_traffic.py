"""The client's stream, as it arrives: messages are judged, recorded and forwarded, in order.

Most messages are dealt with in the callback that brings them; their bytes are sent from the callback of the journal.
A task is started only where something has to be waited for (`catch_up.py`). Until it is done, what arrives is held,
and the link pauses when that is much. `client_side.py` decides what is forwarded.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from pgjit.errors import ProtocolFault
from pgjit.judging.judge import Judgement
from pgjit.policy.policy import Preset
from pgjit.proxy.access import Access
from pgjit.proxy.relay.batch import next_batch
from pgjit.proxy.relay.catch_up import cancelled, catch_up
from pgjit.proxy.relay.client_side import ClientPlan, ClientSide
from pgjit.proxy.relay.ending import Ending, TrafficEnd
from pgjit.proxy.relay.exchange import END_OF_EXCHANGE
from pgjit.proxy.relay.execution_counts import count_executions
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.show_pgjit import SessionFacts
from pgjit.proxy.relay.waits import Waits
from pgjit.proxy.services import Services
from pgjit.proxy.session_records import SessionRecords
from pgjit.server.link import HIGH_WATER, Link
from pgwire.errors import RemoteProtocolError
from pgwire.framing import Frame, FrameReader

__all__ = ["ClientTraffic"]

_log = logging.getLogger("pgjit.conversation")
_SMALL_MESSAGE: Final = 10_000  # PostgreSQL's own limit for messages that carry no text and no data
_TEXTUAL: Final = b"QPBF"
_NOT_AT_ONCE: Final = 1_000_000
"""After so many nanoseconds on recording it is checked again whether the window has ended."""


class ClientTraffic:
    def __init__(
        self,
        services: Services,
        access: Access,
        state: RelayState,
        facts: SessionFacts,
        client: Link,
        server: Link,
        records: SessionRecords,
        waits: Waits,
        end: TrafficEnd,
    ) -> None:
        self._services = services
        self._policy = access.policy
        self._window_end = services.clock.until(access.ends_at)
        self._state = state
        self._client = client
        self._server = server
        self._records = records
        self._waits = waits
        self._end = end
        limits = services.limits
        self._frames = FrameReader(
            _most_bytes(limits.message_bytes),
            data=b"d",
            cut=_TEXTUAL,
            small=min(_SMALL_MESSAGE, limits.message_bytes),
            usual_end=END_OF_EXCHANGE,
        )
        self._client_side = ClientSide(
            state,
            self._judge,
            facts,
            looks_again=True,
            spent=time.thread_time,
            latest=lambda: services.judge(self._policy).number,
        )
        self._counts = services.telemetry.of_policy(access.policy.name)
        self._judged = access.policy.statements.access is not Preset.FULL
        self._changed = False  # this session may have changed the catalog
        self._busy = False  # earlier messages are not dealt with yet: what arrives is held
        self._held: list[bytes] = []
        self._held_size = 0
        self._began = 0
        self._task: asyncio.Task[None] | None = None
        self._client_left = False
        self._stopped = False  # nothing more is planned: the session is about to end
        self._cut_off = False  # nor is anything forwarded that is recorded already

    def follow(self, access: Access) -> None:
        """Judge by another version of the policy from now on. The end is never later than before."""
        self._policy = self._waits.policy = access.policy
        if access.ends_at != self._window_end.moment:
            self._window_end = self._services.clock.until(access.ends_at).no_later_than(self._window_end)

    def hold(self) -> None:
        """Forward nothing more, nor read it: where in a message the server is stays known (`inside_data`).

        What was recorded is forwarded, and what was forwarded is answered.
        """
        self._stopped = True

    def cut_off(self) -> None:
        """Hold, and forward nothing that is recorded already: its record may wait for the disk now.

        It is never answered, so the end of the traffic must follow.
        """
        self._stopped = self._cut_off = True

    @property
    def inside_data(self) -> bool:
        """Whether the client has sent a data message in part."""
        return self._frames.inside_data

    def stop(self) -> Coroutine[Any, Any, None]:
        """Nothing more is forwarded from now on; the end of the traffic is set already."""
        self._busy = True
        self._client.pause("over")
        return cancelled(self._task)

    def close(self) -> None:
        """Break the reference cycles, so that the session's memory is freed at once."""
        self._client_side.close()
        self._held.clear()

    # --- as it arrives ---------------------------------------------------------------------------------

    def on_data(self, data: bytes) -> None:
        if self._busy or self._stopped:
            self._hold(data)
            return
        try:
            frames = self._frames.feed(data)
            if frames:
                self._busy = True
                self._take(frames)
        except Exception as fault:  # noqa: BLE001 - it ends the session
            self._fail(fault)

    def on_lost(self) -> None:
        self._client_left = True
        if not self._busy or self._stopped:
            self._end.set(Ending("client-gone"))

    def _take(self, frames: list[Frame]) -> None:
        """Deal with these messages at once, unless something has to be waited for."""
        batch = next_batch(frames, 0)
        if (self._changed and self._state.idle) or self._waits.hold(batch):
            self._start(frames)
            return
        plan = self.plan(batch, {})
        if plan is not None:
            self.carry_out(plan, lambda: self._taken(frames, len(batch), plan))

    def _taken(self, frames: list[Frame], count: int, plan: ClientPlan) -> None:
        """The first `count` of `frames` were planned, and the plan was carried out."""
        if len(frames) > count or plan.rest or self._held:
            self._start(frames[count - len(plan.rest) :], plan)
            return
        self._busy = False
        if self._client_left:
            self._end.set(Ending("client-gone"))

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_size += len(data)
        if self._held_size > HIGH_WATER:
            self._client.pause("held")

    # --- what cannot be dealt with at once -------------------------------------------------------------

    def _start(self, frames: Sequence[Frame], plan: ClientPlan | None = None) -> None:
        self._task = asyncio.get_running_loop().create_task(catch_up(self, self._waits, frames, plan))
        self._task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fail(fault)

    def needs_catalog(self) -> bool:
        """Whether the catalog has to be checked for changes before more is judged. True only once."""
        needed = self._changed and self._state.idle
        if needed:
            self._changed = False
        return needed

    def take_held(self) -> list[Frame] | None:
        """The messages that have arrived meanwhile. None: nothing has, or nothing more is forwarded."""
        if self._stopped or not self._held:
            self._busy = False
            if self._client_left:
                self._end.set(Ending("client-gone"))
            return None
        data = b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        self._client.resume("held")
        return self._frames.feed(data)

    # --- judge, record, forward ------------------------------------------------------------------------

    def plan(
        self, batch: Sequence[Frame], judged: dict[bytes, Judgement], *, settled: bool = False
    ) -> ClientPlan | None:
        """None: the window or the traffic is over, or about to end. The window's timer ends the session."""
        self._began, now = time.perf_counter_ns(), self._services.clock.of_turn()
        if self._window_end.passed or self._end.passed or self._stopped:
            return None
        return self._client_side.from_client(batch, now, judged, settled=settled)

    def _judge(self, sql: bytes) -> Judgement | None:
        """Judge with the latest catalog. None: it takes too long for the event loop."""
        began = time.perf_counter_ns()
        judgement = self._services.judge(self._policy).judge_inline(sql)
        self._services.telemetry.judged_inline.record((time.perf_counter_ns() - began) // 1000)
        return judgement

    def carry_out(self, plan: ClientPlan, then: Callable[[], None]) -> None:
        """Record, then forward, then call `then`. INVARIANT: no bytes of an execution precede its record."""
        if not plan.events:
            self._send(plan)
            then()
            return

        def recorded(succeeded: bool) -> None:
            try:
                self._send(plan, recorded=succeeded)
                then()
            except Exception as fault:  # noqa: BLE001 - it ends the session
                self._fail(fault)

        self._records.before(plan.events, recorded)

    def _send(self, plan: ClientPlan, *, recorded: bool = True) -> None:
        data = plan.data if recorded else self._state.withdraw(plan)
        # A session sees its own changes at once: they may make a name mean something else.
        self._changed = (count_executions(self._counts, plan.events) and self._judged) or self._changed
        took = time.perf_counter_ns() - self._began
        over = self._end.passed or self._cut_off
        if not over and not (took > _NOT_AT_ONCE and self._window_end.passed):
            self._server.write(data)
            if plan.fault is not None:
                self._end.set(Ending("protocol", plan.fault))
            elif plan.goodbye:
                self._end.set(Ending("client", clean=self._state.idle))
        self._services.telemetry.overhead.record(took // 1000)

    def _fail(self, fault: BaseException) -> None:
        if isinstance(fault, RemoteProtocolError):
            self._end.set(Ending("protocol", ProtocolFault(f"malformed message: {fault}")))
        else:
            _log.error("a session's traffic has failed", exc_info=fault)
            self._end.set_fault()


def _most_bytes(message_bytes: int) -> Callable[[int], int]:
    """How long a message of each kind may be.

    INVARIANT: it is made outside of `ClientTraffic`. A function that is made in a method keeps the method's object
    when it is compiled: the reader would keep the session that has it, and only a full collection would free both.
    """
    return lambda kind: message_bytes if kind in _TEXTUAL else _SMALL_MESSAGE
