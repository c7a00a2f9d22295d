"""Who signs the checkpoints: a private key in a file, or a command that asks a key service.

Decides the contract of the command: it gets the bytes on its standard input, and prints the signature in base64. No
shell is used. Does not decide what is signed, nor whether the signature is the right one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["CheckpointSigner", "CommandSigner", "FileSigner", "NotSigned"]

_MOST_BYTES = 64 * 1024
_MOST_SHOWN = 300


class NotSigned(Exception):
    """There is no signature now; the text says why, for the operators."""


class CheckpointSigner(Protocol):
    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""

    async def sign(self, message: bytes) -> bytes:
        """The signature. Raises NotSigned."""


class FileSigner:
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class CommandSigner:
    def __init__(self, argv: Sequence[str], public: bytes, *, seconds: float = 10.0) -> None:
        self._argv = tuple(argv)
        self._public = public
        self._seconds = seconds

    @property
    def public(self) -> bytes:
        return self._public

    async def sign(self, message: bytes) -> bytes:
        name = f"command `{self._argv[0]}`"
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # so that its child processes are killed with it
            )
        except OSError as fault:
            raise NotSigned(f"{name} cannot be run: {fault.strerror}") from None
        try:
            async with asyncio.timeout(self._seconds):
                output, errors = await process.communicate(message)
        except TimeoutError:
            raise NotSigned(f"{name} did not end within {self._seconds:g} s") from None
        finally:
            await _stop(process)
        if process.returncode != 0:
            shown = " ".join(errors.decode("utf-8", "replace").split())[:_MOST_SHOWN]
            raise NotSigned(f"{name} failed with status {process.returncode}{f': {shown}' if shown else ''}")
        try:
            return base64.b64decode(b"".join(output[:_MOST_BYTES].split()), validate=True)
        except binascii.Error:
            raise NotSigned(f"output of {name} is not base64") from None


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
