"""Judging in another process: large statements, with the catalog that names are resolved with.

Decides how the catalog gets there: once for each version, not with every statement. What may run is the judge's.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool

from pgjit.policy.policy import Policy
from pgjit.proxy.judge import Judgement, assess
from pgjit.sql.catalog import Catalog

__all__ = ["Elsewhere"]

_KEPT = 8
_known: dict[str, Catalog] = {}
"""In the other process: the catalogs that it was given, by version."""


def _assess(policy: Policy, sql: bytes, limit: int, version: str | None, packed: bytes | None) -> Judgement | None:
    """None: the catalog is not known here, and has to be sent along."""
    if version is None:
        return assess(policy, sql, limit)
    if version not in _known:
        if packed is None:
            return None
        while len(_known) >= _KEPT:
            _known.pop(next(iter(_known)))
        _known[version] = pickle.loads(packed)  # noqa: S301 - from our own parent process
    return assess(policy, sql, limit, _known[version])


class Elsewhere:
    def __init__(self, new_workers: Callable[[], Executor], limit: int) -> None:
        self._new_workers = new_workers
        self._limit = limit
        self._workers = new_workers()

    async def assess(self, policy: Policy, sql: bytes, catalog: Catalog | None) -> Judgement:
        """Raises BrokenProcessPool where the process died of it or was killed; the next statement gets a new one."""
        version = None if catalog is None else catalog.version
        answer = await self._run(policy, sql, version, None)
        if answer is None:
            packed = await asyncio.to_thread(pickle.dumps, catalog)
            answer = await self._run(policy, sql, version, packed)
        assert answer is not None
        return answer

    async def _run(self, policy: Policy, sql: bytes, version: str | None, packed: bytes | None) -> Judgement | None:
        workers = self._workers
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(workers, _assess, policy, sql, self._limit, version, packed)
        except BrokenProcessPool:
            if self._workers is workers:
                self._workers = self._new_workers()
            raise

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
