"""A process that judges: the program that runs in it, and the handle by which the proxy talks to it.

Decides what is sent once and kept there, policies and catalogs, and what becomes of it when the process dies. One
statement is judged at a time; whose turn it is, and how long it may take, is `judge_worker.py`'s.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import struct
import sys
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pgjit.judging.catalog_transfer import packed, unpacked
from pgjit.judging.judge import Judgement, assess, without_facts
from pgjit.policy.policy import Policy
from pgjit.sql.catalog import Catalog

__all__ = ["Worker", "WorkerDied", "WorkerProcess"]

_KEPT = 8
"""Catalogs, and as many policies four times, that the process keeps."""

_NICENESS = 5
"""The event loop, which ends windows, comes first."""

_LENGTH = struct.Struct("!Q")
_START_SECONDS = 60.0
_GONE = (OSError, EOFError, asyncio.IncompleteReadError, pickle.UnpicklingError)


class WorkerDied(Exception):
    """The process that judged is gone; the next statement gets a new one."""


class Worker(Protocol):
    """Judges one statement at a time, somewhere that may take its time."""

    async def ready(self) -> None:
        """Return when it can judge. Raises WorkerDied."""

    async def judge(self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None) -> Judgement:
        """Raises WorkerDied. Whoever stops waiting has to `kill` it."""

    def kill(self) -> None:
        """Stop what it does, whatever that is."""

    async def close(self) -> None: ...


class WorkerProcess:
    """A `Worker` in a process of its own, started when it is first needed and after each death."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._catalogs: OrderedDict[str, None] = OrderedDict()  # that it has, the one used last at the end
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
        # The same code as here, from the same places.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "pgjit.judging.worker_process",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
            )  # fmt: skip
            async with asyncio.timeout(_START_SECONDS):
                await self._receive()
        except (*_GONE, TimeoutError) as fault:
            self.kill()
            raise WorkerDied from fault

    async def judge(self, policy: Policy, sql: bytes, limit: int, catalog: Catalog | None) -> Judgement:
        await self.ready()
        try:
            await self._bring(policy, catalog)
            version = None if catalog is None else catalog.version
            await self._send(("judge", (policy.name, policy.version), sql, limit, version))
            judgement = await self._receive()
        except _GONE as fault:
            self.kill()
            raise WorkerDied from fault
        assert isinstance(judgement, Judgement)
        return judgement

    async def _bring(self, policy: Policy, catalog: Catalog | None) -> None:
        """See that it has both. What it has not used for longest it is told to forget."""
        key = (policy.name, policy.version)
        if key not in self._policies:
            await self._send(("policy", key, policy, _forgotten(self._policies, 4 * _KEPT)))
        self._policies[key] = None
        self._policies.move_to_end(key)
        if catalog is None:
            return
        if catalog.version not in self._catalogs:
            for part in packed(catalog):
                await self._send(("part", part))
                await asyncio.sleep(0)
            await self._send(("catalog", catalog.version, _forgotten(self._catalogs, _KEPT)))
        self._catalogs[catalog.version] = None
        self._catalogs.move_to_end(catalog.version)

    async def _send(self, message: Sequence[Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._process.stdin.write(_LENGTH.pack(len(data)) + data)
        await self._process.stdin.drain()

    async def _receive(self) -> object:
        assert self._process is not None
        assert self._process.stdout is not None
        (size,) = _LENGTH.unpack(await self._process.stdout.readexactly(_LENGTH.size))
        return pickle.loads(await self._process.stdout.readexactly(size))  # noqa: S301 - from our own child process

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


def _forgotten(kept: OrderedDict[Any, None], most: int) -> list[Any]:
    """What has to go, so that there is room for one more."""
    return [kept.popitem(last=False)[0] for _ in range(len(kept) - most + 1)]


# --- in the process ------------------------------------------------------------------------------------


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Judge until the parent is gone."""
    policies: dict[tuple[str, str], Policy] = {}
    catalogs: dict[str, Catalog] = {}
    parts: list[bytes] = []
    _answer(answers, None)
    while (message := _read(requests)) is not None:
        match message:
            case "policy", key, policy, forgotten:
                for old in forgotten:
                    del policies[old]
                policies[key] = policy
            case "part", part:
                parts.append(part)
            case "catalog", version, forgotten:
                for old in forgotten:
                    del catalogs[old]
                catalogs[version] = unpacked(parts)
                parts = []
                gc.freeze()  # it stays as it is: there is nothing in it to collect
            case "judge", key, sql, limit, version:
                catalog = None if version is None else catalogs[version]
                _answer(answers, without_facts(assess(policies[key], sql, limit, catalog)))


def _read(requests: BinaryIO) -> Any:
    head = requests.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    data = requests.read(_LENGTH.unpack(head)[0])
    return pickle.loads(data)  # noqa: S301 - from our own parent process; half of it is no pickle and ends us


def _answer(answers: BinaryIO, value: object) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    answers.write(_LENGTH.pack(len(data)) + data)
    answers.flush()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the proxy, which then ends this
    os.nice(_NICENESS)
    with suppress(OSError):  # Linux: where memory runs out, this goes and not the proxy
        Path("/proc/self/oom_score_adj").write_text("1000")
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get among the answers
    with suppress(BrokenPipeError):
        _serve(requests, answers)


if __name__ == "__main__":
    _main()
