"""Runs a command that the operator configured: a login secret's, or a signing key's.

Decides its limits: no shell, a bound on its time and on its output, and that its child processes end with it. Does
not know what it prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["CommandFailed", "CommandResult", "one_line", "run_command"]

_MOST_BYTES = 64 * 1024
_MOST_SHOWN = 300


class CommandFailed(Exception):
    """The command did not end by itself within its limits; the text names it and says why."""


class CommandResult(NamedTuple):
    status: int
    output: bytes
    errors: bytes
    """The beginning of its standard error."""


async def run_command(argv: Sequence[str], *, seconds: float, given: bytes = b"") -> CommandResult:
    """Run a command with `given` on its standard input. Raises CommandFailed."""
    name = f"command `{argv[0]}`"
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that its child processes are killed with it
        )
    except OSError as fault:
        raise CommandFailed(f"{name} cannot be run: {fault.strerror}") from None
    try:
        async with asyncio.timeout(seconds):
            assert process.stdout is not None
            assert process.stderr is not None
            output, errors, _ = await asyncio.gather(
                _read_all(process.stdout), _read_head(process.stderr), _write(process.stdin, given)
            )
            status = await process.wait()
    except TimeoutError:
        raise CommandFailed(f"{name} did not end within {seconds:g} s") from None
    finally:
        await _stop(process)
    if output is None:
        raise CommandFailed(f"{name} printed more than {_MOST_BYTES} bytes")
    return CommandResult(status, output, errors)


def one_line(errors: str) -> str:
    """A command's standard error as the end of a message: a colon and one line, or nothing."""
    text = " ".join(errors.split())[:_MOST_SHOWN]
    return f": {text}" if text else ""


async def _write(stream: asyncio.StreamWriter | None, given: bytes) -> None:
    """A command that does not read its input is no failure: its status tells."""
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(given)
        await stream.drain()
    stream.close()


async def _read_all(stream: asyncio.StreamReader) -> bytes | None:
    """The whole output; None if it is above the limit."""
    output = b""
    while data := await stream.read(_MOST_BYTES):
        output += data
        if len(output) > _MOST_BYTES:
            return None
    return output


async def _read_head(stream: asyncio.StreamReader) -> bytes:
    """The beginning of the output. The rest is read and discarded, so the command never blocks on a full pipe."""
    head = b""
    while data := await stream.read(_MOST_BYTES):
        head += data[: _MOST_BYTES - len(head)]
    return head


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
