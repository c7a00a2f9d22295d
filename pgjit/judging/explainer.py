"""Explains statements, and runs the tests of policies, for people: in a process of its own, off the event loop.

Decides how long an answer may take, and how many people may wait for one. Statements of sessions never wait for it:
they have processes of their own (`judge_workers.py`). Its process starts with the first question, and ends a while
after the last one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from pgjit.errors import PgjitError
from pgjit.judging.explanation import explain
from pgjit.judging.judge import unjudged
from pgjit.judging.judge_workers import DIED, too_long
from pgjit.judging.worker_process import WorkerDied, WorkerProcess
from pgjit.policy.decision import Violation
from pgjit.policy.passages import Passages
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["Explainer", "ExplainerUnavailable", "ExplainingWorker"]

_log = logging.getLogger("pgjit.judging")
_MOST_SECONDS = 10.0
"""The most for an explanation, where `limits.judging_seconds` allows more."""
_TEST_SECONDS = 30.0
_WAITING = 8
_IDLE_SECONDS = 60.0

T = TypeVar("T")


class ExplainerUnavailable(PgjitError):
    """There is no answer now."""

    sqlstate = "57014"
    status = 503


class ExplainingWorker(Protocol):
    """A `WorkerProcess`. A caller that stops waiting must `kill` it."""

    async def explain(
        self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None, text: str
    ) -> dict[str, Any]: ...

    async def run_tests(self, policies: Sequence[Policy], name: str, limit: int) -> dict[str, Any]: ...

    def kill(self) -> None: ...

    async def close(self) -> None: ...


class Explainer:
    """One question at a time; at most eight wait."""

    def __init__(
        self,
        limits: Callable[[], tuple[int, float]],
        worker: ExplainingWorker | None = None,
        *,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        """`limits` returns those of now: bytes of the largest text that is judged, seconds that judging may take."""
        self._limits = limits
        self._worker: ExplainingWorker = WorkerProcess() if worker is None else worker
        self._idle_seconds = idle_seconds
        self._place = asyncio.Lock()
        self._callers = 0
        self._ending: asyncio.Task[None] | None = None
        self._closed = False

    async def explain(self, policy: Policy, text: str, sql: bytes, catalog: Catalog | None) -> dict[str, Any]:
        """The document of an `Explanation`; `text` is that of the policy's file. A statement that cannot be judged
        is refused, as it is in a session. Raises ExplainerUnavailable if too many wait."""
        limit, allowed = self._limits()
        seconds = min(allowed, _MOST_SECONDS)
        try:
            return await self._ask(seconds, lambda: self._worker.explain(policy, sql, limit, catalog, text))
        except TimeoutError:
            return _refused(policy, sql, too_long(seconds))
        except WorkerDied:
            _log.error("explaining a statement of %d bytes killed its process", len(sql))
            return _refused(policy, sql, DIED)

    async def run_tests(self, policies: Sequence[Policy], name: str) -> dict[str, Any]:
        """What `results_of_tests` returns about the tests beside the policy `name`. Raises ExplainerUnavailable."""
        limit, _ = self._limits()
        try:
            return await self._ask(_TEST_SECONDS, lambda: self._worker.run_tests(policies, name, limit))
        except TimeoutError:
            raise _unavailable(
                f"tests took longer than {_TEST_SECONDS:.0f} s", "Run `pgjit policy test` where the files are."
            ) from None
        except WorkerDied:
            _log.error("running the tests of policy %s killed its process", name)
            raise _unavailable("tests could not be run", "The log of this proxy has more.") from None

    async def _ask(self, seconds: float, question: Callable[[], Awaitable[T]]) -> T:
        if self._callers > _WAITING:
            raise _unavailable("too many explanations are waited for", "Ask again in a moment.")
        self._callers += 1
        try:
            async with self._place:
                self._stay()
                try:
                    async with asyncio.timeout(seconds):
                        try:
                            return await question()
                        except WorkerDied:  # perhaps while it was idle: the next one gets the question once more
                            return await question()
                except BaseException:
                    self._worker.kill()
                    raise
                finally:
                    if not self._closed:
                        self._ending = asyncio.create_task(self._end_when_idle(), name="explainer")
        finally:
            self._callers -= 1

    def _stay(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    async def _end_when_idle(self) -> None:
        await asyncio.sleep(self._idle_seconds)
        async with self._place:
            self._ending = None
            await self._worker.close()

    async def close(self) -> None:
        """End the process. Nobody may ask any more."""
        self._closed = True
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
        await self._worker.close()


def _refused(policy: Policy, sql: bytes, violation: Violation) -> dict[str, Any]:
    return explain(policy, unjudged(policy, sql, violation), None, Passages()).document(most=0)


def _unavailable(message: str, hint: str) -> ExplainerUnavailable:
    return ExplainerUnavailable(message, reference="explanation-unavailable", hint=hint)
