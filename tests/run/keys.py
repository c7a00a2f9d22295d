"""RSA keys for the emulators of a run: made once, and used in turns. Making one takes a tenth of a second.

Emulators and key rotations of one test have different keys: more than `KEYS` of them are in no test.
"""

from __future__ import annotations

import functools
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pgjit.demo.emulator import issuer

__all__ = ["KEYS"]

KEYS = 12

_make = issuer.new_private_key
_turns = itertools.count()


@functools.cache
def _key(number: int) -> rsa.RSAPrivateKey:
    return _make()


def _next_key() -> rsa.RSAPrivateKey:
    return _key(next(_turns) % KEYS)


@pytest.fixture(scope="session", autouse=True)
def _keys_in_turns() -> None:
    issuer.new_private_key = _next_key
