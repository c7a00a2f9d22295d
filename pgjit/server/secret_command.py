"""A login secret from a command's standard output: how it is run, bounded, and what its failure says.

No shell. Decides how much output and time it gets. Its standard error is for the operators, the secret is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from pgjit.server.credential import CredentialUnavailable, FetchedSecret, usable

__all__ = ["run_command"]

_MOST_BYTES = 64 * 1024
_MOST_SHOWN = 300


async def run_command(argv: tuple[str, ...], *, timeout: float, refresh: float) -> FetchedSecret:  # noqa: ASYNC109 - ours to name
    """Run it and take what it prints, less one newline. Raises CredentialUnavailable."""
    name = f"command `{argv[0]}`"
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that what it starts is stopped with it
        )
    except OSError as fault:
        raise CredentialUnavailable(f"{name} cannot be run: {fault.strerror}") from None
    try:
        async with asyncio.timeout(timeout):
            assert process.stdout is not None
            assert process.stderr is not None
            out, err = await asyncio.gather(_whole(process.stdout), _head(process.stderr))
            status = await process.wait()
    except TimeoutError:
        raise CredentialUnavailable(f"{name} did not end within {timeout:g} s") from None
    finally:
        await _stop(process)
    if out is None:
        raise CredentialUnavailable(f"{name} printed more than {_MOST_BYTES} bytes")
    if status != 0:
        raise CredentialUnavailable(f"{name} failed with status {status}{_said(err, out)}")
    try:
        value = out.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise CredentialUnavailable(f"output of {name} is not text") from None
    return FetchedSecret(usable(value, f"output of {name}"), refresh)


async def _whole(stream: asyncio.StreamReader) -> bytes | None:
    """All of it; None if it is more than a secret may be."""
    read = b""
    while data := await stream.read(_MOST_BYTES):
        read += data
        if len(read) > _MOST_BYTES:
            return None
    return read


async def _head(stream: asyncio.StreamReader) -> bytes:
    """Its beginning; the rest is read and forgotten, so that nothing blocks on a full pipe."""
    head = b""
    while data := await stream.read(_MOST_BYTES):
        head += data[: _MOST_BYTES - len(head)]
    return head


def _said(err: bytes, out: bytes) -> str:
    """The command's own words in one line, without anything that it also printed as the secret."""
    text = err.decode("utf-8", "replace")
    for secret in out.decode("utf-8", "replace").split():
        text = text.replace(secret, "[hidden]")
    text = " ".join(text.split())[:_MOST_SHOWN]
    return f": {text}" if text else ""


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
