"""Judging outside the event loop, in two worker processes: queues, time limit, and what happens when a worker dies.

Decides the order of the statements: identities take turns, and large statements have a process of their own, so that
one identity's statements do not delay another's. `judge.py` decides what may run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextvars import Context
from dataclasses import dataclass, field

from pgjit.identity.identity import IdentityKey
from pgjit.judging.fair_queue import FairQueue
from pgjit.judging.judge import Judgement, unjudged
from pgjit.judging.worker_process import Worker, WorkerDied
from pgjit.policy.decision import Violation
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["DIED", "LARGE", "JudgeWorkers", "too_long"]

_log = logging.getLogger("pgjit.judging")

LARGE = 32 * 1024
"""Bytes from which a statement goes to the process for large ones. Smaller ones take some tenths of a second."""

_MOST_QUEUED = 200
"""Limit on the queued statements of one identity. Each session has one at a time."""


@dataclass(eq=False, slots=True)
class _Job:
    policy: Policy
    sql: bytes
    catalog: Catalog | None
    judgement: asyncio.Future[Judgement]


@dataclass(eq=False, slots=True)
class _Lane:
    """A worker process and its queue."""

    worker: Worker
    queue: FairQueue[IdentityKey, _Job] = field(default_factory=lambda: FairQueue(_MOST_QUEUED))
    task: asyncio.Task[None] | None = None


class JudgeWorkers:
    def __init__(self, new_worker: Callable[[], Worker], limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._small = _Lane(new_worker())
        self._large = _Lane(new_worker())

    def change(self, limit: int, seconds: float) -> None:
        """For the texts that are judged from now on."""
        self._limit, self._seconds = limit, seconds

    async def start(self) -> None:
        """Start the processes before the first statement needs them."""
        try:
            await asyncio.gather(self._small.worker.ready(), self._large.worker.ready())
        except WorkerDied:  # the first statement tries again, and is refused if that fails
            _log.error("the processes that judge statements did not start")

    async def assess(self, identity: IdentityKey, policy: Policy, sql: bytes, catalog: Catalog | None) -> Judgement:
        """Like `judge.assess`, but queued. Never raises: a statement that cannot be judged is refused."""
        lane = self._large if len(sql) >= LARGE else self._small
        job = _Job(policy, sql, catalog, asyncio.get_running_loop().create_future())
        if not lane.queue.put(identity, job):
            return unjudged(policy, sql, _TOO_MANY)
        self._start_task(lane)
        try:
            return await job.judgement
        finally:
            lane.queue.drop(identity, job)

    def _start_task(self, lane: _Lane) -> None:
        """Start the lane if it is idle. Otherwise the idle process for large statements takes a small one."""
        for each in (lane, self._large):
            if each.task is None:
                each.task = asyncio.create_task(self._drain(each), name="judging", context=Context())
                return

    async def _drain(self, lane: _Lane) -> None:
        try:
            for job in self._take_jobs(lane):
                if not job.judgement.done():
                    await self._judge(lane.worker, job)
        finally:
            lane.task = None

    def _take_jobs(self, lane: _Lane) -> Iterator[_Job]:
        while (job := lane.queue.take() or (self._small.queue.take() if lane is self._large else None)) is not None:
            yield job

    async def _judge(self, worker: Worker, job: _Job) -> None:
        """INVARIANT: each job gets a judgement, and the worker is idle or killed afterwards."""
        try:
            judgement = await self._judge_with_retry(worker, job)
        except TimeoutError:
            _log.warning("a statement of %d bytes was not judged within %g s", len(job.sql), self._seconds)
            judgement = unjudged(job.policy, job.sql, too_long(self._seconds))
        except WorkerDied:
            _log.error("judging a statement of %d bytes killed the worker process twice", len(job.sql))
            judgement = unjudged(job.policy, job.sql, DIED)
        except Exception:  # noqa: BLE001 - INVARIANT: a statement that cannot be judged is refused
            _log.exception("judging failed")
            judgement = unjudged(job.policy, job.sql, DIED)
        except asyncio.CancelledError:
            job.judgement.cancel()
            raise
        if not job.judgement.done():
            job.judgement.set_result(judgement)

    async def _judge_with_retry(self, worker: Worker, job: _Job) -> Judgement:
        """Retry once if the process dies: the cause may be something other than the statement."""
        try:
            return await self._judge_in_time(worker, job)
        except WorkerDied:
            return await self._judge_in_time(worker, job)

    async def _judge_in_time(self, worker: Worker, job: _Job) -> Judgement:
        try:
            await worker.ready()
            async with asyncio.timeout(self._seconds):
                return await worker.judge(job.policy, job.sql, self._limit, job.catalog)
        except BaseException:
            worker.kill()
            raise

    async def close(self) -> None:
        for lane in (self._small, self._large):
            if lane.task is not None:
                lane.task.cancel()
                await asyncio.gather(lane.task, return_exceptions=True)
            while (job := lane.queue.take()) is not None:
                job.judgement.cancel()
            await lane.worker.close()


_TOO_MANY = Violation(
    rule="too-many-to-judge",
    message="too many statements of your identity wait to be judged",
    detail=f"At most {_MOST_QUEUED} may wait at once.",
    hint="Send it again when the others are done, or use fewer sessions.",
    sqlstate="53400",
)

DIED = Violation(
    rule="unjudgeable",
    message="statement could not be judged",
    detail="The process that judged it ended; a statement that is not judged is not run.",
    hint="Send a simpler statement, and report this to the operators of this proxy.",
)


def too_long(seconds: float) -> Violation:
    """What refuses a statement that was not judged in time."""
    return Violation(
        rule="judging-too-long",
        message="statement takes too long to judge",
        detail=f"Judging was stopped after {seconds:g} s (`limits.judging_seconds` of this proxy).",
        hint="Send values as parameters, long lists as `= ANY ($1)`, and long statements in several parts.",
        sqlstate="54001",
    )
