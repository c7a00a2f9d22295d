"""RSA keys for the emulators of a run: made once for all its processes, and used in turns.

Making one takes a tenth of a second. Emulators and key rotations of one test have different keys: more than `KEYS` of
them are in no test.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["KEYS"]

KEYS = 12

_ISSUER = "pgjit.demo.emulator.issuer"
_turns = itertools.count()


@functools.cache
def _key(make: Callable[[], rsa.RSAPrivateKey], folder: Path, number: int) -> rsa.RSAPrivateKey:
    file = folder / f"{number}.pem"
    if file.is_file():
        # Checking the numbers of a key takes as long as making one; these are our own.
        kept = serialization.load_pem_private_key(file.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(kept, rsa.RSAPrivateKey)
        return kept
    key = make()
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    half = folder / f"{number}.{os.getpid()}"
    half.write_bytes(key.private_bytes(*pem))
    half.rename(file)
    return key


@pytest.fixture(scope="session", autouse=True)
def _keys_in_turns(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tmp_path_factory.getbasetemp()
    folder = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "keys"
    folder.mkdir(exist_ok=True)
    if (issuer := sys.modules.get(_ISSUER)) is not None:  # where no file of tests imports it, nobody needs a key
        make = vars(issuer)["new_private_key"]
        vars(issuer)["new_private_key"] = lambda: _key(make, folder, next(_turns) % KEYS)
