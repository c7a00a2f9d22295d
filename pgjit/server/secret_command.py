"""A login secret from the standard output of a command.

Decides the command's limits on output and time, and the text of its failure. No shell is used. The operators see its
standard error, with the secret removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from pgjit.server.credential import CredentialUnavailable, FetchedSecret, check_secret

__all__ = ["run_command"]

_MOST_BYTES = 64 * 1024
_MOST_SHOWN = 300


async def run_command(argv: tuple[str, ...], *, timeout: float, refresh: float) -> FetchedSecret:  # noqa: ASYNC109 - ours to name
    """Run the command; its output without one newline at the end is the secret. Raises CredentialUnavailable."""
    name = f"command `{argv[0]}`"
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that its child processes are killed with it
        )
    except OSError as fault:
        raise CredentialUnavailable(f"{name} cannot be run: {fault.strerror}") from None
    try:
        async with asyncio.timeout(timeout):
            assert process.stdout is not None
            assert process.stderr is not None
            out, err = await asyncio.gather(_read_all(process.stdout), _read_head(process.stderr))
            status = await process.wait()
    except TimeoutError:
        raise CredentialUnavailable(f"{name} did not end within {timeout:g} s") from None
    finally:
        await _stop(process)
    if out is None:
        raise CredentialUnavailable(f"{name} printed more than {_MOST_BYTES} bytes")
    if status != 0:
        raise CredentialUnavailable(f"{name} failed with status {status}{_error_text(err, out)}")
    try:
        value = out.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise CredentialUnavailable(f"output of {name} is not text") from None
    return FetchedSecret(check_secret(value, f"output of {name}"), refresh)


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


def _error_text(err: bytes, out: bytes) -> str:
    """Its standard error in one line, without any word that it also printed as the secret."""
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
