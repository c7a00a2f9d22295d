"""The client side of SCRAM towards a server (RFC 5802, RFC 7677): scramp, with a cache of derived keys.

Decides when cached keys are used: for the same secret, salt and iteration count. The iterations make guessing from a
stolen verifier expensive; a client that has the secret need not repeat them at each login.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64encode
from collections import OrderedDict
from dataclasses import dataclass, field

from scramp import ScramClient, ScramException
from scramp.core import ClientStage
from scramp.utils import saslprep

__all__ = ["Exchange"]

_MOST_ITERATIONS = 1_000_000
"""Iterations that a server may request: about 0.3 s. PostgreSQL's default is 4096."""
_MOST_CACHED = 64


@dataclass(frozen=True, slots=True)
class _Keys:
    client: bytes = field(repr=False)
    server: bytes = field(repr=False)


_cache: OrderedDict[tuple[bytes, bytes, int], _Keys] = OrderedDict()
"""By secret, salt and iterations. The key holds an HMAC of the secret under a random key, not the secret itself."""
_cache_hmac_key = secrets.token_bytes(32)


class Exchange:
    """One login: `client_first`, `client_final`, `verify`, in this order. Every method raises ScramException."""

    def __init__(self, mechanism: str, secret: str, binding: bytes | None) -> None:
        """`binding`: the hash of the server's certificate. The gs2 flag follows from `mechanism` and `binding`."""
        self._secret = secret
        # PostgreSQL takes the user from the startup message. Without a password scramp derives no keys.
        self._client = ScramClient(
            [mechanism], "pgjit", "", channel_binding=binding and ("tls-server-end-point", binding)
        )

    def client_first(self) -> bytes:
        return str(self._client.get_client_first()).encode()

    async def client_final(self, server_first: str) -> bytes:
        """The message with the proof. Keys that are not cached are derived on another thread."""
        client = self._client
        client.set_server_first(server_first)
        iterations = int(client.iterations)
        if iterations > _MOST_ITERATIONS:
            raise ScramException(f"the server requests more than {_MOST_ITERATIONS} iterations")
        keys = await _keys(self._secret, bytes(client.salt), iterations)
        binding = b64encode(client.gs2_header.make_cbind_input(client.cb)).decode()
        without_proof = f"c={binding},r={client.nonce}"
        message = f"{client.client_first_bare},{client.server_first},{without_proof}".encode()
        signature = _hmac(hashlib.sha256(keys.client).digest(), message)
        proof = bytes(one ^ other for one, other in zip(keys.client, signature, strict=True))
        client.server_signature = _hmac(keys.server, message)
        client.stage = ClientStage.get_client_final
        return f"{without_proof},p={b64encode(proof).decode()}".encode()

    def verify(self, server_final: str) -> None:
        """Check the server's own proof that it knows the password."""
        self._client.set_server_final(server_final)


async def _keys(secret: str, salt: bytes, iterations: int) -> _Keys:
    cache_key = _hmac(_cache_hmac_key, secret.encode()), salt, iterations
    keys = _cache.get(cache_key)
    if keys is None:
        keys = await asyncio.to_thread(_derive, secret, salt, iterations)
        _cache[cache_key] = keys
        while len(_cache) > _MOST_CACHED:
            _cache.popitem(last=False)
    else:
        _cache.move_to_end(cache_key)
    return keys


def _derive(secret: str, salt: bytes, iterations: int) -> _Keys:
    salted = hashlib.pbkdf2_hmac("sha256", _saslprep(secret).encode(), salt, iterations)
    return _Keys(_hmac(salted, b"Client Key"), _hmac(salted, b"Server Key"))


def _saslprep(secret: str) -> str:
    """As PostgreSQL does for the verifier: a password that SASLprep (RFC 4013) rejects is used unchanged."""
    if secret.isascii():
        return secret
    try:
        return str(saslprep(secret))
    except ScramException:
        return secret


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
