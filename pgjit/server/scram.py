"""The client's side of SCRAM towards a server (RFC 5802, RFC 7677): scramp's, with the slow step remembered.

Decides when the keys of a login are the ones of the last: same secret, salt and number of rounds. The rounds are
there to make guessing from a stolen verifier expensive; whoever has the secret need not go through them each time.
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
"""Rounds of hashing that a server may ask for: about 0.3 s. PostgreSQL asks for 4096 unless it is told otherwise."""
_MOST_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Keys:
    client: bytes = field(repr=False)
    server: bytes = field(repr=False)


_kept: OrderedDict[tuple[bytes, bytes, int], _Keys] = OrderedDict()
"""By secret, salt and rounds; the secret itself is not in it, only its image under a key of this process."""
_image_key = secrets.token_bytes(32)


class Exchange:
    """One login: `first`, `final`, `verify`, in this order. Every method raises ScramException."""

    def __init__(self, mechanism: str, secret: str, binding: bytes | None) -> None:
        """`binding`: what the server's certificate says; where that is not used, the client says that it could."""
        self._secret = secret
        # PostgreSQL takes the name from the startup message. scramp is given no password: nothing is derived there.
        self._client = ScramClient(
            [mechanism], "pgjit", "", channel_binding=binding and ("tls-server-end-point", binding)
        )

    def first(self) -> bytes:
        return str(self._client.get_client_first()).encode()

    async def final(self, server_first: str) -> bytes:
        """The proof. Derived on another thread where this server's keys are not known yet."""
        client = self._client
        client.set_server_first(server_first)
        rounds = int(client.iterations)
        if rounds > _MOST_ITERATIONS:
            raise ScramException(f"the server asks for more than {_MOST_ITERATIONS} iterations")
        keys = await _keys(self._secret, bytes(client.salt), rounds)
        binding = b64encode(client.gs2_header.make_cbind_input(client.cb)).decode()
        unproved = f"c={binding},r={client.nonce}"
        message = f"{client.client_first_bare},{client.server_first},{unproved}".encode()
        signature = _hmac(hashlib.sha256(keys.client).digest(), message)
        proof = bytes(one ^ other for one, other in zip(keys.client, signature, strict=True))
        client.server_signature = _hmac(keys.server, message)
        client.stage = ClientStage.get_client_final
        return f"{unproved},p={b64encode(proof).decode()}".encode()

    def verify(self, server_final: str) -> None:
        """That the server knows the password as well."""
        self._client.set_server_final(server_final)


async def _keys(secret: str, salt: bytes, rounds: int) -> _Keys:
    known_as = _hmac(_image_key, secret.encode()), salt, rounds
    keys = _kept.get(known_as)
    if keys is None:
        keys = await asyncio.to_thread(_derive, secret, salt, rounds)
        _kept[known_as] = keys
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    else:
        _kept.move_to_end(known_as)
    return keys


def _derive(secret: str, salt: bytes, rounds: int) -> _Keys:
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(secret).encode(), salt, rounds)
    return _Keys(_hmac(salted, b"Client Key"), _hmac(salted, b"Server Key"))


def _prepared(secret: str) -> str:
    """As PostgreSQL does when it makes the verifier: what SASLprep (RFC 4013) does not allow is taken as it is."""
    if secret.isascii():
        return secret
    try:
        return str(saslprep(secret))
    except ScramException:
        return secret


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
