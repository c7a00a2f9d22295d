"""What a client's messages wait for before they are dealt with: each wait ends with the session, too.

Decides which conditions hold messages up. `client_traffic.py` decides when they are looked at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from pgjit.judging.judge import Judgement
from pgjit.policy.policy import Policy
from pgjit.proxy.leased_traffic import LeasedTraffic
from pgjit.proxy.relay.ending import Ending, TrafficEnd
from pgjit.proxy.relay.own_cancel import OwnCancel
from pgjit.proxy.relay.relay_state import RelayState
from pgjit.proxy.relay.server_step import ScannedData
from pgjit.proxy.services import Services
from pgjit.server.link import Link
from pgwire.framing import Frame
from pgwire.messages import extended

__all__ = ["Waits"]

_log = logging.getLogger("pgjit.conversation")
_MOST_QUEUED = 10_000
_MOST_QUEUED_BYTES = 8 * 1024 * 1024
"""How many requests, and how many bytes of them, may wait for the server's answer. PostgreSQL holds back about 1,600
answers, in 8 KiB."""
_LOOK_SECONDS = 5.0


class Waits:
    def __init__(
        self,
        services: Services,
        policy: Policy,
        state: RelayState,
        client: Link,
        server: Link,
        leased: LeasedTraffic[ScannedData],
        cancel: OwnCancel,
        end: TrafficEnd,
    ) -> None:
        self._services = services
        self.policy = policy
        self._state = state
        self._identity = state.context.identity.key
        self._client = client
        self._server = server
        self._leased = leased
        self._cancel = cancel
        self._end = end
        self._answer: asyncio.Future[None] | None = None  # of the server, if it is waited for

    @property
    def over(self) -> bool:
        """Whether the traffic is over: nothing waits any more."""
        return self._end.passed

    # --- before messages are judged --------------------------------------------------------------------

    def hold(self, frames: Sequence[Frame]) -> bool:
        """Whether these messages have to wait: `until_clear` has to be awaited first."""
        return bool(
            self._cancel.under_way is not None
            or self._queue_is_full
            or self._services.journal_rate.wait(self._identity)
            or not self._leased.covers(frames)
        )

    async def until_clear(self, frames: Sequence[Frame]) -> None:
        while (request := self._cancel.under_way) is not None and not self._end.passed:
            await self._first(request)
        if self._queue_is_full:
            self._server.write(extended.flush())  # or the answers may stay with the server
        while self._queue_is_full and not self._end.passed:
            await self._for_answer()
        await self._slow_down()
        await self._leased.before(frames)

    @property
    def _queue_is_full(self) -> bool:
        """The queue is full. Data of a COPY is not held in it."""
        queue = self._state.queue
        much = len(queue.requests) >= _MOST_QUEUED or queue.bytes >= _MOST_QUEUED_BYTES
        return much and not self._state.copy_in.active

    async def _slow_down(self) -> None:
        """An identity that fills the journal waits until it is within its share."""
        if (wait := self._services.journal_rate.wait(self._identity)) and not self._end.passed:
            _log.warning("identity %s fills the journal, and is slowed down for %.1f s", self._identity.oid, wait)
            await self._first(seconds=wait)

    # --- while messages are judged ---------------------------------------------------------------------

    async def look_again(self, judged: dict[bytes, Judgement]) -> dict[bytes, Judgement]:
        """Before a name is refused that is not in the catalog: it may have been made a moment ago."""
        before = self._services.judge(self.policy)
        await self.check_catalog()
        return judged if self._services.judge(self.policy) is before else {}

    async def check_catalog(self, *, soon: bool = False) -> None:
        """Have the catalog checked for changes at the server."""
        looking = asyncio.ensure_future(self._services.refresh_catalog(self.policy, soon=soon))
        try:
            await self._first(looking, seconds=_LOOK_SECONDS)
        finally:
            looking.cancel()
        if looking.done():
            looking.result()

    async def judge_in_worker(self, sql: bytes) -> dict[bytes, Judgement]:
        """Wait for the judge's worker. The end of the session does not wait for it."""
        judge = self._services.judge(self.policy)  # now: the task begins later, and the policy may change before
        judging = asyncio.ensure_future(self._services.judge_in_worker(self._identity, judge, sql))
        try:
            await self._first(judging)
        finally:
            judging.cancel()
        return {sql: judging.result()} if judging.done() else {}

    # --- after messages were sent ----------------------------------------------------------------------

    async def yield_to_others(self) -> None:
        """Give the other sessions their turn, and wait for an answer if the next message depends on it."""
        await asyncio.sleep(0)
        while self._state.waits and not self._end.passed:
            await self._for_answer()

    def answered(self) -> None:
        """The server has sent something."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    async def _for_answer(self) -> None:
        self._answer = asyncio.get_running_loop().create_future()
        try:
            await self._first(self._answer)
        finally:
            self._answer = None

    async def _first(self, *awaited: asyncio.Future[Any], seconds: float | None = None) -> None:
        """Wait for one of `awaited`, for the end of the traffic, or until the client is gone."""
        ends = (*awaited, self._client.lost, self._end.future)
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._client.lost.done():
            self._end.set(Ending("client-gone"))
