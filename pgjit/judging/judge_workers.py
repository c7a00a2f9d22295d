"""Judging outside the event loop: who comes next, in which of two processes, and what becomes of what takes too long.

Decides that nobody waits for another's statements: they are taken in turns of their identities, and large ones have a
process of their own. What may run is the judge's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pgjit.identity.identity import IdentityKey
from pgjit.judging.fair_queue import FairQueue
from pgjit.judging.judge import Judgement, unjudged
from pgjit.judging.worker_process import Worker, WorkerDied
from pgjit.policy.decision import Violation
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["LARGE", "JudgeWorkers"]

_log = logging.getLogger("pgjit.judging")

LARGE = 32 * 1024
"""Bytes of text from which a statement waits among the large ones: those below take some tenths of a second."""

_MOST_WAITING = 200
"""Statements of one identity that may wait in one queue. A session has one at a time."""


@dataclass(eq=False, slots=True)
class _Work:
    policy: Policy
    sql: bytes
    catalog: Catalog | None
    answer: asyncio.Future[Judgement]


@dataclass(eq=False, slots=True)
class _Lane:
    """A process, and what waits for it."""

    worker: Worker
    queue: FairQueue[IdentityKey, _Work] = field(default_factory=lambda: FairQueue(_MOST_WAITING))
    busy: asyncio.Task[None] | None = None


class JudgeWorkers:
    def __init__(self, new_worker: Callable[[], Worker], limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._small = _Lane(new_worker())
        self._large = _Lane(new_worker())

    async def start(self) -> None:
        """Have the processes ready before the first statement needs them."""
        try:
            await asyncio.gather(self._small.worker.ready(), self._large.worker.ready())
        except WorkerDied:  # it is tried again by the first statement, which is refused where it still fails
            _log.error("the processes that judge statements did not start")

    async def assess(self, identity: IdentityKey, policy: Policy, sql: bytes, catalog: Catalog | None) -> Judgement:
        """As `assess` would, in turn with the others. Never raises; what cannot be judged is refused."""
        lane = self._large if len(sql) >= LARGE else self._small
        work = _Work(policy, sql, catalog, asyncio.get_running_loop().create_future())
        if not lane.queue.put(identity, work):
            return unjudged(policy, sql, _TOO_MANY)
        self._wake(lane)
        try:
            return await work.answer
        finally:
            lane.queue.drop(identity, work)

    def _wake(self, lane: _Lane) -> None:
        """Let it work; where it does already, the process for large statements has time for a small one."""
        for each in (lane, self._large):
            if each.busy is None:
                each.busy = asyncio.create_task(self._work_off(each), name="judging")
                return

    async def _work_off(self, lane: _Lane) -> None:
        try:
            for work in self._waiting(lane):
                if not work.answer.done():
                    await self._judge(lane.worker, work)
        finally:
            lane.busy = None

    def _waiting(self, lane: _Lane) -> Iterator[_Work]:
        while (work := lane.queue.take() or (self._small.queue.take() if lane is self._large else None)) is not None:
            yield work

    async def _judge(self, worker: Worker, work: _Work) -> None:
        """INVARIANT: whoever waits gets an answer, and the worker is free afterwards, or dead."""
        try:
            answer = await self._twice(worker, work)
        except TimeoutError:
            _log.warning("a statement of %d bytes was not judged within %g s", len(work.sql), self._seconds)
            answer = unjudged(work.policy, work.sql, _too_long(self._seconds))
        except WorkerDied:
            _log.error("a process that judges statements dies of one of %d bytes", len(work.sql))
            answer = unjudged(work.policy, work.sql, _DIED)
        except Exception:  # noqa: BLE001 - INVARIANT: what cannot be judged is refused, whatever the reason
            _log.exception("judging failed")
            answer = unjudged(work.policy, work.sql, _DIED)
        except asyncio.CancelledError:
            work.answer.cancel()
            raise
        if not work.answer.done():
            work.answer.set_result(answer)

    async def _twice(self, worker: Worker, work: _Work) -> Judgement:
        """A process that dies may have been killed by somebody: whose statement it was is not to blame for that."""
        try:
            return await self._once(worker, work)
        except WorkerDied:
            return await self._once(worker, work)

    async def _once(self, worker: Worker, work: _Work) -> Judgement:
        try:
            await worker.ready()
            async with asyncio.timeout(self._seconds):
                return await worker.judge(work.policy, work.sql, self._limit, work.catalog)
        except BaseException:
            worker.kill()
            raise

    async def close(self) -> None:
        for lane in (self._small, self._large):
            if lane.busy is not None:
                lane.busy.cancel()
                await asyncio.gather(lane.busy, return_exceptions=True)
            while (work := lane.queue.take()) is not None:
                work.answer.cancel()
            await lane.worker.close()


_TOO_MANY = Violation(
    rule="too-many-to-judge",
    message="too many statements of your identity wait to be judged",
    detail=f"At most {_MOST_WAITING} may wait at once.",
    hint="Send it again when the others are done, or use fewer sessions.",
    sqlstate="53400",
)

_DIED = Violation(
    rule="unjudgeable",
    message="statement could not be judged",
    detail="The process that judged it ended; what is not judged is not run.",
    hint="Send a simpler statement, and tell the operators of this proxy.",
)


def _too_long(seconds: float) -> Violation:
    return Violation(
        rule="judging-too-long",
        message="statement takes too long to judge",
        detail=f"It was given up after {seconds:g} s (`limits.judging_seconds` of this proxy).",
        hint="Send values as parameters, long lists as `= ANY ($1)`, and long statements in several parts.",
        sqlstate="54001",
    )
