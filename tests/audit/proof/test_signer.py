from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgjit.audit.proof.signer import CommandSigner, NotSigned
from tests.audit.proof import vectors
from tests.audit.proof.journals import KEY

_SIGN = f"""
import base64, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex("{vectors.LOG_SEED.hex()}"))
print(base64.encodebytes(key.sign(sys.stdin.buffer.read())).decode())
"""


def command(code: str, seconds: float = 60) -> CommandSigner:
    return CommandSigner([sys.executable, "-c", code], KEY.public, seconds=seconds)


async def test_a_command_gets_the_bytes_and_prints_the_signature() -> None:
    message = b"a text\n" * 20_000  # more than a pipe holds
    assert KEY.signed(message, await command(_SIGN).sign(message))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('no such\\nkey', file=sys.stderr); sys.exit(3)", "failed with status 3: no such key"),
        ("print('not base64!')", "is not base64"),
        ("import sys; sys.exit(1)", "failed with status 1$"),
    ],
)
async def test_a_command_that_fails_gives_no_signature(code: str, reason: str) -> None:
    with pytest.raises(NotSigned, match=reason):
        await command(code).sign(b"a text\n")


async def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with pytest.raises(NotSigned, match=r"did not end within 0\.01 s"):
        await command("import threading; threading.Event().wait()", 0.01).sign(b"a text\n")


async def test_a_command_that_does_not_exist_gives_no_signature() -> None:
    with pytest.raises(NotSigned, match="command `/nonexistent` cannot be run: No such file"):
        await CommandSigner(["/nonexistent"], KEY.public).sign(b"")
