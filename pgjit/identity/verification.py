"""Verifies a token in a fixed order, the same for every provider: form, key, signature, payload, claims, issuer.

The provider's `read` decides which claims are accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from jwt import InvalidTokenError, PyJWK, PyJWS

from pgjit.errors import ServerUnavailable, TokenRefused
from pgjit.identity.identity import Identity
from pgjit.identity.jws import Jws, StrictJsonError, parse_compact_jws, read_object
from pgjit.identity.signing_keys import SigningKeys
from pgjit.telemetry.dependency import ExternalDependency

__all__ = ["KeyRing", "Verification"]

Claims = Mapping[str, object]
Reader = Callable[[Claims], tuple[str, Identity]]
"""Reads claims: their issuer and the identity in them, or TokenRefused."""

_SIGNATURES: Final = PyJWS(algorithms=["RS256"], options={"enforce_minimum_key_length": True})


class KeyRing:
    """The key sets of all accepted issuers, each fetched from its own pinned URL."""

    def __init__(self, sets: Sequence[SigningKeys]) -> None:
        self._sets = {keys.issuer: keys for keys in sets}

    async def start(self) -> None:
        await asyncio.gather(*(keys.start() for keys in self._sets.values()))

    async def close(self) -> None:
        await asyncio.gather(*(keys.close() for keys in self._sets.values()))

    @property
    def ready(self) -> bool:
        """Whether there are keys of every issuer."""
        return all(keys.ready for keys in self._sets.values())

    @property
    def ages(self) -> dict[str, float]:
        """The age of the keys of each issuer, in seconds."""
        return {issuer: keys.age for issuer, keys in self._sets.items()}

    @property
    def dependencies(self) -> list[ExternalDependency]:
        return [keys.dependency for keys in self._sets.values()]

    async def find(self, kid: str) -> list[PyJWK]:
        """The different keys with that key id. Several issuers may use the same id.

        Raises TokenRefused if no key set has it, ServerUnavailable if a key set is missing that might have it.
        """
        if known := _different(keys.known(kid) for keys in self._sets.values()):
            return known
        answers = await asyncio.gather(*(keys.get(kid) for keys in self._sets.values()), return_exceptions=True)
        if found := _different(answer for answer in answers if isinstance(answer, PyJWK)):
            return found
        refusals = [answer for answer in answers if isinstance(answer, BaseException)]
        # If one key set is missing, the key may be in it.
        raise next((each for each in refusals if isinstance(each, ServerUnavailable)), refusals[0])

    async def check_issuer(self, issuer: str, kid: str, key: PyJWK) -> None:
        """Check that `issuer` itself publishes `key` under that id: one tenant must not sign for another."""
        own = await self._sets[issuer].get(kid)
        if not _same(own, key):
            raise TokenRefused("wrong-key", f"the token is signed by a key that is not {issuer}'s")


class Verification:
    """The steps from a token to an identity."""

    def __init__(self, ring: KeyRing, *, max_bytes: int, types: frozenset[str] = frozenset({"JWT"})) -> None:
        self._ring = ring
        self._max_bytes = max_bytes
        self._types = types

    async def verify(self, token: str, read: Reader) -> Identity:
        """The identity that `read` returns. Raises TokenRefused, or ServerUnavailable without the keys."""
        try:
            jws = parse_compact_jws(token, self._max_bytes, self._types)
            claims, key = _claims(jws, await self._ring.find(jws.kid))
            issuer, identity = read(claims)
            await self._ring.check_issuer(issuer, jws.kid, key)
        except (TokenRefused, ServerUnavailable):
            raise
        except Exception as fault:  # noqa: BLE001 - an unexpected error refuses the token as well
            # Without the cause: its text could quote the token.
            raise TokenRefused("check-failed", f"the token could not be checked: {type(fault).__name__}") from None
        return identity


def _different(keys: Iterable[PyJWK | None]) -> list[PyJWK]:
    """Without duplicates: Entra publishes the same keys for all of its tenants."""
    found: list[PyJWK] = []
    for key in keys:
        if key is not None and not any(_same(key, each) for each in found):
            found.append(key)
    return found


def _same(one: PyJWK, other: PyJWK) -> bool:
    same: bool = one is other or one.key.public_numbers() == other.key.public_numbers()
    return same


def _claims(jws: Jws, keys: Sequence[PyJWK]) -> tuple[dict[str, object], PyJWK]:
    """The claims in the payload, and the key that signed them."""
    key, payload = _signed_by(jws, keys)
    try:
        return read_object(payload), key
    except StrictJsonError as fault:
        raise TokenRefused("malformed-claims", f"the payload {fault}") from None


def _signed_by(jws: Jws, keys: Sequence[PyJWK]) -> tuple[PyJWK, bytes]:
    reason = "there is no key"
    for key in keys:
        try:
            return key, _SIGNATURES.decode_complete(jws.token, key, algorithms=["RS256"])["payload"]
        except InvalidTokenError as fault:
            reason = type(fault).__name__
    raise TokenRefused("bad-signature", f"the signature does not hold: {reason}")
