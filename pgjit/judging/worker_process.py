"""The proxy's handle on a worker process that judges statements.

Decides which policies and catalogs the child caches, and when a child is started again. It judges one statement at a
time; `judge_workers.py` decides the order and the time limit. The child's program is `worker_program.py`.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from pgjit.judging.catalog_transfer import pack_catalog
from pgjit.judging.judge import Judgement
from pgjit.judging.worker_program import LENGTH
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["Worker", "WorkerDied", "WorkerProcess"]

_MOST_CATALOGS = 8
"""Catalogs cached in the child; it caches four times as many policies."""

_START_SECONDS = 60.0
_GONE = (OSError, EOFError, asyncio.IncompleteReadError, pickle.UnpicklingError)


class WorkerDied(Exception):
    """The process died; the next statement starts a new one."""


class Worker(Protocol):
    """Judges one statement at a time, without blocking the event loop."""

    async def ready(self) -> None:
        """Return when the worker can judge. Raises WorkerDied."""

    async def judge(self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None) -> Judgement:
        """Raises WorkerDied. A caller that stops waiting must `kill` the worker."""

    def kill(self) -> None:
        """Stop the worker at once."""

    async def close(self) -> None: ...


class WorkerProcess:
    """A `Worker` in a child process, started on demand and again after it died."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._catalogs: OrderedDict[str, None] = (
            OrderedDict()
        )  # versions that the child has, least recently used first
        self._policies: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._killed = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def ready(self) -> None:
        if self._process is not None and self._process.returncode is None and not self._killed:
            return
        await self._reap()
        self._catalogs.clear()
        self._policies.clear()
        self._killed = False
        # The child imports the same code from the same places.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "pgjit.judging.worker_program",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
            )  # fmt: skip
            async with asyncio.timeout(_START_SECONDS):
                await self._receive()
        except (*_GONE, TimeoutError) as fault:
            self.kill()
            raise WorkerDied from fault

    async def judge(self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None) -> Judgement:
        judgement = await self._ask("judge", policy, catalog, sql, limit)
        assert isinstance(judgement, Judgement)
        return judgement

    async def explain(
        self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None, text: str
    ) -> dict[str, Any]:
        """The document of an `Explanation`. `text`: of the policy's file. Raises WorkerDied, see `judge`."""
        document = await self._ask("explain", policy, catalog, sql, limit, text)
        assert isinstance(document, dict)
        return document

    async def run_tests(self, policies: Sequence[Policy], name: str, limit: int) -> dict[str, Any]:
        """What `results_of_tests` returns. Raises WorkerDied, see `judge`."""
        await self.ready()
        document = await self._answered(("tests", list(policies), name, limit))
        assert isinstance(document, dict)
        return document

    async def _ask(self, what: str, policy: Policy, catalog: Catalog | None, *arguments: object) -> object:
        await self.ready()
        try:
            await self._send_missing(policy, catalog)
        except _GONE as fault:
            self.kill()
            raise WorkerDied from fault
        version = None if catalog is None else catalog.version
        return await self._answered((what, (policy.name, policy.version), version, *arguments))

    async def _answered(self, message: Sequence[Any]) -> object:
        try:
            await self._send(message)
            return await self._receive()
        except _GONE as fault:
            self.kill()
            raise WorkerDied from fault

    async def _send_missing(self, policy: Policy, catalog: Catalog | None) -> None:
        """Send the policy and the catalog if the child lacks them, with the least recently used ones to evict."""
        key = (policy.name, policy.version)
        if key not in self._policies:
            await self._send(("policy", key, policy, _evict(self._policies, 4 * _MOST_CATALOGS)))
        self._policies[key] = None
        self._policies.move_to_end(key)
        if catalog is None:
            return
        if catalog.version not in self._catalogs:
            for part in pack_catalog(catalog):
                await self._send(("part", part))
                await asyncio.sleep(0)
            await self._send(("catalog", catalog.version, _evict(self._catalogs, _MOST_CATALOGS)))
        self._catalogs[catalog.version] = None
        self._catalogs.move_to_end(catalog.version)

    async def _send(self, message: Sequence[Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        if self._process.stdin.is_closing():
            # uvloop raises RuntimeError for a write into a closed pipe.
            raise BrokenPipeError("the process has ended")
        self._process.stdin.write(LENGTH.pack(len(data)) + data)
        await self._process.stdin.drain()

    async def _receive(self) -> object:
        assert self._process is not None
        assert self._process.stdout is not None
        (size,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
        return pickle.loads(await self._process.stdout.readexactly(size))  # noqa: S301 - sent by our child process

    def kill(self) -> None:
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        self.kill()
        await self._reap()

    async def _reap(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _evict(cached: OrderedDict[Any, None], most: int) -> list[Any]:
    """Remove and return the keys that make room for one more."""
    return [cached.popitem(last=False)[0] for _ in range(len(cached) - most + 1)]
