"""Who signs the checkpoints: a private key in a file, or a command that asks a key service.

Decides the contract of the command: it gets the bytes on its standard input, and prints the signature in base64. No
shell is used. Does not decide what is signed, nor whether the signature is the right one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pgjit.external_command import CommandFailed, one_line, run_command

__all__ = ["CheckpointSigner", "CommandSigner", "FileSigner", "NotSigned"]


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
            status, output, errors = await run_command(self._argv, seconds=self._seconds, given=message)
        except CommandFailed as fault:
            raise NotSigned(str(fault)) from None
        if status != 0:
            raise NotSigned(f"{name} failed with status {status}{one_line(errors.decode('utf-8', 'replace'))}")
        try:
            return base64.b64decode(b"".join(output.split()), validate=True)
        except binascii.Error:
            raise NotSigned(f"output of {name} is not base64") from None
