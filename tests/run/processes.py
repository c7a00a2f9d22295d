"""Child processes of tests: each is owned by a context that kills it, with every process that it started.

A child leads a process group of its own. Leaving the context kills that group and does not ask: a test that wants to
see a process end by itself waits for that inside. Every wait is bounded.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OWNED", "Finished", "finish", "finish_async", "own", "own_async"]

OWNED: set[int] = set()
"""The children whose contexts are open."""

_REAPED = 30
"""A process that was killed is gone at once, unless the machine stands still."""


@dataclass(frozen=True)
class Finished:
    out: str
    err: str
    status: int


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


@contextmanager
def own(
    *command: str | Path,
    stdin: int | None = DEVNULL,
    stdout: int | None = PIPE,
    stderr: int | None = PIPE,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    user: str | None = None,
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, user=user,
        encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    OWNED.add(process.pid)
    try:
        yield process
    finally:
        _kill_group(process.pid)
        process.wait(_REAPED)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        OWNED.discard(process.pid)


def finish(
    *command: str | Path,
    seconds: float,
    input: str | None = None,  # noqa: A002 - as subprocess calls it
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    user: str | None = None,
) -> Finished:
    """Run a program to its end; subprocess.TimeoutExpired where it takes longer than `seconds`."""
    with own(*command, stdin=DEVNULL if input is None else PIPE, env=env, cwd=cwd, user=user) as process:
        out, err = process.communicate(input, timeout=seconds)
    return Finished(out, err, process.returncode)


@asynccontextmanager
async def own_async(
    *command: str | Path,
    stdin: int | None = DEVNULL,
    stdout: int | None = PIPE,
    stderr: int | None = PIPE,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    limit: int = 2**16,
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(str(part) for part in command),
        stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, limit=limit, start_new_session=True,
        pass_fds=pass_fds,
    )  # fmt: skip
    OWNED.add(process.pid)
    try:
        yield process
    finally:
        _kill_group(process.pid)
        # What nobody read is read here: a full pipe would hold back the news that the process is gone.
        async with asyncio.timeout(_REAPED):
            await asyncio.gather(*(pipe.read() for pipe in (process.stdout, process.stderr) if pipe), process.wait())
        OWNED.discard(process.pid)


async def finish_async(
    *command: str | Path,
    seconds: float,
    input: bytes | None = None,  # noqa: A002 - as subprocess calls it
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
) -> Finished:
    """Run a program to its end; TimeoutError where it takes longer than `seconds`."""
    async with own_async(*command, stdin=DEVNULL if input is None else PIPE, env=env, cwd=cwd) as process:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(input)
    assert process.returncode is not None
    return Finished(out.decode(errors="replace"), err.decode(errors="replace"), process.returncode)
